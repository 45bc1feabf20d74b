"""Pictures to learn on where the user names none: dead leaves, which have the statistics of photographs."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

LEAVES = 140
SMALLEST, LARGEST = 4.0, 130.0
"""Radii of leaves, pixels."""

Array = NDArray[np.float32]


def dead_leaves(side: int, random: np.random.Generator) -> NDArray[np.uint8]:
    """Shapes of all sizes that cover each other (Lee, Mumford and Huang, 2001), shaded, some textured, slightly soft.

    uint8 [side, side, 3] RGB.
    """
    tones = random.uniform(0.05, 0.95, (8, 1))
    palette = np.clip(tones + random.normal(0, 0.12, (8, 3)), 0, 1)
    canvas = _shaded((side, side), palette[0], random)
    radii = np.exp(random.uniform(np.log(SMALLEST), np.log(LARGEST), LEAVES))
    for radius in np.sort(radii)[::-1]:
        _drop(canvas, float(radius), palette[random.integers(len(palette))], random)
    canvas = cv2.GaussianBlur(canvas, (0, 0), random.uniform(0.5, 1.0))
    return np.clip(255 * canvas + random.normal(0, 1, canvas.shape), 0, 255).astype(np.uint8)


def _drop(canvas: Array, radius: float, colour: NDArray[np.float64], random: np.random.Generator) -> None:
    """An ellipse or a polygon somewhere on the canvas [H, W, 3], in place."""
    reach = int(radius) + 2
    x, y = (int(v) for v in random.integers(0, canvas.shape[0], 2))
    window = canvas[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    corner = np.array((max(0, x - reach), max(0, y - reach)))
    if random.random() < 0.4:
        angles = np.sort(random.uniform(0, 2 * np.pi, int(random.integers(3, 8))))
    else:
        angles = np.linspace(0, 2 * np.pi, 48)
    points = np.stack((np.cos(angles), np.sin(angles) * random.uniform(0.35, 1))) * radius
    turn = random.uniform(0, 2 * np.pi)
    rotation = np.array(((np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))))
    outline = np.round((rotation @ points).T - corner + np.array((x, y))).astype(np.int32)
    mask = np.zeros(window.shape[:2], np.uint8)
    cv2.fillPoly(mask, [outline], 255, lineType=cv2.LINE_AA)
    cover = (mask.astype(np.float32) / 255)[..., None]
    window += cover * (_shaded(mask.shape, colour + random.normal(0, 0.04, 3), random) - window)


def _shaded(size: tuple[int, ...], colour: NDArray[np.float64], random: np.random.Generator) -> Array:
    """The colour with light from one side, on some shapes with fine texture: float32 [H, W, 3]."""
    height, width = size
    across, down = random.normal(0, 0.25, 2)
    light = 1 + across * np.linspace(-0.5, 0.5, width) + down * np.linspace(-0.5, 0.5, height)[:, None]
    if random.random() < 0.4:
        grain = random.normal(0, 1, size).astype(np.float32)
        grain = cv2.GaussianBlur(grain, (0, 0), random.uniform(0.7, 2.5))
        light = light + 0.08 * grain / (grain.std() + 1e-6)
    return np.asarray(light[..., None] * colour, np.float32)
