"""What a frame should look like, from its neighbours carried along the source's motion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from vidstyle.detect.analysis import CHANNELS, COLORS
from vidstyle.detect.statistics import Array, Mask, masked_median
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
TOLERANCES = (6.0, 16.0)
"""Grey levels by which the source may differ from a warped neighbour, in clean and in very noisy sources."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of one frame: analysis pictures [h, w, 5] of source and styled, and the source's motion."""

    source: Array
    styled: Array
    planes: tuple[Array, ...]
    """Both, side by side [h, w, 10], in parts of up to four channels: OpenCV remaps no more at once."""
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
    """Median of the warped styled neighbours, [h, w, 5]."""
    spread: Array
    """Median deviation of the neighbours from it."""
    lowest: Array
    highest: Array
    """Between what values the styled neighbours lie."""
    source_change: Array
    """Source minus the median of its warped neighbours."""
    supported: Mask
    """Where at least two neighbours can be trusted, [h, w]."""
    both_sides: bool
    mean_spread: Array
    """`spread` and the absolute `source_change` of the supported pixels, on average, [5]."""
    mean_change: Array


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
    height, width = source.shape[:2]
    size = (width, height)
    back, forth = resize_flow(motion.back, size), resize_flow(motion.forth, size)
    cut = motion.cut or before is None
    residual, still = 0.0, False
    if not cut and before is not None:
        columns, rows = _grid(*size)
        luma = fetch(np.ascontiguousarray(before.source[..., 0]), columns + back[..., 0], rows + back[..., 1])
        change = source[..., 0] - luma
        residual = float(
            np.median(np.abs(change - cv2.blur(change, (9, 9))))
        )  # a flash or a fade is no noise
        still = float(np.abs(source - before.source).max()) < 0.5
    both = np.concatenate([source, styled], 2)
    deviation = both.reshape(-1, 2 * len(CHANNELS)).std(0) + np.float32(1e-3)
    return Sight(
        source=source,
        styled=styled,
        planes=tuple(np.ascontiguousarray(both[..., c : c + 4]) for c in range(0, both.shape[2], 4)),
        back=back,
        forth=forth,
        cut=cut,
        residual=residual,
        contrast=deviation[len(CHANNELS) :] / deviation[: len(CHANNELS)],
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
    both_sides = min(len(after), len(before)) >= 2
    if not both_sides:
        neighbours = sorted(neighbours, key=lambda n: abs(n.offset))[:ONE_SIDED]
    if len(neighbours) < 2:
        return None
    valid = np.stack([n.trusted for n in neighbours])
    count = valid.sum(0, dtype=np.float32)
    supported = count >= 2
    if supported.mean() < LEAST_SUPPORT:
        return None
    stack = np.stack([n.styled for n in neighbours])
    middle = masked_median(stack, valid)
    spread = masked_median(np.abs(stack - middle), valid)
    absent = ~valid
    stack[absent] = np.broadcast_to(middle, stack.shape)[absent]  # which widens no range
    # the trusted sources are near this frame's own: their mean will do
    total = np.einsum("nhwc,nhw->hwc", np.stack([n.source for n in neighbours]), valid.astype(np.float32))
    change = here.source - total / np.maximum(count, 1)[..., None]
    return Reference(
        styled=middle,
        spread=spread,
        lowest=stack.min(0),
        highest=stack.max(0),
        source_change=change,
        supported=supported,
        both_sides=both_sides,
        mean_spread=spread[supported].mean(0),
        mean_change=np.abs(change[supported]).mean(0),
    )


@dataclass(frozen=True, slots=True)
class _Neighbour:
    offset: int
    source: Array
    styled: Array
    trusted: Mask


def _neighbours(
    window: Window, frame: int, here: Sight, direction: int, tolerance: float, without: frozenset[int]
) -> Iterator[_Neighbour]:
    """The neighbours in one direction, warped to the frame, nearest first."""
    height, width = here.source.shape[:2]
    columns, rows = _grid(width, height)
    color = np.ascontiguousarray(here.source[..., COLORS])
    channels = len(CHANNELS)
    for step in range(1, REACH + 1):
        there = window(frame + direction * step)
        link = there if direction > 0 else window(frame - step + 1)
        if there is None or link is None or link.cut:
            return
        flow = fetch(link.forth if direction > 0 else link.back, columns, rows)
        columns, rows = columns + flow[..., 0], rows + flow[..., 1]
        if frame + direction * step in without:
            continue
        both = np.concatenate([np.atleast_3d(fetch(part, columns, rows)) for part in there.planes], 2)
        error = cv2.blur(largest(np.abs(both[..., COLORS] - color)), (3, 3))
        trusted = (error < tolerance) & (columns >= -1) & (rows >= -1) & (columns <= width) & (rows <= height)
        if trusted.mean() >= LEAST_OVERLAP:
            yield _Neighbour(direction * step, both[..., :channels], both[..., channels:], trusted)


def displacement(styled: Array, back: Flow) -> float:
    """How much a styled picture [h, w, 5] would change, in grey levels, if it moved along the flow."""
    height, width = styled.shape[:2]
    columns, rows = _grid(width, height)
    color = np.ascontiguousarray(styled[..., COLORS])
    return float(np.abs(fetch(color, columns + back[..., 0], rows + back[..., 1]) - color).mean())
