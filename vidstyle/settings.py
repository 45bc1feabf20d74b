"""Every knob of a run and its default, once. Checked when built, so nothing is checked twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from vidstyle.errors import UsageError

PRECISIONS = ("auto", "fp32", "fp16", "bf16")
PROGRESS_MODES = ("auto", "rich", "plain", "json", "none")
DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


@dataclass(frozen=True, slots=True)
class StyleSettings:
    """What the stylizer does."""

    style: str = "oil"
    strength: float = 1.0
    """0 gives the source back, 1 the full style; between, the pictures are mixed."""
    preserve_color: bool = False
    """Keep the source's colours; only the luminance is painted."""
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    """Frames that go through the network together; None: chosen by device and picture size."""
    tile: int | None = None
    """Side of the square tiles a picture is cut into, in pixels; None: whole pictures until memory runs out."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.strength <= 1.0:
            raise UsageError(f"{self.strength} is not between 0 and 1.", name="--strength")
        if not DEVICE.fullmatch(self.device):
            raise UsageError(
                f"Unknown device {self.device!r}.", name="--device", hint="use auto, cpu, cuda or cuda:N"
            )
        if self.precision not in PRECISIONS:
            raise UsageError(
                f"Unknown precision {self.precision!r}.",
                name="--precision",
                hint=f"use {', '.join(PRECISIONS)}",
            )
        if self.batch_size is not None and self.batch_size < 1:
            raise UsageError(f"{self.batch_size} is not a number of frames.", name="--batch-size")
        if self.tile is not None and self.tile < 64:
            raise UsageError(f"{self.tile} is too small; tiles have at least 64 pixels.", name="--tile")


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """What the detector and the corrector do."""

    detect: bool = True
    correct: bool = True
    threshold: float = 1.0
    """Scores above it are flagged; the default is the measured best."""

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise UsageError(f"{self.threshold} is not above 0.", name="--threshold")


@dataclass(frozen=True, slots=True)
class OutputSettings:
    """How the result is written."""

    codec: str | None = None
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    audio: bool = True
    subtitles: bool = True
    overwrite: bool = False
    resume: bool = True
    anomaly_log: Path | None = None
    """None: beside the output, named after it."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"{self.crf} is not between 0 and 63.", name="--crf")


@dataclass(frozen=True, slots=True)
class Clip:
    """The part of the input that is painted, in seconds from its first frame."""

    start: Fraction = Fraction(0)
    end: Fraction | None = None

    def __post_init__(self) -> None:
        if self.start < 0:
            raise UsageError("The start lies before the beginning.", name="--start")
        if self.end is not None and self.end <= self.start:
            raise UsageError("The end does not come after the start.", name="--end")

    @property
    def whole(self) -> bool:
        """Whether nothing is cut off."""
        return self.start == 0 and self.end is None


@dataclass(frozen=True, slots=True)
class Settings:
    """One run."""

    style: StyleSettings = field(default_factory=StyleSettings)
    check: CheckSettings = field(default_factory=CheckSettings)
    output: OutputSettings = field(default_factory=OutputSettings)
    clip: Clip = field(default_factory=Clip)
    max_pixels: int | None = None
    """Refuse larger pictures before decoding them; None: 8192x4320."""
    strict: bool = False
    """End with an error if the input was damaged or frames stay unrepaired."""

    def what_shapes_pictures(self) -> dict[str, Any]:
        """Everything that decides what the output looks like, as plain values: a resumed run must agree on it."""
        style = asdict(self.style)
        for name in ("device", "batch_size", "tile"):  # these decide how fast, not what
            del style[name]
        output = asdict(self.output)
        for name in ("overwrite", "resume", "anomaly_log"):
            del output[name]
        output["options"] = dict(output["options"])
        return {
            "style": style,
            "check": asdict(self.check),
            "output": output,
            "clip": [str(self.clip.start), str(self.clip.end)],
        }


TIMECODE = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)(s?)")


def parse_time(text: str, rate: Fraction, option: str) -> Fraction:
    """Seconds from "12.5", "12.5s", "1:02:03.5" or "150f" (frames at `rate`). Raises UsageError."""
    if frames := re.fullmatch(r"(\d+)f", text):
        return int(frames[1]) / rate
    if match := TIMECODE.fullmatch(text):
        hours, minutes, seconds, _ = match.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)
    raise UsageError(
        f"{text!r} is not a time.",
        name=option,
        hint="use seconds (12.5), a timecode (0:01:12.5) or frames (150f)",
    )
