"""The types that travel between the stages.

decode ─▶ Batch ─▶ track_motion ─▶ Batch ─▶ stylize ─▶ StyledBatch ─▶ detect ─▶ CheckedFrame ─▶ correct ─▶
FinishedFrame ─▶ encode

A picture is a tensor [3, H, W], RGB, full range, uint8 (or uint16 where the source has more than 8 bits), upright
(as a player shows it), in channels_last memory order: what swscale writes is used without a copy. A frame is
known by its index (0-based, presentation order, counted over the whole file) and its pts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class ColorTags:
    """How a stream's YUV samples are to be read: FFmpeg's enum numbers, None or 2 where unspecified (range: 0)."""

    range: int = 0
    primaries: int = 2
    transfer: int = 2
    matrix: int = 2


@dataclass(frozen=True, slots=True)
class Hdr10:
    """On what monitor a film in high dynamic range was graded, and how bright it gets."""

    display: tuple[Fraction, ...] | None
    """x and y of red, green, blue and white; the least and the most luminance in cd/m2."""
    light: tuple[int, int] | None
    """The brightest pixel and the brightest frame's mean, in cd/m2."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What is known about a video before its first frame is used. Counts and lengths are hints, never truths."""

    path: Path
    coded_size: tuple[int, int]
    """Width, height in pixels as stored."""
    size: tuple[int, int]
    """Width, height in pixels as shown: upright, after the rotation. The size of every picture."""
    time_base: Fraction
    """Seconds per tick of every pts."""
    rate: Fraction
    """Average frames per second."""
    pix_fmt: str
    depth: int
    """Bits per sample of the pictures handed on: 8 or 16."""
    color: ColorTags
    sample_aspect_ratio: Fraction
    display_matrix: tuple[int, ...] | None
    """The nine numbers (16.16) that turn stored pictures upright; None where nothing is to be turned."""
    frames_hint: int | None
    seconds_hint: float | None
    codec: str
    audio_streams: int
    hdr10: Hdr10 | None = None
    notes: tuple[str, ...] = ()
    """What a user should be told about this input, one sentence each."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Motion between one source frame and the source frame before it, at analysis size (see `flow.py`).

    back   float32 [h, w, 2]: dx, dy in pixels of the analysis size; pixel x of this frame was at x + back(x) before.
    forth  float32 [h, w, 2]: pixel x of the frame before is at x + forth(x) in this frame.
    cut    True where nothing carries over (first frame of a shot; back and forth are then zero).
    shot   0-based number of the shot this frame belongs to.
    """

    back: np.ndarray
    forth: np.ndarray
    cut: bool
    shot: int


@dataclass(frozen=True, slots=True)
class Batch:
    """T consecutive source frames."""

    indices: tuple[int, ...]
    pts: tuple[int, ...]
    """Presentation times in ticks of VideoInfo.time_base, strictly increasing."""
    durations: tuple[int, ...]
    """In ticks; 0 where unknown."""
    pixels: Tensor
    """uint8 or uint16 [T, 3, H, W], RGB full range, channels_last; on the CPU (pinned when meant for CUDA)."""
    damaged: tuple[bool, ...]
    """True where the decoder had to conceal errors: the input's fault, never the stylizer's."""
    motion: tuple[Motion, ...] = ()
    """One entry per frame once `flow.track_motion` has seen the batch."""

    def __post_init__(self) -> None:
        frames = self.pixels.shape[0]
        if self.pixels.ndim != 4 or self.pixels.shape[1] != 3:
            raise ValueError(f"pixels must be [T, 3, H, W], got {list(self.pixels.shape)}")
        for name in ("indices", "pts", "durations", "damaged"):
            if len(getattr(self, name)) != frames:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {frames} frames")
        if self.motion and len(self.motion) != frames:
            raise ValueError(f"motion has {len(self.motion)} entries for {frames} frames")

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True, slots=True)
class StyledBatch:
    """A batch and its stylised pictures."""

    source: Batch
    pictures: Tensor
    """Same shape and dtype as source.pixels, on the CPU."""
    invalid: tuple[str | None, ...]
    """Per frame: what the network's raw output showed even after a second try in float32 ("nonfinite", "blank")."""

    def __post_init__(self) -> None:
        if self.pictures.shape != self.source.pixels.shape or self.pictures.dtype != self.source.pixels.dtype:
            raise ValueError(
                f"pictures {list(self.pictures.shape)} {self.pictures.dtype} do not match the source's "
                f"{list(self.source.pixels.shape)} {self.source.pixels.dtype}"
            )


Judge = Callable[["Tensor"], float]
"""Scores another picture in a frame's place, as the detector scored the frame itself (1.0 = threshold)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the detector found in one frame."""

    score: float
    """0 is perfect, 1.0 the threshold; finite."""
    flagged: bool
    reasons: tuple[str, ...] = ()
    """Of detect.REASONS, the strongest first."""
    cues: Mapping[str, float] = field(default_factory=dict)
    region: tuple[int, int, int, int] | None = None
    """x, y, width, height in pixels of the picture, where the fault is local."""
    reference: str = "none"
    """Whom it could be compared with: "both" sides, "one side" or "none"."""


@dataclass(frozen=True, slots=True)
class CheckedFrame:
    """One frame with the detector's verdict."""

    index: int
    pts: int
    duration: int
    source: Tensor
    """[3, H, W], see the module's text."""
    styled: Tensor
    """[3, H, W], same dtype."""
    damaged: bool
    shot: int
    verdict: Verdict
    judge: Judge | None
    """Set on flagged frames that can be judged again."""


@dataclass(frozen=True, slots=True)
class FinishedFrame:
    """One frame ready to be encoded, and what was done about it."""

    index: int
    pts: int
    duration: int
    source: Tensor
    picture: Tensor
    """[3, H, W]; the very tensor `styled` unless the frame was mended."""
    damaged: bool
    shot: int
    verdict: Verdict
    action: str = "none"
    """none | repaired | restyled | kept (flagged, but nothing better was found)."""
    method: str | None = None
    """How it was repaired: restyle, exchange, gain, unmix, offset, fuse, local, warp."""
    donors: tuple[int, ...] = ()
    score_after: float | None = None

    @property
    def mended(self) -> bool:
        """Whether the picture is another one than the detector was given."""
        return self.action in ("repaired", "restyled")
