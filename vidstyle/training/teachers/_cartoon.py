from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    flattened,
    outlined,
    smoothstep,
    soft_steps,
)

_INK = np.array((0.10, 0.07, 0.12), np.float32)
"""Lines are a warm near-black."""
_BLACK = np.array((0.020, 0.045, 0.085), np.float32)
_WHITE = np.array((0.940, 0.945, 0.960), np.float32)
"""What black and white are printed as: no painted cel is darker or lighter."""


def cartoon(picture: Array, guides: Array) -> Array:
    """Draw a cel: flat lively colours in soft steps of tone, dark outlines, bold around things.

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 1]: the line map, which only the generator needs
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    tangent = brush_direction(luma, sigma=2.5)
    flat = flattened(picture, tangent, broad_steps=3, careful_steps=1)

    lab = cv2.cvtColor(flat, cv2.COLOR_RGB2LAB)
    tone = np.clip(lab[..., 0] / 100, 0, 0.999)
    lab[..., 0] = 100 * _lifted(soft_steps(tone, 6, 5.0))
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    lab[..., 1:] *= (1 + 0.9 * np.exp(-chroma / 50) * smoothstep(chroma, 2, 14))[..., None]
    cel = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)

    # A fine pen for the drawing, broader ones for the contours of things.
    pens = ((0.75, 0.007, 0.03, 0.92), (1.5, 0.02, 0.07, 0.85), (2.2, 0.016, 0.045, 0.92))
    cel = outlined(cel, picture, tangent, _INK, pens, crowd=0.16)
    cel = np.clip(cel, 0, 1) ** 0.88
    return np.clip(_BLACK + (_WHITE - _BLACK) * cel, 0, 1).astype(np.float32)


def _lifted(tone: Array) -> Array:
    """Brighter middle tones; black and white stay."""
    return tone + 0.36 * tone * (1 - tone)
