from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    kuwahara,
    lines,
    skin,
    smear,
    smoothstep,
    worth,
)

_PAPER = np.array((0.855, 0.850, 0.835), np.float32)
_GRAPHITE = np.array((0.115, 0.115, 0.135), np.float32)


def sketch(picture: Array, guides: Array) -> Array:
    """Draw in pencil: contours, hatching in the half shadow, a second layer across it in the deep one, white lights.

    Each layer's strokes grow in weight with the shadow and none is switched on or off, so that hatching under a
    changing light fades in place of flickering.

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 4]: line map, hatching, hatching across it, grain of the paper (`vidstyle.guides`)
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    _, hatch, across, grain = np.moveaxis(guides, 2, 0)
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    tangent = brush_direction(luma, sigma=2.5)
    broad = smear(kuwahara(picture, radius=5), tangent, steps=3)
    careful = smear(kuwahara(picture, radius=2), tangent, steps=1)
    care = np.maximum(worth(careful - broad, 2.0, 0.008, 0.05), skin(picture))
    tone = cv2.cvtColor(broad + (careful - broad) * care[..., None], cv2.COLOR_RGB2GRAY)

    light = skin(picture)  # a light hand for faces: smudged tones in place of strokes
    half, deep, black = (
        1 - smoothstep(tone, low, high) for low, high in ((0.12, 0.76), (0.04, 0.42), (0.0, 0.22))
    )
    first = 0.33 * half * (1 - 0.5 * light) * _pencil(hatch)
    second = 0.30 * deep * (1 - 0.5 * light) * _pencil(across)
    smudge = (0.24 * half + 0.31 * deep + 0.30 * black) * (1 + 0.10 * grain)
    contour = lines(luma, tangent, 0.75, 0.007, 0.045)
    loose = lines(tone, tangent, 1.8, 0.008, 0.07)
    contour = np.clip(0.85 * contour + 0.35 * loose, 0, 0.9) * np.clip(0.93 + 0.16 * grain, 0, 1)

    left = (1 - first) * (1 - second) * (1 - np.clip(smudge, 0, 1)) * (1 - contour) * (1 - 0.012 * grain)
    return np.clip(_GRAPHITE + (_PAPER - _GRAPHITE) * left[..., None], 0, 1).astype(np.float32)


def _pencil(strokes: Array) -> Array:
    """How much graphite a layer of strokes leaves, 0 to 1."""
    return 0.5 + 0.5 * np.tanh(1.3 * strokes)
