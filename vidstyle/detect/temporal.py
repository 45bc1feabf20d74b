"""What a frame should look like, from its neighbours carried along the source's motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from vidstyle.detect.analysis import COLORS
from vidstyle.detect.statistics import Array, Mask, MaskedMedian
from vidstyle.flow import Flow, resize_flow
from vidstyle.frames import Motion

REACH = 6
"""Neighbours on either side."""
ONE_SIDED = 4
"""Where there are neighbours on one side only, the nearest so many are used: far ones drift."""
LEAST_SUPPORT = 0.1
"""A reference for less of the frame than this is none."""
LEAST_OVERLAP = 0.25
"""A neighbour that matches less of the source than this is not used."""
LEAST_APART = 0.3
"""Grey levels by which two places in a video must differ to tell whose picture it is."""
TOLERANCES = (6.0, 16.0)
"""Grey levels by which the source may differ from a warped neighbour, in clean and in very noisy sources."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of one frame: analysis planes of source and styled picture, and the source's motion."""

    source: Array
    """[5, h, w]."""
    styled: Array
    parts: tuple[Array, Array, Array]
    """The same as OpenCV remaps them, channels last and at most four: the first four of the source [h, w, 4] and of
    the styled picture [h, w, 4], and the last of both [h, w, 2]."""
    back: Flow
    """Flow to the frame before, on the analysis grid."""
    forth: Flow
    """Flow from the frame before to this one, on the grid of the frame before."""
    cut: bool
    residual: float
    """Median fine difference of the source to the warped source before, in grey levels: its noise."""
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
    """Between what values the styled neighbours lie; infinite where there are none."""
    source_change: Array
    """Source minus the median of its warped neighbours."""
    supported: Mask
    """Where at least two neighbours can be trusted, [h, w]."""
    before: int
    """Neighbours that were used, on either side."""
    after: int
    mean_spread: Array
    """`spread` and the absolute `source_change` of the supported pixels, on average, [5]."""
    mean_change: Array

    @property
    def both_sides(self) -> bool:
        return min(self.before, self.after) >= 2


@cache
def _grid(width: int, height: int) -> tuple[Array, Array]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def fetch(image: Array, columns: Array, rows: Array) -> Array:
    """Bilinear samples of float32 [h, w] or [h, w, C <= 4] at the given places; borders are repeated."""
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def largest(values: Array) -> Array:
    """Maximum over the channels of [h, w, 3] (numpy's own is slow on so short an axis)."""
    return np.maximum(np.maximum(values[..., 0], values[..., 1]), values[..., 2])


def look(source: Array, styled: Array, motion: Motion, before: Sight | None) -> Sight:
    """Everything about one frame that its own and its neighbours' judgement needs."""
    height, width = source.shape[1:]
    size = (width, height)
    back, forth = resize_flow(motion.back, size), resize_flow(motion.forth, size)
    cut = motion.cut or before is None
    residual, still = 0.0, False
    if not cut and before is not None:
        columns, rows = _grid(*size)
        luma = fetch(before.source[0], columns + back[..., 0], rows + back[..., 1])
        change = source[0] - luma
        residual = float(
            np.median(np.abs(change - cv2.blur(change, (9, 9))))
        )  # a flash or a fade is no noise
        still = float(np.abs(source - before.source).max()) < 0.5
    parts = (
        cv2.merge([*source[:4]]),
        cv2.merge([*styled[:4]]),
        cv2.merge((source[4], styled[4])),
    )
    deviation = np.concatenate([cv2.meanStdDev(part)[1][:, 0] for part in parts]).astype(np.float32) + 1e-3
    return Sight(
        source=source,
        styled=styled,
        parts=parts,
        back=back,
        forth=forth,
        cut=cut,
        residual=residual,
        contrast=deviation[[4, 5, 6, 7, 9]] / deviation[[0, 1, 2, 3, 8]],
        still=still,
    )


Window = Callable[[int], Sight | None]
"""The Sight of a frame by its number, None outside of what is known."""


def tolerance(residuals: Sequence[float]) -> float:
    """How much the source may differ from a warped neighbour, in grey levels, given its recent residuals."""
    noise = float(np.median(residuals)) if residuals else 0.0
    return min(max(5 * noise, TOLERANCES[0]), TOLERANCES[1])


