"""Video file -> batches of upright RGB pictures with exact times.

Decoding is tolerant: whatever a damaged file still holds is delivered, in its place in time, and what is missing is
reported. On intact files frames and times are the container's own.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from av import Packet, VideoFrame
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidstyle.errors import rule_out_shortage
from vidstyle.frames import Batch, VideoInfo
from vidstyle.media.colour import to_rgb
from vidstyle.media.completeness import is_cut_off, promised_end
from vidstyle.media.open import MAX_PIXELS, local_path, open_input, video_stream
from vidstyle.media.orientation import upright
from vidstyle.media.seek import Entry, find_entry, go_to

logger = logging.getLogger("vidstyle")

OnDamage = Callable[[str, int], None]
"""Told of each damage: one sentence, and the index of the next frame that could be decoded."""

_OUTPUT_CORRUPT = 0x8
"""FFmpeg's codec flag that has concealed frames delivered instead of dropped; PyAV has no name for it."""

_DAMAGE = (av.FFmpegError, IndexError, AttributeError)
"""What PyAV raises on damaged packets and containers."""

_FRAGILE_WITH_THREADS = {"vp8", "vp9", "libdav1d", "av1"}
"""Decoders whose threads drop good frames after a damaged one."""

_FAR_SECONDS = 10
"""Where time leaps so far ahead, it is looked whether it comes back: then the frames between were strays ..."""
_STRAYS = 8
"""... of which there may be so many, less one, in a row."""
_READ_ATTEMPTS = 100
"""Read errors in a row after which the rest of the file is given up."""

_END_TOLERANCE = Fraction(1, 4)
"""Seconds that may be missing at the end before the file is called cut off."""


