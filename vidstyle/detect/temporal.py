"""What a frame should look like, from its neighbours carried along the source's motion."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import TypeVar

import cv2
import numpy as np

from vidstyle.detect.analysis import COLORS
from vidstyle.detect.statistics import Array, Mask, MaskedMedian, Numbers, masked_mean
from vidstyle.flow import resize_flow
from vidstyle.frames import Motion

REACH = 6
"""Neighbours on either side."""
FEW = (1, 2, 4, 6)
"""How far away those are that are asked unless some are suspect: in three draws of the anomaly bench F1 is as with
all, at a tenth less time. In a long run of bad frames the few good ones may be any."""
ONE_SIDED = 4
"""Where there are neighbours on one side only, the nearest so many are used: far ones drift. Of FEW that is all."""
LEAST_SUPPORT = 0.1
"""A reference for less of the frame than this is none."""
LEAST_OVERLAP = 0.25
"""A neighbour that matches less of the source than this is not used."""
TOLERANCES = (6.0, 16.0)
"""Grey levels by which the source may differ from a warped neighbour, in clean and in very noisy sources."""
STEPS = 64
"""Steps of a grey level in which styled planes are written as whole numbers ..."""
ZERO = 160.0
"""... and what is added to them before: they are at -128 (colour differences) to 255."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of one frame: analysis planes of source and styled picture, and the source's motion."""

    source: Array
    """[5, h, w]."""
    styled: Array
    back: Array
    """[2, h, w]: flow to the frame before, x and y, on the analysis grid."""
    source_mixed: Array
    """The first four planes of the source once more, as OpenCV remaps them fastest: [h, w, 4] ..."""
    styled_mixed: Numbers
    """... and those of the styled picture, in steps."""
    rest: Array
    """[h, w, 4]: the last plane of the source, that of the styled picture in steps, and `back`."""
    rest_before: Array | None
    """The same of the frame before with the flow from there to this frame; None after a cut."""
    cut: bool
    residual: float
    """Median fine difference of the source to the warped source before, in grey levels: its noise."""
    state: Array
    """How it is painted as a whole, [10]: the logarithm of `contrast`, and by how many times 32 grey levels the styled
    picture is brighter than the source, per channel."""
    brightness: float
    """Mean luma of the source, in grey levels."""
    contrast: Array
    """Deviation of the styled picture over that of the source, per channel."""
    still: bool
    """The source repeats the frame before."""


@dataclass(frozen=True, slots=True)
class Reference:
    """What the neighbours say about a frame, per pixel of the analysis picture."""

    styled: Array
    """Median of the warped styled neighbours, [5, h, w]; 0 where there is none."""
    spread: Array
    """Median deviation of the neighbours from it."""
    lowest: Array
    highest: Array
    """Between what values the styled neighbours lie; where there are none, lowest is above highest."""
    source_change: Array
    """Source minus the median of its warped neighbours."""
    supported: Mask
    """Where at least two neighbours can be trusted, [h, w]."""
    before: int
    """Neighbours that could be used, on either side ..."""
    after: int
    asked: int
    """... of so many."""
    mean_spread: Array
    """`spread`, the absolute `source_change` and the signed of the supported pixels, on average, [5]."""
    mean_change: Array
    source_level: Array

    @property
    def both_sides(self) -> bool:
        return min(self.before, self.after) >= 2


@cache
def _grid(width: int, height: int) -> tuple[Array, Array]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


Image = TypeVar("Image", Array, Numbers)


def fetch(image: Image, columns: Array, rows: Array, out: Image | None = None) -> Image:
    """Bilinear samples of [h, w] or [h, w, C <= 4] at the given places; borders are repeated."""
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, out, borderMode=cv2.BORDER_REPLICATE)


def to_steps(planes: Array) -> Array:
    """Planes in grey levels, in steps; not yet rounded."""
    result: Array = (planes + np.float32(ZERO)) * np.float32(STEPS)
    return result


def from_steps(numbers: Array | Numbers) -> Array:
    """The way back."""
    result: Array = numbers * np.float32(1 / STEPS) - np.float32(ZERO)
    return result


