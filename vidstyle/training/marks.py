"""The marks of a picture, octave by octave, and an oil painting whose marks are made as strong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vidstyle.training.teachers import Array

OCTAVES = 4
CALM = 0.3
"""Share of a picture that counts as its calm part."""
WINDOW = 17
"""Side, in pixels of the octave, of the windows in which it is calm or not."""
COHERENT = (0.35, 0.6)
"""Coherence of the slopes at which marks are dots, and at which they are strokes."""
GAINS = (0.7, 2.0)
"""By how much the marks of a painting may be weakened or strengthened: more shows every flaw and boils."""
LEAST = 1e-3
"""Added to strengths, of colours in [0, 1]: what is not there is not blown up."""
STROKES_STRENGTH = (0.29, 0.36, 0.36, 0.30)
"""Deviation of the stroke field in each octave (mean over eight Kodak photographs) ..."""
GRAIN_STRENGTH = (0.86, 0.36)
"""... and of the grain of paper, which has next to nothing in the coarser ones."""

_OPPONENT = np.array(((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5)), np.float32)
_BACK = np.linalg.inv(_OPPONENT).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Marks:
    """How strong the marks of a picture are; colours in [0, 1], octaves from the finest on."""

    strength: Array
    """[OCTAVES, 3]: deviation of luma, red against green, and yellow against blue."""
    calm: Array
    """[OCTAVES]: deviation of luma in the calm part of the picture."""
    direction: Array
    """[OCTAVES, 3]: the direction in RGB, of length 1, in which marks differ most."""
    along: Array
    """[OCTAVES]: 1 where they are strokes, 0 where they are dots."""


def octaves(picture: Array) -> tuple[list[Array], Array]:
    """A picture or planes [H, W, C] as its octaves, from the finest on, and what is left of it.

    The Laplacian pyramid of Burt and Adelson, 1983.
    """
    bands = []
    for _ in range(OCTAVES):
        smaller = np.atleast_3d(cv2.pyrDown(picture))
        bands.append(picture - _enlarged(smaller, picture))
        picture = smaller
    return bands, picture


def joined(bands: Sequence[Array], rest: Array) -> Array:
    """The picture that has these octaves."""
    for band in reversed(bands):
        rest = _enlarged(rest, band) + band
    return rest


def _enlarged(smaller: Array, like: Array) -> Array:
    return np.atleast_3d(cv2.pyrUp(smaller, dstsize=(like.shape[1], like.shape[0])))


def marks_of(picture: Array) -> Marks:
    """The marks of a picture, float32 [H, W, 3], RGB in [0, 1]."""
    strength, calm, direction, along = [], [], [], []
    bands, _ = octaves(picture)
    for band in bands:
        opponent = band @ _OPPONENT.T
        strength.append(np.sqrt(np.square(opponent).mean((0, 1))) + LEAST)
        local = cv2.blur(np.square(opponent[..., 0]), (WINDOW, WINDOW))
        calm.append(np.sqrt(np.quantile(local, CALM)))
        axis = np.linalg.eigh(np.cov(band.reshape(-1, 3).T))[1][:, -1]
        direction.append(axis * (1 if axis.sum() >= 0 else -1))
        along.append(np.clip((_coherence(picture) - COHERENT[0]) / (COHERENT[1] - COHERENT[0]), 0, 1))
        picture = cv2.pyrDown(picture)
    return Marks(*(np.array(values, np.float32) for values in (strength, calm, direction, along)))


def _coherence(picture: Array) -> float:
    """How far the slopes in a neighbourhood share a direction: 0 not at all, 1 in straight parallel marks."""
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    gx, gy = cv2.Sobel(luma, -1, 1, 0), cv2.Sobel(luma, -1, 0, 1)
    xx, yy, xy = (cv2.blur(product, (9, 9)) for product in (gx * gx, gy * gy, gx * gy))
    return float(np.sqrt(np.square(xx - yy) + 4 * xy * xy).sum() / ((xx + yy).sum() + 1e-9))


def mean_marks(several: Sequence[Marks]) -> Marks:
    """Their mean strengths; direction and shape are those of the first."""
    strength, calm = (np.mean([getattr(one, name) for one in several], 0) for name in ("strength", "calm"))
    return Marks(strength, calm, several[0].direction, several[0].along)


def given_marks(painting: Array, strokes: Array, grain: Array, wanted: Marks, usual: Marks) -> Array:
    """A painting whose marks are as strong as wanted, and whose calm parts are as lively.

    painting       float32 [H, W, 3], RGB in [0, 1]
    strokes, grain  float32 [H, W], deviation about 1: what its calm parts are filled with (`vidstyle.guides`)
    usual          marks of paintings of its kind. Not its own: a busy motif stays busier than a calm one
    """
    bands, rest = octaves(painting)
    fills = octaves(np.stack((strokes, grain), -1))[0]
    made = []
    for octave, (band, fill) in enumerate(zip(bands, fills, strict=True)):
        gain = np.clip(wanted.strength[octave] / usual.strength[octave], *GAINS)
        missing = wanted.calm[octave] ** 2 - (gain[0] * usual.calm[octave]) ** 2
        along = wanted.along[octave] if octave < len(GRAIN_STRENGTH) else 1.0
        texture = along / STROKES_STRENGTH[octave] * fill[..., 0]
        if along < 1:
            texture += (1 - along) / GRAIN_STRENGTH[octave] * fill[..., 1]
        marked = (band @ _OPPONENT.T * gain) @ _BACK.T
        marked += np.sqrt(max(0.0, missing)) * texture[..., None] * wanted.direction[octave]
        made.append(marked.astype(np.float32))
    return np.clip(joined(made, rest), 0, 1)
