from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    flattened,
    outlined,
    relief,
    smoothstep,
)

_PAPER = np.array((0.945, 0.885, 0.755), np.float32)
_KEY = np.array((0.085, 0.095, 0.165), np.float32)
"""Of the key block: ink with a little indigo."""
_PIGMENTS = np.array(
    (
        _PAPER,
        (0.985, 0.935, 0.830),  # gofun, shell white
        (0.790, 0.730, 0.630),  # grey of thin ink
        (0.480, 0.460, 0.430),
        (0.110, 0.130, 0.210),  # ink
        (0.050, 0.110, 0.330),  # Prussian blue, deep ...
        (0.130, 0.270, 0.500),
        (0.350, 0.540, 0.640),  # ... and thin
        (0.620, 0.740, 0.730),
        (0.150, 0.290, 0.250),  # greens of indigo and orpiment
        (0.390, 0.510, 0.300),
        (0.640, 0.660, 0.370),
        (0.930, 0.780, 0.340),  # orpiment
        (0.800, 0.560, 0.240),
        (0.930, 0.690, 0.500),  # thin red lead
        (0.830, 0.440, 0.280),
        (0.660, 0.210, 0.160),  # vermilion
        (0.340, 0.180, 0.140),  # bengara, iron red
        (0.470, 0.370, 0.470),  # safflower over blue
    ),
    np.float32,
)
"""What the blocks are printed with, RGB in [0, 1]."""
_REACH = 9.0
"""How far, in Lab units, a colour may lie between two pigments before it is drawn to one."""


def ukiyoe(picture: Array, guides: Array) -> Array:
    """Print from woodblocks: flat areas of a few pigments on cream paper, even dark lines, grain of the wood.

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 2]: line map, grain of the paper (`vidstyle.guides`)
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    grain = guides[..., 1]
    tangent = brush_direction(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), sigma=2.5)
    flat = flattened(picture, tangent, broad_steps=4, careful_steps=2)
    printed = _pigments(flat)
    # Where ink lies thick the wood shows, and in the lights the fibres of the paper.
    depth = 1 - cv2.cvtColor(printed, cv2.COLOR_RGB2GRAY)
    printed = printed + (_PAPER - printed) * (0.05 + 0.035 * depth * grain)[..., None]

    pens = ((0.8, 0.007, 0.026, 0.95), (1.5, 0.018, 0.06, 0.9))
    printed = outlined(printed, picture, tangent, _KEY, pens, crowd=0.2)
    return np.clip(printed * (1 + 0.009 * relief(grain))[..., None], 0, 1).astype(np.float32)


def _pigments(picture: Array) -> Array:
    """Every colour drawn to the pigments near it in Lab, when black is made lighter and pale colours stronger."""
    lab = cv2.cvtColor(np.clip(picture, 0, 1), cv2.COLOR_RGB2LAB)
    lab[..., 0] = 12 + 0.86 * lab[..., 0] + 10 * smoothstep(lab[..., 0], 35, 80)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    # Shadows without colour are printed blue.
    lab[..., 2] -= 18 * (1 - smoothstep(lab[..., 0], 18, 55)) * np.exp(-chroma / 25)
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    lab[..., 1:] *= (1 + 0.9 * np.exp(-chroma / 40) * smoothstep(chroma, 3, 14))[..., None]
    pigments = cv2.cvtColor(_PIGMENTS[None], cv2.COLOR_RGB2LAB)[0]
    weights = np.stack(
        [
            np.exp(-0.5 * ((lab - pigment) ** 2 @ np.array((0.7, 1, 1), np.float32)) / _REACH**2)
            for pigment in pigments
        ],
        2,
    )
    weights /= weights.sum(2, keepdims=True) + 1e-6
    found: Array = weights @ _PIGMENTS
    return found.astype(np.float32)
