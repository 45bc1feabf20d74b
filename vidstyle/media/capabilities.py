"""What the FFmpeg libraries at hand can do: for `vidstyle doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from fractions import Fraction
from typing import cast

import av
from av.audio.codeccontext import AudioCodecContext
from av.video.codeccontext import VideoCodecContext


def library_versions() -> str:
    """PyAV's version and FFmpeg's, with the libraries that read and write."""
    libraries = (
        f"{name} {'.'.join(map(str, av.library_versions[name]))}" for name in ("libavcodec", "libavformat")
    )
    return f"{av.__version__} with FFmpeg {av.ffmpeg_version_info} ({', '.join(libraries)})"


def usable_encoders(names: Iterable[str]) -> dict[str, str | None]:
    """For each encoder None if it opens, or why it does not, in FFmpeg's words."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # a missing driver is the answer, not an error to print
    os.environ.setdefault("SVT_LOG", "1")  # libsvtav1 prints past FFmpeg's log
    try:
        return {name: _why_unusable(name) for name in names}
    finally:
        av.logging.set_level(level)


def _why_unusable(name: str) -> str | None:
    try:
        context = av.CodecContext.create(name, "w")
        if context.type == "audio":
            audio = cast(AudioCodecContext, context)
            audio.sample_rate, audio.layout = 48_000, "stereo"
            audio.format = audio.codec.audio_formats[0] if audio.codec.audio_formats else "s16"
        else:
            video = cast(VideoCodecContext, context)
            video.width, video.height, video.pix_fmt = 256, 144, "yuv420p"
            video.time_base, video.framerate = Fraction(1, 25), Fraction(25)
            if name == "libx265":
                video.options = {"x265-params": "log-level=none"}  # so does this one
        context.open()
    except (av.FFmpegError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error) or "not built in"
    return None
