"""Means over a grid of cells, of the trusted pixels only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from vidstyle.detect.statistics import Array, Mask

LEAST_SUPPORT = 0.3
"""Cells with less trusted area are left out."""
LEAST_SHARE = 1e-3


@cache
def averaging(length: int, cells: int) -> torch.Tensor:
    """Matrix [cells, length] that averages areas along one axis; pixels on the border of two cells go to both."""
    edges = np.linspace(0, length, cells + 1)[:, None]
    pixels = np.arange(length)
    shares = np.minimum(edges[1:], pixels + 1) - np.maximum(edges[:-1], pixels)
    return torch.from_numpy((np.clip(shares, 0, 1) * cells / length).astype(np.float32))


def cell_means(field: Array, size: tuple[int, int]) -> Array:
    """Area means [C, rows, columns] of float32 [C, h, w] over a grid of `size` (columns, rows)."""
    height, width = field.shape[1:]
    # torch keeps to the threads that it was given; numpy's own matrix product may not
    means = averaging(height, size[1]) @ (torch.from_numpy(field) @ averaging(width, size[0]).T)
    result: Array = means.numpy()
    return result


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
