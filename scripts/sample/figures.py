"""Sprites of what lives in the scenes: trees, houses, people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sample.paint import Array, Canvas, color, mix

SUN = (-0.61, 0.69, -0.39)
"""Direction to the sun over the valley."""


def tree(rng: np.random.Generator, leaves: tuple[Array, Array]) -> Array:
    """A tree, 6 x 7.5 m at 40 pixels per metre: a trunk under some thousand leaves, lit from the sun's side."""
    canvas = Canvas(6, 7.5, 40, SUN)
    bark = color("#5b4636")
    canvas.limb((0, 0), (0.1, 3.2), 0.28, 0.16, bark)
    for side in (-1.3, -0.6, 0.8, 1.4):
        canvas.limb((0.05, 2.0 + rng.random()), (side, 4.2), 0.12, 0.05, bark)
    crowns = []
    for turn in np.linspace(0, 2 * np.pi, 11, endpoint=False) + rng.uniform(0, 1):
        out = rng.uniform(0.75, 1.25)
        crowns.append((1.55 * out * math.cos(turn), 4.55 + 1.35 * out * math.sin(turn), rng.normal(0, 0.7)))
    crowns += [(rng.normal(0, 0.5), 4.7 + rng.normal(0, 0.5), rng.normal(0, 0.8) - 0.3) for _ in range(5)]
    picture = canvas.pixels
    leaf_list = []
    for cx, cy, cz in crowns:
        radius = rng.uniform(0.55, 0.95)
        for direction in rng.standard_normal((210, 3)):
            n = direction / np.linalg.norm(direction)
            x, y, z = np.array((cx, cy, cz)) + radius * rng.uniform(0.75, 1.12) * n * (1, 0.8, 1)
            leaf_list.append((z, x, y, float(n @ np.array(SUN))))
    leaf_list.sort(key=lambda leaf: -leaf[0])  # the farthest first
    for depth, x, y, facing in leaf_list:
        height = (y - 2.5) / 4.5
        glow = np.clip(
            0.42 + 0.4 * facing + 0.5 * (height - 0.5) - 0.08 * depth + rng.normal(0, 0.12), 0.03, 1
        )
        paint = mix(leaves[0], leaves[1], glow) * (0.35 + 0.8 * glow)
        center = (int((x + 3) * 40 * 16), int((7.5 - y) * 40 * 16))
        axes = (int(rng.uniform(2.2, 4.6) * 16), int(rng.uniform(1.2, 2.6) * 16))
        cv2.ellipse(
            picture, center, axes, rng.uniform(0, 180), 0, 360, (*map(float, paint), 1.0), -1, cv2.LINE_AA, 4
        )
    return picture


