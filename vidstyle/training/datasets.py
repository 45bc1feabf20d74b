"""Sources of batches: folders of pictures, of labelled pictures, of videos, painted pairs, and CIFAR-10.

Every source draws from a generator that depends on the seed and the step alone, so that any step of a run can be made
again. Files that cannot be read are left out and counted in `unreadable`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.flow import estimate, is_cut, warp
from vidstyle.training.data import FRAME_STEP, LARGEST, PICTURES, Pair, Sample, crops, find, read

log = logging.getLogger("vidstyle")

Picture = NDArray[Any]
"""uint8 [H, W, 3], RGB."""
Batch = dict[str, Tensor]

SEEN_BOTH_WAYS = 1.0
"""Pixels by which flow there and back may miss its start where both frames show the same thing."""


@dataclass(frozen=True, slots=True)
class Draw:
    """What decides one batch, and which share of it this process takes.

    random  the same in all processes
    batch   pictures of all processes together, a multiple of `world`
    """

    random: np.random.Generator
    batch: int
    rank: int = 0
    world: int = 1

    @property
    def mine(self) -> slice:
        share = self.batch // self.world
        return slice(self.rank * share, (self.rank + 1) * share)

    def generators(self) -> list[np.random.Generator]:
        """One for each picture of this process."""
        seeds = self.random.integers(0, 2**63, self.batch)
        return [np.random.default_rng(seed) for seed in seeds[self.mine]]


class Pictures:
    """Random squares of the pictures (and of every FRAME_STEP-th frame of the videos) in files and folders.

    places  files and folders
    least   a square's side is at least this share of the picture's shorter side; at most all of it

    Raises InputError if no file can be read.
    """

    def __init__(self, places: Sequence[Path], *, least: float = 0.5) -> None:
        self.least = least
        self.unreadable = 0
        self._pictures: list[Path | Picture] = []
        for path in find(places):
            frames = _frames_of(path)
            if not frames:
                self.unreadable += 1
                log.warning("%s cannot be read as a picture or video; it is left out", path.name)
            self._pictures += frames
        if not self._pictures:
            raise InputError("There is no picture to learn from.", name=", ".join(map(str, places)))

    def __len__(self) -> int:
        return len(self._pictures)

    def hold_out(self, count: int, side: int) -> list[Picture]:
        """Take `count` pictures away for sample sheets: their middles, `side` pixels wide. Of few, all stay."""
        count = min(count, len(self))
        spread = len(self) // count
        held = [self.picture(i * spread) for i in range(count)]
        if len(self) >= 4 * count:
            self._pictures = [p for i, p in enumerate(self._pictures) if i % spread or i // spread >= count]
        return [_resized(_middle(picture), side) for picture in held]

    def draw(self, draw: Draw, side: int) -> Tensor:
        """This process's squares of `side` pixels, shrunk or enlarged: uint8 [n, 3, side, side], RGB."""
        squares = [self.square(int(r.integers(len(self))), side, r) for r in draw.generators()]
        return to_tensor(squares)

    def square(self, number: int, side: int, random: np.random.Generator) -> Picture:
        picture = self.picture(number)
        shorter = min(picture.shape[:2])
        # Rather smaller parts than enlarged ones, which would teach blur.
        wanted = round(shorter * random.uniform(self.least, 1.0))
        taken = min(max(wanted, side), shorter)
        top, left = (int(random.integers(0, length - taken + 1)) for length in picture.shape[:2])
        return _resized(picture[top : top + taken, left : left + taken], side)

    def picture(self, number: int) -> Picture:
        found = self._pictures[number]
        if not isinstance(found, Path):
            return found
        try:
            return next(read(found))
        except StopIteration:
            raise InputError("The picture was there when training began.", name=str(found)) from None


