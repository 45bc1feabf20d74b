"""Encoded frames on disk, in segments that are whole or not there: the unit of resuming a run.

A work folder holds one file of packets per segment and `state.json`, which names the whole ones and the fingerprint
of the run they belong to. A segment is coded on its own (its first frame is a key frame, nothing refers beyond its
end), so segments of several runs can be joined. Containers were tried for these files; none keeps every codec and
every time stamp as the encoder gave them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from vidstyle.media.files import FolderLock, fsync_folder, write_file

SEGMENT_FRAMES = 240

_SCHEMA = 1
_STATE = "state.json"
_MAGIC = b"vidstyle segment 1\n"
_LENGTH = struct.Struct("<I")
_RECORD = struct.Struct("<qqIB")
"""pts, duration, bytes that follow, 1 for a key frame."""


@dataclass(frozen=True, slots=True)
class EncodedPacket:
    """One encoded frame; times in ticks of the run's time base."""

    pts: int
    duration: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """What `state.json` says about a whole segment."""

    file: str
    size: int
    """In bytes."""
    first_frame: int
    frames: int
    first_pts: int
    last_pts: int
    last_duration: int
    reordering: int
    """By how many places, at most, a packet comes later in the file than its frame is shown."""


class SegmentWriter:
    """A segment being written. Raises OSError where that fails."""

    def __init__(self, path: Path, header: bytes) -> None:
        self.path = path
        self.shown: list[tuple[int, int]] = []
        """(pts, duration) of the packets so far, in coding order."""
        self._file = path.open("wb")  # the folder has been cleared
        try:
            self._file.write(_MAGIC + _LENGTH.pack(len(header)) + header)
        except OSError:
            self.abandon()
            raise

    def add(self, packet: EncodedPacket) -> None:
        """Append the next packet in coding order."""
        self._file.write(_RECORD.pack(packet.pts, packet.duration, len(packet.data), packet.keyframe))
        self._file.write(packet.data)
        self.shown.append((packet.pts, packet.duration))

    def finish(self) -> int:
        """Close the file once it is safe on the disk; its size in bytes."""
        with self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
            return self._file.tell()

    def abandon(self) -> None:
        """Close and remove the file."""
        with suppress(OSError):  # closing writes what is left, which fails again on a full disk
            self._file.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


