"""Choose, set up and open the video encoder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from vidstyle.errors import OutputError, UsageError
from vidstyle.frames import ColorTags, VideoInfo
from vidstyle.media.colour import is_rgb, output_pix_fmt, output_tags, set_tags
from vidstyle.media.containers import Container

# What looks clean at a sensible size, and is quick: the pictures were expensive to paint, not to encode.
_DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "libx264": {"crf": "18", "preset": "veryfast"},
    "libx264rgb": {"crf": "18", "preset": "veryfast"},
    "libx265": {"crf": "20", "preset": "veryfast"},
    "libsvtav1": {"crf": "24", "preset": "9"},
    "libvpx": {"crf": "10", "b": "20M", "deadline": "good", "cpu-used": "4"},
    "libvpx-vp9": {"crf": "22", "b": "0", "deadline": "good", "cpu-used": "5", "row-mt": "1"},
    "h264_nvenc": {"cq": "19", "preset": "p5", "rc": "vbr", "b": "0"},
    "hevc_nvenc": {"cq": "21", "preset": "p5", "rc": "vbr", "b": "0"},
    "av1_nvenc": {"cq": "25", "preset": "p5", "rc": "vbr", "b": "0"},
}
_QUALITY_OPTIONS = ("crf", "cq")
"""How encoders call constant quality, the usual name first."""


@dataclass(frozen=True)
class EncodeSettings:
    """What a user may say about the encoded file; None: what suits the container and the source."""

    codec: str | None = None
    crf: int | None = None
    """Constant quality, lower is better; for nvenc it is handed on as cq."""
    preset: str | None = None
    pix_fmt: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    """More options of the encoder, by FFmpeg's names."""
    threads: int = 0
    """Encoder threads; 0: the encoder's choice."""
    audio: bool = True
    subtitles: bool = True


