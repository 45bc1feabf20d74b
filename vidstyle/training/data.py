"""Pairs to learn from: pictures found, painted once by a teacher, kept on disk, cropped at random."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle import guides
from vidstyle.guides import TABLE
from vidstyle.training.teachers import Teacher

log = logging.getLogger("vidstyle")

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}
VIDEOS = {".mp4", ".webm", ".mkv", ".mov", ".avi"}
FRAME_STEP = 12
"""Of a video every so many-th frame is used."""
SCALES = (0.55, 1.3)
"""Pictures are shrunk or enlarged by a random factor between these."""
LARGEST = 448
"""Longest side, in pixels, of the part of a picture that is painted."""
GUIDE_UNIT = 32
"""Guides are stored as guide * GUIDE_UNIT + 128, uint8."""

GREY, DARK = 0.1, 0.25
"""Shares of the pictures that are made black and white, and darker."""

Array = NDArray[Any]
Bytes = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and what the teacher made of it."""

    source: Bytes
    """[H, W, 3] RGB."""
    painted: Bytes
    """[H, W, 3] RGB."""
    guides: Bytes
    """[H, W, C], see GUIDE_UNIT."""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.source.shape[0], self.source.shape[1]

    def part(self, rows: slice, columns: slice) -> Pair:
        return Pair(*(array[rows, columns] for array in (self.source, self.painted, self.guides)))


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch of crops, channels_last, float32; pictures RGB in [0, 1]."""

    source: Tensor
    """[N, 3, h, w]"""
    painted: Tensor
    """[N, 3, h, w]"""
    guides: Tensor
    """[N, C, h, w]"""


def find(places: Sequence[Path]) -> list[Path]:
    """All pictures and videos in the given files and folders, sorted by name."""
    found: set[Path] = set()
    for place in places:
        inside = place.rglob("*") if place.is_dir() else [place]
        found.update(p for p in inside if p.suffix.lower() in PICTURES | VIDEOS)
    return sorted(found)


def read(path: Path) -> Iterator[Bytes]:
    """The picture, or every FRAME_STEP-th frame of the video, as RGB uint8 [H, W, 3]; nothing if it cannot be read."""
    if path.suffix.lower() in PICTURES:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is not None:
            yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
        return
    video = cv2.VideoCapture(str(path))
    try:
        number = 0
        while video.grab():
            if number % FRAME_STEP == 0:
                ok, frame = video.retrieve()
                if ok:
                    yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            number += 1
    finally:
        video.release()


def still_guides(
    picture: Array,
    planes: Sequence[str],
    origin: tuple[float, float] = (0.0, 0.0),
    marks: Sequence[Tensor] = (),
) -> Array:
    """`guides.still_guides` of float32 [H, W, 3] in [0, 1]: [H, W, C]."""
    frame = torch.from_numpy(picture).permute(2, 0, 1)[None]
    return guides.still_guides(frame, planes, origin, marks)[0].permute(1, 2, 0).contiguous().numpy()


def paint(
    picture: Bytes, teacher: Teacher, random: np.random.Generator, marks: Sequence[Tensor] = ()
) -> Pair:
    """Scale and crop the picture at random, and have the teacher paint it with a random piece of the guides.

    The pair has planes of `marks` after those that the teacher sees.
    """
    scale = random.uniform(*SCALES)
    scale = min(scale, 2.5 * LARGEST / max(picture.shape[:2]))
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=interpolation)
    top, left = (int(random.integers(0, max(1, side - LARGEST + 1))) for side in picture.shape[:2])
    picture = toned(picture[top : top + LARGEST, left : left + LARGEST], random)
    source = picture.astype(np.float32) / 255
    origin = random.uniform(0, TABLE), random.uniform(0, TABLE)
    planes = still_guides(source, teacher.guides, origin, marks)
    # The generator sees the guides as they are stored, so the teacher paints on those.
    stored = np.clip(np.round(planes * GUIDE_UNIT + 128), 0, 255).astype(np.uint8)
    painted = teacher.paint(source, (stored.astype(np.float32) - 128) / GUIDE_UNIT)
    return Pair(picture, np.round(painted * 255).astype(np.uint8), stored)


def toned(picture: Bytes, random: np.random.Generator) -> Bytes:
    """Some pictures in black and white, some as in the dark: films are not all as bright as photographs."""
    if random.random() < GREY:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if random.random() < DARK:
        shade = (picture / 255.0) ** random.uniform(1, 2) * random.uniform(0.25, 1)
        picture = np.round(255 * shade).astype(np.uint8)
    return picture


def painted_pairs(
    files: Iterable[Path], teacher: Teacher, cache: Path, seed: int, smallest: int
) -> tuple[list[Pair], int]:
    """Pairs of all files, painted or taken from `cache`, and the number of files that could not be read.

    Parts smaller than `smallest` pixels are left out.
    """
    cache.mkdir(parents=True, exist_ok=True)
    pairs: list[Pair] = []
    unreadable = 0
    for path in files:
        key = int.from_bytes(hashlib.sha256(f"{path.name} {path.stat().st_size}".encode()).digest()[:8])
        stored = cache / f"{path.stem}-{key:016x}.npz"
        if not stored.exists():
            random = np.random.default_rng((seed, key))
            new = [paint(picture, teacher, random) for picture in read(path)]
            _store(stored, new)
        kept = _load(stored)
        if not kept:
            unreadable += 1
            log.warning("%s cannot be read as a picture or video; it is left out", path.name)
        pairs += [pair for pair in kept if min(pair.size) >= smallest]
    return pairs, unreadable


def _store(path: Path, pairs: Sequence[Pair]) -> None:
    arrays: dict[str, Bytes] = {}
    for i, pair in enumerate(pairs):
        arrays |= {
            f"{i:04d}-source": pair.source,
            f"{i:04d}-painted": pair.painted,
            f"{i:04d}-guides": pair.guides,
        }
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def _load(path: Path) -> list[Pair]:
    with np.load(path) as arrays:
        names = sorted({name.split("-")[0] for name in arrays.files})
        return [Pair(*(arrays[f"{n}-{part}"] for part in ("source", "painted", "guides"))) for n in names]


def crops(pairs: Sequence[Pair], count: int, size: int, random: np.random.Generator) -> Sample:
    """`count` random crops of size x size pixels."""
    chosen = []
    for pair in (pairs[i] for i in random.integers(0, len(pairs), count)):
        top, left = (int(random.integers(0, side - size + 1)) for side in pair.size)
        chosen.append(pair.part(slice(top, top + size), slice(left, left + size)))
    return sample(chosen)


def sample(pairs: Sequence[Pair]) -> Sample:
    """Pairs of equal size as tensors."""

    def planes(arrays: list[Bytes]) -> Tensor:
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float()

    return Sample(
        planes([p.source for p in pairs]).div_(255),
        planes([p.painted for p in pairs]).div_(255),
        planes([p.guides for p in pairs]).sub_(128).div_(GUIDE_UNIT),
    )
