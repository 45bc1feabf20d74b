"""Choose, set up and open the video encoder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import cast

import av
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.codec.context import Flags
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat

from vidstyle.errors import OutputError, ResourceError, UsageError, VidstyleError, rule_out_shortage
from vidstyle.frames import ColorTags, VideoInfo
from vidstyle.media.colour import is_rgb, output_pix_fmt, output_tags, set_tags
from vidstyle.media.containers import Container
from vidstyle.media.hdr10 import hdr10_options

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
_WORST_QUALITY = {"libx264": 51, "libx264rgb": 51, "libx265": 51}
"""Where the encoder's own table of options knows no end."""
_SPEEDS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
_X264_PRESETS = (*_SPEEDS, *map(str, range(len(_SPEEDS))))
_PRESETS = {"libx264": _X264_PRESETS, "libx264rgb": _X264_PRESETS, "libx265": _X264_PRESETS}
"""Of encoders that print to the terminal about a preset they do not know."""
_OPTION_NAMES = {"crf": "--crf", "cq": "--crf", "preset": "--preset"}
_ANY_NUMBER = 1000
_ON_A_CARD = ("_nvenc", "_qsv", "_vaapi", "_amf", "_vulkan", "_videotoolbox")


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
    asked: Mapping[str, str] = field(default_factory=dict)
    """Those of `options` that the user named."""

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
            rule_out_shortage()
            raise self._refusal(error) from error
        if context.options:  # opening takes out what it knows
            unknown = ", ".join(sorted(context.options))
            raise UsageError(f"The encoder {self.codec} has no option {unknown}.", name="--encoder-option")

    def _refusal(self, error: Exception) -> VidstyleError:
        """Why the encoder does not open: an option that it does not take, no device, or all together."""
        if self.codec.endswith(_ON_A_CARD):
            return ResourceError(
                f"The encoder {self.codec} finds no device it can use ({_words(error)}).",
                name=f"--codec {self.codec}",
                hint="without --codec the processor encodes",
            )
        others = {name: value for name, value in self.options.items() if name not in self.asked}
        for name, value in self.asked.items():
            if self._opens(others) and not self._opens({**others, name: self.options[name]}):
                option = _OPTION_NAMES.get(name, "--encoder-option")
                return UsageError(f"The encoder {self.codec} does not take {name}={value}.", name=option)
        return OutputError(
            f"The encoder {self.codec} cannot be used here for {self.size[0]}x{self.size[1]} pixels in "
            f"{self.pix_fmt} ({_words(error)}).",
            name=f"--codec {self.codec}",
            hint="see --codec, --preset, --pix-fmt and --encoder-option, or leave them away",
        )

    def _opens(self, options: Mapping[str, str]) -> bool:
        context = cast(VideoCodecContext, av.CodecContext.create(self.codec, "w"))
        replace(self, options=options).configure(context)
        try:
            context.open()
        except (av.FFmpegError, ValueError):
            return False
        return True

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
    asked, notes = _asked_options(codec, settings)
    options = _options(codec, asked)
    if info.hdr10:
        carried = hdr10_options(name, info.hdr10, options)
        options = carried or options
        if not carried:
            notes = (*notes, f"{name} does not keep the monitor and brightness that HDR10 tells of.")
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
        notes=(*notes, *(() if settings.pix_fmt else _losses(info, pix_fmt))),
        asked=asked,
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


def _asked_options(codec: Codec, settings: EncodeSettings) -> tuple[dict[str, str], tuple[str, ...]]:
    """The encoder's options that the user named, by its own names, and what it has no option for."""
    known = {option.name: option for option in av.CodecContext.create(codec, "w").supported_options.private}
    asked, notes = {}, []
    if settings.crf is not None:
        quality = next((name for name in _QUALITY_OPTIONS if name in known), None)
        if quality:
            worst = _WORST_QUALITY.get(codec.name, int(min(known[quality].max, _ANY_NUMBER)))
            if not 0 <= settings.crf <= worst:
                raise UsageError(
                    f"{settings.crf} is not between 0 and {worst}, as {codec.name} wants it.", name="--crf"
                )
            asked[quality] = str(settings.crf)
        else:
            notes.append(f"{codec.name} has no constant quality, so --crf was ignored.")
    if settings.preset is not None:
        if "preset" in known:
            asked["preset"] = settings.preset
        else:
            notes.append(f"{codec.name} has no presets, so --preset was ignored.")
    asked |= settings.options
    presets = _PRESETS.get(codec.name)
    if presets and asked.get("preset", presets[0]) not in presets:
        raise UsageError(
            f"The encoder {codec.name} has no preset {asked['preset']!r}.",
            name="--preset",
            hint=f"it has {', '.join(_SPEEDS)}",
        )
    return asked, tuple(notes)


def _options(codec: Codec, asked: Mapping[str, str]) -> dict[str, str]:
    options = {**_DEFAULTS.get(codec.name, {}), **asked}
    if codec.name == "libx265":  # it prints to the terminal past FFmpeg's log
        options["x265-params"] = ":".join(filter(None, ("log-level=error", options.get("x265-params"))))
    if codec.name == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only
    return options


def _losses(info: VideoInfo, pix_fmt: str) -> list[str]:
    """What of the source's samples `pix_fmt` has no room for, a sentence each."""
    source, result = VideoFormat(info.pix_fmt, 16, 16), VideoFormat(pix_fmt, 16, 16)
    if source.has_palette or len(source.components) < 3:
        return []
    losses = []
    if is_rgb(source) and not is_rgb(result):
        losses.append("RGB is written as YUV; --codec libx264rgb --pix-fmt rgb24 keeps it")
    elif _chroma_samples(result) < _chroma_samples(source):
        kept = f"; --pix-fmt {_full_chroma(source)} keeps it" if _full_chroma(source) else ""
        losses.append(f"colour is written at a lower resolution ({info.pix_fmt} as {pix_fmt}){kept}")
    depths = [layout.components[0].bits for layout in (source, result)]
    if depths[1] < depths[0] and not (is_rgb(source) and depths[0] <= 8):
        losses.append(f"{depths[0]} bits a sample are written as {depths[1]}")
    return [f"{text[0].upper()}{text[1:]}." for text in losses]


def _full_chroma(source: VideoFormat) -> str | None:
    """The pixel format of H.264 that keeps the colour resolution of `source`."""
    shape = source.chroma_width(), source.chroma_height()
    family = {(16, 16): "yuv444p", (8, 16): "yuv422p"}.get(shape)
    return family and family + ("10le" if source.components[0].bits > 8 else "")


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