def house(rng: np.random.Generator, wall: Array, roof: Array) -> Array:
    """A cottage, 12 x 9 m at 24 pixels per metre, seen over a corner: a lit gable, a shaded long side, a tiled roof."""
    scale = 24
    picture = np.zeros((9 * scale, 12 * scale, 4), np.float32)
    grain = np.kron(rng.normal(1, 0.05, (9 * scale // 3, 12 * scale // 4)), np.ones((3, 4)))
    y, x = np.mgrid[0 : 9 * scale, 0 : 12 * scale] / scale

    def fill(points: list[tuple[float, float]], paint: Array, texture: Array | float = 1.0) -> None:
        mask = np.zeros(picture.shape[:2], np.float32)
        corners = np.array([[(px * scale * 16, (9 - py) * scale * 16) for px, py in points]]).astype(np.int32)
        cv2.fillPoly(mask, corners, 1.0, cv2.LINE_AA, 4)
        shade = np.broadcast_to(np.asarray(texture, np.float32), mask.shape)
        picture[...] *= 1 - mask[..., None]
        picture[..., :3] += (mask * shade)[..., None] * paint
        picture[..., 3] += mask

    falling = 1.12 - 0.03 * y
    fill([(1, 0), (4.6, 0), (4.6, 4.0), (2.8, 6.6), (1, 4.0)], wall, grain * falling)
    fill([(4.6, 0), (11, 0.5), (11, 4.1), (4.6, 4.0)], wall * color("#b9b4c4") * 0.75, grain * falling)
    tiles = 0.82 + 0.25 * (np.sin(y * 26) * 0.5 + 0.5) + 0.08 * np.sin(x * 21 + np.floor(y * 26 / 6.28) * 3)
    fill([(2.8, 7.0), (9.6, 6.6), (11.5, 3.8), (4.3, 3.6)], roof, tiles * grain)
    fill([(2.8, 7.0), (2.5, 6.7), (0.6, 3.7), (0.95, 3.6), (2.8, 6.5)], roof * 1.35)
    fill([(2.8, 7.0), (2.8, 6.5), (4.3, 3.4), (4.6, 3.6)], roof * 0.6)
    fill([(7.6, 6.2), (8.5, 6.2), (8.5, 8.2), (7.6, 8.2)], color("#8d5a48"), tiles * grain)
    for left, bottom, wide, high in ((2.2, 2.2, 1.1, 1.3), (5.6, 1.5, 1.0, 1.4), (9.2, 1.6, 0.9, 1.4)):
        corners = [
            (left, bottom),
            (left + wide, bottom + 0.05),
            (left + wide, bottom + high),
            (left, bottom + high),
        ]
        fill([(px + (px - left - wide / 2) * 0.3, py) for px, py in corners], color("#e8e0d0"))
        fill(corners, mix(color("#273845"), color("#7f9fb4"), 0.35), 0.6 + 0.3 * (y % 1))
    fill([(7.3, 0.2), (8.4, 0.28), (8.4, 2.5), (7.3, 2.45)], color("#5d3a26"), grain)
    return picture


@dataclass(frozen=True)
class Person:
    """Who walks by: colours, size and gait."""

    skin: Array
    hair: Array
    top: Array
    legs: Array
    height: float
    pace: float
    """Steps a second."""
    skirt: bool = False
    long_hair: bool = False

    def draw(self, time: float, scale: float, light: tuple[float, float, float]) -> Array:
        """The person at `time`, walking to the right, in a picture of 1 x 1.1 body heights; feet at the bottom."""
        canvas = Canvas(1.0, 1.1, scale * self.height, light)
        swing = 2 * np.pi * self.pace * time / 2
        bob = 0.012 * np.cos(2 * swing)
        hip, neck = (0.0, 0.53 + bob), (0.015, 0.80 + bob)
        self._arm(canvas, neck, -swing, 0.72)
        self._leg(canvas, hip, swing + np.pi, 0.72)
        self._leg(canvas, hip, swing, 1.0)
        if self.skirt:
            reach = 0.035 * np.sin(swing)
            canvas.skirt((0.0, 0.60 + bob), (reach, 0.29 + bob), 0.072, 0.135, self.top)
        canvas.limb((0.0, 0.55 + bob), (0.008, 0.75 + bob), 0.072, 0.082, self.top)
        canvas.limb((neck[0], 0.78 + bob), (neck[0] + 0.008, 0.85 + bob), 0.03, 0.028, self.skin * 0.8)
        self._head(canvas, 0.035, 0.915 + bob, swing)
        self._arm(canvas, neck, swing + np.pi, 1.0)
        return canvas.pixels

    def _leg(self, canvas: Canvas, hip: tuple[float, float], phase: float, shade: float) -> None:
        thigh = 0.42 * np.sin(phase)
        bend = 0.04 + 0.8 * max(0.0, np.cos(phase)) ** 2
        knee = (hip[0] + 0.25 * np.sin(thigh), hip[1] - 0.25 * np.cos(thigh))
        ankle = (knee[0] + 0.25 * np.sin(thigh - bend), knee[1] - 0.25 * np.cos(thigh - bend))
        toe = (ankle[0] + 0.075, max(ankle[1] - 0.012 + 0.05 * np.sin(thigh), 0.018))
        paint = self.skin if self.skirt else self.legs
        canvas.limb(knee, ankle, 0.042, 0.028, paint * shade)
        canvas.limb(hip, knee, 0.066, 0.043, paint * shade)
        canvas.limb((ankle[0] - 0.005, ankle[1] - 0.008), toe, 0.028, 0.02, color("#3a2a22") * shade)

    def _arm(self, canvas: Canvas, neck: tuple[float, float], phase: float, shade: float) -> None:
        upper = 0.5 * np.sin(phase)
        shoulder = (neck[0] - 0.008, neck[1] - 0.035)
        elbow = (shoulder[0] + 0.165 * np.sin(upper), shoulder[1] - 0.165 * np.cos(upper))
        fore = upper + 0.35 + 0.2 * np.sin(phase)
        hand = (elbow[0] + 0.15 * np.sin(fore), elbow[1] - 0.15 * np.cos(fore))
        canvas.limb(elbow, hand, 0.028, 0.021, self.skin * shade)
        canvas.ellipse((hand[0] + 0.004, hand[1] - 0.008), 0.023, 0.03, self.skin * shade)
        canvas.limb(shoulder, elbow, 0.042, 0.033, self.top * 0.92 * shade)

    def _head(self, canvas: Canvas, x: float, y: float, swing: float) -> None:
        """Three-quarter view, looking right."""
        r = 0.068
        if self.long_hair:
            sway = 0.012 * np.sin(swing + 0.6)
            canvas.limb(
                (x - 0.03, y + 0.01), (x - 0.055 - sway, y - 0.13), r * 0.85, r * 0.45, self.hair * 0.85
            )
        canvas.ellipse((x - 0.012, y + 0.012), r * 1.08, r * 1.14, self.hair)
        canvas.ellipse((x + 0.006, y - 0.006), r * 0.92, r * 1.12, self.skin)
        canvas.ellipse((x + 0.016, y - 0.050), r * 0.55, r * 0.45, self.skin * 1.02)
        canvas.ellipse((x - 0.042, y - 0.012), r * 0.16, r * 0.27, self.skin * 0.85)
        white, dark = mix(self.skin, color("#f4efe8"), 0.55), color("#2c1c16")
        for eye, wide in ((0.008, 0.19), (0.046, 0.15)):
            canvas.ellipse((x + eye, y + 0.004), r * wide, r * 0.115, white, flat=0.5)
            canvas.ellipse((x + eye + 0.003, y + 0.003), r * 0.09, r * 0.115, color("#3f5a52"), flat=0.9)
            canvas.ellipse((x + eye + 0.0035, y + 0.003), r * 0.05, r * 0.065, dark * 0.3, flat=1)
            canvas.ellipse((x + eye + 0.005, y + 0.006), r * 0.025, r * 0.03, color("#ffffff"), flat=1)
            canvas.limb(
                (x + eye - r * wide, y + 0.020),
                (x + eye + r * wide, y + 0.0225),
                r * 0.035,
                r * 0.025,
                self.hair * 0.5,
            )
        canvas.limb((x + 0.034, y + 0.002), (x + 0.043, y - 0.018), r * 0.06, r * 0.13, self.skin * 1.1)
        lips = self.skin * color("#e88f86")
        canvas.limb((x + 0.018, y - 0.0395), (x + 0.043, y - 0.0390), r * 0.04, r * 0.035, lips * 0.9)
        canvas.limb((x + 0.022, y - 0.0435), (x + 0.040, y - 0.0430), r * 0.04, r * 0.035, lips * 1.15)
        canvas.ellipse((x + 0.002, y - 0.024), r * 0.2, r * 0.14, mix(self.skin, lips, 0.35), flat=0.35)
        canvas.ellipse((x - 0.020, y + 0.047), r * 0.92, r * 0.62, self.hair)
        canvas.limb((x - 0.052, y + 0.03), (x - 0.058, y - 0.02), r * 0.4, r * 0.3, self.hair * 0.95)
        canvas.limb((x - 0.01, y + 0.062), (x + 0.048, y + 0.043), r * 0.32, r * 0.16, self.hair * 1.12)


PEOPLE = (
    Person(color("#e0a98a"), color("#4a2c1d"), color("#c23b33"), color("#c23b33"), 1.68, 1.8, True, True),
    Person(color("#b97d5b"), color("#1f1713"), color("#3f6c9e"), color("#4b4a52"), 1.80, 1.75),
    Person(color("#e8b592"), color("#a86a2d"), color("#e0a52e"), color("#44604e"), 1.22, 2.3),
)
