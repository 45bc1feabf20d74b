"""Which frame of a source belongs to which frame of a stylised video that some other tool made of it.

Both are read once, side by side: `plan` looks at the times of all frames beforehand and says how frames are paired,
`Follower` finds one source frame after the other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Generic, Literal, TypeVar

import cv2
import numpy as np
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.flow import analysis_gray, shrink, to_array
from vidstyle.frames import VideoInfo
from vidstyle.media.orientation import swaps_sides
from vidstyle.media.times import FrameTimes

Item = TypeVar("Item")
Wanted = TypeVar("Wanted")

SHAPE_TOLERANCE = 0.05
"""By how much the sides' ratio may differ ..."""
ROUNDED_SHAPE_TOLERANCE = 0.15
"""... and by how much where tools that take multiples of ROUNDED_TO pixels only can have changed it."""
ROUNDED_TO = 32

SAME_TIME = 0.3
"""Parts of the mean time between frames by which equal times may differ: containers round."""
AGREEING = 0.95
"""Where so many frames have a source frame of their own time, frames are paired by time."""
LEAST_COMMON = 0.5
"""Videos of which one is shorter than this part of the other do not belong together, unless it is plainly a piece:
every frame of it has a source frame of its own time."""
SAME_RATE = 0.01


@dataclass(frozen=True, slots=True)
class Pairing:
    """How the frames of a stylised video are paired with those of its source."""

    by: Literal["time", "number"]
    offset: Fraction
    """Seconds from the first frame of the source to that of the stylised video; 0 by number."""
    exact: bool
    """False where tools have dropped or repeated frames: some have no source frame of their own time."""
    slack: Fraction
    """How much later than a stylised frame its source frame may be, in seconds; 0 by number."""
    reach: Fraction
    """How long the last source frame stands for what comes after it, in seconds; one frame by number."""
    notes: tuple[str, ...] = ()


