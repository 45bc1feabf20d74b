from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    kuwahara,
    lines,
    relief,
    skin,
    smear,
    smoothstep,
    vivid,
    wander,
    worth,
)

_PAPER = np.array((0.955, 0.920, 0.845), np.float32)
_SHADOW = np.array((1.06, 1.0, 0.88), np.float32)
"""Dark washes are mixed from blue: no black in the box."""
_PENCIL = np.array((0.30, 0.27, 0.28), np.float32)


def watercolor(picture: Array, guides: Array) -> Array:
    """Paint in watercolor: light washes on grained paper, pigment pooled where a wash ends, a faint pencil drawing.

    A wash takes light away: all paint is optical density, -log of what the paper still reflects, so more pigment makes
    a colour deeper and never grey (after Bousseau, Kaplan, Thollot and Sillion, 2006).

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 3]: line map, grain of the paper, blotches (`vidstyle.guides`)
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    _, grain, blotches = np.moveaxis(guides, 2, 0)
    tangent = brush_direction(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), sigma=3.0)
    broad = smear(kuwahara(kuwahara(picture, radius=5), radius=4), tangent, steps=3)
    careful = smear(kuwahara(picture, radius=2), tangent, steps=1)
    care = worth(careful - broad, 2.0, 0.008, 0.05)
    care = np.maximum(care, 0.7 * skin(picture))
    washes = broad + (careful - broad) * care[..., None]
    # Eyes and letters are drawn in with the tip of the brush.
    tip = worth(picture - careful, 1.5, 0.010, 0.05)
    washes = washes + 0.8 * tip[..., None] * (picture - careful)
    # Washes wander over their borders, less where care was taken.
    wet = 1 - care
    washes = wander(washes, blotches, 6 + 18 * wet)

    density = -np.log(_lightened(vivid(washes, saturation=1.25, contrast=0.0))) * _SHADOW
    density = np.maximum(0, density + 0.10 * (density - density.mean(2, keepdims=True)))
    # Water carries pigment to the rim of a wash: a fine line and a soft shade on its dark side.
    depth = density.mean(2)
    rim = lines(np.exp(-depth), tangent, 1.1, 0.006, 0.06)
    shade = np.clip(depth - cv2.GaussianBlur(depth, (0, 0), 5.0), 0, 0.4)
    # A second wash ends where the blotches change sign, with a tide mark along its border.
    second = np.tanh(4 * blotches)
    tide = np.exp(-((blotches - 0.12) ** 2) / 0.008)
    pooled = 0.35 * (1 - 0.4 * care) * rim + 0.7 * shade
    layered = wet * (0.05 * second + 0.05 * blotches + 0.12 * tide)
    amount = pooled + layered + 0.065 * grain
    painted = np.exp(-density * (1 + amount)[..., None]) * _PAPER

    pencil = 0.5 * lines(cv2.cvtColor(careful, cv2.COLOR_RGB2GRAY), tangent, 0.7, 0.012, 0.05)
    pencil *= np.clip(0.9 + 0.35 * grain, 0, 1)
    painted += (_PENCIL * painted - painted) * pencil[..., None]
    painted *= (1 + 0.007 * relief(grain))[..., None]
    return np.clip(painted, 0, 1).astype(np.float32)


def _lightened(picture: Array) -> Array:
    """High-key tones: darks become middle tones, lights become bare paper."""
    tone = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    light = 0.18 + 0.82 * picture**0.75
    bare = smoothstep(tone, 0.58, 0.93)
    return np.clip(light + (1 - light) * 0.8 * bare, 0.02, 1)
