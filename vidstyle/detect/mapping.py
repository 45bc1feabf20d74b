"""What the source leads to expect: how the style maps the source's cells, learnt from the frames around one.

Needs no motion, so it also knows something where nothing can be carried along: in dissolves, behind things that pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from vidstyle.detect.cells import cell_means
from vidstyle.detect.statistics import Array, median

SCALE = 64.0
"""Grey levels that count as 1 in the products, so that none is huge."""
RIDGE = 1e-3
LEAST_DEVIATION = 1.5
"""Grey levels that a cell may always be off."""
LEAST_FRAMES = 2


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of one frame, in units of SCALE, and their products."""

    causes: Array
    """[N, K]: of the source, its channels, their products and where in the picture the cell is."""
    effects: Array
    """[N, 5]: of the styled picture."""
    shape: tuple[int, int]
    """Rows and columns."""
    gram: Array
    """[K, K]: sums over the cells of the products of the causes."""
    cross: Array
    """[K, 5]: of theirs with the effects."""
    power: Array
    """[5]: of the effects' squares."""


def cells(source: Array, styled: Array, size: tuple[int, int]) -> Cells:
    """From analysis planes [5, h, w], over a grid of `size` (columns, rows)."""
    rows, columns = size[1], size[0]
    channels = cell_means(source, size).reshape(len(source), -1).T / SCALE - 1
    causes = np.concatenate((_places(columns, rows), channels, channels[:, :1] * channels[:, :3]), 1)
    effects = cell_means(styled, size).reshape(len(styled), -1).T / SCALE - 1
    return Cells(
        causes=causes,
        effects=effects,
        shape=(rows, columns),
        gram=causes.T @ causes,
        cross=causes.T @ effects,
        power=(effects * effects).sum(0),
    )


@cache
def _places(columns: int, rows: int) -> Array:
    """1 and where the cells are, from -1 to 1: [rows * columns, 3]."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, columns), indexing="ij")
    return np.stack((np.ones(x.size), x.ravel(), y.ravel()), 1).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a style made of the source in some frames: a ridge regression of the styled cells on the source's."""

    slope: Array
    """[K, 5]"""
    deviation: Array
    """Of the cells from it, [5]."""
    usual: Array
    """Median deviation of each cell over the frames, [N, 5]: what a style does there beyond a regression."""


def learn(frames: Sequence[Cells]) -> Mapping | None:
    """From frames of one shot; None if they are too few."""
    if len(frames) < LEAST_FRAMES:
        return None
    gram, cross, power = (
        np.sum(parts, 0) for parts in zip(*((f.gram, f.cross, f.power) for f in frames), strict=True)
    )
    count = sum(len(frame.effects) for frame in frames)
    slope = np.linalg.solve(gram + RIDGE * count * np.eye(len(gram), dtype=np.float32), cross)
    left = power - (slope * (2 * cross - gram @ slope)).sum(0)
    deviation = np.sqrt(np.maximum(left, 0) / count) + LEAST_DEVIATION / SCALE
    return Mapping(slope, deviation, median([f.effects - f.causes @ slope for f in frames]))


def unexpected(mapping: Mapping | None, here: Cells) -> Array:
    """How far each cell is from what the source leads to expect, and from its usual deviation: [10, rows, columns].

    In deviations of such cells; 0 without a mapping.
    """
    if mapping is None:
        return np.zeros((2 * here.effects.shape[1], *here.shape), np.float32)
    off = here.effects - here.causes @ mapping.slope
    both = np.concatenate((off, off - mapping.usual), 1) / np.tile(mapping.deviation, 2)
    result: Array = both.astype(np.float32).T.reshape(-1, *here.shape)
    return result
