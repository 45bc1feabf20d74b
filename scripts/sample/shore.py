"""The second scene: two people walk along the sea at sunset. Lengths are metres, as in the valley."""

from __future__ import annotations

import math

import cv2
import numpy as np

from sample.figures import PEOPLE
from sample.paint import FOCAL, Array, color, ellipse_shadow, mix, noise, place, sample, smoothstep

EYES = 1.42
"""Metres from the sand to the camera."""


class Shore:
    """A beach at sunset."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.width, self.height = size
        self.clouds = noise(rng, 512, 1.8)
        self.grain = noise(rng, 512, 0.7)
        self.dunes = noise(rng, 512, 1.9)
        self.rocks = noise(rng, 4096 // 8, 1.6)[:8].ravel()
        self.waves = [
            (float(rng.normal(0, 0.5)), length, float(rng.uniform(0, 6.28)))
            for length in (9.0, 5.3, 3.1, 1.9, 1.1, 0.7)
        ]

    def frame(self, time: float, share: float) -> Array:
        """The picture [h, w, 3] `time` seconds into the scene, of which `share` is over."""
        pan = 2.2 * share
        horizon = round(0.43 * self.height)
        focal = FOCAL * self.width
        lines, columns = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        sun = (0.68 * self.width - 2.5 * pan, horizon - 0.075 * self.height)
        frame = np.empty((self.height, self.width, 3), np.float32)
        frame[:horizon] = self._sky(lines[:horizon], columns[:horizon], horizon, sun, time)
        self._capes(frame[:horizon], lines[:horizon], horizon, pan)
        below, beside = lines[horizon:] - horizon, columns[horizon:]
        away = EYES * focal / (below + 0.5)
        x = (beside - self.width / 2) / focal * away + pan
        frame[horizon:] = self._sea(frame[:horizon], below, beside, x, away, sun[0], time)
        self._sand(frame, horizon, below, beside, x, away, time)
        self._walk(frame, horizon, focal, pan, time)
        glow = np.exp(-np.hypot(columns - sun[0], lines - sun[1]) / (0.22 * self.width))
        return frame + 0.16 * glow[..., None] * color("#ffb066")

    def _walk(self, frame: Array, horizon: float, focal: float, pan: float, time: float) -> None:
        for index, (person, start, away) in enumerate(((PEOPLE[1], -1.9, 4.5), (PEOPLE[0], -1.15, 4.2))):
            scale = focal / away
            column, row = self.width / 2 + (start + 0.75 * time - 0.35 * pan) * scale, horizon + EYES * scale
            ellipse_shadow(frame, column - 0.35 * scale, row - 0.02 * scale, 0.55 * scale, 0.05 * scale, 0.6)
            sprite = person.draw(time * 0.8 + 0.55 * index, scale, (0.75, 0.35, 0.1))
            sprite[..., :3] *= color("#ffdcb8") * 1.05
            place(frame, [sprite], column, row, 1.0, None, np.zeros(frame.shape[:2], bool))

    def _sky(
        self, lines: Array, columns: Array, horizon: float, sun: tuple[float, float], time: float
    ) -> Array:
        up = np.clip((horizon - lines) / self.height, 0, 1)
        sky = mix(color("#ffb56b"), color("#ee8f80"), smoothstep(0.0, 0.14, up)[..., None])
        sky = mix(sky, color("#4f69ac"), smoothstep(0.10, 0.46, up)[..., None])
        away = np.hypot(columns - sun[0], lines - sun[1]) / self.width
        sky += np.exp(-away / 0.10)[..., None] * color("#ffcf86") * 0.75
        depth = 0.08 / (up + 0.05)
        across = (columns / self.width - 0.5) * depth
        cloud = sample(self.clouds, 210 * across + 3 * time, 520 * depth)
        cloud += 0.3 * sample(self.clouds, 900 * across + 5 * time, 1700 * depth)
        cover = smoothstep(-0.2, 1.3, cloud) * smoothstep(0.01, 0.09, up)
        rim = smoothstep(1.5, 0.2, cloud) * np.clip(1.15 - 1.3 * away, 0, 1)
        sky = mix(sky, mix(color("#74608a"), color("#ffbf94"), rim[..., None]), 0.85 * cover[..., None])
        disc = smoothstep(0.029, 0.024, away) * (1 - 0.3 * cover)
        return mix(sky, color("#fff6d8"), disc[..., None])

    def _sea(
        self, sky: Array, below: Array, columns: Array, x: Array, away: Array, sun: float, time: float
    ) -> Array:
        slope_x, slope_z = np.zeros_like(x), np.zeros_like(x)
        for angle, length, phase in self.waves:
            k = 2 * math.pi / length
            dx, dz = math.sin(angle), math.cos(angle)
            visible = np.clip(length * 26 / away, 0, 1)  # what is smaller than a pixel must not flicker
            wave = visible * np.cos(k * (dx * x + dz * away) + (phase + math.sqrt(9.8 * k) * time))
            slope_x += 0.055 * dx * wave
            slope_z += 0.055 * dz * wave
        rows = len(sky) - 1 - below - self.height * (0.9 * np.abs(slope_z) + 0.25 * slope_z)
        across = columns + self.width * 0.9 * slope_x
        mirror = cv2.remap(sky, across, np.abs(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        deep = mix(color("#15485c"), color("#3f8a8c"), smoothstep(60, 6, away)[..., None])
        facing = np.clip(0.30 + 0.62 * smoothstep(4, 120, away) - 1.5 * slope_z, 0.1, 0.95)
        sea = mix(deep * 0.8, mirror, facing[..., None])
        toward = np.exp(-np.square((columns - sun + self.width * slope_x * 2) / (0.045 * self.width)))
        glitter = toward * np.square(np.clip(slope_z * 18, 0, 1.1)) * smoothstep(5, 22, away)
        return sea + glitter[..., None] * color("#ffd39a")

    def _capes(self, sky: Array, lines: Array, horizon: float, pan: float) -> None:
        """Two hazy capes at the left of the sea."""
        at = np.arange(self.width, dtype=np.float32) / self.width
        for reach, tall, paint, slide in ((0.50, 0.09, "#8a7294", 0.006), (0.30, 0.14, "#5a4d6b", 0.016)):
            left = np.clip(1 - (at + slide * pan) / reach, 0, 1)
            ridge = np.interp((at + slide * pan) * 150 + 700 * tall, np.arange(4096), self.rocks)
            outline = (tall * left**0.75 + 0.006 * ridge * np.minimum(left * 5, 1)).astype(np.float32)
            cape = np.clip(lines - (horizon - outline * self.height) + 0.5, 0, 1)
            low = np.clip(1 - (horizon - lines) / (tall * self.height), 0, 1)
            sky[...] = mix(sky, mix(color(paint), color("#f0a98c"), 0.6 * low[..., None]), cape[..., None])

    def _sand(
        self, frame: Array, horizon: int, below: Array, columns: Array, x: Array, away: Array, time: float
    ) -> None:
        """The beach, its wet rim and the foam that runs up and back."""
        sea = frame[horizon:]
        ragged = 0.2 * sample(self.dunes, x * 14, np.full_like(x, 40)) + 0.1 * sample(
            self.dunes, x * 60, np.full_like(x, 90)
        )
        tide = 6.6 + 0.6 * math.sin(1.1 * time) + ragged
        bumps = 0.07 * sample(self.dunes, x * 40, away * 60)
        bumps += 0.10 * sample(self.grain, x * 90, away * 110) * smoothstep(9, 4, away)
        wet = smoothstep(5.0, 6.4, away - 0.3 * ragged)[..., None]
        sand = mix(color("#e3b988"), color("#8f6a55"), wet) * np.exp(bumps)[..., None]
        gleam = cv2.blur(frame[:horizon], (9, 5))
        mirror = cv2.remap(gleam, columns, np.clip(horizon - 1 - 0.8 * below, 0, None), cv2.INTER_LINEAR)
        sand = mix(sand * color("#ffe3c8"), mirror, 0.55 * wet)
        sea[...] = mix(sea, sand, smoothstep(0.03, -0.03, away - tide)[..., None])
        for offset, strength in ((0.0, 1.0), (1.2, 0.65), (3.4, 0.45)):
            rim = away - tide - offset - 0.2 * np.sin(x * 1.3 + (offset * 4 + time))
            lace = 0.85 + 0.35 * sample(self.grain, x * 50 + 8 * time, away * 60)
            foam = smoothstep(-0.04, 0.02, rim) * smoothstep(0.42, 0.05, rim) * np.clip(lace, 0, 1)
            sea[...] = mix(sea, color("#fff0e2"), 0.85 * strength * foam[..., None])
