"""What others read in a file of the MCAP recorder."""

import struct
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from mcap.exceptions import EndOfFile
from mcap.reader import NonSeekingReader, make_reader
from mcap.records import Channel, Message, Schema
from mcap_ros2.decoder import DecoderFactory


@dataclass(frozen=True)
class Recorded:
    """One message of a file."""

    schema: Schema
    channel: Channel
    message: Message
    decoded: Any


def only_file(folder: Path) -> Path:
    """The file in there."""
    (path,) = folder.glob("*.mcap")
    return path


def contents(path: Path, topic: str | None = None) -> list[Recorded]:
    """From the front to the end, or to where the writer was killed; all checksums hold."""
    found = []
    # As it is at one moment: it may grow while it is read.
    file = BytesIO(path.read_bytes())
    reader = NonSeekingReader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
    try:
        for entry in reader.iter_decoded_messages(log_time_order=False):
            found.append(Recorded(*entry))
    except (EndOfFile, struct.error):
        pass
    return [entry for entry in found if topic in (None, entry.channel.topic)]


def is_complete(path: Path) -> bool:
    """Whether it has its index, which tells of every message."""
    with path.open("rb") as file:
        try:
            summary = make_reader(file).get_summary()
        except Exception:  # whatever a reader that seeks makes of a file without an end
            return False
    assert summary is not None and summary.statistics is not None
    return summary.statistics.message_count == len(contents(path))