class LabelledPictures:
    """Pictures of several folders, each of which is a class. For the arguments see `Pictures`."""

    def __init__(self, folders: Sequence[Path], *, least: float = 0.5) -> None:
        self.names = [folder.name for folder in folders]
        self._folders = [Pictures([folder], least=least) for folder in folders]

    @property
    def unreadable(self) -> int:
        return sum(folder.unreadable for folder in self._folders)

    def __len__(self) -> int:
        return sum(map(len, self._folders))

    def draw(self, draw: Draw, side: int) -> tuple[Tensor, Tensor]:
        """This process's squares, uint8 [n, 3, side, side], and their classes, int64 [n]; all classes equally often."""
        squares, labels = [], []
        for random in draw.generators():
            label = int(random.integers(len(self._folders)))
            folder = self._folders[label]
            squares.append(folder.square(int(random.integers(len(folder))), side, random))
            labels.append(label)
        return to_tensor(squares), torch.tensor(labels)


class Cifar10:
    """The 50,000 training pictures of CIFAR-10 (Krizhevsky, 2009), 32 pixels wide, in ten classes.

    root  the folder that holds `cifar-10-batches-py`, as torchvision unpacks it; nothing is downloaded

    Raises InputError if it is not there.
    """

    unreadable = 0

    def __init__(self, root: Path) -> None:
        from torchvision.datasets import CIFAR10

        try:
            dataset = CIFAR10(str(root), train=True, download=False)
        except (RuntimeError, OSError) as error:
            raise InputError(
                "There is no local copy of CIFAR-10.",
                name=str(root),
                hint="unpack cifar-10-python.tar.gz into this folder",
            ) from error
        self.names = list(dataset.classes)
        self._pictures = dataset.data
        self._labels = np.asarray(dataset.targets)

    def __len__(self) -> int:
        return len(self._pictures)

    def draw(self, draw: Draw, side: int) -> tuple[Tensor, Tensor]:
        """This process's pictures, uint8 [n, 3, side, side], and their classes, int64 [n]."""
        chosen = draw.random.integers(0, len(self), draw.batch)[draw.mine]
        pictures = [_resized(self._pictures[i], side) for i in chosen]
        return to_tensor(pictures), torch.from_numpy(self._labels[chosen])


@dataclass(frozen=True, slots=True)
class _FramePair:
    before: Picture
    after: Picture
    flow: NDArray[Any]
    """float16 [H, W, 2], pixels, from `after` to `before`."""
    visible: NDArray[Any]
    """bool [H, W]: shown by both."""


class FramePairs:
    """Consecutive frames of videos with their flow (DIS) and what both show (flow there and back agrees).

    Of each video every FRAME_STEP-th pair is kept in memory, at most LARGEST pixels long; pairs across a cut are not.

    places    video files and folders of them
    smallest  shorter frames are left out

    Raises InputError if no pair remains.
    """

    def __init__(self, places: Sequence[Path], *, smallest: int) -> None:
        self.unreadable = 0
        self._pairs: list[_FramePair] = []
        for path in find(places):
            if path.suffix.lower() in PICTURES:
                continue
            found = list(_pairs_of(path))
            if not found:
                self.unreadable += 1
                log.warning("%s has no two frames that belong together; it is left out", path.name)
            self._pairs += [pair for pair in found if min(pair.visible.shape) >= smallest]
        if not self._pairs:
            raise InputError(
                "There are no consecutive frames to learn from.", name=", ".join(map(str, places))
            )

    def __len__(self) -> int:
        return len(self._pairs)

    def draw(self, draw: Draw, side: int) -> Batch:
        """This process's crops: `before`, `after` uint8 [n, 3, side, side]; `flow` float32 [n, 2, side, side],
        pixels from `after` to `before`; `visible` float32 [n, 1, side, side].
        """
        taken = []
        for random in draw.generators():
            pair = self._pairs[int(random.integers(len(self._pairs)))]
            top, left = (int(random.integers(0, length - side + 1)) for length in pair.visible.shape)
            part = slice(top, top + side), slice(left, left + side)
            taken.append(
                _FramePair(*(array[part] for array in (pair.before, pair.after, pair.flow, pair.visible)))
            )
        flow = torch.from_numpy(np.stack([p.flow for p in taken])).permute(0, 3, 1, 2).float()
        visible = torch.from_numpy(np.stack([p.visible for p in taken]))[:, None].float()
        return {
            "before": to_tensor([p.before for p in taken]),
            "after": to_tensor([p.after for p in taken]),
            "flow": flow,
            "visible": visible * _inside(flow),
        }


