"""Steps on disk until the learner has acknowledged them.

Append-only segment files `<first sequence>.steps`. A segment starts with a header (magic, sequence and
episode before its first step) and holds frames of

    length, crc32 of all that follows (uint32); sequence, episode (uint64); payload

little-endian. What was written is in the kernel's hands when `append` returns, so it survives the death
of the process at any moment. There is no fsync per step: it would put the disk's latency (milliseconds to
tens of them on a flash card) into the control loop to save, when the machine loses power, the last
steps of an episode that the power cut has ended anyway. As a segment is deleted when all of it is
acknowledged, seconds later as a rule, most steps never reach the disk at all.

The newest segment is kept even when everything is acknowledged: it remembers where numbering goes on.
"""

import fcntl
import os
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path

_HEADER = struct.Struct("<8sQQ")
_MAGIC = b"hilrlsp1"
_FRAME = struct.Struct("<II")
_NUMBERS = struct.Struct("<QQ")
_FRAME_BYTES = _FRAME.size + _NUMBERS.size

SEGMENT_BYTES = 4 << 20
"""A new segment begins above this size: about 40 steps of two 128x128 frames, quickly deleted."""


MAX_FILE_BYTES = 1 << 30
"""A segment is some megabytes; a larger file is none of ours and is not read."""


@dataclass
class _Segment:
    path: Path
    first: int
    """Sequence of the first step."""
    offsets: list[int] = field(default_factory=list)
    """Where each frame begins, and behind the last frame."""

    @property
    def last(self) -> int:
        """Sequence of the last step; `first - 1` while empty."""
        return self.first + len(self.offsets) - 2


class Spool:
    """The steps of one actor. Opening it continues what is in the folder."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Raises ValueError when another process has it open, it is damaged, or the disk refuses it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise ValueError(
                f"spool {folder}: expected to be the only actor that writes here, another one has it "
                f"open; give this one its own actor_id or run_dir"
            ) from None
        self._last_episode = 0
        self._segments: list[_Segment] = []
        self._reading: tuple[_Segment, int] | None = None
        try:
            self._recover()
            self._write = -1
            self._begin_segment()
        except OSError as error:
            os.close(self._lock)
            raise ValueError(f"spool {folder}: expected to be able to write there: {error}") from error
        except BaseException:
            os.close(self._lock)
            raise

    @property
    def last_sequence(self) -> int:
        """Of the newest step ever appended, 0: none."""
        return self._segments[-1].last

    @property
    def last_episode(self) -> int:
        """Of the newest step ever appended, 0: none."""
        return self._last_episode

    @property
    def first_sequence(self) -> int:
        """Of the oldest step still here; `last_sequence + 1` when there is none."""
        return self._segments[0].first

    def append(self, sequence: int, episode: int, payload: bytes) -> None:
        """Raises ValueError when `sequence` does not follow the last one, OSError when the disk fails."""
        if sequence != self.last_sequence + 1:
            raise ValueError(f"sequence: expected {self.last_sequence + 1}, got {sequence}")
        segment = self._segments[-1]
        if segment.offsets[-1] > self._segment_bytes:
            segment = self._begin_segment()
        numbers = _NUMBERS.pack(sequence, episode)
        checksum = zlib.crc32(payload, zlib.crc32(numbers))
        length = _FRAME_BYTES + len(payload)
        written = os.writev(self._write, (_FRAME.pack(len(payload), checksum), numbers, payload))
        if written != length:
            os.ftruncate(self._write, segment.offsets[-1])
            raise OSError(f"spool {segment.path}: wrote {written} of {length} bytes: is the disk full?")
        segment.offsets.append(segment.offsets[-1] + length)
        self._last_episode = episode

    def read(self, sequence: int) -> bytes:
        """The payload of a step. Raises KeyError when it is not here (any more)."""
        for segment in self._segments:
            if segment.first <= sequence <= segment.last:
                begin, end = segment.offsets[sequence - segment.first :][:2]
                return os.pread(self._open(segment), end - begin - _FRAME_BYTES, begin + _FRAME_BYTES)
        raise KeyError(sequence)

    def acknowledge(self, sequence: int) -> None:
        """All steps up to `sequence` are safe elsewhere."""
        while len(self._segments) > 1 and self._segments[0].last <= sequence:
            segment = self._segments.pop(0)
            if self._reading is not None and self._reading[0] is segment:
                self._stop_reading()
            segment.path.unlink()

    def continue_from(self, last_sequence: int, last_episode: int) -> None:
        """Number on from here, for a spool whose steps are all acknowledged."""
        self._last_episode = last_episode
        self._begin_segment(last_sequence + 1)
        self.acknowledge(last_sequence)

    def close(self) -> None:
        """Let go of the files; what is in them stays."""
        self._stop_reading()
        os.close(self._write)
        os.close(self._lock)

    def _recover(self) -> None:
        for path in sorted(self._folder.glob("*.steps")):
            segment = self._scan(path)
            expected = self._segments[-1].last + 1 if self._segments else segment.first
            if segment.first != expected:
                raise ValueError(
                    f"spool {path}: expected to begin with step {expected}, got {segment.first}: steps "
                    f"are lost; move the folder away to go on without them"
                )
            self._segments.append(segment)

    def _scan(self, path: Path) -> _Segment:
        """Index a segment up to its first frame that is not whole: the process died while writing it."""
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise ValueError(f"spool {path}: expected at most {MAX_FILE_BYTES} bytes, got {size}")
        data = path.read_bytes()
        if len(data) < _HEADER.size or not data.startswith(_MAGIC):
            raise ValueError(f"spool {path}: expected a header {_MAGIC!r}, got {data[:8]!r}")
        _, last_sequence, episode = _HEADER.unpack_from(data)
        segment = _Segment(path, last_sequence + 1, [_HEADER.size])
        self._last_episode = max(self._last_episode, episode)
        view = memoryview(data)
        while True:
            begin = segment.offsets[-1]
            if begin + _FRAME_BYTES > len(data):
                return segment
            length, checksum = _FRAME.unpack_from(data, begin)
            end = begin + _FRAME_BYTES + length
            if end > len(data) or zlib.crc32(view[begin + _FRAME.size : end]) != checksum:
                return segment
            sequence, episode = _NUMBERS.unpack_from(data, begin + _FRAME.size)
            if sequence != segment.last + 1:
                return segment
            segment.offsets.append(end)
            self._last_episode = max(self._last_episode, episode)

    def _begin_segment(self, first: int | None = None) -> _Segment:
        """Written aside and renamed, so that a segment always has its header."""
        if first is None:
            first = self.last_sequence + 1 if self._segments else 1
        path = self._folder / f"{first:020d}.steps"
        aside = path.with_suffix(".new")
        aside.write_bytes(_HEADER.pack(_MAGIC, first - 1, self._last_episode))
        aside.rename(path)
        if self._segments and self._segments[-1].path == path:
            self._segments.pop()
        if self._write >= 0:
            os.close(self._write)
        self._write = os.open(path, os.O_WRONLY | os.O_APPEND)
        self._segments.append(_Segment(path, first, [_HEADER.size]))
        return self._segments[-1]

    def _open(self, segment: _Segment) -> int:
        if self._reading is None or self._reading[0] is not segment:
            self._stop_reading()
            self._reading = (segment, os.open(segment.path, os.O_RDONLY))
        return self._reading[1]

    def _stop_reading(self) -> None:
        if self._reading is not None:
            os.close(self._reading[1])
            self._reading = None
