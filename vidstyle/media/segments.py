"""The output of a run: frames go in one by one, and a complete file appears under its name at the end.

Until then everything lies in a work folder beside the output, in whole segments that the next run takes over after
any kind of end (see `store.py`). The file that had the name before stays whole until it is replaced at once.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from av import VideoFrame
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from vidstyle.errors import OutputError
from vidstyle.frames import VideoInfo
from vidstyle.media.colour import as_samples, from_rgb
from vidstyle.media.containers import Container, container_for
from vidstyle.media.encode import EncodeSettings, plan_encoding
from vidstyle.media.files import (
    check_target,
    free_bytes,
    output_errors,
    real_path,
    replace_file,
    size_in_words,
)
from vidstyle.media.mux import BorrowedSound, check_video, join
from vidstyle.media.orientation import as_stored, is_identity, swaps_sides
from vidstyle.media.store import SEGMENT_FRAMES, EncodedPacket, SegmentStore, SegmentWriter

if TYPE_CHECKING:
    from torch import Tensor

_ROUNDED = Fraction(1, 10)
"""Part of a frame's length by which times may be off without a word."""


def check_output(output: Path, input: Path, overwrite: bool) -> None:
    """Find out before any work whether `output` can be written.

    Raises UsageError where it is the input itself, OutputError for everything else in the way.
    """
    container_for(output)
    check_target(output, input, overwrite)


