"""Blockiness: how much more a picture changes where blocks of eight pixels meet than between.

As in the measure of Wang, Bovik and Evans 2000, "Blind measurement of blocking artifacts in images", but in the
picture itself instead of its spectrum, block by block, and for each part of the picture by itself.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from vidstyle.detect.statistics import Array, Pixels

BLOCK = 8
"""Pixels; those of JPEG, MPEG and many networks' tiles, from the first of the picture on."""
PARTS = 4
"""In either direction, that a picture is divided into."""
WHOLE = 2.0
"""The mean of all parts differs from picture to picture half as much as a part does."""
LINES = 360
"""Rows, and columns, of a larger picture that are looked at."""
CALM = 0.3
"""Grey levels of change that hardly count, as a share of ..."""
FULL = {np.dtype(np.uint8): 1.0, np.dtype(np.uint16): 257.0}
"""... a grey level."""


def blockiness(pixels: Pixels) -> Array:
    """Of a picture [H, W, 3]: log ratios of the change across blocks to that within, [PARTS * PARTS + 1].

    The mean of a part's blocks and of both directions, and last WHOLE times the mean of all parts: about 0 where there
    are no blocks, and in pictures of fewer than two blocks a part.
    """
    height, width = pixels.shape[:2]
    if min(height, width) < 2 * PARTS * BLOCK:
        return np.zeros(PARTS * PARTS + 1, np.float32)
    green = cv2.extractChannel(pixels, 1)  # as good as luma, and at hand
    rows = green[:: max(1, height // LINES)]
    columns = np.ascontiguousarray(green[:, :: max(1, width // LINES)])
    across = cv2.absdiff(rows[:, 1:], rows[:, :-1])
    down = cv2.absdiff(columns[1:], columns[:-1])
    calm = CALM * FULL[green.dtype]
    parts = 0.5 * (_log_ratios(across, calm, 0) + _log_ratios(down, calm, 1).T)
    return np.concatenate((parts.ravel(), (WHOLE * parts.mean(),))).astype(np.float32)


def _log_ratios(changes: Array, calm: float, axis: int) -> Array:
    """From changes from each column to the next, of which parts of the rows are averaged (axis 0); or the other way.

    Parts of what is averaged come first.
    """
    bounds = _bounds(changes.shape[axis])
    parts = [changes[a:b] if axis == 0 else changes[:, a:b] for a, b in pairwise(bounds)]
    means = [cv2.reduce(part, axis, cv2.REDUCE_AVG, dtype=cv2.CV_32F).ravel() for part in parts]
    blocks = len(means[0]) // BLOCK
    lines = np.stack(means)[:, : blocks * BLOCK].reshape(PARTS, blocks, BLOCK)
    within = np.sort(lines[..., :-1])[..., BLOCK // 2 - 1]
    ratios = np.log((lines[..., -1] + calm) / (within + calm))
    first = _bounds(blocks)
    sums = np.add.reduceat(ratios, first[:-1], axis=1)
    return (sums / np.diff(first)).astype(np.float32)


def _bounds(count: int) -> list[int]:
    """Where the parts of so many lines or blocks begin, and where the last ends."""
    return [count * part // PARTS for part in range(PARTS + 1)]