class SegmentStore:
    """The segments of one output in their locked work folder. Raises OSError where that cannot be written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.segments: list[Segment] = []
        self._fingerprint = ""
        self._lock = FolderLock(folder)

    @property
    def frames(self) -> int:
        """Number of frames in whole segments."""
        return sum(segment.frames for segment in self.segments)

    @property
    def size(self) -> int:
        """Bytes in all whole segments."""
        return sum(segment.size for segment in self.segments)

    @property
    def paths(self) -> list[Path]:
        """The files of the whole segments in order."""
        return [self.folder / segment.file for segment in self.segments]

    def open(self, fingerprint: str, header: bytes, *, resume: bool) -> str | None:
        """Lock the folder and take over the segments that an earlier run with this fingerprint left.

        `header` is what this run's encoder puts before all packets (its extradata): segments of another encoder
        cannot be joined with it. Returns None, or why whole segments had to be thrown away. Raises BlockingIOError
        while another run has the folder.
        """
        if not self._lock.acquire():
            raise BlockingIOError
        try:
            return self._take_over(fingerprint, header, resume)
        except BaseException:
            self._lock.release()
            raise

    def _take_over(self, fingerprint: str, header: bytes, resume: bool) -> str | None:
        self._fingerprint = fingerprint
        stored, found = self._read_state()
        self.segments = []
        reason = None
        if not resume:
            reason = "it was not to be resumed"
        elif stored != fingerprint:
            reason = "the input, the style or a setting changed since"
        else:
            self.segments = list(self._whole(found))
            if self.segments and read_header(self.paths[0]) != header:
                self.segments = []
            if found and not self.segments:
                reason = "its segments are damaged or come from another encoder"
        self._keep_whole()
        if self.segments != found:  # or the next run would miss what this one has thrown away
            self._write_state(self.segments)
        return reason if found and not self.segments else None

    def begin(self, header: bytes) -> SegmentWriter:
        """Start the next segment; `header` is its encoder's extradata."""
        return SegmentWriter(self.folder / f"{len(self.segments):06d}.packets.part", header)

    def complete(self, writer: SegmentWriter) -> Segment:
        """Finish a segment: it counts from the moment this returns."""
        shown = sorted(writer.shown)
        segment = Segment(
            file=writer.path.stem,
            size=writer.finish(),
            first_frame=self.frames,
            frames=len(shown),
            first_pts=shown[0][0],
            last_pts=shown[-1][0],
            last_duration=shown[-1][1],
            reordering=reordering([pts for pts, _ in writer.shown]),
        )
        writer.path.replace(self.folder / segment.file)
        fsync_folder(self.folder)
        self._write_state([*self.segments, segment])
        self.segments.append(segment)
        return segment

    def close(self) -> None:
        """Keep whole segments for another run and release the folder; remove it if there are none."""
        if not self.segments:
            self._lock.remove()
            return
        with suppress(OSError):  # what is left over is removed by the next run
            self._keep_whole()
        self._lock.release()

    def _keep_whole(self) -> None:
        """Remove everything but whole segments and the state that names them."""
        self._lock.clear(keep={_STATE, *(segment.file for segment in self.segments)})

    def remove(self) -> None:
        """Remove the folder with everything in it: the output is complete."""
        self.segments = []
        self._lock.remove()

    def _whole(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        frames = 0
        for segment in segments:
            path = self.folder / segment.file
            if path.parent != self.folder or not path.is_file():
                return
            if segment.first_frame != frames or path.stat().st_size != segment.size:
                return
            frames += segment.frames
            yield segment

    def _read_state(self) -> tuple[str, list[Segment]]:
        path = self.folder / _STATE
        if not path.is_file():  # reading a pipe would wait for ever
            return "", []
        try:
            state = json.loads(path.read_bytes())
            if state["schema"] != _SCHEMA:
                return "", []
            return str(state["fingerprint"]), [Segment(**entry) for entry in state["segments"]]
        except (OSError, ValueError, KeyError, TypeError):
            return "", []

    def _write_state(self, segments: Sequence[Segment]) -> None:
        state = {
            "schema": _SCHEMA,
            "fingerprint": self._fingerprint,
            "segments": [asdict(segment) for segment in segments],
        }
        write_file(self.folder / _STATE, json.dumps(state, indent=1).encode())


def reordering(coding_order: Sequence[int]) -> int:
    """By how many places, at most, a frame is coded later than it is shown, from the pts in coding order."""
    shown = {pts: place for place, pts in enumerate(sorted(coding_order))}
    return max((place - shown[pts] for place, pts in enumerate(coding_order)), default=0)


def read_header(path: Path) -> bytes:
    """What the encoder put before all packets of a segment; empty where there is no such segment."""
    try:
        with path.open("rb") as file:
            return _read_header(file)
    except (OSError, EOFError):
        return b""


def read_packets(paths: Iterable[Path]) -> Iterator[EncodedPacket]:
    """The packets of all segments in coding order. Raises OSError or EOFError where a segment is cut."""
    for path in paths:
        with path.open("rb") as file:
            _read_header(file)
            while head := file.read(_RECORD.size):
                if len(head) < _RECORD.size:
                    raise EOFError(path)
                pts, duration, size, keyframe = _RECORD.unpack(head)
                yield EncodedPacket(pts, duration, bool(keyframe), _read(file, size))


def _read_header(file: BinaryIO) -> bytes:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise EOFError(file.name)
    (size,) = _LENGTH.unpack(_read(file, _LENGTH.size))
    return _read(file, size)


def _read(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise EOFError(file.name)
    return data
