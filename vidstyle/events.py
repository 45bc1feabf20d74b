"""What happens while a run is under way: plain facts that the terminal view (or any listener) reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class RunStarted:
    """The run's facts are known; work begins."""

    input: str
    output: str | None
    """None where a video is only checked."""
    style: str | None
    """None where a video is checked that is painted already: `stylised`."""
    device: str
    """What the network runs on and why, in words."""
    size: tuple[int, int]
    """Width, height as shown."""
    frames_hint: int | None
    """How many frames will be written, where it can be guessed."""
    seconds_hint: float | None
    resumed_at: int = 0
    """Frames already done by an earlier run."""
    stylised: str | None = None


@dataclass(frozen=True, slots=True)
class FrameDone:
    """One frame went to the encoder."""

    index: int
    seconds: float
    """Its presentation time."""
    score: float
    flagged: bool
    action: str
    source: np.ndarray | None = None
    """uint8 [h, w, 3] RGB, preview size; present only when the listener asked for a preview and it is due."""
    picture: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds each stage has worked so far; the largest limits the speed."""

    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know: a fallback, a dropped stream, damage in the input."""

    text: str


@dataclass(frozen=True, slots=True)
class FlaggedFrame:
    """What a person is told of a flagged frame."""

    index: int
    seconds: float
    """Its presentation time."""
    score: float
    reasons: tuple[str, ...]
    region: tuple[int, int, int, int] | None
    """x, y, width, height in pixels, where the fault is local."""
    action: str


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The output, if one was wanted, is in place under its own name."""

    output: str | None
    frames: int
    flagged: int
    repaired: int
    kept: int
    seconds: float
    log: str | None = None
    checked: bool = True
    """Whether the detector looked at the frames."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    first_flagged: tuple[FlaggedFrame, ...] = ()
    """The first few of the flagged frames."""
    stylised: str | None = None
    """The video that was checked, where it was painted before."""
    unpaired: int = 0
    """How many of its frames could not be checked, for the source has none for them."""


Event = RunStarted | FrameDone | StageTimes | Note | RunFinished
Listener = Callable[[Event], Any]


def ignore(event: Event) -> None:
    """The listener that does not care."""
