"""Procedural painters: slow, exact and without weights. A generator learns a style by copying one.

A teacher gets a picture and its stroke field, both as arrays, so that what it paints depends on nothing that the
generator does not see as well.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Always float32; OpenCV's own types do not say so."""

_SECTORS = 8
_MARK = np.array((0.046, 0.036, 0.022), np.float32)
"""What a brush mark adds to R, G, B: thick paint is lighter and a little warmer."""


def oil(picture: Array, field: Array) -> Array:
    """Paint in oil: flattened patches dragged along the forms, bristle marks, relief lit from the top left.

    picture  float32 [H, W, 3], RGB in [0, 1]
    field    float32 [H, W], the stroke field of the picture (`vidstyle.guides`)
    returns  float32 [H, W, 3], RGB in [0, 1]
    """
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    tangent = brush_direction(luma)
    broad = smear(kuwahara(picture, radius=5), tangent, steps=5)
    # A second pass with a small brush where the broad one lost too much of the motif: eyes, hands, letters
    # (Hertzmann, 1998). Marks are fainter there, as a careful painter's are.
    careful = smear(kuwahara(picture, radius=2), tangent, steps=1)
    # A face is painted with the small brush as a whole.
    care = np.maximum(_worth(careful - broad, 2.0, 0.004, 0.03), skin(picture))
    patches = broad + (careful - broad) * care[..., None]
    # And a few strokes as fine as the motif itself where even the small brush blurred an eye or a letter.
    touch = _worth(picture - careful, 1.5, 0.008, 0.05)
    patches = patches + 0.75 * touch[..., None] * (picture - careful)
    bold = 1 - 0.6 * care
    patches = ragged(patches, tangent, 1.2 * bold * field)
    patches = vivid(patches, saturation=1.4, contrast=0.35)
    tone = cv2.cvtColor(patches, cv2.COLOR_RGB2GRAY)
    # Paint shows its surface in the light; black stays black.
    light = (0.45 + 0.45 * tone) * np.minimum(1, 6 * tone) * bold
    painted = patches + (light * field)[..., None] * _MARK + (0.042 * light * relief(field))[..., None]
    return np.clip(painted, 0, 1).astype(np.float32)


def brush_direction(luma: Array, sigma: float = 4.0) -> Array:
    """Unit vectors along the edges, float32 [H, W, 2]: small eigenvector of the smoothed structure tensor.

    In flat areas the tensor of five times that width decides.
    """
    gx, gy = (
        cv2.Scharr(luma, cv2.CV_32F, 1, 0, scale=1 / 32),
        cv2.Scharr(luma, cv2.CV_32F, 0, 1, scale=1 / 32),
    )
    tensor = cv2.GaussianBlur(np.dstack((gx * gx, gy * gy, gx * gy)), (0, 0), sigma)
    wide = cv2.GaussianBlur(tensor, (0, 0), 5 * sigma)
    energy = tensor[..., :1] + tensor[..., 1:2]
    tensor = wide + (tensor - wide) * energy / (energy + 2e-4)
    angle = 0.5 * np.arctan2(2 * tensor[..., 2], tensor[..., 0] - tensor[..., 1]) + np.pi / 2
    return np.dstack((np.cos(angle), np.sin(angle))).astype(np.float32)


