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
    columns, rows = size
    count, height, width = field.shape
    if height < rows or width < columns:  # then cells lie between pixels, and some between planes
        return np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in field])
    column = field.reshape(count * height, width)
    means = cv2.resize(column, (columns, count * rows), interpolation=cv2.INTER_AREA)
    return means.reshape(count, rows, columns)


def trusted_means(fields: Sequence[Array], trusted: Mask, size: tuple[int, int]) -> tuple[Array, Array]:
    """Means of float32 [C, h, w] each over the trusted pixels of each cell, one after the other, and their share.

    Returns [all C, rows, columns] and [1, rows, columns].
    """
    weighed = np.empty((1 + sum(map(len, fields)), *trusted.shape), np.float32)
    weighed[0] = trusted
    first = 1
    for field in fields:
        np.multiply(field, weighed[0], out=weighed[first : first + len(field)])
        first += len(field)
    sums = cell_means(weighed, size)
    share, sums = sums[:1], sums[1:]
    sums /= np.maximum(share, np.float32(LEAST_SHARE))
    return sums, share


def pool(means: Array, share: Array) -> tuple[Array, Array]:
    """The same over a grid of half as many columns and rows."""

    def halved(field: Array) -> Array:
        upper = field[:, ::2, ::2] + field[:, ::2, 1::2]
        return (0.25 * (upper + field[:, 1::2, ::2] + field[:, 1::2, 1::2])).astype(np.float32)

    share_there = halved(share)
    means_there = (halved(means * share) / np.maximum(share_there, LEAST_SHARE)).astype(np.float32)
    return means_there, share_there