def plan(source: FrameTimes, stylised: FrameTimes, *, name: str) -> Pairing:
    """Decide how to pair, from when the frames are shown.

    By time where nearly every stylised frame has a source frame of its own time; else by number where there are
    (nearly) as many frames; else by time, each with the source frame that was to be seen. Raises InputError, about
    the file `name`, where the videos cannot belong together.
    """
    offset = _offset(source, stylised)
    fewer, more = sorted((len(source), len(stylised)))
    notes = []
    if len(stylised) == 1:
        notes.append("A single frame cannot be compared with others: few faults can be found in it.")
    by_number = more - fewer <= max(2, more // 100) and 10 * (more - fewer) <= more
    exact, within = _agreement(source, stylised, offset)
    if by_number and not (exact and within):
        notes += _notes_by_number(source, stylised)
        return Pairing("number", Fraction(0), True, Fraction(0), Fraction(1), tuple(notes))

    first, last = float(offset), float(offset) + stylised.length
    common = min(source.length, last) - max(0.0, first)
    whole = stylised.length if exact and within else max(source.length, stylised.length)
    if common < LEAST_COMMON * whole:
        raise InputError(
            f"It lasts {stylised.length:.2f} s ({len(stylised)} frames), the source {source.length:.2f} s "
            f"({len(source)} frames): they cannot be compared.",
            name=name,
            hint="give the source that it was made of, cut to the same part",
        )
    slack = (min if exact else max)(source.period, stylised.period) / 2
    notes += _notes_by_time(source, stylised, offset)
    return Pairing("time", offset, exact, slack, source.period, tuple(notes))


def _offset(source: FrameTimes, stylised: FrameTimes) -> Fraction:
    """0: the first frames belong together; else the first source frames are missing, and the others kept their times.

    The latter if that lets the ends agree better.
    """
    later = stylised.start - source.start
    if later <= source.period * Fraction(SAME_TIME) or len(source) <= len(stylised):
        return Fraction(0)
    short = source.length - stylised.length
    return later if abs(short - float(later)) < short - float(source.period) / 2 else Fraction(0)


def _agreement(source: FrameTimes, stylised: FrameTimes, offset: Fraction) -> tuple[bool, bool]:
    """Whether stylised frames within the source have source frames of their own times, and whether most are within."""
    wanted = stylised.seconds + float(offset)
    place = np.searchsorted(source.seconds, wanted)
    before, after = (source.seconds[np.clip(place + step, 0, len(source) - 1)] for step in (-1, 0))
    apart = np.minimum(np.abs(wanted - before), np.abs(wanted - after))
    same = apart <= SAME_TIME * float(min(source.period, stylised.period))
    inside = wanted <= source.seconds[-1] + float(source.period)
    return bool(same[inside].mean() >= AGREEING), bool(inside.mean() >= AGREEING)


def _notes_by_number(source: FrameTimes, stylised: FrameTimes) -> Iterator[str]:
    yield "The frames of SOURCE and STYLISED have other times: they are paired by number."
    if (missing := len(source) - len(stylised)) > 0:
        yield f"STYLISED has fewer frames than SOURCE: the last {missing} of SOURCE have no counterpart."


def _notes_by_time(source: FrameTimes, stylised: FrameTimes, offset: Fraction) -> Iterator[str]:
    rates = [float(1 / times.period) for times in (stylised, source)]
    if abs(rates[0] / rates[1] - 1) > SAME_RATE:
        yield (
            f"STYLISED has {rates[0]:.4g} frames per second, SOURCE {rates[1]:.4g}: frames are paired by time."
        )
    if offset:
        yield (
            f"STYLISED begins {float(offset):.3f} s after SOURCE: "
            f"the first {int(np.sum(source.seconds < float(offset - source.period / 2)))} frame(s) of SOURCE have no "
            "counterpart."
        )
    elif abs(shift := float(stylised.start - source.start)) > float(min(source.period, stylised.period)) / 2:
        word = "later" if shift > 0 else "earlier"
        yield f"STYLISED starts {abs(shift):.3f} s {word} than SOURCE: the first frames are paired all the same."
    missing = int(np.sum(source.seconds >= float(offset) + stylised.length - float(source.period) / 2))
    if missing:
        yield f"STYLISED ends before SOURCE: the last {missing} frame(s) of SOURCE have no counterpart."


class Follower(Generic[Item, Wanted]):
    """Finds for rising times the item that was to be seen, among items that come with rising times of their own.

    That is the last one before, or the next one if that is nearer and no more than `slack` away. The last item of
    all lasts for `reach`, the first may be `slack` late; None beyond.

    likeness: where tools drop and repeat frames, time alone does not tell which they took. Then all items from the
    last one before to those `slack` later are asked how much they are like what is looked for, and the most alike
    one is taken, but never an earlier one than before.
    """

    def __init__(
        self,
        items: Iterable[tuple[Fraction, Item]],
        *,
        slack: Fraction,
        reach: Fraction,
        likeness: Callable[[Item, Wanted], float] | None = None,
    ) -> None:
        self._items = iter(items)
        self._slack = slack
        self._reach = reach
        self._likeness = likeness
        self._held: deque[tuple[Fraction, Item]] = deque()
        self._ended = False

    def at(self, time: Fraction, wanted: Wanted) -> Item | None:
        """The item for `wanted`, to be seen at `time`, which must not be less than that of the last call."""
        self._read(time + self._slack)
        held = self._held
        while len(held) > 1 and held[1][0] <= time:
            held.popleft()
        if not held or held[0][0] > time + self._slack:
            return None
        if len(held) == 1 and self._ended and time - held[0][0] >= self._reach:
            return None
        found = [entry for entry in held if entry[0] <= time + self._slack]
        found.sort(key=lambda entry: (abs(entry[0] - time), -entry[0]))
        if self._likeness is None or len(found) == 1:
            return found[0][1]
        alike = [self._likeness(item, wanted) for _, item in found]
        chosen = found[alike.index(max(alike))]
        while held[0] is not chosen:
            held.popleft()
        return chosen[1]

    def _read(self, until: Fraction) -> None:
        """Hold all items up to a time, and one more to know that there are no others."""
        while not self._ended and (not self._held or self._held[-1][0] <= until):
            entry = next(self._items, None)
            if entry is None:
                self._ended = True
            else:
                self._held.append(entry)


def likeness(source: Tensor, stylised: Tensor) -> float:
    """How well the outlines of two pictures [3, H, W] lie upon each other: correlation, 1 at best."""
    first, second = (analysis_gray(picture) for picture in (source, stylised))
    outlines = [
        _outlines(shrink(first, (second.shape[1], second.shape[0]))).ravel(),
        _outlines(second).ravel(),
    ]
    one, other = (edges - edges.mean() for edges in outlines)
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-6))


