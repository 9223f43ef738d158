"""A file of ROS 2 messages that Foxglove, PlotJuggler and `ros2 bag` open: MCAP of profile ros2."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mcap.well_known import MessageEncoding, Profile, SchemaEncoding
from mcap.writer import Writer


@dataclass(frozen=True)
class Channel:
    """A topic as a file knows it."""

    topic: str
    """Its full name."""
    type_name: str
    """For example "sensor_msgs/msg/Image"."""
    definition: str
    """See `message_definition.full_definition`."""
    offered_qos: str
    """See `offered_qos.as_yaml`."""
    type_hash: str
    """Of REP 2016, for example "RIHS01_df66...": tells types of one name apart."""


class McapFile:
    """One file, new, named by the time. Every method may raise OSError; the file is over then: `abandon` it.

    What is flushed can be read whatever becomes of the process: messages lie in chunks, each complete with
    the definitions of what it is the first to hold. `close` adds the index.
    """

    def __init__(self, folder: Path) -> None:
        """The folder is made where there is none."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.mcap"
        self.messages = 0
        """On disk."""
        self._unflushed = 0
        self._stream = self.path.open("xb")
        self._writer = Writer(self._stream)
        self._schemas: dict[str, int] = {}
        """By type."""
        self._channels: dict[str, int] = {}
        """By topic."""
        self._writer.start(profile=Profile.ROS2)

    def write(self, channel: Channel, received_ns: int, published_ns: int, data: bytes) -> None:
        """One message: CDR with its header, times since 1970 [ns]."""
        identifier = self._channels.get(channel.topic) or self._register(channel)
        self._writer.add_message(identifier, received_ns, data, published_ns)
        self._unflushed += 1

    def flush(self) -> None:
        """Have the file hold all that was written."""
        self._writer.flush()
        self.messages += self._unflushed
        self._unflushed = 0

    def close(self) -> None:
        """Complete the file."""
        self._writer.finish()
        self._stream.close()

    def abandon(self) -> None:
        """After an error: leave what there is, unless there is nothing."""
        with suppress(OSError):
            self._stream.close()
        if not self.messages:
            with suppress(OSError):
                self.path.unlink()

    def _register(self, channel: Channel) -> int:
        if channel.type_name not in self._schemas:
            definition = channel.definition.encode()
            self._schemas[channel.type_name] = self._writer.register_schema(
                channel.type_name, SchemaEncoding.ROS2, definition
            )
        self._channels[channel.topic] = self._writer.register_channel(
            channel.topic,
            MessageEncoding.CDR,
            self._schemas[channel.type_name],
            {"offered_qos_profiles": channel.offered_qos, "topic_type_hash": channel.type_hash},
        )
        return self._channels[channel.topic]
