"""Colours, noise, and sprites put into pictures.

Colours are linear light, RGB, float32 in [0, 1]. A sprite is RGBA, its colours multiplied by alpha.
"""

from __future__ import annotations

import cv2
import numpy as np

Array = np.ndarray
FOCAL = 0.95
"""Focal length in picture widths."""


def color(text: str) -> Array:
    """Linear RGB of "#rrggbb"."""
    return (np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255) ** 2.2


def mix(a: Array | float, b: Array | float, share: Array | float) -> Array:
    return a + (b - a) * share


def smoothstep(low: float, high: float, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng: np.random.Generator, size: int, roughness: float) -> Array:
    """Tileable fractal noise [size, size], mean 0, deviation 1: white noise with the spectrum 1 / f^roughness."""
    f = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    f[0, 0] = np.inf
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) / f**roughness, s=(size, size))
    return (field / field.std()).astype(np.float32)


def sample(field: Array, x: Array, y: Array) -> Array:
    """`field` [h, w] or [h, w, 3] at x, y (same shapes, in its pixels), bilinear, repeating beyond its edges."""
    return cv2.remap(
        field, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )


class Canvas:
    """An RGBA picture [h, w, 4] to draw shaded, round things on. Coordinates: `scale` pixels per unit, y up."""

    def __init__(self, width: float, height: float, scale: float, light: tuple[float, float, float]) -> None:
        self.pixels = np.zeros((round(height * scale), round(width * scale), 4), np.float32)
        rows, columns = self.pixels.shape[:2]
        self.x, self.y = np.meshgrid(
            (np.arange(columns, dtype=np.float32) + 0.5) / scale - width / 2,
            (rows - np.arange(rows, dtype=np.float32) - 0.5) / scale,
        )
        self.scale = scale
        self.light = light

    def limb(
        self, a: tuple[float, float], b: tuple[float, float], ra: float, rb: float, paint: Array
    ) -> None:
        """A round limb from `a` (radius ra) to `b` (radius rb)."""
        r = max(ra, rb)
        window = self._window(
            min(a[0], b[0]) - r, max(a[0], b[0]) + r, min(a[1], b[1]) - r, max(a[1], b[1]) + r
        )
        x, y = self.x[window] - a[0], self.y[window] - a[1]
        dx, dy = b[0] - a[0], b[1] - a[1]
        t = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
        radius = ra + (rb - ra) * t
        self._round(window, (x - t * dx) / radius, (y - t * dy) / radius, radius, paint, 0)

    def ellipse(
        self, center: tuple[float, float], rx: float, ry: float, paint: Array, flat: float = 0
    ) -> None:
        """An ellipsoid; flat = 1 draws it without shading."""
        x, y = center
        window = self._window(x - rx, x + rx, y - ry, y + ry)
        self._round(window, (self.x[window] - x) / rx, (self.y[window] - y) / ry, min(rx, ry), paint, flat)

    def skirt(
        self, waist: tuple[float, float], hem: tuple[float, float], rw: float, rh: float, paint: Array
    ) -> None:
        """A pleated cone from a waist (radius rw) down to a hem (radius rh)."""
        window = self._window(hem[0] - rh, hem[0] + rh, hem[1] - 0.03, waist[1])
        t = (waist[1] - self.y[window]) / (waist[1] - hem[1])
        center, radius = mix(waist[0], hem[0], t * t), mix(rw, rh, np.clip(t, 0, 1) ** 1.3)
        nx = (self.x[window] - center) / radius
        edge = 1 + 0.012 * np.sin(nx * 9) + 0.05 * np.sqrt(np.clip(1 - nx * nx, 0, 1))
        alpha = np.clip((1 - np.abs(nx)) * radius * self.scale + 0.5, 0, 1)
        alpha *= np.clip((edge - t) * (waist[1] - hem[1]) * self.scale + 0.5, 0, 1)
        pleats = nx + 0.35 * t * np.sin(nx * 11 + hem[0] * 40)
        nz = np.sqrt(np.clip(1 - nx * nx, 0, 1))
        diffuse = np.clip((pleats * self.light[0] + 0.1 - nz * self.light[2] + 0.25) / 1.25, 0, 1)
        self._put(window, alpha, (0.28 + 0.95 * diffuse)[..., None] * paint)

    def _window(self, left: float, right: float, bottom: float, top: float) -> tuple[slice, slice]:
        """The part of the picture that holds this box and a pixel around it."""
        rows, columns = self.pixels.shape[:2]
        x0, x1 = int(left * self.scale + columns / 2) - 1, int(right * self.scale + columns / 2) + 2
        y0, y1 = int(rows - top * self.scale) - 1, int(rows - bottom * self.scale) + 2
        return slice(max(y0, 0), max(y1, 0)), slice(max(x0, 0), max(x1, 0))

    def _put(self, window: tuple[slice, slice], alpha: Array, paint: Array) -> None:
        """Lay `paint` [h, w, 3] over what is there."""
        pixels = self.pixels[window]
        pixels *= 1 - alpha[..., None]
        pixels[..., :3] += alpha[..., None] * paint
        pixels[..., 3] += alpha

    def _round(
        self,
        window: tuple[slice, slice],
        nx: Array,
        ny: Array,
        radius: Array | float,
        paint: Array,
        flat: float,
    ) -> None:
        distance = np.sqrt(nx * nx + ny * ny)
        alpha = np.clip((1 - distance) * radius * self.scale + 0.5, 0, 1)
        nz = np.sqrt(np.clip(1 - distance * distance, 0, 1))
        diffuse = np.clip((nx * self.light[0] + ny * self.light[1] - nz * self.light[2] + 0.25) / 1.25, 0, 1)
        self._put(window, alpha, mix(0.28 + 0.95 * diffuse, 1.0, flat)[..., None] * paint)