def refer(
    window: Window, frame: int, *, tolerance: float, without: frozenset[int] = frozenset()
) -> Reference | None:
    """The reference for a frame, from its neighbours except those named; None if fewer than two can be trusted."""
    here = window(frame)
    assert here is not None
    after, before = (list(_neighbours(window, frame, here, d, tolerance, without)) for d in (1, -1))
    neighbours = after + before
    if min(len(after), len(before)) < 2:
        neighbours = sorted(neighbours, key=lambda n: abs(n.offset))[:ONE_SIDED]
    if len(neighbours) < 2:
        return None
    valid = np.stack([n.trusted for n in neighbours])
    count = valid.sum(0, dtype=np.float32)
    supported = count >= 2
    if supported.mean() < LEAST_SUPPORT:
        return None
    stack = np.empty((len(neighbours), *here.styled.shape), np.float32)
    total = [np.zeros((*valid.shape[1:], channels), np.float32) for channels in (4, 2)]
    for layer, neighbour in zip(stack, neighbours, strict=True):
        source, styled, last = neighbour.parts
        cv2.split(styled, [*layer[:4]])
        cv2.extractChannel(last, 1, layer[4])
        trusted = neighbour.trusted.view(np.uint8)
        cv2.accumulate(source, total[0], trusted)
        cv2.accumulate(last, total[1], trusted)
    median = MaskedMedian(valid)
    middle = median(stack)
    spread = median(np.abs(stack - middle))
    exile = np.where(valid, np.float32(0), np.float32(np.inf))[:, None]
    # the trusted sources are near this frame's own: their mean will do
    mean = np.stack((*cv2.split(total[0]), total[1][..., 0])) / np.maximum(count, 1)
    change = here.source - mean
    return Reference(
        styled=middle,
        spread=spread,
        lowest=(stack + exile).min(0),
        highest=(stack - exile).max(0),
        source_change=change,
        supported=supported,
        before=len(before),
        after=len(after),
        mean_spread=spread[:, supported].mean(1),
        mean_change=np.abs(change[:, supported]).mean(1),
    )


@dataclass(frozen=True, slots=True)
class _Neighbour:
    offset: int
    parts: tuple[Array, ...]
    """As in `Sight`, warped."""
    trusted: Mask


def _neighbours(
    window: Window, frame: int, here: Sight, direction: int, tolerance: float, without: frozenset[int]
) -> Iterator[_Neighbour]:
    """The neighbours in one direction, warped to the frame, nearest first."""
    height, width = here.source.shape[1:]
    columns, rows = _grid(width, height)
    for step in range(1, REACH + 1):
        there = window(frame + direction * step)
        link = there if direction > 0 else window(frame - step + 1)
        if there is None or link is None or link.cut:
            return
        flow = fetch(link.forth if direction > 0 else link.back, columns, rows)
        columns, rows = columns + flow[..., 0], rows + flow[..., 1]
        if frame + direction * step in without:
            continue
        source = fetch(there.parts[0], columns, rows)
        error = cv2.blur(largest(cv2.absdiff(source, here.parts[0])), (3, 3))
        trusted = (error < tolerance) & (columns >= -1) & (rows >= -1) & (columns <= width) & (rows <= height)
        if trusted.mean() >= LEAST_OVERLAP:
            parts = source, *(fetch(part, columns, rows) for part in there.parts[1:])
            yield _Neighbour(direction * step, parts, trusted)


def exchange(first: Sight, second: Sight, at_first: Reference, at_second: Reference) -> float:
    """How much better two styled pictures fit in each other's place than in their own: a log ratio, the lesser of both.

    0 where that cannot be told: near the ends of a shot, and where the places look too much alike.
    """
    trusted = at_first.supported & at_second.supported
    if not (at_first.both_sides and at_second.both_sides) or second.cut or trusted.mean() < LEAST_OVERLAP:
        return 0.0

    def apart(a: Array, b: Array) -> float:
        return float(np.abs(a[COLORS][:, trusted] - b[COLORS][:, trusted]).mean())

    if apart(at_first.styled, at_second.styled) < LEAST_APART:
        return 0.0
    gains = (
        (apart(first.styled, at_first.styled), apart(first.styled, at_second.styled)),
        (apart(second.styled, at_second.styled), apart(second.styled, at_first.styled)),
    )
    return min(float(np.log((here + LEAST_APART) / (there + LEAST_APART))) for here, there in gains)


def displacement(styled: Array, back: Flow) -> float:
    """How much a styled picture [5, h, w] would change, in grey levels, if it moved along the flow."""
    height, width = styled.shape[1:]
    columns, rows = _grid(width, height)
    color = cv2.merge([*styled[COLORS]])
    return float(cv2.absdiff(fetch(color, columns + back[..., 0], rows + back[..., 1]), color).mean())