def look(source: Array, styled: Array, motion: Motion, before: Sight | None) -> Sight:
    """Everything about one frame that its own and its neighbours' judgement needs."""
    height, width = source.shape[1:]
    size = (width, height)
    back, forth = (cv2.split(resize_flow(flow, size)) for flow in (motion.back, motion.forth))
    cut = motion.cut or before is None
    residual, still, rest_before = 0.0, False, None
    if not cut and before is not None:
        rest_before = cv2.merge([before.source[4], to_steps(before.styled[4]), *forth])
        columns, rows = _grid(*size)
        luma = fetch(before.source[0], columns + back[0], rows + back[1])
        change = source[0] - luma
        fine = cv2.absdiff(change, cv2.blur(change, (9, 9)))  # a flash or a fade is no noise
        some = fine[::2, ::2].ravel()
        residual = float(np.partition(some, len(some) // 2)[len(some) // 2])
        planes = source.reshape(-1, width), before.source.reshape(-1, width)
        still = cv2.norm(*planes, cv2.NORM_INF) < 0.5
    source_mixed, styled_mixed = (cv2.merge([*planes[:4]]) for planes in (source, styled))
    level, spread = _moments(source_mixed, source[4])
    styled_level, styled_spread = _moments(styled_mixed, styled[4])
    contrast = styled_spread / spread
    return Sight(
        source=source,
        styled=styled,
        back=np.stack(back),
        source_mixed=source_mixed,
        styled_mixed=to_steps(styled_mixed).astype(np.uint16),
        rest=cv2.merge([source[4], to_steps(styled[4]), *back]),
        rest_before=rest_before,
        cut=cut,
        residual=residual,
        brightness=float(level[0]),
        contrast=contrast,
        state=np.concatenate((np.log(contrast), (styled_level - level) / np.float32(32))),
        still=still,
    )


def _moments(mixed: Array, last: Array) -> tuple[Array, Array]:
    """Mean of each plane, of [h, w, 4] and [h, w], and its standard deviation, above 0."""
    moments = [cv2.meanStdDev(planes) for planes in (mixed, last)]
    mean, deviation = np.concatenate(moments, 1).astype(np.float32)[..., 0]
    return mean, deviation + np.float32(1e-3)


Window = Callable[[int], Sight | None]
"""The Sight of a frame by its number, None outside of what is known."""


def tolerance(residuals: Sequence[float]) -> float:
    """How much the source may differ from a warped neighbour, in grey levels, given its recent residuals."""
    noise = median(residuals) if residuals else 0.0
    return min(max(5 * noise, TOLERANCES[0]), TOLERANCES[1])


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A neighbour of a frame, carried along the source's motion to its place."""

    offset: int
    """How many frames after it; negative before it."""
    styled: Numbers
    """[5, h, w], in steps."""
    source: Array
    """Its first four planes, [h, w, 4] ..."""
    rest: Array
    """... and the last as the first channel of these, [h, w, 4]."""
    trusted: Mask
    """Where its source is the frame's own, [h, w]."""


def gather(
    window: Window, frame: int, tolerance: float, distances: Collection[int] = range(1, REACH + 1)
) -> list[Neighbour]:
    """The neighbours of a frame that match enough of its source, sorted.

    tolerance  grey levels by which the sources may differ
    distances  in frames, of those that are asked
    """
    here = window(frame)
    assert here is not None
    channels, height, width = here.styled.shape
    found = []
    for offset, there, rest, columns, rows in _paths(window, frame):
        if abs(offset) not in distances:
            continue
        source = fetch(there.source_mixed, columns, rows)
        near = _error(source, here.source_mixed) < tolerance
        trusted = near & (columns >= -1) & (rows >= -1) & (columns <= width) & (rows <= height)
        if np.count_nonzero(trusted) < LEAST_OVERLAP * trusted.size:
            continue
        styled = np.empty((channels, height, width), np.uint16)
        cv2.split(fetch(there.styled_mixed, columns, rows), [*styled[:4]])
        styled[4] = rest[..., 1]
        found.append(Neighbour(offset, styled, source, rest, trusted))
    return found


def sort(neighbours: Iterable[Neighbour]) -> list[Neighbour]:
    """Those after the frame, then those before it, the nearest first."""
    return sorted(neighbours, key=lambda there: (there.offset < 0, abs(there.offset)))


def _error(warped: Array, source: Array) -> Array:
    """How far colours [h, w, 4] are from the source's: the largest of the channels, around each pixel [h, w]."""
    luma, red, blue, _ = cv2.split(cv2.absdiff(warped, source))
    return cv2.blur(cv2.max(cv2.max(luma, red), blue), (3, 3))


class Referee:
    """Makes references. It keeps the room for that: fresh memory would cost a fifth of the time."""

    def __init__(self) -> None:
        self._away = self._work = np.empty(0, np.uint16)

    def refer(self, here: Sight, neighbours: Sequence[Neighbour], asked: int = REACH) -> Reference | None:
        """The reference for a frame from some of its neighbours; None if fewer than two can be trusted.

        asked  how many there may be on either side
        """
        after = sum(there.offset > 0 for there in neighbours)
        before = len(neighbours) - after
        if min(after, before) < 2 and len(neighbours) > ONE_SIDED:
            neighbours = sorted(neighbours, key=lambda there: abs(there.offset))[:ONE_SIDED]
        if len(neighbours) < 2:
            return None
        valid = np.stack([there.trusted for there in neighbours])
        count = valid.sum(0, dtype=np.float32)
        supported = count >= 2
        if supported.mean() < LEAST_SUPPORT:
            return None
        _, height, width = shape = here.styled.shape
        if self._work.shape[1:] != shape:
            self._away = np.empty((2 * REACH, *shape), np.uint16)
            self._work = np.empty((2 * REACH + 2, *shape), np.uint16)
        stack, middle_of = [there.styled for there in neighbours], MaskedMedian(valid)
        middle = middle_of(stack, self._work)
        lowest, highest = map(from_steps, middle_of.range(stack, self._work))
        middle_row = middle.astype(np.uint16).reshape(-1, width)
        away = self._away[: len(stack)]
        for layer, row in zip(stack, away, strict=True):
            cv2.absdiff(layer.reshape(-1, width), middle_row, row.reshape(-1, width))
        spread = middle_of([*away], self._work) * np.float32(1 / STEPS)
        first, last = np.zeros((2, height, width, 4), np.float32)
        for there in neighbours:
            mask = there.trusted.view(np.uint8)
            cv2.accumulate(there.source, first, mask)
            cv2.accumulate(there.rest, last, mask)
        source = np.stack((*cv2.split(first), last[..., 0]))
        # the trusted sources are near this frame's own: their mean will do
        change = here.source - source / np.maximum(count, 1)
        weight = supported.astype(np.float32)
        return Reference(
            styled=from_steps(middle) * (count > 0),
            spread=spread,
            lowest=lowest,
            highest=highest,
            source_change=change,
            supported=supported,
            before=before,
            after=after,
            asked=asked,
            mean_spread=masked_mean(spread, weight),
            mean_change=masked_mean(np.abs(change), weight),
            source_level=masked_mean(change, weight),
        )


def _paths(window: Window, frame: int) -> Iterator[tuple[int, Sight, Array, Array, Array]]:
    """The neighbours of a frame in its shot, in both directions, step by step along the motion.

    How far away, what they are, their `rest` warped to the frame, and where in them each of its pixels went.
    """
    here = window(frame)
    assert here is not None
    for direction in (1, -1):
        columns, rows = _grid(here.source.shape[2], here.source.shape[1])
        rest = _rest(window, frame, direction)
        for step in range(1, REACH + 1):
            there = window(frame + direction * step)
            link = there if direction > 0 else window(frame - step + 1)
            if there is None or link is None or link.cut:
                break
            columns, rows = columns + rest[..., 2], rows + rest[..., 3]
            rest = fetch(_rest(window, frame + direction * step, direction), columns, rows)
            yield direction * step, there, rest, columns, rows


def _rest(window: Window, frame: int, direction: int) -> Array:
    """The `rest` of a frame with the flow to the next in a direction; to the one before where there is no next."""
    here, following = window(frame), window(frame + 1)
    assert here is not None
    if direction > 0 and following is not None and following.rest_before is not None:
        return following.rest_before
    return here.rest


def displacement(before: Sight, here: Sight) -> float:
    """How much a frame's colours would change, in grey levels, if it moved along the flow to the next."""
    height, width = here.back.shape[1:]
    columns, rows = _grid(width, height)
    moved = fetch(before.styled_mixed, columns + here.back[0], rows + here.back[1])
    change = np.array(cv2.mean(cv2.absdiff(moved, before.styled_mixed)))
    return float(change[COLORS].mean()) / STEPS