def kuwahara(picture: Array, radius: int, sharpness: float = 8.0) -> Array:
    """Generalised Kuwahara filter (Papari, Petkov and Campisi, 2007): eight soft sectors, the calmest ones win."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1].astype(np.float32)
    distance, bearing = np.hypot(x, y), np.arctan2(y, x)
    disc = np.exp(-2 * (distance / radius) ** 2) * (distance <= radius + 0.5)
    total, weights = np.zeros_like(picture), np.zeros((*picture.shape[:2], 1), np.float32)
    squares = picture * picture
    for sector in range(_SECTORS):
        off = np.angle(np.exp(1j * (bearing - 2 * np.pi * sector / _SECTORS)))
        kernel = (disc * np.exp(-0.7 * (off * _SECTORS / np.pi) ** 2)).astype(np.float32)
        kernel /= kernel.sum()
        mean = cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT)
        variance = cv2.filter2D(squares, -1, kernel, borderType=cv2.BORDER_REFLECT) - mean * mean
        deviation = np.sqrt(np.maximum(variance.sum(2, keepdims=True), 1e-8))
        weight = 1 / (1 + (25 * deviation) ** sharpness)
        total += weight * mean
        weights += weight
    return total / weights


def smear(picture: Array, tangent: Array, steps: int) -> Array:
    """Average along the brush direction, `steps` pixels each way: a line integral convolution of the picture."""
    height, width = picture.shape[:2]
    start = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    total = picture.copy()
    for sense in (1, -1):
        at, step = start.copy(), tangent * np.float32(sense)
        for _ in range(steps):
            at += step
            total += _sample(picture, at)
            there = _sample(tangent, at, cv2.INTER_NEAREST)
            along = (there * step).sum(2, keepdims=True)
            step = np.where(along < 0, -there, there)
    return total / (2 * steps + 1)


def ragged(picture: Array, tangent: Array, amount: Array) -> Array:
    """Move every pixel `amount` pixels across the brush direction: edges end in bristles."""
    height, width = picture.shape[:2]
    at = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    normal = np.dstack((-tangent[..., 1], tangent[..., 0]))
    # A direction and its opposite are the same stroke: choose the one that points down, so that the sense is steady.
    normal = normal * np.where(normal[..., 1:] < 0, -1, 1)
    return _sample(picture, (at + normal * amount[..., None]).astype(np.float32))


def skin(picture: Array) -> Array:
    """How much the colour is that of human skin, 0 to 1 [H, W], smooth; a little more than half of it is hue alone."""
    total = picture.sum(2) + 1e-3
    red, green = picture[..., 0] / total, picture[..., 1] / total
    near = np.exp(-0.5 * (((red - 0.43) / 0.05) ** 2 + ((green - 0.315) / 0.016) ** 2))
    lit = _smoothstep(total, 0.3, 0.8)
    return cv2.GaussianBlur((near * lit).astype(np.float32), (0, 0), 2.0)


def vivid(picture: Array, saturation: float, contrast: float) -> Array:
    """Livelier colours and tones that do not clip.

    Pale colours gain up to `saturation`, strong ones less; the tone curve is steeper by `contrast` in the middle and
    keeps black and white.
    """
    grey = picture.mean(2, keepdims=True)
    chroma = picture - grey
    strength = np.abs(chroma).max(2, keepdims=True)
    strong = np.clip(grey + chroma * (1 + (saturation - 1) * np.exp(-3 * strength)), 0, 1)
    curve = strong * strong * (3 - 2 * strong)
    vivid: Array = strong + contrast * (curve - strong)
    return vivid


def relief(field: Array) -> Array:
    """The paint's surface lit from the top left: slope of the field along that diagonal, deviation about 1."""
    return (cv2.Sobel(field, cv2.CV_32F, 1, 0, ksize=3) + cv2.Sobel(field, cv2.CV_32F, 0, 1, ksize=3)) / 4


def _worth(lost: Array, sigma: float, low: float, high: float) -> Array:
    """How much lost detail [H, W, 3] is worth a finer brush, 0 to 1 [H, W]: less where everything around is as
    detailed (leaves, gravel), for there it is texture and no motif.
    """
    strength = np.abs(lost).max(2)
    near, around = cv2.GaussianBlur(strength, (0, 0), sigma), cv2.GaussianBlur(strength, (0, 0), 10 * sigma)
    return _smoothstep(near - 0.5 * around, low, high)


def _smoothstep(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    smooth: Array = t * t * (3 - 2 * t)
    return smooth


def _sample(picture: Array, at: Array, interpolation: int = cv2.INTER_LINEAR) -> Array:
    out: Array = cv2.remap(picture, at, None, interpolation, borderMode=cv2.BORDER_REFLECT)
    return out
