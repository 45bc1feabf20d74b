"""What a video file is, found out from its header and its first frame."""

from __future__ import annotations

import logging
from contextlib import closing
from fractions import Fraction
from pathlib import Path

from av import VideoFrame
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from vidstyle.errors import InputError
from vidstyle.frames import VideoInfo
from vidstyle.media.colour import HLG, PQ, has_alpha, read_tags, sample_depth
from vidstyle.media.decode import Tally, stream_frames
from vidstyle.media.hdr10 import read_hdr10
from vidstyle.media.open import MAX_PIXELS, check_size, open_input, real_videos, video_stream
from vidstyle.media.orientation import frame_matrix, is_identity, is_right_angled, swaps_sides

logger = logging.getLogger("vidstyle")

_DEFAULT_RATE = Fraction(25)
_FASTEST_RATE = 1000
"""Rates beyond this are a sign of a damaged header, or of a clock that was taken for a rate."""

_HDR = {PQ: "PQ", HLG: "HLG"}
_NOT_KEPT = {
    SideDataType.DYNAMIC_HDR_PLUS: "dynamic HDR (HDR10+)",
    SideDataType.DOVI_METADATA: "dynamic HDR (Dolby Vision)",
    SideDataType.A53_CC: "closed captions",
    SideDataType.STEREO3D: "the stereo layout",
    SideDataType.SPHERICAL: "the projection of 360-degree video",
    SideDataType.ICC_PROFILE: "a colour profile",
}


def probe(path: Path, *, max_pixels: int | None = None) -> VideoInfo:
    """Describe the video in `path`; its first frame is decoded.

    Raises InputError where the file is refused (see `open_input`), holds no video, a picture of more than
    `max_pixels` pixels, or no frame that can be decoded.
    """
    with open_input(path) as container:
        stream = video_stream(container, max_pixels=max_pixels)
        frame = _first_frame(container, stream, path)
        matrix, notes = _orientation(frame)
        width, height = frame.width, frame.height
        check_size(width, height, MAX_PIXELS if max_pixels is None else max_pixels, str(path))
        rate = _rate(stream)
        seconds = _seconds(container, stream)
        return VideoInfo(
            path=path,
            coded_size=(width, height),
            size=(height, width) if swaps_sides(matrix) else (width, height),
            time_base=stream.time_base or 1 / rate,
            rate=rate,
            pix_fmt=frame.format.name,
            depth=sample_depth(frame.format),
            color=read_tags(frame),
            sample_aspect_ratio=_sample_aspect_ratio(stream),
            display_matrix=matrix,
            frames_hint=stream.frames or (round(seconds * rate) if seconds is not None else None),
            seconds_hint=seconds,
            codec=stream.codec_context.name,
            audio_streams=len(container.streams.audio),
            hdr10=read_hdr10(frame),
            notes=(*notes, *_notes(container, stream, frame)),
        )


def _first_frame(container: InputContainer, stream: VideoStream, path: Path) -> VideoFrame:
    with closing(stream_frames(container, stream, Tally(_log))) as frames:
        for frame in frames:
            return frame
    raise InputError(
        "No frame of this video can be decoded.",
        name=str(path),
        hint="it is empty, damaged, or its pictures are larger than allowed",
    )


def _log(message: str, index: int) -> None:
    logger.debug("damage before frame %d: %s", index, message)


def _orientation(frame: VideoFrame) -> tuple[tuple[int, ...] | None, list[str]]:
    matrix = frame_matrix(frame)
    if matrix is None or is_identity(matrix):
        return None, []
    if not is_right_angled(matrix):
        return None, ["Its display matrix is no turn by a multiple of 90 degrees and is left out."]
    return matrix, []


def _rate(stream: VideoStream) -> Fraction:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= _FASTEST_RATE:
            return Fraction(rate)
    return _DEFAULT_RATE


def _seconds(container: InputContainer, stream: VideoStream) -> float | None:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def _sample_aspect_ratio(stream: VideoStream) -> Fraction:
    ratio = stream.sample_aspect_ratio
    return Fraction(ratio) if ratio and ratio > 0 else Fraction(1)


def _notes(container: InputContainer, stream: VideoStream, frame: VideoFrame) -> list[str]:
    notes = []
    videos = len(real_videos(container))
    if videos > 1:
        notes.append(f"There are {videos} video streams: only number {stream.index} is painted.")
    if frame.color_trc in _HDR:
        notes.append(f"HDR ({_HDR[frame.color_trc]}) is kept in 10 bits as it is.")
    if frame.interlaced_frame:
        notes.append("It is interlaced: both fields of a frame are painted as one picture.")
    if _is_transparent(frame):
        notes.append("Transparent parts are laid over black.")
    if lost := _side_data(frame):
        notes.append(f"Not kept of what comes with the pictures: {', '.join(lost)}.")
    return notes


def _side_data(frame: VideoFrame) -> list[str]:
    """What is told beside the samples of a frame and cannot be written with them."""
    try:
        return [words for kind, words in _NOT_KEPT.items() if frame.side_data.get(kind) is not None]  # type: ignore[call-overload]
    except ValueError:  # PyAV 18 knows no name for some side data
        return []


def _is_transparent(frame: VideoFrame) -> bool:
    # The format alone says little: GIF has always an alpha channel, mostly an empty one.
    return has_alpha(frame.format) and bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)