@dataclass(frozen=True, slots=True)
class Encoding:
    """Everything an encoder is told: equal for all segments of an output, so that they can be joined."""

    codec: str
    size: tuple[int, int]
    """Width, height as stored."""
    pix_fmt: str
    time_base: Fraction
    rate: Fraction
    color: ColorTags
    sample_aspect_ratio: Fraction
    options: Mapping[str, str]
    threads: int
    reordered: bool
    """Whether frames may be coded in another order than they are shown in (B-frames)."""
    notes: tuple[str, ...] = ()

    def configure(self, context: VideoCodecContext) -> None:
        """Set up an encoder that is not open yet; the container may have set flags already."""
        context.width, context.height = self.size
        context.pix_fmt = self.pix_fmt
        context.time_base = self.time_base
        context.framerate = self.rate
        context.sample_aspect_ratio = self.sample_aspect_ratio
        context.thread_count = self.threads
        context.options = dict(self.options)
        if not self.reordered:
            context.max_b_frames = 0
        set_tags(context, self.color)

    def open(self, *, global_header: bool) -> VideoCodecContext:
        """A fresh encoder. Raises OutputError where it cannot be used, UsageError for options it does not know.

        global_header: keep what all packets share apart (`extradata`), as the output's container wants it.
        """
        context = cast(VideoCodecContext, av.CodecContext.create(self.codec, "w"))
        self.configure(context)
        if global_header:
            context.flags |= Flags.global_header
        self.open_context(context)
        return context

    def open_context(self, context: VideoCodecContext) -> None:
        """Open a configured encoder; raises like `open`."""
        try:
            context.open()
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(
                f"The encoder {self.codec} cannot be used here for {self.size[0]}x{self.size[1]} pixels in "
                f"{self.pix_fmt} ({_words(error)}).",
                name=f"--codec {self.codec}",
                hint=_hint(self.codec),
            ) from error
        if context.options:  # opening takes out what it knows
            unknown = ", ".join(sorted(context.options))
            raise UsageError(f"The encoder {self.codec} has no option {unknown}.", name="--encoder-option")

    def identity(self) -> str:
        """A hash of all that must not change between segments; the number of threads may."""
        facts = [
            self.codec,
            self.size,
            self.pix_fmt,
            str(self.time_base),
            str(self.rate),
            str(self.color),
            str(self.sample_aspect_ratio),
            dict(self.options),
            self.reordered,
            av.ffmpeg_version_info,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def plan_encoding(
    settings: EncodeSettings, info: VideoInfo, container: Container, size: tuple[int, int]
) -> Encoding:
    """Decide how pictures of `size` (width, height as stored) are encoded.

    Raises UsageError for an unknown encoder, pixel format or preset.
    """
    name = settings.codec or container.video_codec
    codec = _video_encoder(name)
    options, notes = _options(codec, settings)
    wanted = output_pix_fmt(info, size, lossless=_is_lossless(codec, options))
    pix_fmt = _pixel_format(codec, settings.pix_fmt, wanted)
    return Encoding(
        codec=name,
        size=size,
        pix_fmt=pix_fmt,
        time_base=1 / info.rate if container.fixed_rate else info.time_base,
        rate=info.rate,
        color=output_tags(info, pix_fmt),
        sample_aspect_ratio=info.sample_aspect_ratio,
        options=options,
        threads=settings.threads,
        reordered=not container.fixed_rate,
        notes=notes,
    )


def _video_encoder(name: str) -> Codec:
    try:
        codec = Codec(name, "w")
    except UnknownCodecError as error:
        raise UsageError(
            f"There is no encoder {name!r}.", name="--codec", hint="for example libx264, libx265 or libsvtav1"
        ) from error
    if codec.type != "video":
        raise UsageError(f"{name} encodes {codec.type}, not video.", name="--codec")
    return codec


def _options(codec: Codec, settings: EncodeSettings) -> tuple[dict[str, str], tuple[str, ...]]:
    known = {option.name for option in av.CodecContext.create(codec, "w").supported_options.private}
    options = dict(_DEFAULTS.get(codec.name, {}))
    notes = []
    if settings.crf is not None:
        quality = next((name for name in _QUALITY_OPTIONS if name in known), None)
        if quality:
            options[quality] = str(settings.crf)
        else:
            notes.append(f"{codec.name} has no constant quality, so --crf was ignored.")
    if settings.preset is not None:
        if "preset" in known:
            options["preset"] = settings.preset
        else:
            notes.append(f"{codec.name} has no presets, so --preset was ignored.")
    options |= settings.options
    if codec.name == "libx265":  # it prints to the terminal past FFmpeg's log
        options["x265-params"] = ":".join(filter(None, ("log-level=error", options.get("x265-params"))))
    if codec.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only
    return options, tuple(notes)


def _is_lossless(codec: Codec, options: Mapping[str, str]) -> bool:
    """Whether every sample is kept, as long as the pixel format has room for it."""
    return not codec.lossy or "0" in (options.get("crf"), options.get("qp"))


def _pixel_format(codec: Codec, asked: str | None, wanted: str) -> str:
    supported = [layout.name for layout in codec.video_formats or ()]
    if asked is not None:
        try:
            VideoFormat(asked)
        except ValueError as error:
            raise UsageError(f"There is no pixel format {asked!r}.", name="--pix-fmt") from error
        if supported and asked not in supported:
            raise UsageError(
                f"The encoder {codec.name} does not take {asked}.",
                name="--pix-fmt",
                hint=f"it takes {', '.join(supported)}",
            )
        return asked
    if not supported or wanted in supported:
        return wanted
    return min(supported, key=lambda name: _distance(name, wanted))


def _distance(name: str, wanted: str) -> tuple[int, ...]:
    """How badly a pixel format stands in for another: losses count before waste."""
    layout, ideal = VideoFormat(name, 16, 16), VideoFormat(wanted, 16, 16)
    if len(layout.components) < 3:  # gray, palettes, and what lives on a graphics card
        return (1, 0, 0, 0, 0, 0)
    depth = layout.components[0].bits - ideal.components[0].bits
    chroma = _chroma_samples(layout) - _chroma_samples(ideal)
    other_kind = (
        is_rgb(layout) != is_rgb(ideal)
        or name.startswith("yuvj") != wanted.startswith("yuvj")
        or len(layout.components) != len(ideal.components)
    )
    return (0, max(-depth, 0), max(-chroma, 0), int(other_kind), max(depth, 0), max(chroma, 0))


def _chroma_samples(layout: VideoFormat) -> int:
    return 256 if is_rgb(layout) else layout.chroma_width() * layout.chroma_height()


def _words(error: Exception) -> str:
    log = getattr(error, "log", None)  # the encoder's own words say more than the error code
    if log:
        return str(log[2]).strip().rstrip(".")
    return str(getattr(error, "strerror", None) or error)


def _hint(codec: str) -> str:
    if "_nvenc" in codec:
        return "it needs an NVIDIA card with a free encoder; without --codec the processor encodes"
    return "see --codec, --preset, --pix-fmt and --encoder-option, or leave them away"