class PaintedPairs:
    """Crops of photographs, their guides and what a teacher painted (`vidstyle.training.data.painted_pairs`).

    `held` are for the sample sheets alone.
    """

    def __init__(self, pairs: Sequence[Pair], held: int = 6) -> None:
        if len(pairs) <= held:
            raise InputError(
                f"{len(pairs)} pictures are too few to learn from.", hint="give more with --data"
            )
        spread = len(pairs) // max(1, held)
        self.held = [pairs[i * spread] for i in range(held)]
        self.pairs = [pair for i, pair in enumerate(pairs) if i % spread or i // spread >= held]

    def draw(self, draw: Draw, side: int) -> Sample:
        """This process's crops."""
        whole = crops(self.pairs, draw.batch, side, draw.random)
        return Sample(*(t[draw.mine] for t in (whole.source, whole.painted, whole.guides)))


def to_tensor(pictures: Sequence[Picture]) -> Tensor:
    """Equal pictures as uint8 [n, 3, H, W]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def _frames_of(path: Path) -> Sequence[Path | Picture]:
    """A picture's own path, to be read when it is wanted; a video's frames; nothing if it cannot be read."""
    if path.suffix.lower() not in PICTURES:
        return list(read(path))
    return [path] if _is_whole(path) else []


def _is_whole(path: Path) -> bool:
    """Whether the picture decodes to its end; at an eighth of the size, where the format allows it."""
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (picture.width // 8, picture.height // 8))
            picture.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def _middle(picture: Picture) -> Picture:
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return picture[top : top + side, left : left + side]


def _resized(picture: Picture, side: int) -> Picture:
    if picture.shape[0] == side:
        return picture
    smaller = side < picture.shape[0]
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)


def _pairs_of(path: Path) -> list[_FramePair]:
    video = cv2.VideoCapture(str(path))
    pairs: list[_FramePair] = []
    before: Picture | None = None
    number = 0
    try:
        while video.grab():
            if number % FRAME_STEP in (0, 1):
                ok, frame = video.retrieve()
                frame = _shrunk(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)) if ok else None
                if number % FRAME_STEP == 1 and frame is not None and before is not None:
                    pair = _pair(before, frame)
                    pairs += [pair] if pair is not None else []
                before = frame
            number += 1
    finally:
        video.release()
    return pairs


def _shrunk(frame: Picture) -> Picture:
    scale = LARGEST / max(frame.shape[:2])
    return frame if scale >= 1 else cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _pair(before: Picture, after: Picture) -> _FramePair | None:
    first, second = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (before, after))
    if min(first.shape) < 16:  # DIS needs a patch of 8 pixels on two scales
        return None
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back, forth = estimate(dis, second, first), estimate(dis, first, second)
    if is_cut(warp(first, back), second):
        return None
    missed = np.linalg.norm(back + warp(forth, back), axis=2)
    return _FramePair(before, after, back.astype(np.float16), missed < SEEN_BOTH_WAYS)


def _inside(flow: Tensor) -> Tensor:
    """1 where the flow [n, 2, H, W] stays inside the crop: float32 [n, 1, H, W]."""
    height, width = flow.shape[2:]
    x = torch.arange(width) + flow[:, 0]
    y = torch.arange(height)[:, None] + flow[:, 1]
    return ((x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1))[:, None].float()
