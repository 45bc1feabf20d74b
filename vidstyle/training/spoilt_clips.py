"""Made-up clips for the detector to learn from: a scene, events that are no faults, a stand-in style, faults.

Everything is a pure function of its arguments and of one random generator. Pictures are uint8 [H, W, 3], RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Real = NDArray[np.float32]
Random = np.random.Generator

VISIBLE = 1.5
"""Mean difference in the worst cell of an 8x8 grid, in grey levels, under which a fault cannot be seen."""


def to_bytes(picture: NDArray[np.floating]) -> Picture:
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def magnitude(spoilt: Picture, clean: Picture) -> float:
    """Mean absolute difference in the worst cell of an 8x8 grid, in grey levels."""
    difference = cv2.absdiff(spoilt, clean).astype(np.float32).mean(2)
    return float(cv2.resize(difference, (8, 8), interpolation=cv2.INTER_AREA).max())


def _hills(random: Random, shape: tuple[int, ...], cells: int) -> Real:
    """A smooth random field [H, W] of about unit deviation."""
    coarse = random.standard_normal((cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (shape[1], shape[0]), interpolation=cv2.INTER_CUBIC)


def _affine(picture: Picture, matrix: Real) -> Picture:
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


def _move(picture: Picture, x: float, y: float) -> Picture:
    return _affine(picture, np.array([[1, 0, x], [0, 1, y]], np.float32))


def _coded(picture: Picture, quality: float) -> Picture:
    """Through a JPEG file and back."""
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, max(3, int(quality))])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


# --- scenes


def filmed_photo(
    photo: Picture, others: Sequence[Picture], size: tuple[int, int], count: int, random: Random
) -> list[Picture]:
    """`count` frames of `size` (width, height): a camera glides over a photo; cut-outs of others cross it."""
    width, height = size
    scale = max(width / photo.shape[1], height / photo.shape[0]) * random.uniform(1.1, 1.6)
    center = np.array([photo.shape[1] / 2, photo.shape[0] / 2])
    speed = random.normal(0, random.choice([0.2, 1.0, 3.0]), 2)
    zoom, spin = random.normal(0, 0.001), random.normal(0, 0.0007)
    sway, pace = random.normal(0, random.choice([0, 1.5, 4]), 2), random.uniform(0.05, 0.4)
    sprites = [_Sprite(other, size, random) for other in others]
    noise = random.choice([0.0, 1.0, 3.0])
    frames = []
    for t in range(count):
        matrix = cv2.getRotationMatrix2D(center.tolist(), float(np.degrees(spin * t)), scale * (1 + zoom * t))
        matrix[:, 2] += (
            np.array([width, height]) / 2 - center + speed * (t - count / 2) + sway * np.sin(pace * t)
        )
        frame = cv2.warpAffine(photo, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REFLECT)
        for sprite in sprites:
            frame = sprite.put(frame, t)
        frames.append(to_bytes(frame + random.normal(0, noise, frame.shape)) if noise else frame)
    return frames


class _Sprite:
    """A blob cut out of a picture that moves on its own."""

    def __init__(self, picture: Picture, size: tuple[int, int], random: Random) -> None:
        side = int(min(size) * random.uniform(0.2, 0.6))
        self._picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
        bumps = 0.15 * np.sin(np.arctan2(y, x) * random.integers(2, 6) + random.uniform(0, 6))
        self._mask = cv2.GaussianBlur((np.hypot(x, y) < 0.8 + bumps).astype(np.float32), (0, 0), 1)[..., None]
        self._start = random.uniform(0, 1, 2) * size
        self._speed = random.normal(0, random.choice([0.5, 2, 6]), 2)

    def put(self, frame: Picture, t: int) -> Picture:
        height, width = frame.shape[:2]
        side = len(self._picture)
        x, y = (int(v) for v in (self._start + self._speed * t) % (width + side, height + side) - side)
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
        if x0 < x1 and y0 < y1:
            part = slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)
            mask = self._mask[part]
            frame = frame.copy()
            frame[y0:y1, x0:x1] = to_bytes(frame[y0:y1, x0:x1] * (1 - mask) + self._picture[part] * mask)
        return frame


# --- events: things that happen in the source and are no faults

Event = Callable[[list[Picture], Random, int, list[Picture]], list[Picture]]
"""Changes the frames from some time on; the last argument is another scene of the same size and length."""


def _cut(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    return frames[:t] + other[t:]


def _flash(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    length, gain, offset = int(random.integers(1, 4)), random.uniform(1.2, 1.8), random.uniform(0, 60)
    return [to_bytes(f * gain + offset) if t <= i < t + length else f for i, f in enumerate(frames)]


def _strobe(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    every, gain = int(random.integers(2, 6)), random.uniform(1.15, 1.5)
    lit = {i for i in range(t, t + 24) if (i - t) % every == 0}
    return [to_bytes(f * gain + 15) if i in lit else f for i, f in enumerate(frames)]


def _lamp(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """A light in a part of the scene, on for some frames."""
    glow = np.clip(_hills(random, frames[0].shape, 4), 0, 1)[..., None] * random.uniform(30, 90)
    length = int(random.integers(1, 12))
    return [to_bytes(f + glow) if t <= i < t + length else f for i, f in enumerate(frames)]


def _fade(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    half, low = int(random.integers(5, 12)), random.uniform(0, 0.4)
    gain = [1 - (1 - low) * max(0.0, 1 - abs(i - t - half) / half) for i in range(len(frames))]
    return [to_bytes(f * g) if g < 1 else f for f, g in zip(frames, gain, strict=True)]


def _opening(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """The clip begins with a fade from black, or from another tone."""
    black, length = int(random.integers(0, 5)), int(random.integers(6, 40))
    share = np.clip((np.arange(len(frames)) - black + random.uniform(0, 1)) / length, 0, 1)
    tone = random.choice([0, 0, 0, 128, 255])
    return [to_bytes(f * s + tone * (1 - s)) if s < 1 else f for f, s in zip(frames, share, strict=True)]


def _ending(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """A fade to black, or to another tone, for good."""
    return frames[:t] + _opening(frames[t:][::-1], random, t, other)[::-1]


def _passing(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """Poles, cars, birds: faint or plain things that cross a part of the picture in a few frames, time and again."""
    height, width = frames[0].shape[:2]
    left, top = random.uniform(0, 0.6, 2) * (width, height)
    window = (
        slice(int(top), int(top + height * random.uniform(0.15, 1))),
        slice(int(left), int(left + width * random.uniform(0.1, 1))),
    )
    view = frames[0][window].shape[:2]
    broad, speed = view[1] * random.uniform(0.02, 0.5), view[1] * random.uniform(0.1, 0.8)
    tone, cover = random.uniform(0, 255, 3) * random.uniform(0.3, 1), random.uniform(0.06, 0.9)
    slope, every = random.normal(0, 0.3), int(random.integers(5, 40))
    rows, columns = np.mgrid[: view[0], : view[1]].astype(np.float32)
    low, high = np.sort(random.uniform(-0.5, 1.5, 2)) * view[0]
    result = []
    for i, frame in enumerate(frames):
        place = ((i - t) % every) * speed - broad
        if i >= t and place < view[1] + broad:
            distance = np.abs(columns - place - slope * rows) / broad
            thing = np.clip(
                (1 - distance) * broad / max(1.0, 0.5 * speed) + 0.5, 0, 1
            )  # blurred by its motion
            thing = (thing * ((rows >= low) & (rows <= high)) * cover)[..., None]
            frame = frame.copy()
            frame[window] = to_bytes(frame[window] * (1 - thing) + tone * thing)
        result.append(frame)
    return result


def _dissolve(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    length = int(random.integers(6, 20))
    share = np.clip((np.arange(len(frames)) - t) / length, 0, 1)
    return [to_bytes(a * (1 - s) + b * s) for a, b, s in zip(frames, other, share, strict=True)]


def _whip(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """A fast pan with motion blur."""
    length, top = int(random.integers(8, 16)), frames[0].shape[1] * random.uniform(0.03, 0.08)
    result, offset = [], 0.0
    for i, frame in enumerate(frames):
        speed = top * np.sin(np.pi * (i - t + 1) / (length + 1)) if t <= i < t + length else 0.0
        offset += speed
        moved = _move(frame, -offset, 0) if offset else frame
        result.append(cv2.blur(moved, (max(1, int(0.7 * speed)), 1)))
    return result


def _defocus(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    length, most, ramp = int(random.integers(4, 14)), random.uniform(1.5, 4), bool(random.integers(2))
    result = list(frames)
    for i in range(t, min(t + length, len(frames))):
        sigma = most * (np.sin(np.pi * (i - t + 1) / (length + 1)) if ramp else 1.0)
        result[i] = cv2.GaussianBlur(frames[i], (0, 0), max(0.3, sigma))
    return result


def _caption(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    text = "".join(random.choice(list("abcdefghi klmno prstu"), int(random.integers(6, 24))))
    height, width = frames[0].shape[:2]
    place, size = (width // 12, int(height * random.uniform(0.1, 0.95))), width / random.uniform(300, 600)
    length = int(random.integers(3, 40))

    def put(frame: Picture) -> Picture:
        frame = frame.copy()
        for tone, thickness in ((0, 4), (255, 1)):
            cv2.putText(
                frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (tone,) * 3, thickness, cv2.LINE_AA
            )
        return frame

    return [put(f) if t <= i < t + length else f for i, f in enumerate(frames)]


def _freeze(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    length = int(random.integers(4, 25))
    return (frames[:t] + [frames[t]] * length + frames[t:])[: len(frames)]


def _repeats(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    every = int(random.integers(2, 6))
    return [frames[i - (i >= t and (i - t) % every == every - 1)] for i in range(len(frames))]


def _grain(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    gain, deviation = random.uniform(0.4, 1), random.uniform(3, 11)
    return [to_bytes(f * gain + random.normal(0, deviation, f.shape)) for f in frames]


def _shake(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    amount, length = frames[0].shape[1] * random.uniform(0.001, 0.01), int(random.integers(15, 40))
    jumps = random.normal(0, amount, (len(frames), 2))
    return [_move(f, *jumps[i]) if t <= i < t + length else f for i, f in enumerate(frames)]


def _exposure(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    gain, length = random.uniform(0.6, 1.5), int(random.choice([1, 1, 6]))
    share = np.clip((np.arange(len(frames)) - t + 1) / length, 0, 1)
    return [to_bytes(f * (1 + (gain - 1) * s)) if s else f for f, s in zip(frames, share, strict=True)]


def _flicker(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """Old film: the exposure trembles."""
    gains = 1 + random.normal(0, random.uniform(0.005, 0.03), len(frames))
    return [to_bytes(f * g) for f, g in zip(frames, gains, strict=True)]


def _snow(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    flakes = random.uniform(0, 1, (int(random.integers(20, 120)), 2)) * frames[0].shape[1::-1]
    speed = random.normal([1, 5], 2, flakes.shape)
    result = []
    for i, frame in enumerate(frames):
        frame = frame.copy()
        for x, y in (flakes + speed * i) % frame.shape[1::-1]:
            cv2.circle(frame, (int(x), int(y)), 1, (235, 235, 235), -1, cv2.LINE_AA)
        result.append(frame)
    return result


def _compression(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    """Every so many-th frame is coded better than those after it."""
    every, best, drop = int(random.integers(6, 30)), random.uniform(25, 80), random.uniform(0, 20)

    return [_coded(f, best if i % every == 0 else best - drop) for i, f in enumerate(frames)]


def _low_resolution(frames: list[Picture], random: Random, t: int, other: list[Picture]) -> list[Picture]:
    height, width = frames[0].shape[:2]
    size = (width // 2, height // 2)
    shrunk = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]
    return [cv2.resize(f, (width, height), interpolation=cv2.INTER_CUBIC) for f in shrunk]


EVENTS: dict[str, Event] = {
    "compression": _compression,
    "low resolution": _low_resolution,
    "cut": _cut,
    "flash": _flash,
    "strobe": _strobe,
    "lamp": _lamp,
    "fade": _fade,
    "opening": _opening,
    "ending": _ending,
    "passing": _passing,
    "dissolve": _dissolve,
    "whip": _whip,
    "defocus": _defocus,
    "caption": _caption,
    "freeze": _freeze,
    "repeats": _repeats,
    "grain": _grain,
    "shake": _shake,
    "exposure": _exposure,
    "flicker": _flicker,
    "snow": _snow,
}


# --- styles: stand-ins for networks, each drawn anew for every clip

Style = Callable[[Picture], Picture]


def _lively(picture: Picture, saturation: float) -> Picture:
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] *= saturation
    return cv2.cvtColor(to_bytes(hsv), cv2.COLOR_HSV2RGB)


def _flat(random: Random) -> Style:
    """Smooth areas in few tones with dark lines."""
    step, block, limit = int(random.integers(16, 40)), int(random.choice([7, 9, 13])), random.uniform(3, 6)

    def paint(picture: Picture) -> Picture:
        calm = cv2.bilateralFilter(cv2.bilateralFilter(picture, 7, 40, 7), 7, 40, 7)
        gray = cv2.medianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), 5)
        lines = cv2.adaptiveThreshold(gray, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, block, limit)
        return np.minimum(calm // step * step + step // 2, np.maximum(lines, 40)[..., None]).astype(np.uint8)

    return paint


def _dabs(random: Random) -> Style:
    """Of five windows around each pixel, the mean of the calmest: dabs of paint."""
    radius, saturation = int(random.integers(2, 6)), random.uniform(0.9, 1.5)

    def paint(picture: Picture) -> Picture:
        levels = picture.astype(np.float32)
        window = (radius + 1, radius + 1)
        mean = cv2.blur(levels, window)
        unrest = cv2.blur(levels * levels, window).sum(2) - (mean * mean).sum(2)
        best, result = np.full(unrest.shape, np.inf, np.float32), mean.copy()
        for x, y in ((0, 0), (-1, -1), (1, -1), (-1, 1), (1, 1)):
            matrix = np.array([[1, 0, x * radius / 2], [0, 1, y * radius / 2]], np.float32)
            there, color = (
                cv2.warpAffine(v, matrix, unrest.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
                for v in (unrest, mean)
            )
            calmer = there < best
            best[calmer], result[calmer] = there[calmer], color[calmer]
        return _lively(to_bytes(result), saturation)

    return paint


def _wash(random: Random) -> Style:
    spread, edges = random.uniform(15, 50), random.uniform(0.2, 0.5)
    return lambda picture: cv2.stylization(picture, sigma_s=spread, sigma_r=edges)


def _pencil(random: Random) -> Style:
    spread, edges, shade = random.uniform(10, 40), random.uniform(0.05, 0.1), random.uniform(0.03, 0.06)
    tone = int(random.integers(2))

    def paint(picture: Picture) -> Picture:
        drawn = cv2.pencilSketch(picture, sigma_s=spread, sigma_r=edges, shade_factor=shade)[tone]
        return drawn if tone else cv2.cvtColor(drawn, cv2.COLOR_GRAY2RGB)

    return paint


def _duotone(random: Random) -> Style:
    """Two colours, and a glow along the edges."""
    ends = random.uniform(0, 255, (3, 3))
    ends = ends[np.argsort(ends.sum(1))]
    ramp = np.array([np.interp(np.arange(256), (0, 128, 255), ends[:, c]) for c in range(3)]).T
    glow, low = random.uniform(0, 1, 3), int(random.integers(40, 90))

    def paint(picture: Picture) -> Picture:
        gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        edges = cv2.GaussianBlur(cv2.Canny(gray, low, 2 * low), (0, 0), 1.5).astype(np.float32)
        return to_bytes(ramp[gray] + edges[..., None] * glow)

    return paint


def _normed(random: Random) -> Style:
    """Every frame brought to the same mean and deviation, as instance normalisation does; ringing edges."""
    mean, deviation = random.uniform(90, 160, 3), random.uniform(40, 70, 3)
    ringing, waves, pitch = random.uniform(0, 1.2), random.uniform(0, 20), random.uniform(6, 14)

    def paint(picture: Picture) -> Picture:
        levels = picture.astype(np.float32)
        levels = (levels - levels.mean((0, 1))) / (levels.std((0, 1)) + 12) * deviation + mean
        levels = levels + ringing * (levels - cv2.GaussianBlur(levels, (0, 0), 3))
        return to_bytes(levels + waves * np.sin(cv2.GaussianBlur(levels, (0, 0), 2) / pitch))

    return paint


def _canvas(random: Random) -> Style:
    """Smoothed, graded, and seen through a texture that stays on the screen."""
    gamma, strength, saturation = random.uniform(0.6, 1.5), random.uniform(3, 16), random.uniform(0.5, 1.6)
    seed, width = int(random.integers(1 << 31)), random.uniform(0.7, 2)

    def paint(picture: Picture) -> Picture:
        texture = np.random.default_rng(seed).standard_normal(picture.shape[:2]).astype(np.float32)
        texture = cv2.GaussianBlur(texture, (0, 0), width) * width * 2
        smooth = cv2.edgePreservingFilter(picture, flags=1, sigma_s=20, sigma_r=0.3)
        levels = 255 * (smooth / np.float32(255)) ** gamma
        return _lively(to_bytes(levels + strength * texture[..., None]), saturation)

    return paint


def _restless(random: Random) -> Style:
    """A style that trembles: its texture is drawn anew on every frame."""
    strength, width, inner = random.uniform(1, 6), random.uniform(0.7, 1.6), draw_style(random, calm=True)

    def paint(picture: Picture) -> Picture:
        seed = int(picture[::7, ::11].astype(np.int64).sum())
        texture = np.random.default_rng(seed).standard_normal(picture.shape[:2]).astype(np.float32)
        return to_bytes(
            inner(picture) + strength * cv2.GaussianBlur(texture, (0, 0), width)[..., None] * width * 2
        )

    return paint


def _relief(random: Random) -> Style:
    angle, strength, share = random.uniform(0, 6.3), random.uniform(0.5, 2.5), random.uniform(0.2, 1)

    def paint(picture: Picture) -> Picture:
        gray = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (0, 0), 1).astype(np.float32)
        slope = np.cos(angle) * cv2.Sobel(gray, cv2.CV_32F, 1, 0) + np.sin(angle) * cv2.Sobel(
            gray, cv2.CV_32F, 0, 1
        )
        base = share * cv2.medianBlur(picture, 5) + (1 - share) * 128
        return to_bytes(base + strength * slope[..., None] / 4)

    return paint


STYLES: dict[str, Callable[[Random], Style]] = {
    "flat": _flat,
    "dabs": _dabs,
    "wash": _wash,
    "pencil": _pencil,
    "duotone": _duotone,
    "normed": _normed,
    "canvas": _canvas,
    "relief": _relief,
    "restless": _restless,
}


def draw_style(random: Random, *, calm: bool = False) -> Style:
    """One of `STYLES` with parameters of its own; `calm`: not the restless one."""
    names = [name for name in STYLES if not (calm and name == "restless")]
    return STYLES[str(random.choice(names))](random)


# --- faults


@dataclass(frozen=True, slots=True)
class Place:
    """What a fault may use: the clean painted clip, the source frame, the frame's number and the run's first."""

    clean: Sequence[Picture]
    source: Picture
    frame: int
    start: int


Fault = Callable[[Real, Random, float, Place], NDArray[np.floating]]
"""Spoils a picture float32 [H, W, 3] in grey levels by a severity from 0 (hardly visible) to 1 (gross)."""


def _between(low: float, high: float, severity: float) -> float:
    """Geometrically between two amounts."""
    return float(low * (high / low) ** severity)


def _brightness(y: Real, random: Random, v: float, place: Place) -> Real:
    return y + np.float32(random.choice([-1, 1]) * _between(3, 50, v))


def _contrast(y: Real, random: Random, v: float, place: Place) -> Real:
    return (y - y.mean()) * np.float32(1 + random.choice([-1, 1]) * _between(0.05, 0.6, v)) + y.mean()


def _gamma(y: Real, random: Random, v: float, place: Place) -> Real:
    power = np.exp(random.choice([-1, 1]) * _between(0.05, 0.8, v))
    return (255 * (y / 255) ** power).astype(np.float32)


def _cast(y: Real, random: Random, v: float, place: Place) -> Real:
    color = random.standard_normal(3)
    color -= color.mean()
    return y + (color / np.abs(color).max() * _between(4, 50, v)).astype(np.float32)


def _saturation(y: Real, random: Random, v: float, place: Place) -> Real:
    gray = y.mean(2, keepdims=True)
    return gray + (y - gray) * np.float32(max(0.0, 1 + random.choice([-1, 1]) * _between(0.1, 1, v)))


def _noise(y: Real, random: Random, v: float, place: Place) -> NDArray[np.floating]:
    shape = y.shape if random.random() < 0.5 else (*y.shape[:2], 1)
    return y + random.normal(0, _between(3, 45, v), shape)


def _specks(y: Real, random: Random, v: float, place: Place) -> Real:
    hit = random.random(y.shape[:2]) < _between(0.003, 0.1, v)
    y = y.copy()
    y[hit] = random.choice([0, 255], (int(hit.sum()), 1))
    return y


def _blur(y: Real, random: Random, v: float, place: Place) -> Real:
    return cv2.GaussianBlur(y, (0, 0), _between(0.7, 5, v))


def _sharpen(y: Real, random: Random, v: float, place: Place) -> Real:
    return y + np.float32(_between(0.3, 3, v)) * (y - cv2.GaussianBlur(y, (0, 0), 1.5))


def _jpeg(y: Real, random: Random, v: float, place: Place) -> Real:
    return _coded(to_bytes(y), _between(40, 3, v)).astype(np.float32)


def _pixelate(y: Real, random: Random, v: float, place: Place) -> Real:
    side = _between(2, 16, v)
    height, width = y.shape[:2]
    small = cv2.resize(
        y, (max(1, int(width / side)), max(1, int(height / side))), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)


def _posterise(y: Real, random: Random, v: float, place: Place) -> Real:
    step = np.float32(_between(8, 80, v))
    result: Real = np.floor(y / step) * step + step / 2
    return result


def _pattern(y: Real, random: Random, v: float, place: Place) -> NDArray[np.floating]:
    """A checkerboard, as transposed convolutions leave it, in parts of the picture; or stripes."""
    rows, columns = np.mgrid[: y.shape[0], : y.shape[1]] // int(random.integers(1, 5))
    squares = (rows + columns if random.random() < 0.7 else rows) % 2 * 2 - 1
    where = np.clip(_hills(random, y.shape, 4) + 0.8, 0, 1.5)
    return y + (squares * where * _between(2.5, 35, v))[..., None]


def _blank(y: Real, random: Random, v: float, place: Place) -> Real:
    return np.full_like(y, random.choice([0, 0, 255, 128]))


def _holes(y: Real, random: Random, v: float, place: Place) -> Real:
    """Squares where nothing was computed."""
    y = y.copy()
    height, width = y.shape[:2]
    tone = random.choice([0, 0, 255])
    for _ in range(round(_between(1, 12, v))):
        side = int(width * random.uniform(0.02, 0.04) * _between(1, 3, v))
        top, left = (
            int(random.integers(0, max(1, height - side))),
            int(random.integers(0, max(1, width - side))),
        )
        y[top : top + side, left : left + side] = tone
    return y


def _blobs(y: Real, random: Random, v: float, place: Place) -> Real:
    picture = to_bytes(y)
    height, width = y.shape[:2]
    for _ in range(round(_between(1, 10, v))):
        center = int(random.integers(0, width)), int(random.integers(0, height))
        color = [int(c) for c in random.integers(0, 256, 3)]
        cv2.circle(picture, center, max(3, int(width * _between(0.02, 0.09, v))), color, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float32)


def _swim(y: Real, random: Random, v: float, place: Place) -> Real:
    rows, columns = np.mgrid[: y.shape[0], : y.shape[1]].astype(np.float32)
    amount = np.float32(_between(0.9, 14, v) * y.shape[1] / 384)
    x, z = (amount * _hills(random, y.shape, int(random.integers(3, 9))) for _ in range(2))
    return cv2.remap(y, columns + x, rows + z, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _displace(y: Real, random: Random, v: float, place: Place) -> Real:
    shift = random.standard_normal(2)
    shift *= _between(1, 20, v) * y.shape[1] / 384 / np.hypot(*shift)
    return _move(y, *shift)  # type: ignore[arg-type, return-value]


def _dropout(y: Real, random: Random, v: float, place: Place) -> Real:
    share = np.float32(_between(0.12, 1, v))
    return y * (1 - share) + place.source * share


def _stale(y: Real, random: Random, v: float, place: Place) -> Real:
    age = round(_between(1, 16, v))
    return place.clean[max(0, place.start - age)].astype(np.float32)


def _swapped(y: Real, random: Random, v: float, place: Place) -> Real:
    there = place.start if place.frame != place.start else place.start + 1
    return place.clean[min(there, len(place.clean) - 1)].astype(np.float32)


def _ghost(y: Real, random: Random, v: float, place: Place) -> Real:
    share = np.float32(_between(0.1, 0.6, v))
    return y * (1 - share) + place.clean[max(0, place.start - int(random.integers(2, 12)))] * share


def _tear(y: Real, random: Random, v: float, place: Place) -> Real:
    y = y.copy()
    row = int(len(y) * random.uniform(0.1, 0.92))
    y[row:] = place.clean[max(0, place.start - round(_between(1, 16, v)))][row:]
    return y


def _tile(y: Real, random: Random, v: float, place: Place) -> Real:
    """One tile of the picture in other tones."""
    height, width = (side // 3 for side in y.shape[:2])
    top, left = height * int(random.integers(3)), width * int(random.integers(3))
    y = y.copy()
    part = y[top : top + height, left : left + width]
    y[top : top + height, left : left + width] = part + random.normal(0, 1, 3) * _between(3, 40, v)
    return y


def _shading(y: Real, random: Random, v: float, place: Place) -> NDArray[np.floating]:
    return y + (_hills(random, y.shape, 3) * _between(3, 40, v))[..., None]


def _swapped_channels(y: Real, random: Random, v: float, place: Place) -> Real:
    share = np.float32(_between(0.15, 1, v))
    return y * (1 - share) + y[..., ::-1] * share


FAULTS: dict[str, Fault] = {
    "brightness": _brightness,
    "contrast": _contrast,
    "gamma": _gamma,
    "cast": _cast,
    "saturation": _saturation,
    "noise": _noise,
    "specks": _specks,
    "blur": _blur,
    "sharpen": _sharpen,
    "jpeg": _jpeg,
    "pixelate": _pixelate,
    "posterise": _posterise,
    "pattern": _pattern,
    "blank": _blank,
    "holes": _holes,
    "blobs": _blobs,
    "swim": _swim,
    "displace": _displace,
    "dropout": _dropout,
    "stale": _stale,
    "swapped": _swapped,
    "ghost": _ghost,
    "tear": _tear,
    "tile": _tile,
    "shading": _shading,
    "channels": _swapped_channels,
}
WHOLE_ONLY = {"blank", "holes", "blobs", "stale", "swapped", "tear", "tile"}
"""Kinds that make no sense in a part of the picture."""
SOON_AFTER = 0.3
"""Share of the faults that are put where something happens in the source."""


@dataclass(frozen=True, slots=True)
class Run:
    """A fault over some consecutive frames."""

    kind: str
    severity: float
    start: int
    length: int
    mask: Real | None
    """[H, W, 1], 1 where the fault is; None: everywhere."""
    seed: int
    constant: bool
    """The same on every frame of the run."""

    def apply(self, clean: Sequence[Picture], sources: Sequence[Picture], frame: int) -> Picture:
        """The painted frame, spoilt."""
        random = np.random.default_rng((self.seed, 0 if self.constant else frame))
        painted = clean[frame].astype(np.float32)
        place = Place(clean, sources[frame], frame, self.start)
        spoilt = np.asarray(FAULTS[self.kind](painted, random, self.severity, place), np.float32)
        return to_bytes(spoilt if self.mask is None else painted + (spoilt - painted) * self.mask)


def draw_run(
    random: Random, start: int, shape: tuple[int, ...], kinds: Sequence[str], length: int | None = None
) -> Run:
    """A fault at a frame, of a random kind, severity, length and place, for pictures of `shape` (height, width)."""
    kind = str(random.choice(kinds))
    lengths, shares = (1, 2, 3, 4, 5, 6, 8), (0.42, 0.18, 0.1, 0.09, 0.12, 0.05, 0.04)
    mask = None
    if kind not in WHOLE_ONLY and random.random() < 0.4:
        side = np.sqrt(random.uniform(0.015, 0.2))
        height, width = int(shape[0] * side), int(shape[1] * min(1.0, side * random.uniform(0.7, 1.4)))
        top, left = int(random.integers(0, shape[0] - height)), int(random.integers(0, shape[1] - width))
        mask = np.zeros(shape[:2], np.float32)
        mask[top : top + height, left : left + width] = 1
        if random.random() < 0.5:
            mask = cv2.GaussianBlur(mask, (0, 0), 3)
        mask = mask[..., None]
    if length is None:
        length = 2 if kind == "swapped" else int(random.choice(lengths, p=shares))
    severity, seed = float(random.uniform(0, 1)), int(random.integers(1 << 31))
    return Run(kind, severity, start, length, mask, seed, bool(random.random() < 0.6))


def draw_runs(
    random: Random,
    frames: int,
    count: int,
    shape: tuple[int, ...],
    kinds: Sequence[str],
    moments: Sequence[int] = (),
) -> list[Run]:
    """`count` faults or fewer, with at least five good frames between them; some soon after one of the moments."""
    runs: list[Run] = []
    taken = np.zeros(frames + 5, bool)
    for _ in range(count):
        for _ in range(50):
            start = int(random.integers(1, frames - 9))
            if moments and random.random() < SOON_AFTER:
                start = min(int(random.choice(moments)) + int(random.integers(-3, 8)), frames - 10)
            run = draw_run(random, start, shape, kinds)
            span = slice(max(0, run.start - 5), run.start + run.length + 5)
            if not taken[span].any():
                taken[run.start : run.start + run.length] = True
                runs.append(run)
                break
    return runs
