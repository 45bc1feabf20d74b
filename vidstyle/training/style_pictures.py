"""Pictures that show a style: what is known of each before training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.errors import InputError
from vidstyle.models.any_style import LONGEST
from vidstyle.models.features import gram
from vidstyle.models.marks import Marks, marks_of
from vidstyle.models.palette import Colours, colours_of
from vidstyle.training.data import find, read
from vidstyle.training.datasets import Picture
from vidstyle.training.perceptual import Features

log = logging.getLogger("vidstyle")

SMALLEST = 128
PART = 0.6
"""Beside the whole picture, one random part of it with so much of each side is a style of its own."""


@dataclass(frozen=True, slots=True)
class StylePicture:
    """What training needs of one picture."""

    name: str
    group: str
    """The folder it lies in."""
    facts: Tensor
    """`AnyStyle.describe` of it."""
    grams: list[Tensor]
    """Gram matrix [C, C] of each layer of the loss's features, float16; none where there are no features."""
    colours: Colours
    marks: Marks


def known(
    places: Sequence[Path],
    describe: Callable[[Tensor], Tensor],
    features: Features,
    *,
    parts: bool,
    most: int = 0,
    seed: int = 0,
) -> list[StylePicture]:
    """All readable pictures of files and folders, and (with `parts`) a random part of each large one.

    most  of each place so many, spread over it (0: all)

    Raises InputError if there is none.
    """
    random = np.random.default_rng(seed)
    made = []
    for path in (path for place in places for path in _spread(find([place]), most)):
        picture = next(read(path), None)
        if picture is None or min(picture.shape[:2]) < SMALLEST:
            log.warning("%s is no picture or too small; it is left out", path.name)
            continue
        picture = fitted(picture)
        made.append(_one(path.stem, path.parent.name, picture, describe, features))
        if parts and min(picture.shape[:2]) * PART >= SMALLEST:
            made.append(_one(path.stem, path.parent.name, _part(picture, random), describe, features))
    if not made:
        raise InputError("There is no picture of a style.", name=", ".join(map(str, places)))
    return made


def style_picture(picture: Picture, features: Features) -> StylePicture:
    """What is known of one picture where nothing needs its facts."""
    return _one("", "", picture, lambda _: torch.zeros(0), features)


def _spread(files: Sequence[Path], most: int) -> Sequence[Path]:
    return files[:: -(-len(files) // most)] if most else files


def fitted(picture: Picture) -> Picture:
    """Shrunk to at most LONGEST pixels a side."""
    scale = LONGEST / max(picture.shape[:2])
    return (
        picture if scale >= 1 else cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    )


def _part(picture: Picture, random: np.random.Generator) -> Picture:
    height, width = (round(side * PART) for side in picture.shape[:2])
    top = int(random.integers(picture.shape[0] - height + 1))
    left = int(random.integers(picture.shape[1] - width + 1))
    mirrored = picture[top : top + height, left : left + width][:, ::-1]
    return np.ascontiguousarray(mirrored)


@torch.no_grad()
def _one(
    name: str, group: str, picture: Picture, describe: Callable[[Tensor], Tensor], features: Features
) -> StylePicture:
    one = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
    with torch.autocast("cpu", torch.bfloat16):
        maps = features(one.contiguous(memory_format=torch.channels_last))
    grams = [gram(layer)[0].half() for layer in maps]
    return StylePicture(name, group, describe(one), grams, colours_of([picture]), marks_of(picture))
