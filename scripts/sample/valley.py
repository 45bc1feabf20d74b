"""The first scene: a valley with a lake, houses, trees and walkers, flown through.

Lengths are metres: x to the right, y up, z into the picture.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from sample.figures import PEOPLE, SUN, Person, house, tree
from sample.paint import FOCAL, Array, color, ellipse_shadow, halvings, mix, noise, place, sample, smoothstep

MAP = 1024
"""Metres, and samples, along each side of the map."""
LAKE = -1.6
"""The water's height."""
AIR = mix(color("#b4cbe2"), color("#d9dccf"), 0.35)
CLEARNESS = 1300
"""Metres after which about a third of a colour is left, and the air's for the rest."""


class Valley:
    """A landscape of heights and colours, drawn by marching rays column by column."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.width, self.height = size
        z, x = np.mgrid[0:MAP, 0:MAP].astype(np.float32)
        x -= MAP / 2
        rolling, rough, ridges = noise(rng, MAP, 2.2), noise(rng, MAP, 1.5), noise(rng, MAP, 1.8)
        aside = smoothstep(20, 190, np.abs(x + 14))
        far = smoothstep(330, 760, z + 0.3 * np.abs(x))
        lake = np.exp(-(((x - 26) / 46) ** 2) - ((z - 118) / 48) ** 2)
        heights = (
            rolling * mix(1.2, 9, aside)
            + 13 * aside
            + far * (58 + 46 * rolling + 12 * rough + 26 * np.abs(ridges))
            - 5.2 * lake
            + 0.6
        )
        path = np.abs(x + 3 + 5 * np.sin(z / 23))
        calm = np.exp(-((path / 9) ** 2)) * smoothstep(140, 70, z)
        self.heights = mix(heights, 0.5 + 0.25 * rolling, calm).astype(np.float32)
        self._plant(rng, path, z)
        self._paint(rng, rough, path, z)
        self.detail = noise(rng, 512, 0.95)
        self.clouds = noise(rng, 512, 1.75)
        self.cells = np.geomspace(2.2, 980, 200).astype(np.float32)
        self.columns = (np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / (FOCAL * self.width)

    def _plant(self, rng: np.random.Generator, path: Array, z: Array) -> None:
        """Where trees and houses stand: x, z, which, size."""
        greens = [
            ("#16301a", "#86a83a"),
            ("#1b3524", "#6f9a48"),
            ("#3a3312", "#cfa236"),
            ("#1d3a1c", "#a3b545"),
        ]
        sprites = [tree(rng, (color(a), color(b))) for a, b in greens]
        sprites.append(house(rng, color("#e9ddc4"), color("#a4503a")))
        sprites.append(house(rng, color("#d8cdb9"), color("#7d4a3f")))
        self.sprites = [halvings(sprite) for sprite in sprites]
        self.objects: list[tuple[float, float, int, float]] = [
            (-27, 92, 4, 1.0),
            (-43, 110, 5, 1.05),
            (-15, 122, 5, 0.9),
            (-60, 96, 4, 0.95),
            (-8.5, 31, 0, 1.0),
            (13.5, 34, 2, 0.95),
        ]
        while len(self.objects) < 190:
            px, pz = rng.uniform(-150, 150), rng.uniform(24, 330)
            row, column = int(pz), int(px + MAP / 2)
            free = self.heights[row, column] > LAKE + 0.7 and path[row, column] > 6
            clear = all(
                (px - ox) ** 2 + (pz - oz) ** 2 > (90 if kind > 3 else 12) for ox, oz, kind, _ in self.objects
            )
            if free and clear and abs(px) < 0.75 * pz and (rng.random() < 0.3 or abs(px + 14) > 40):
                self.objects.append((px, pz, int(rng.integers(0, 4)), rng.uniform(0.7, 1.25)))
        self.objects.sort(key=lambda thing: -thing[1])

    def _paint(self, rng: np.random.Generator, rough: Array, path: Array, z: Array) -> None:
        """The ground's colour under the sun, shadows included; blurred copies serve what is far."""
        slope_z, slope_x = np.gradient(self.heights)
        normal = np.stack([-slope_x, np.ones_like(slope_x), -slope_z], axis=2)
        normal /= np.linalg.norm(normal, axis=2, keepdims=True)
        light = np.clip(normal @ np.array(SUN, np.float32), 0, 1)
        patches = noise(rng, MAP, 1.1)
        ground = mix(color("#4b6b2a"), color("#8c9a45"), smoothstep(-1.2, 1.5, patches)[..., None])
        ground = mix(ground, color("#b9a24e"), (smoothstep(0.6, 2.4, rough) * 0.6)[..., None])
        rock = mix(color("#6d6860"), color("#9a9184"), smoothstep(-1.5, 1.5, rough)[..., None])
        steep = smoothstep(0.16, 0.4, 1 - normal[..., 1]) + smoothstep(34, 70, self.heights + 8 * rough)
        ground = mix(ground, rock, np.clip(steep, 0, 1)[..., None])
        snow = smoothstep(74, 100, self.heights + 9 * rough) * smoothstep(0.62, 0.3, 1 - normal[..., 1])
        ground = mix(ground, color("#eef2f7"), snow[..., None])
        ground = mix(
            ground,
            color("#b59a72"),
            (smoothstep(2.0, 1.0, path + 0.35 * rough) * smoothstep(260, 120, z))[..., None],
        )
        shore = smoothstep(LAKE + 0.9, LAKE + 0.1, self.heights)
        ground = mix(ground, color("#9b8a66"), shore[..., None])
        shadow = np.ones((MAP, MAP), np.float32)
        for x, depth, kind, size in self.objects:
            reach = 2.6 * size if kind < 4 else 5.0
            center = (int((x + MAP / 2 + 1.6 * size) * 16), int((depth + 0.6) * 16))
            cv2.ellipse(
                shadow, center, (int(reach * 16), int(reach * 9)), 20, 0, 360, 0.35, -1, cv2.LINE_AA, 4
            )
        light = light * cv2.GaussianBlur(shadow, (0, 0), 0.8)
        lit = ground * (light[..., None] * color("#fff1d8") * 1.25 + color("#9db9de") * 0.32)
        self.ground = [lit.astype(np.float32)] + [
            cv2.GaussianBlur(lit, (0, 0), sigma).astype(np.float32) for sigma in (1.2, 3.0)
        ]

    def frame(self, time: float, share: float) -> Array:
        """The picture [h, w, 3] `time` seconds into the scene, of which `share` is over."""
        camera = (-7.5 + 4.5 * share, 3.0 + 0.4 * share, 2 + 5 * share)
        horizon = 0.44 * self.height
        focal = FOCAL * self.width
        x = camera[0] + self.columns[None] * self.cells[:, None]
        z = np.broadcast_to(camera[2] + self.cells[:, None], x.shape)
        heights = np.maximum(sample(self.heights, x + MAP / 2, z), np.float32(LAKE))
        rows = horizon + (camera[1] - heights) / self.cells[:, None] * focal
        distance, top = self._march(rows)
        lines = np.arange(self.height, dtype=np.float32)[:, None]
        frame = self._sky(horizon, time)
        first = max(int(top.min()) - 1, 0)  # all above is sky
        below = distance[first:]
        x, z = camera[0] + self.columns[None] * below, camera[2] + below
        air = 1 - np.exp(-below / CLEARNESS)
        land = mix(self._land(x, z, below), AIR, air[..., None])
        frame[first:] = mix(frame[first:], land, np.clip(lines[first:] - top[None] + 0.5, 0, 1)[..., None])
        self._things(frame, camera, horizon, focal, np.where(lines > top[None], distance, np.inf))
        wet = smoothstep(LAKE + 0.12, LAKE, sample(self.heights, x + MAP / 2, z)) * (
            lines[first:] > top[None]
        )
        self._water(frame, first, wet, x, z, time)
        for index, person in enumerate(PEOPLE):
            self._person(frame, person, index, camera, horizon, focal, time, share)
        return frame

    def _march(self, rows: Array) -> tuple[Array, Array]:
        """Distance [h, w] at which each pixel's ray meets the ground, and the sky line [w], from rows [cells, w]."""
        visible = np.minimum.accumulate(rows, axis=0)
        wanted = -np.arange(self.height, dtype=np.float32)
        distance = np.empty((self.height, self.width), np.float32)
        for column in range(self.width):
            levels = -visible[:, column]
            after = np.clip(np.searchsorted(levels, wanted), 1, len(levels) - 1)
            low, high = levels[after - 1], levels[after]
            part = np.clip((wanted - low) / np.maximum(high - low, 1e-4), 0, 1)
            distance[:, column] = self.cells[after - 1] + (self.cells[after] - self.cells[after - 1]) * part
        return distance, visible[-1]

    def _land(self, x: Array, z: Array, distance: Array) -> Array:
        near, middle, far = (sample(level, x + MAP / 2, z) for level in self.ground)
        land = mix(near, middle, smoothstep(60, 160, distance)[..., None])
        land = mix(land, far, smoothstep(160, 420, distance)[..., None])
        blades = sample(self.detail, x * 34, z * 13) * smoothstep(24, 4, distance)
        tufts = sample(self.detail, x * 7, z * 2.6) * smoothstep(110, 12, distance)
        land = land * np.exp(0.26 * blades + 0.20 * tufts)[..., None]
        petals = smoothstep(2.3, 2.7, sample(self.detail, x * 17 + 90, z * 17)) * smoothstep(60, 10, distance)
        meadow = petals * smoothstep(0.0, 0.12, land[..., 1] - land[..., 0])
        return mix(
            land,
            mix(color("#f6efe0"), color("#d8487a"), np.sin(x * 0.9 + z)[..., None] > 0.2),
            meadow[..., None],
        )

    def _sky(self, horizon: float, time: float) -> Array:
        lines, columns = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        up = np.clip((horizon + 8 - lines) / self.height, 0.004, 1)
        sky = mix(color("#dfe8ea"), color("#3f7fc4"), smoothstep(0, 0.46, up)[..., None])
        depth = 0.09 / (up + 0.045)
        across = (columns / self.width - 0.5) * depth
        drift = 5 * time
        bulk = sample(self.clouds, 330 * across + drift + 60, 300 * depth + 20)
        wisps = sample(self.clouds, 1250 * across + 2 * drift, 1000 * depth)
        cloud = bulk + 0.33 * wisps
        lit = sample(self.clouds, 330 * across + drift + 67, 300 * depth + 31) + 0.33 * wisps
        cover = smoothstep(0.1, 1.5, cloud) * smoothstep(0.0, 0.07, up)
        shade = smoothstep(-1.1, 0.9, cloud - lit * 0.9 - 0.35)
        paint = mix(color("#a9b6c6"), color("#fffaf0"), shade[..., None])
        return mix(sky, paint, 0.92 * cover[..., None])

    def _things(
        self, frame: Array, camera: tuple[float, float, float], horizon: float, focal: float, hidden: Array
    ) -> None:
        for x, z, kind, size in self.objects:
            away = z - camera[2]
            if away < 6:
                continue
            ground = self.heights[int(z), int(x + MAP / 2)]
            column = self.width / 2 + (x - camera[0]) / away * focal
            row = horizon + (camera[1] - ground + 0.15) / away * focal
            haze = (AIR, 1 - math.exp(-away / CLEARNESS))
            ratio = size * focal / away / (40 if kind < 4 else 24)
            place(frame, self.sprites[kind], column, row, ratio, haze, hidden < away - 2.5)

    def _water(self, frame: Array, first: int, wet: Array, x: Array, z: Array, time: float) -> None:
        """Let the lake mirror what stands above its far shore.

        wet, x, z  of the lines from `first` on: how much of each pixel is water, and which place it shows
        """
        lines_with_water = np.flatnonzero(wet.any(axis=1))
        if not lines_with_water.size:
            return
        rows = slice(lines_with_water[0], lines_with_water[-1] + 1)
        wet, x, z = wet[rows], x[rows], z[rows]
        lines = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] + first
        shore = np.where(wet > 0.5, lines, np.inf).min(axis=0)
        shore = cv2.blur(np.where(np.isfinite(shore), shore, 0)[None].astype(np.float32), (9, 1))[0]
        ripple = sample(self.detail, x * 3 + 9 * time, z * 1.2 + 4 * time)
        ripple += sample(self.detail, x * 9, z * 3 - 13 * time)
        source = 2 * shore[None] - lines + 1.6 * ripple * np.clip((lines - shore) / 18, 0.15, 1)
        columns = np.broadcast_to(np.arange(self.width, dtype=np.float32), source.shape)
        mirror = cv2.remap(frame, columns, source, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        water = np.clip(mix(mirror, color("#2d5566"), 0.30) * (1 + 0.05 * ripple[..., None]), 0, 1)
        lake = frame[first:][rows]
        lake[...] = mix(lake, water, wet[..., None])

    def _person(
        self,
        frame: Array,
        person: Person,
        index: int,
        camera: tuple[float, float, float],
        horizon: float,
        focal: float,
        time: float,
        share: float,
    ) -> None:
        x = -9.2 + 1.35 * index + 1.25 * time
        away = 9.4 + 0.8 * (index % 2) - 0.9 * share + 0.35 * index
        ground = float(sample(self.heights, np.array([[x + MAP / 2]]), np.array([[camera[2] + away]]))[0, 0])
        scale = focal / away
        row = horizon + (camera[1] - ground) / away * focal
        column = self.width / 2 + (x - camera[0]) * scale
        ellipse_shadow(frame, column + 0.25 * scale, row - 0.02 * scale, 0.5 * scale, 0.09 * scale)
        nobody = np.zeros(frame.shape[:2], bool)
        place(frame, [person.draw(time + index * 0.37, scale, SUN)], column, row, 1.0, None, nobody)