def halvings(sprite: Array) -> list[Array]:
    """The sprite, half of it, a quarter ..., for `place`."""
    sizes = [sprite]
    while min(sizes[-1].shape[:2]) > 12:
        sizes.append(cv2.resize(sizes[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return sizes


def place(
    frame: Array,
    sizes: list[Array],
    x: float,
    y: float,
    ratio: float,
    haze: tuple[Array, float] | None,
    nearer: Array,
) -> None:
    """Draw a sprite with the middle of its lower edge at x, y (pixels), enlarged by `ratio`.

    sizes   the sprite, and every next one half as large: small ones do not glitter
    haze    colour of the air before it and how much of it
    nearer  bool [h, w]: what hides the sprite
    """
    level = min(max(int(-np.log2(ratio)), 0), len(sizes) - 1)
    sprite, ratio = sizes[level], ratio * 2**level
    height, width = sprite.shape[:2]
    left, top = x - width * ratio / 2, y - height * ratio
    x0, y0 = max(int(left), 0), max(int(top), 0)
    x1, y1 = min(int(left + width * ratio) + 2, frame.shape[1]), min(int(y) + 2, frame.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    move = np.array([[ratio, 0, left - x0 + ratio / 2 - 0.5], [0, ratio, top - y0 + ratio / 2 - 0.5]])
    patch = cv2.warpAffine(sprite, move, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    patch = patch * ~nearer[y0:y1, x0:x1, None]
    alpha = patch[..., 3:]
    paint = patch[..., :3] if haze is None else mix(patch[..., :3], haze[0] * alpha, haze[1])
    frame[y0:y1, x0:x1] = frame[y0:y1, x0:x1] * (1 - alpha) + paint


def ellipse_shadow(frame: Array, x: float, y: float, rx: float, ry: float, depth: float = 0.6) -> None:
    """Darken a soft ellipse on the ground."""
    x0, x1 = max(int(x - 2 * rx), 0), min(int(x + 2 * rx) + 1, frame.shape[1])
    y0, y1 = max(int(y - 3 * ry), 0), min(int(y + 3 * ry) + 1, frame.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    lines, columns = np.mgrid[y0:y1, x0:x1]
    soft = np.exp(-(((columns - x) / rx) ** 2) - ((lines - y) / ry) ** 2)
    frame[y0:y1, x0:x1] *= 1 - depth * soft[..., None].astype(np.float32)
