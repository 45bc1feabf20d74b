"""The marks of a picture, octave by octave; how lively a film is; a painting that is given marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OCTAVES = 4
CALM = 0.3
"""Share of a picture that counts as its calm part."""
WINDOW = 17
"""Side, in pixels of the octave, of the windows in which it is calm or not."""
LARGEST = 1600
"""Of larger pictures only the middle, with so many pixels a side, is looked at: memory is bounded."""
COHERENT = (0.35, 0.6)
"""Coherence of the slopes at which marks are dots, and at which they are strokes."""
GAINS = (0.4, 2.0)
"""By how much the marks of a painting may be weakened or strengthened: more shows every flaw and boils."""
LEAST = 2e-3
"""Added to strengths, of colours in [0, 1]: what is not there is not blown up."""
FILL = (0.8, 0.8, 0.5, 0.3)
"""Share, in each octave, of the calm parts' missing liveliness that is filled in: broad fill looks like other forms."""
STROKES_STRENGTH = (0.29, 0.36, 0.36, 0.30)
"""Deviation of the stroke field in each octave (mean over eight Kodak photographs) ..."""
GRAIN_STRENGTH = (0.86, 0.36)
"""... and of the grain of paper, which has next to nothing in the coarser ones."""

OPPONENT = np.array(((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5)), np.float32)
"""Luma, red against green, yellow against blue, from RGB."""
_BACK = np.linalg.inv(OPPONENT).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong marks are; colours in [0, 1], octaves from the finest on."""

    overall: Array
    """[OCTAVES, 3]: deviation of luma and of the two colour differences."""
    calm: Array
    """[OCTAVES]: deviation of luma in the calm part of the picture."""

    @property
    def facts(self) -> Array:
        """What a network is told of a film: float32 [2 * OCTAVES]."""
        return np.log(np.concatenate((self.overall[:, 0], self.calm))).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks of a picture."""

    strength: Strength
    direction: Array
    """[OCTAVES, 3]: the direction in RGB, of length 1, in which they differ most."""
    along: Array
    """[OCTAVES]: 1 where they are strokes, 0 where they are dots."""


@dataclass(frozen=True, slots=True)
class Liveliness:
    """How lively pictures are, before they are given other colours."""

    covariance: Array
    """[OCTAVES, 3, 3]: of RGB."""
    calm: Array
    """[OCTAVES]: share of luma's deviation that the calm part has."""

    def in_colours(self, matrix: Array) -> Strength:
        """The strength of what a linear map of colours [3, 3] makes of them."""
        rows = OPPONENT @ matrix
        variance = np.einsum("ij,ojk,ik->oi", rows, self.covariance, rows)
        overall = np.sqrt(np.maximum(variance, 0)) + LEAST
        return Strength(overall, self.calm * overall[:, 0] + LEAST)


def octaves(picture: Array) -> tuple[list[Array], Array]:
    """A picture or planes [H, W, C] as its octaves, from the finest on, and what is left of it.

    The Laplacian pyramid of Burt and Adelson, 1983.
    """
    bands = []
    for _ in range(OCTAVES):
        smaller = _planes(cv2.pyrDown(picture))
        bands.append(picture - _enlarged(smaller, picture))
        picture = smaller
    return bands, picture


def joined(bands: Sequence[Array], rest: Array) -> Array:
    """The picture that has these octaves."""
    for band in reversed(bands):
        rest = _enlarged(rest, band) + band
    return rest


def _enlarged(smaller: Array, like: Array) -> Array:
    return _planes(cv2.pyrUp(smaller, dstsize=(like.shape[1], like.shape[0])))


def _planes(picture: Array) -> Array:
    """OpenCV drops the last axis of a single plane."""
    return np.atleast_3d(picture)


def liveliness_of(pictures: Iterable[Array]) -> Liveliness:
    """How lively pictures uint8 [H, W, 3], RGB, are on the mean."""
    covariances, calm = [], []
    for picture in pictures:
        bands, _ = octaves(_middle(picture).astype(np.float32) / 255)
        covariances.append([_covariance(band) for band in bands])
        calm.append([_calm(band) / (_deviation(band) + LEAST) for band in bands])
    return Liveliness(np.mean(covariances, 0), np.mean(calm, 0))


def _middle(picture: Array) -> Array:
    top, left = (max(0, (side - LARGEST) // 2) for side in picture.shape[:2])
    return picture[top : top + LARGEST, left : left + LARGEST]


def marks_of(picture: Array) -> Marks:
    """The marks of a picture uint8 [H, W, 3], RGB."""
    direction, along = [], []
    smaller = picture.astype(np.float32) / 255
    lively = liveliness_of([picture])
    for covariance in lively.covariance:
        axis = np.linalg.eigh(covariance)[1][:, -1]
        direction.append(axis * (1 if axis.sum() >= 0 else -1))
        along.append(np.clip((_coherence(smaller) - COHERENT[0]) / (COHERENT[1] - COHERENT[0]), 0, 1))
        smaller = cv2.pyrDown(smaller)
    return Marks(lively.in_colours(np.eye(3)), np.array(direction, np.float32), np.array(along, np.float32))


def _covariance(band: Array) -> Array:
    columns = band.reshape(-1, 3)
    return (columns.T @ columns) / len(columns)


def _deviation(band: Array) -> float:
    return float(np.sqrt(OPPONENT[0] @ _covariance(band) @ OPPONENT[0]))


def _calm(band: Array) -> float:
    local = cv2.blur(np.square(band @ OPPONENT[0]), (WINDOW, WINDOW))
    return float(np.sqrt(max(0.0, np.quantile(local[::4, ::4], CALM))))


def _coherence(picture: Array) -> float:
    """How far the slopes in a neighbourhood share a direction: 0 not at all, 1 in straight parallel marks."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gx, gy = cv2.Sobel(luma, -1, 1, 0), cv2.Sobel(luma, -1, 0, 1)
    xx, yy, xy = (cv2.blur(product, (9, 9)) for product in (gx * gx, gy * gy, gx * gy))
    return float(np.sqrt(np.square(xx - yy) + 4 * xy * xy).sum() / ((xx + yy).sum() + 1e-9))


def given_marks(painting: Array, strokes: Array, grain: Array, wanted: Marks, own: Strength) -> Array:
    """A painting, or a part of it, with marks as strong as wanted and calm parts as lively.

    painting        float32 [H, W, 3], RGB in [0, 1]
    strokes, grain  float32 [H, W], deviation about 1: what its calm parts are filled with (`vidstyle.guides`)
    own             strength of the whole painting's marks
    """
    bands, rest = octaves(painting)
    fills = octaves(np.stack((strokes, grain), -1))[0]
    strength = wanted.strength
    made = []
    for octave, (band, fill) in enumerate(zip(bands, fills, strict=True)):
        gain = np.clip(strength.overall[octave] / own.overall[octave], *GAINS)
        missing = strength.calm[octave] ** 2 - (gain[0] * own.calm[octave]) ** 2
        along = wanted.along[octave] if octave < len(GRAIN_STRENGTH) else 1.0
        texture = along / STROKES_STRENGTH[octave] * fill[..., 0]
        if along < 1:
            texture += (1 - along) / GRAIN_STRENGTH[octave] * fill[..., 1]
        marked = (band @ OPPONENT.T * gain) @ _BACK.T
        marked += FILL[octave] * np.sqrt(max(0.0, missing)) * texture[..., None] * wanted.direction[octave]
        made.append(marked.astype(np.float32))
    return np.clip(joined(made, rest), 0, 1)
