"""Means over a grid of cells, of the trusted pixels only."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from vidstyle.detect.statistics import Array, Mask

LEAST_SUPPORT = 0.3
"""Cells with less trusted area are left out."""
LEAST_SHARE = 1e-3


def cell_means(field: Array, size: tuple[int, int]) -> Array:
    """Area means [C, rows, columns] of float32 [C, h, w] over a grid of `size` (columns, rows)."""
    means = np.empty((len(field), size[1], size[0]), np.float32)
    for plane, cells in zip(field, means, strict=True):
        cv2.resize(plane, size, cells, interpolation=cv2.INTER_AREA)
    return means


def trusted_means(fields: Sequence[Array], trusted: Mask, size: tuple[int, int]) -> tuple[Array, Array]:
    """Means of float32 [C, h, w] each over the trusted pixels of each cell, one after the other, and their share.

    Returns [all C, rows, columns] and [1, rows, columns].
    """
    weight = trusted.astype(np.float32)[None]
    sums = cell_means(np.concatenate((weight, *(field * weight for field in fields))), size)
    share, sums = sums[:1], sums[1:]
    means = (sums / np.maximum(share, LEAST_SHARE)).astype(np.float32)
    return means, share


def pool(means: Array, share: Array) -> tuple[Array, Array]:
    """The same over a grid of half as many columns and rows."""

    def halved(field: Array) -> Array:
        upper = field[:, ::2, ::2] + field[:, ::2, 1::2]
        return (0.25 * (upper + field[:, 1::2, ::2] + field[:, 1::2, 1::2])).astype(np.float32)

    share_there = halved(share)
    means_there = (halved(means * share) / np.maximum(share_there, LEAST_SHARE)).astype(np.float32)
    return means_there, share_there