class Output(AbstractContextManager["Output"]):
    """Writes the painted frames of `info` to `output`, with everything else the input holds.

    `fingerprint` names what the frames are made of (input, style, weights, settings): segments left by an earlier run
    are taken over if it is the same and `resume` is set, and `resume_frames` says how many frames they hold. `clip`
    is the part of the input that is written, (start, end) in seconds, None for all of it: see `mux.join`. `sound` is
    taken from another file. `note` gets one sentence for each thing a user should know.

    Left without `finish`, or by an error, the output stays as it was and whole segments wait for the next run. All
    methods raise OutputError where writing fails, UsageError where the settings name something that does not exist.
    """

    def __init__(
        self,
        output: Path,
        info: VideoInfo,
        settings: EncodeSettings,
        *,
        fingerprint: str,
        resume: bool,
        clip: tuple[Fraction, Fraction | None] | None = None,
        sound: BorrowedSound | None = None,
        note: Callable[[str], None],
    ) -> None:
        self.resume_frames = 0
        self._output = output
        self._target = real_path(output)
        self._settings = settings
        self._clip = clip
        self._sound = sound
        self._note = note
        self._resume = resume
        self._container = container_for(output)
        self._matrix = _kept_matrix(info, self._container)
        if self._matrix is None and swaps_sides(info.display_matrix):  # pixels lie on their side as well
            info = replace(info, sample_aspect_ratio=1 / info.sample_aspect_ratio)
        self._info = info
        width, height = info.size
        stored = (height, width) if swaps_sides(self._matrix) else (width, height)
        self._encoding = plan_encoding(settings, info, self._container, stored)
        self._fingerprint = hashlib.sha256((fingerprint + self._encoding.identity()).encode()).hexdigest()
        self._store = SegmentStore(_work_folder(self._target))
        self._reformatter, self._exact = VideoReformatter(), VideoReformatter()
        self._encoder: VideoCodecContext | None = None
        self._writer: SegmentWriter | None = None
        self._durations: dict[int, int] = {}
        """Of the frames in the segment being written, by pts."""
        self._last_pts: int | None = None
        self._rounded = False

    def __enter__(self) -> Output:
        for text in self._encoding.notes:
            self._note(text)
        header = self._open_encoder().extradata or b""  # shows early whether the encoder can be used at all
        check_video(self._container, self._encoding)
        with output_errors(self._output):
            try:
                reason = self._store.open(self._fingerprint, header, resume=self._resume)
            except BlockingIOError as error:
                raise OutputError("Another run is writing this output.", name=str(self._output)) from error
        if reason is not None:
            self._note(f"What an interrupted run left of this output is not used: {reason}.")
        if self._store.segments:
            self._last_pts = self._store.segments[-1].last_pts
        self.resume_frames = self._store.frames
        return self

    def write(self, pts: int, duration: int, picture: Tensor, original: VideoFrame | None = None) -> None:
        """Encode the next frame: `picture` uint8 or uint16 [3, H, W], RGB, full range, upright, of `info.size`.

        pts, duration: in ticks of `info.time_base`; pts above the last one's, duration 0 where unknown. `original`:
        the decoded frame, where `picture` is nothing else; where the output holds its kind of samples they are
        encoded as they are, for RGB has no room for luma beyond white. It is used up.
        """
        pts, duration = self._clock(pts, duration)
        if self._last_pts is not None and pts <= self._last_pts:
            raise ValueError(f"the times of frames must rise, but {pts} follows {self._last_pts}")
        self._last_pts = pts
        encoder = self._encoder or self._open_encoder()
        array = as_stored(picture.permute(1, 2, 0).numpy(), self._matrix)
        with output_errors(self._output):
            frame = self._unaltered(original) if original is not None else None
            if frame is None:
                frame = from_rgb(array, self._info, self._encoding.pix_fmt, self._reformatter)
            frame.pts, frame.duration, frame.time_base = pts, duration, self._encoding.time_base
            if self._writer is None:
                self._writer = self._store.begin(encoder.extradata or b"")
            self._durations[pts] = duration
            self._add(encoder.encode(frame))
            if (self._store.frames + len(self._durations)) % SEGMENT_FRAMES == 0:
                self._complete_segment()

    def finish(self) -> None:
        """Write the complete file and give it its name. Nothing of the run is left beside it."""
        with output_errors(self._output):
            if self._writer is not None:
                self._complete_segment()
        if not self._store.segments:
            raise OutputError("There is no frame to write.", name=str(self._output))
        self._check_space()
        part = self._store.folder / f"joined{self._target.suffix}"
        with output_errors(self._output, needed=self._store.size):
            try:
                join(
                    part,
                    self._info.path,
                    self._container,
                    self._encoding,
                    self._store.segments,
                    self._store.folder,
                    self._settings,
                    display_matrix=self._matrix,
                    clip=self._clip,
                    sound=self._sound,
                    note=self._note,
                )
                replace_file(part, self._target)
            except EOFError as error:
                raise OutputError("A segment was cut short while it waited.", name=str(error)) from error
        self._store.remove()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.abandon()
        self._writer = self._encoder = None
        self._store.close()

    def _unaltered(self, original: VideoFrame) -> VideoFrame | None:
        """A decoded frame as it can be encoded with the very same samples; None where it cannot."""
        size = (original.width, original.height)
        if size != self._encoding.size or self._matrix != self._info.display_matrix:
            return None
        return as_samples(original, self._info, self._encoding.pix_fmt, self._exact)

    def _open_encoder(self) -> VideoCodecContext:
        self._encoder = self._encoding.open(global_header=self._container.global_header)
        return self._encoder

    def _add(self, packets: Iterable[Packet[VideoStream]]) -> None:
        assert self._writer is not None
        for packet in packets:
            assert packet.pts is not None
            data = bytes(packet)
            self._writer.add(EncodedPacket(packet.pts, self._durations[packet.pts], packet.is_keyframe, data))

    def _complete_segment(self) -> None:
        assert self._encoder is not None and self._writer is not None
        self._add(self._encoder.encode(None))
        if sorted(pts for pts, _ in self._writer.shown) != list(self._durations):
            raise OutputError(
                f"The encoder {self._encoding.codec} did not give one packet for each frame.",
                name=str(self._output),
                hint="choose another one with --codec",
            )
        self._store.complete(self._writer)
        self._durations.clear()
        self._writer = self._encoder = None

    def _clock(self, pts: int, duration: int) -> tuple[int, int]:
        """Times in ticks of the encoder."""
        if not self._container.fixed_rate:
            return pts, duration
        exact = pts * self._info.time_base / self._encoding.time_base
        place = round(exact)
        if self._last_pts is not None:
            place = max(place, self._last_pts + 1)
        if abs(place - exact) > _ROUNDED and not self._rounded:
            self._rounded = True
            self._note(
                f"{self._container.name} shows frames at a fixed rate: their times were rounded to it."
            )
        return place, 1

    def _check_space(self) -> None:
        free = free_bytes(self._store.folder)
        if free is not None and free < self._store.size:
            raise OutputError(
                f"Disk full: {size_in_words(free)} are free, {size_in_words(self._store.size)} are needed.",
                name=str(self._output),
                hint="make room and run the same command again: the finished segments are kept",
            )


def _work_folder(target: Path) -> Path:
    # Short, so that it fits where the output's own name fills all that a file system allows.
    return target.parent / f".vidstyle-{hashlib.sha256(os.fsencode(target)).hexdigest()[:12]}"


def _kept_matrix(info: VideoInfo, container: Container) -> tuple[int, ...] | None:
    """The display matrix that the output is to carry; None where pictures are written as they are shown."""
    if is_identity(info.display_matrix) or not container.display_matrix:
        return None
    return info.display_matrix
