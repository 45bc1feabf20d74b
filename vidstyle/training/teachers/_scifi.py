from __future__ import annotations

import cv2
import numpy as np

from vidstyle.training.teachers.tools import (
    Array,
    brush_direction,
    kuwahara,
    lines,
    muted,
    skin,
    smear,
    smoothstep,
    worth,
)

_STOPS = (0.0, 0.22, 0.45, 0.68, 0.88, 1.0)
_NIGHT = np.array(
    (
        (0.012, 0.016, 0.050),
        (0.150, 0.045, 0.300),
        (0.070, 0.225, 0.500),
        (0.120, 0.560, 0.680),
        (0.560, 0.900, 0.940),
        (0.960, 1.000, 1.000),
    ),
    np.float32,
)
"""Cold colours by tone, RGB: midnight blue, violet, blue, cyan, white: two colours of light even in grey films."""
_NEON = np.array(
    (
        (0.022, 0.010, 0.045),
        (0.150, 0.025, 0.185),
        (0.430, 0.060, 0.360),
        (0.830, 0.230, 0.520),
        (1.000, 0.640, 0.740),
        (1.000, 0.960, 0.980),
    ),
    np.float32,
)
"""Warm colours by tone, RGB: violet, magenta, pink, white."""
_GLOW = np.array((0.15, 0.75, 1.0), np.float32)
_HOT = np.array((1.0, 0.25, 0.75), np.float32)
_AIR = np.array((0.72, 0.14, 0.95), np.float32)


def scifi(picture: Array, guides: Array) -> Array:
    """Light the scene as a city of the future by night: blue shadows, cyan and magenta light, contours that glow.

    Tones keep their order, so faces stay faces.

    picture  float32 [H, W, 3], RGB in [0, 1]
    guides   float32 [H, W, 1]: the line map, which only the generator needs
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    smooth = kuwahara(picture, radius=3)
    touch = worth(picture - smooth, 1.5, 0.008, 0.05)
    smooth += (0.3 + 0.65 * touch)[..., None] * (picture - smooth)
    luma = cv2.cvtColor(smooth, cv2.COLOR_RGB2GRAY)
    # Night: middle tones sink, lights stay.
    face = skin(picture)
    tone = 0.46 * luma + 0.50 * luma**2 * (3 - 2 * luma) + 0.5 * face * luma * (1 - luma)
    night, neon = _ramp(tone, _NIGHT), _ramp(tone, _NEON)
    warmth = smooth[..., 0] - 0.5 * smooth[..., 1] - 0.5 * smooth[..., 2]
    warm = smoothstep(warmth, 0.02, 0.22)
    lit = night + (neon - night) * warm[..., None]
    # The night itself is dim and nearly grey: colour is for warm things and, pure, for the tubes.
    lit = 0.72 * muted(lit, (0.37 + 0.23 * warm)[..., None])

    tangent = brush_direction(luma, sigma=2.0)
    contour = smear(_slope(luma), tangent, steps=5)
    contour = smoothstep(contour, 0.04, 0.22) * (1 - 0.65 * face)
    # Leaves and gravel do not glow, or everything would.
    contour /= 1 + (cv2.GaussianBlur(contour, (0, 0), 12) / 0.30) ** 2
    colour = _GLOW + (_HOT - _GLOW) * cv2.GaussianBlur(warm, (0, 0), 6)[..., None]
    tube = 0.55 * contour + 0.55 * cv2.GaussianBlur(contour, (0, 0), 2.5)
    # Around cyan tubes the air is violet: two colours of light even where the film has none.
    air = 0.4 * cv2.GaussianBlur(contour, (0, 0), 8)
    # Thin dark things, letters above all, stay dark within the glow.
    thin = lines(luma, tangent, 1.0, 0.008, 0.04)
    shown = 0.78 * (1 - 0.5 * tone) * (1 - 0.95 * thin)
    lit = lit + shown[..., None] * (colour * tube[..., None] + _AIR * air[..., None])
    # Bright light spills over.
    spill = cv2.GaussianBlur(np.clip(lit - 0.55, 0, 1), (0, 0), 7)
    return np.clip(lit + 0.4 * spill, 0, 1).astype(np.float32)


def _ramp(tone: Array, colours: Array) -> Array:
    return np.dstack([np.interp(tone, _STOPS, channel) for channel in colours.T]).astype(np.float32)


def _slope(luma: Array) -> Array:
    return np.hypot(
        cv2.Scharr(luma, cv2.CV_32F, 1, 0, scale=1 / 16), cv2.Scharr(luma, cv2.CV_32F, 0, 1, scale=1 / 16)
    )
