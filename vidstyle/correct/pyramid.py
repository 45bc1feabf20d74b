"""Laplacian pyramids (Burt and Adelson 1983, "The Laplacian pyramid as a compact image code") of differences."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

SMALLEST = 8
"""Pixels of the shorter side that the coarsest level has at least."""
SURROUNDINGS = 2.0
"""Pixels of a level over which its energy is averaged (a deviation) ..."""
FINE_SURROUNDINGS = 4.0
"""... and pixels of the picture, at least: fewer of the finest level would tell chance from rule less well."""
OPPONENT = np.array(
    [np.array(row) / np.linalg.norm(row) for row in ((1, 1, 1), (1, 0, -1), (1, -2, 1))], np.float32
)
"""Brightness and two colours. Orthonormal: squared errors are those in RGB."""


def pyramid(difference: Array) -> list[Array]:
    """Levels [h, w, 3], in opponent colours, of a difference [H, W, 3] in RGB; finest first, last the coarse rest."""
    levels = []
    here = cv2.transform(difference, OPPONENT)
    while min(here.shape[:2]) >= 2 * SMALLEST:
        coarser = cv2.pyrDown(here)
        levels.append(here - cv2.pyrUp(coarser, dstsize=(here.shape[1], here.shape[0])))
        here = coarser
    return [*levels, here]


def collapse(levels: list[Array]) -> Array:
    """The difference [H, W, 3] in RGB of which `pyramid` makes these levels."""
    here = levels[-1]
    for level in reversed(levels[:-1]):
        here = level + cv2.pyrUp(here, dstsize=(level.shape[1], level.shape[0]))
    return cv2.transform(here, OPPONENT.T)


def energies(levels: list[Array]) -> list[Array]:
    """Squared values of each level [h, w, 3], averaged over their surroundings."""
    return [
        cv2.GaussianBlur(
            level * level, (0, 0), max(SURROUNDINGS, FINE_SURROUNDINGS / 2**i), borderType=cv2.BORDER_REFLECT
        )
        for i, level in enumerate(levels)
    ]