def _outlines(gray: np.ndarray) -> np.ndarray:
    across, down = (cv2.Sobel(gray, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    return cv2.GaussianBlur(np.hypot(across, down), (0, 0), 1.0)


def alike(source: VideoInfo, stylised: VideoInfo) -> tuple[VideoInfo, tuple[str, ...]]:
    """The source as it has to be decoded to look like the stylised video, and what to tell the user about it.

    That is unturned where the tool that made the stylised video did not heed a rotation. Raises InputError where the
    pictures have another shape.
    """
    if _same_shape(source, stylised):
        notes = []
        if source.size != stylised.size:
            notes.append(
                f"SOURCE has {_pixels(source)} pixels; it is scaled to STYLISED's {_pixels(stylised)}."
            )
        return source, tuple(notes)
    if swaps_sides(source.display_matrix):
        unturned = replace(source, display_matrix=None, size=source.coded_size)
        if _same_shape(unturned, stylised):
            return unturned, (
                "STYLISED is not turned as SOURCE's rotation asks for: it is compared as stored.",
            )
    raise InputError(
        f"Its pictures ({_pixels(stylised)}) have another shape than the source's ({_pixels(source)}).",
        name=str(stylised.path),
        hint="give the source that it was made of, cropped in the same way",
    )


def _same_shape(source: VideoInfo, stylised: VideoInfo) -> bool:
    """Pixel by pixel or as players show them, but for the rounding of sides that were scaled."""
    (width, height), (own_width, own_height) = source.size, stylised.size
    stretch = own_width * height / (own_height * width)
    shown = stretch * float(_pixel_shape(stylised) / _pixel_shape(source))
    rounded = min(abs(own_width / stretch - own_width), abs(own_height * stretch - own_height)) < ROUNDED_TO
    tolerance = ROUNDED_SHAPE_TOLERANCE if rounded else SHAPE_TOLERANCE
    return any(1 / (1 + tolerance) <= ratio <= 1 + tolerance for ratio in (stretch, shown))


def _pixel_shape(info: VideoInfo) -> Fraction:
    return 1 / info.sample_aspect_ratio if swaps_sides(info.display_matrix) else info.sample_aspect_ratio


def _pixels(info: VideoInfo) -> str:
    return f"{info.size[0]}x{info.size[1]}"


def fit(picture: Tensor, into: np.ndarray) -> None:
    """Write a picture [3, H, W], uint8 or uint16, into an array [h, w, 3] of either type, scaled to its size."""
    pixels = to_array(picture)
    height, width = into.shape[:2]
    if pixels.shape[:2] != (height, width):
        smaller = width * height < pixels.shape[0] * pixels.shape[1]
        pixels = cv2.resize(
            pixels, (width, height), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        )
    if pixels.dtype == into.dtype:
        np.copyto(into, pixels)
    elif into.dtype == np.uint8:
        np.copyto(into, pixels >> 8, casting="unsafe")
    else:
        np.multiply(pixels, np.uint16(257), out=into, dtype=np.uint16)
