"""A small moving clip and its stylised pictures, made up, for the tests of detector and corrector."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.flow import track_motion
from vidstyle.frames import Batch, StyledBatch

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 192, 108


def world(seed: int, width: int = 640, height: int = 200) -> Picture:
    """A wide picture of soft shapes with some texture, RGB."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(
            rng.normal(0, 1, (max(2, height // s), max(2, width // s), 3)).astype(np.float32), (width, height)
        )
        * gain
        for s, gain in ((64, 50), (16, 30), (4, 12))
    ]
    return np.clip(128 + sum(layers), 0, 255).astype(np.uint8)


def pan(count: int, seed: int = 0, step: float = 1.5) -> list[Picture]:
    """A slow pan over a world."""
    picture = world(seed)
    shifts = (
        np.array([[1, 0, -10 - step * t], [0, 1, -20 - 5 * np.sin(t / 9)]], np.float32) for t in range(count)
    )
    return [cv2.warpAffine(picture, m, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR) for m in shifts]


def paint(frame: Picture) -> Picture:
    """The style: livelier, flatter, a pure function of the frame."""
    calm = cv2.bilateralFilter(frame, 5, 30, 5).astype(np.float32)
    return np.clip(1.25 * (calm - 128) + 135 + [12, 0, -12], 0, 255).astype(np.uint8)


def tensor(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def batches(
    sources: list[Picture],
    styled: list[Picture],
    *,
    size: int = 4,
    first: int = 0,
    invalid: dict[int, str] | None = None,
) -> Iterator[StyledBatch]:
    """Styled batches with their motion, as the pipeline hands them to the detector."""

    def source_batches() -> Iterable[Batch]:
        for i in range(first, len(sources), size):
            indices = tuple(range(i, min(i + size, len(sources))))
            yield Batch(
                indices,
                tuple(40 * j for j in indices),
                (40,) * len(indices),
                torch.stack([tensor(sources[j]) for j in indices]),
                (False,) * len(indices),
            )

    for batch in track_motion(source_batches()):
        pictures = torch.stack([tensor(styled[j]) for j in batch.indices])
        yield StyledBatch(batch, pictures, tuple((invalid or {}).get(j) for j in batch.indices))


def _noise(y: Picture) -> Picture:
    return np.clip(y + np.random.default_rng(5).normal(0, 30, y.shape), 0, 255).astype(np.uint8)


def _square(y: Picture) -> Picture:
    y = y.copy()
    y[30:60, 100:140] = 0
    return y


FAULTS: dict[str, tuple[Callable[[Picture], Picture], str]] = {
    "strong noise": (_noise, "noise"),
    "black": (np.zeros_like, "blank"),
    "brighter": (lambda y: np.clip(y * 1.22, 0, 255).astype(np.uint8), "flicker"),
    "darker": (lambda y: (y * 0.78).astype(np.uint8), "flicker"),
    "blurred": (lambda y: cv2.GaussianBlur(y, (0, 0), 3), "blur"),
    "cast": (lambda y: np.clip(y + np.array([30.0, -15, -15]), 0, 255).astype(np.uint8), "color"),
    "black square": (_square, "flicker"),
}
"""What can be done to a stylised picture, and the reason the detector is to find."""
