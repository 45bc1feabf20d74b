"""What the painters share: filters that simplify, follow the forms, draw lines and mix colours."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""Always float32; OpenCV's own types do not say so."""

_SECTORS = 8


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
            total += sample(picture, at)
            there = sample(tangent, at, cv2.INTER_NEAREST)
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
    return sample(picture, (at + normal * amount[..., None]).astype(np.float32))


def wander(picture: Array, noise: Array, amount: Array) -> Array:
    """Move every pixel `amount` times the slope of smooth noise: edges end where the water stopped."""
    height, width = picture.shape[:2]
    at = np.dstack(np.meshgrid(np.arange(width), np.arange(height))).astype(np.float32)
    slope = np.dstack(
        (cv2.Scharr(noise, cv2.CV_32F, 1, 0, scale=1 / 32), cv2.Scharr(noise, cv2.CV_32F, 0, 1, scale=1 / 32))
    )
    return sample(picture, (at + amount[..., None] * slope).astype(np.float32))


def skin(picture: Array) -> Array:
    """How much the colour is that of human skin, 0 to 1 [H, W], smooth; a little more than half of it is hue alone."""
    total = picture.sum(2) + 1e-3
    red, green = picture[..., 0] / total, picture[..., 1] / total
    near = np.exp(-0.5 * (((red - 0.43) / 0.05) ** 2 + ((green - 0.315) / 0.016) ** 2))
    lit = smoothstep(total, 0.3, 0.8)
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


def muted(picture: Array, saturation: float | Array) -> Array:
    """Colours drawn towards the grey of the same luma; `saturation` is what they keep."""
    grey = cv2.cvtColor(picture.astype(np.float32), cv2.COLOR_RGB2GRAY)[..., None]
    kept: Array = grey + saturation * (picture - grey)
    return kept


def relief(field: Array) -> Array:
    """The paint's surface lit from the top left: slope of the field along that diagonal, deviation about 1."""
    return (cv2.Sobel(field, cv2.CV_32F, 1, 0, ksize=3) + cv2.Sobel(field, cv2.CV_32F, 0, 1, ksize=3)) / 4


def worth(lost: Array, sigma: float, low: float, high: float) -> Array:
    """How much lost detail [H, W, 3] is worth a finer brush, 0 to 1 [H, W]: less where everything around is as
    detailed (leaves, gravel), for there it is texture and no motif.
    """
    strength = np.abs(lost).max(2)
    near, around = cv2.GaussianBlur(strength, (0, 0), sigma), cv2.GaussianBlur(strength, (0, 0), 10 * sigma)
    return smoothstep(near - 0.5 * around, low, high)


def smoothstep(x: Array, low: float, high: float) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    smooth: Array = t * t * (3 - 2 * t)
    return smooth


def sample(picture: Array, at: Array, interpolation: int = cv2.INTER_LINEAR) -> Array:
    out: Array = cv2.remap(picture, at, None, interpolation, borderMode=cv2.BORDER_REFLECT)
    return out


def lines(luma: Array, tangent: Array, sigma: float, low: float, high: float) -> Array:
    """Ink lines along the dark side of edges, 0 (paper) to 1 (ink) [H, W].

    A difference of Gaussians averaged along the forms (flow-based DoG, Kang, Lee and Chui, 2007), so that lines hold
    together and specks vanish. Edges darker than their surroundings by `low` begin to show, by `high` are all ink.
    """
    dip = cv2.GaussianBlur(luma, (0, 0), 1.6 * sigma) - cv2.GaussianBlur(luma, (0, 0), sigma)
    return smoothstep(smear(dip, tangent, steps=4), low, high)


def flattened(picture: Array, tangent: Array, broad_steps: int, careful_steps: int) -> Array:
    """Flat areas [H, W, 3], with detail where it is a motif: Kuwahara filters, smeared some steps along the forms."""
    broad = smear(kuwahara(kuwahara(picture, radius=5), radius=4), tangent, broad_steps)
    careful = smear(kuwahara(picture, radius=2), tangent, careful_steps)
    return broad + (careful - broad) * worth(careful - broad, 2.0, 0.008, 0.05)[..., None]


def outlined(
    painted: Array,
    picture: Array,
    tangent: Array,
    ink: Array,
    pens: tuple[tuple[float, float, float, float], ...],
    crowd: float,
) -> Array:
    """Draws the lines of the picture on the painted one, both [H, W, 3], in a colour [3]; with a light hand on skin.

    pens   width (sigma in pixels), where edges begin to show and are all ink (see `lines`), opacity
    crowd  ink around at which lines have half their weight: few where all is line (leaves, gravel)
    """
    quiet = cv2.cvtColor(cv2.bilateralFilter(picture, 7, 0.10, 3), cv2.COLOR_RGB2GRAY)
    light = 1 - 0.35 * skin(picture)
    for width, low, high, opacity in pens:
        drawn = lines(quiet, tangent, width, low, high)
        busy = cv2.GaussianBlur(drawn, (0, 0), 10)
        drawn *= opacity * light / (1 + (busy / crowd) ** 2)
        painted = painted + (ink - painted) * drawn[..., None]
    return painted


def soft_steps(tone: Array, steps: int, hardness: float) -> Array:
    """Tones [0, 1] drawn towards the middles of `steps` equal bands; monotonous, harder where `hardness` is larger."""
    scaled = tone * steps
    nearest = np.floor(scaled)
    within = scaled - nearest - 0.5
    return ((nearest + 0.5 + 0.5 * np.tanh(hardness * within) / np.tanh(0.5 * hardness)) / steps).astype(
        np.float32
    )