def decode(
    info: VideoInfo,
    *,
    batch_size: int,
    start: Fraction | None = None,
    end: Fraction | None = None,
    first_index: int = 0,
    pin_memory: bool = False,
    on_damage: OnDamage | None = None,
    keep: Callable[[int, VideoFrame], None] | None = None,
) -> Generator[Batch, None, None]:
    """Yield the frames with start <= time < end and index >= first_index, `batch_size` at a time.

    Times are seconds from the first frame of the file, indices count all its frames, whatever is skipped. The last
    batch may be shorter. `on_damage` is called in the thread that runs this generator, possibly for skipped frames
    too; `keep` with the index of each frame that is yielded and the frame as it was decoded. Closing the generator
    closes the file. Raises InputError where the file cannot be opened any more.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")

    def tell(message: str, index: int) -> None:
        logger.debug("input damage before frame %d: %s", index, message)
        if on_damage is not None:
            on_damage(message, index)

    reformatter = VideoReformatter()
    batch: _BatchBuffer | None = None
    size = info.coded_size
    entry = _entry(info, start, first_index)
    first_pts = entry.first_pts if entry else None
    with closing(_all_frames(info, entry, tell)) as frames:
        for index, frame, pts in _timed(frames, entry.index if entry else 0, info, tell):
            first_pts = pts if first_pts is None else first_pts
            time = (pts - first_pts) * info.time_base
            if end is not None and time >= end:
                break
            if size != (size := (frame.width, frame.height)):
                tell(f"The picture size changes to {size[0]}x{size[1]}; all are scaled to the first.", index)
            if index < first_index or (start is not None and time < start):
                continue
            batch = batch or _BatchBuffer(info, batch_size, pin_memory)
            picture = upright(to_rgb(frame, info, reformatter), info.display_matrix)
            batch.add(picture, index, pts, frame)
            if keep is not None:
                keep(index, frame)
            if len(batch.indices) == batch_size:
                yield batch.finish()
                batch = None
    if batch is not None:
        yield batch.finish()


def _entry(info: VideoInfo, start: Fraction | None, first_index: int) -> Entry | None:
    """Where to start decoding; None at the first frame."""
    if not start and not first_index:
        return None
    with _opened(info) as (container, stream):
        return find_entry(container, stream, start=start, first_index=first_index)


class _BatchBuffer:
    """A batch being filled: pictures are written straight into its memory."""

    def __init__(self, info: VideoInfo, batch_size: int, pin_memory: bool) -> None:
        width, height = info.size
        dtype = torch.uint16 if info.depth == 16 else torch.uint8
        self._memory = torch.empty((batch_size, height, width, 3), dtype=dtype, pin_memory=pin_memory)
        self._pictures: np.ndarray = self._memory.numpy()
        self.indices: list[int] = []
        self._pts: list[int] = []
        self._durations: list[int] = []
        self._damaged: list[bool] = []

    def add(self, picture: np.ndarray, index: int, pts: int, frame: VideoFrame) -> None:
        np.copyto(self._pictures[len(self.indices)], picture)
        self.indices.append(index)
        self._pts.append(pts)
        self._durations.append(frame.duration or 0)
        self._damaged.append(bool(frame.is_corrupt))

    def finish(self) -> Batch:
        return Batch(
            indices=tuple(self.indices),
            pts=tuple(self._pts),
            durations=tuple(self._durations),
            pixels=self._memory[: len(self.indices)].permute(0, 3, 1, 2),
            damaged=tuple(self._damaged),
        )


# --- times


def _timed(
    frames: Iterable[VideoFrame], first_index: int, info: VideoInfo, tell: OnDamage
) -> Iterator[tuple[int, VideoFrame, int]]:
    """(index, frame, ticks): the file's own times where they increase, mended where they do not."""
    period = max(1, round(1 / (info.rate * info.time_base)))
    far = round(_FAR_SECONDS / info.time_base)
    last: int | None = None
    shift = 0
    queue = _Queue(frames)
    for index, frame in enumerate(queue, start=first_index):
        own = frame.dts if frame.pts is None and last is None else frame.pts
        following = next(queue.ahead(1), None)
        after = None if following is None or following.pts is None else following.pts + shift
        if last is None:
            pts = own or 0
        elif own is None:
            pts = last + (frame.duration or period)
        elif own + shift > last + far and any(
            later.pts is not None and last < later.pts + shift < last + far for later in queue.ahead(_STRAYS)
        ):
            tell("The time of a frame is wrong; it is put between its neighbours.", index)
            pts = last + period
        elif last < (pts := own + shift) and (after is None or pts <= after or after <= last):
            pass
        elif last - period < pts <= last:  # the same time twice
            pts = last + 1
        elif after is not None and after > last:  # a stray: its neighbours agree without it
            tell("The time of a frame is wrong; it is put between its neighbours.", index)
            pts = max(last + 1, min(last + period, after - 1))
        else:  # recordings glued together: the second begins at its own zero
            tell("Time jumps back; the rest follows without a gap.", index)
            shift += last + period - pts
            pts = last + period
        yield index, frame, pts
        last = pts


class _Queue:
    """Frames that can be looked at before their turn."""

    def __init__(self, frames: Iterable[VideoFrame]) -> None:
        self._frames = iter(frames)
        self._waiting: deque[VideoFrame] = deque()

    def __iter__(self) -> Iterator[VideoFrame]:
        while next(self.ahead(1), None) is not None:
            yield self._waiting.popleft()

    def ahead(self, most: int) -> Iterator[VideoFrame]:
        """The next frames, at most so many; read no earlier than they are asked for."""
        for place in range(most):
            if place == len(self._waiting):
                frame = next(self._frames, None)
                if frame is None:
                    return
                self._waiting.append(frame)
            yield self._waiting[place]


# --- frames


@dataclass
class Tally:
    """What a decoder was given, what it gave, and what was wrong on the way."""

    tell: OnDamage
    frames: int = 0
    """Index of the next frame."""
    packets: int = 0
    damaged: bool = False
    told: int = -1
    """Index given with the last damage that was told."""
    _message: str = ""
    _concealing: bool = False

    def damage(self, message: str) -> None:
        """Tell of damage, but not again of the same before the same frame."""
        self.damaged = True
        if (self.told, self._message) != (self.frames, message):
            self.told, self._message = self.frames, message
            self.tell(message, self.frames)

    def concealed(self, is_corrupt: bool) -> None:
        """Tell of data that the decoder took but knows to be wrong, once for all that follow each other."""
        if is_corrupt and not self._concealing:
            self.damage("The data is damaged; the decoder filled in what is missing.")
        self._concealing = is_corrupt


