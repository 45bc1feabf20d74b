"""When the frames of a video are shown, found out without decoding them."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av import Packet
from av.container import InputContainer
from av.video.stream import VideoStream

from vidstyle.errors import InputError
from vidstyle.frames import VideoInfo
from vidstyle.media.decode import decode
from vidstyle.media.open import open_input, video_stream

_MOST = 0.9
"""A file that tells the times of fewer of its packets tells nothing."""
_READ_ATTEMPTS = 100
"""Read errors in a row after which the rest of the file is given up."""


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The frames of a video as its container tells them: a hint where the file is damaged."""

    first: int
    """Presentation time of the first frame that `decode` gives, in ticks."""
    start: Fraction
    """The same in seconds."""
    seconds: np.ndarray
    """float64 [N], ascending: presentation times from the first frame."""
    period: Fraction
    """Mean time between two frames."""

    def __len__(self) -> int:
        return len(self.seconds)

    @property
    def length(self) -> float:
        """From the beginning of the first frame to the end of the last, in seconds."""
        return float(self.seconds[-1]) + float(self.period)


def frame_times(info: VideoInfo) -> FrameTimes:
    """Read all packets of a video, eight bytes of memory for each. Raises InputError where no frame can be decoded."""
    with closing(decode(info, batch_size=1)) as frames:
        first = next((batch.pts[0] for batch in frames), None)
    if first is None:
        raise InputError("No frame of this video can be decoded.", name=str(info.path))
    ticks = array("q")
    count = 0
    with open_input(info.path) as container:
        stream = video_stream(container, max_pixels=sys.maxsize)  # nothing is decoded
        for packet in _packets(container, stream):
            if packet.size and _is_shown(packet, stream):
                count += 1
                time = packet.pts if packet.pts is not None else packet.dts
                if time is not None:
                    ticks.append(time)
    count = max(count, 1)
    if len(ticks) < _MOST * count:
        seconds = np.arange(count) / float(info.rate)
    else:
        seconds = np.sort(np.array(ticks, np.float64) - min(ticks)) * float(info.time_base)
    span = Fraction(float(seconds[-1])).limit_denominator(10**6)
    period = span / (len(seconds) - 1) if span else 1 / info.rate
    return FrameTimes(first, first * info.time_base, seconds, period)


def _packets(container: InputContainer, stream: VideoStream) -> Iterator[Packet[VideoStream]]:
    attempts = 0
    while attempts < _READ_ATTEMPTS:
        try:
            for packet in container.demux(stream):
                attempts = 0
                yield packet
            return
        except (av.FFmpegError, IndexError, AttributeError):  # what lies behind can often be read again
            attempts += 1


def _is_shown(packet: Packet[VideoStream], stream: VideoStream) -> bool:
    """False for what the decoder needs but does not show: cut off by an edit list, or VP8's hidden frames."""
    if packet.is_discard:
        return False
    return stream.codec_context.name not in ("vp8", "libvpx") or bool(memoryview(packet)[0] & 0x10)
