"""What a frame should look like, from its neighbours carried along the source's motion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from vidstyle.detect.analysis import CHANNELS, COLORS, TEXTURES
from vidstyle.detect.statistics import Array, Mask, masked_median
from vidstyle.flow import Flow, resize_flow
from vidstyle.frames import Motion

REACH = 6
"""Neighbours on either side."""
ONE_SIDED = 4
"""Where there are neighbours on one side only, the nearest so many are used: far ones drift."""
LEAST_OVERLAP = 0.25
"""A neighbour that matches less of the source than this is not used."""
LEAST_TOLERANCE = 6.0
"""Grey levels by which the source may differ from a warped neighbour; noisy sources get more."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is remembered of one frame: analysis pictures [h, w, 5] of source and styled, and the source's motion."""

    source: Array
    styled: Array
    back: Flow
    """Flow to the frame before, on the analysis grid."""
    forth: Flow
    """Flow from the frame before to this one, on the grid of the frame before."""
    cut: bool
    residual: float
    """Median difference of the source to the warped source before, in grey levels: its noise."""
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
    source_change: Array
    """Source minus the median of its warped neighbours."""
    supported: Mask
    """Where at least two neighbours can be trusted, [h, w]."""
    both_sides: bool
    offsets: tuple[int, ...]


@cache
def _grid(width: int, height: int) -> tuple[Array, Array]:
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return columns, rows


def fetch(image: Array, columns: Array, rows: Array) -> Array:
    """Bilinear samples of float32 [h, w] or [h, w, C] (any C) at the given places; borders are repeated."""
    if image.ndim == 3 and image.shape[2] > 4:  # OpenCV remaps at most four channels
        return np.dstack([fetch(image[..., c : c + 4], columns, rows) for c in range(0, image.shape[2], 4)])
    return cv2.remap(image, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


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
        residual = float(np.median(np.abs(source[..., 0] - luma)))
        still = float(np.abs(source - before.source).max()) < 0.5
    deviation = source.reshape(-1, len(CHANNELS)).std(0) + np.float32(1e-3)
    return Sight(
        source=source,
        styled=styled,
        back=back,
        forth=forth,
        cut=cut,
        residual=residual,
        contrast=styled.reshape(-1, len(CHANNELS)).std(0) / deviation,
        still=still,
    )


Window = Callable[[int], Sight | None]
"""The Sight of a frame by its number, None outside of what is known."""


def tolerance(residuals: Sequence[float]) -> float:
    """How much the source may differ from a warped neighbour, in grey levels, given its recent residuals."""
    return max(LEAST_TOLERANCE, 5 * float(np.median(residuals))) if residuals else LEAST_TOLERANCE


def refer(
    window: Window, frame: int, *, tolerance: float, without: frozenset[int] = frozenset()
) -> Reference | None:
    """The reference for a frame, from its neighbours except those named; None if fewer than two can be trusted."""
    here = window(frame)
    assert here is not None
    neighbours = []
    for direction in (1, -1):
        neighbours += _neighbours(window, frame, here, direction, tolerance, without)
    sides = [sum(offset * direction > 0 for offset, *_ in neighbours) for direction in (1, -1)]
    both_sides = min(sides) >= 2
    if not both_sides:
        neighbours = sorted(neighbours, key=lambda n: abs(n[0]))[:ONE_SIDED]
    if len(neighbours) < 2:
        return None
    offsets, sources, styled, masks = zip(*neighbours, strict=True)
    valid = np.stack(masks)
    supported = valid.sum(0) >= 2
    if supported.mean() < 0.1:
        return None
    stack = np.stack(styled)
    middle = masked_median(stack, valid)
    return Reference(
        styled=middle,
        spread=masked_median(np.abs(stack - middle), valid),
        source_change=here.source - masked_median(np.stack(sources), valid),
        supported=supported,
        both_sides=both_sides,
        offsets=offsets,
    )


def _neighbours(
    window: Window, frame: int, here: Sight, direction: int, tolerance: float, without: frozenset[int]
) -> list[tuple[int, Array, Array, Mask]]:
    """Offset, warped source, warped styled and trusted pixels of the neighbours in one direction, nearest first."""
    height, width = here.source.shape[:2]
    columns, rows = (axis.copy() for axis in _grid(width, height))
    found = []
    for step in range(1, REACH + 1):
        there = window(frame + direction * step)
        link = there if direction > 0 else window(frame - step + 1)
        if there is None or link is None or link.cut:
            break
        flow = fetch(link.forth if direction > 0 else link.back, columns, rows)
        columns, rows = columns + flow[..., 0], rows + flow[..., 1]
        if frame + direction * step in without:
            continue
        source = fetch(there.source, columns, rows)
        error = cv2.blur(np.abs(source[..., COLORS] - here.source[..., COLORS]).max(2), (3, 3))
        valid = (error < tolerance) & (columns >= -1) & (rows >= -1) & (columns <= width) & (rows <= height)
        if valid.mean() >= LEAST_OVERLAP:
            found.append((direction * step, source, fetch(there.styled, columns, rows), valid))
    return found


def displacement(styled: Array, back: Flow) -> float:
    """How much a styled picture [h, w, 5] would change, in grey levels, if it moved along the flow."""
    height, width = styled.shape[:2]
    columns, rows = _grid(width, height)
    color = np.ascontiguousarray(styled[..., COLORS])
    return float(np.abs(fetch(color, columns + back[..., 0], rows + back[..., 1]) - color).mean())