def _all_frames(info: VideoInfo, entry: Entry | None, tell: OnDamage) -> Generator[VideoFrame, None, None]:
    """All frames from `entry` on in presentation order, decoded by as many threads as there are cores.

    Several threads lose more frames to an error than one does: those they still hold at the end of the file, or
    with some codecs all up to the next key frame. There one thread goes over the file again for what is missing.
    """
    before = entry.index if entry else 0
    tally = Tally(tell, frames=before)
    given, last_pts = 0, None
    with closing(_file_frames(info, entry, tally)) as frames:
        for frame in frames:
            if tally.damaged and info.codec in _FRAGILE_WITH_THREADS:
                break
            yield frame
            given, last_pts = given + 1, frame.pts
    if not tally.damaged or given >= tally.packets:
        return

    def tell_the_rest(message: str, index: int) -> None:
        if index >= before + given and index > tally.told:
            tell(message, index)

    again = Tally(tell_the_rest, frames=before)
    with closing(_file_frames(info, entry, again, one_thread=True)) as frames:
        if given:
            candidates = itertools.islice(frames, given - 1, None)
            next((frame for frame in candidates if frame.pts == last_pts), None)
        yield from frames


def _file_frames(
    info: VideoInfo, entry: Entry | None, tally: Tally, *, one_thread: bool = False
) -> Generator[VideoFrame, None, None]:
    with _opened(info) as (container, stream):
        stream.thread_type = "NONE" if one_thread else "AUTO"
        stream.codec_context.thread_count = 1 if one_thread else 0
        if entry:
            go_to(container, stream, entry)
        yield from stream_frames(container, stream, tally)


@contextmanager
def _opened(info: VideoInfo) -> Iterator[tuple[InputContainer, VideoStream]]:
    width, height = info.coded_size
    with open_input(info.path) as container:
        yield container, video_stream(container, max_pixels=max(MAX_PIXELS, width * height))


def stream_frames(
    container: InputContainer, stream: VideoStream, tally: Tally
) -> Generator[VideoFrame, None, None]:
    """All frames that can be had from a stream, in presentation order, whatever is wrong with its packets."""
    stream.codec_context.flags |= _OUTPUT_CORRUPT
    reached = longest = 0
    for packet in _packets(container, stream, tally):
        if packet.size:
            tally.packets += 1
            if packet.is_corrupt:
                tally.concealed(True)
            reached = max(reached, (packet.pts or 0) + (packet.duration or 0))
            longest = max(longest, packet.duration or 0)
        try:
            frames = packet.decode()
        except _DAMAGE as error:
            rule_out_shortage()
            tally.damage(f"A packet cannot be decoded ({_words(error)}).")
            continue
        for frame in frames:
            tally.concealed(frame.is_corrupt)
            tally.frames += 1
            yield frame
    missing = promised_end(container, stream) - reached * (stream.time_base or 0)
    if missing > max(3 * longest * (stream.time_base or 0), _END_TOLERANCE):
        tally.damage(f"The file ends early: {float(missing):.1f} seconds are missing.")
    elif is_cut_off(local_path(container), container.format.name):
        tally.damage("The file ends before its time: its last part is missing.")


def _packets(container: InputContainer, stream: VideoStream, tally: Tally) -> Iterator[Packet[VideoStream]]:
    """The stream's packets, and an empty one at the end that has the decoder give what it still holds."""
    attempts = 0
    while attempts < _READ_ATTEMPTS:
        try:
            for packet in container.demux(stream):
                attempts = 0
                yield packet
            return
        except _DAMAGE as error:  # what lies behind an unreadable place can often be read again
            attempts += 1
            if attempts == 1:
                tally.damage(f"A part of the file cannot be read ({_words(error)}).")
    flush: Packet[Any] = Packet()
    flush.stream = stream
    yield flush


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
