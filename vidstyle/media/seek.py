"""Find a key frame to start decoding at, with its exact index, or none where the index would be a guess.

A resumed run, or `--start` far into a film, would otherwise decode all that comes before, only to count frames.
Packets can be read without decoding them a hundred times faster, and where each is one frame they count as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from av import FFmpegError, Packet
from av.container import InputContainer
from av.video.stream import VideoStream

_ONE_FRAME_A_PACKET = {"h264", "hevc", "mjpeg", "prores", "dnxhd", "ffv1"}
"""Decoders; others know frames that are never shown, or several in a packet."""

_CONTAINERS = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Formats whose packets are frames, never fields."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A key frame with all earlier frames stored before it and all later ones behind it."""

    index: int
    pts: int
    first_pts: int
    """Of the first frame of the file."""


def find_entry(
    container: InputContainer, stream: VideoStream, *, start: Fraction | None, first_index: int
) -> Entry | None:
    """The last such frame with nothing before it that is wanted: time >= start and index >= first_index are.

    Reads the container up to there. None where that is the first frame, and where the file gives the least reason
    for doubt: a packet that has no time, is out of place, damaged or to be discarded, or another kind of file.
    """
    if stream.codec_context.name not in _ONE_FRAME_A_PACKET or container.format.name not in _CONTAINERS:
        return None
    try:
        entry = _last_entry(container.demux(stream), stream.time_base or Fraction(0), start, first_index)
        if entry is None or entry.index == 0:
            return None
        go_to(container, stream, entry)
        frame = next(container.decode(stream), None)
    except (FFmpegError, IndexError, AttributeError):
        return None
    exact = frame is not None and frame.pts == entry.pts and frame.key_frame and not frame.is_corrupt
    return entry if exact else None


def go_to(container: InputContainer, stream: VideoStream, entry: Entry) -> None:
    """Let the next packet that is read be the entry's."""
    container.seek(entry.pts, stream=stream)


def _last_entry(
    packets: Iterable[Packet[VideoStream]], time_base: Fraction, start: Fraction | None, first_index: int
) -> Entry | None:
    sure: Entry | None = None  # all frames up to the next entry have been seen
    entry: Entry | None = None
    first = latest = 0
    seen: set[int] = set()  # times since the last entry
    for count, packet in enumerate(packets):
        if not packet.size:
            break
        pts = packet.pts
        if pts is None or packet.is_corrupt or packet.is_discard or pts in seen:
            return None
        if count == 0:
            first = latest = pts
        if pts < (sure.pts if sure else first) or (count == 0 and not packet.is_keyframe):
            return None
        if entry and pts < entry.pts:
            entry = None
        if packet.is_keyframe and (count == 0 or pts > latest):
            sure = entry or sure
            if count > first_index and (start is None or (pts - first) * time_base > start):
                return sure
            entry = Entry(count, pts, first)
            seen.clear()
        seen.add(pts)
        latest = max(latest, pts)
    return entry or sure
