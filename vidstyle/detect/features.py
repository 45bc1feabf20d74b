"""How far a frame's look is from that of its neighbours and of its shot, seen by the feature network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.detect.analysis import to_levels
from vidstyle.detect.statistics import Array
from vidstyle.models.features import FeatureNetwork

LONG_SIDE = 192
"""Of the pictures that the network sees, in pixels."""
LEAST_NEIGHBOURS = 3
NEAREST = 4
NOISE = 0.01
"""Distance of two looks that means nothing."""


Look = tuple[Array, ...]
"""A picture's mean features at each tap of the network."""


@dataclass(frozen=True, slots=True)
class Looks:
    """The looks of one frame's two pictures."""

    source: Look
    styled: Look


def describe(picture: Tensor, network: FeatureNetwork) -> Look:
    """The mean features of a picture [3, H, W] at each tap of the network."""
    levels = to_levels(picture, LONG_SIDE)
    height, width = (max(32, side) for side in levels.shape[:2])
    if levels.shape[:2] != (height, width):
        levels = cv2.resize(levels, (width, height))
    pixels = torch.from_numpy(levels / np.float32(255)).permute(2, 0, 1)[None]
    return tuple(maps.mean((2, 3))[0].numpy() for maps in network.describe(pixels))


def estrangement(source: Look, styled: Look, neighbours: Sequence[Looks]) -> float:
    """How much farther the styled picture is from its neighbours' than the source is from theirs (ratio, mean of taps).

    Only the neighbours count whose source looks most alike. nan where there are too few of them.
    """
    if len(neighbours) < LEAST_NEIGHBOURS:
        return float("nan")
    ratios = []
    for tap in range(len(source)):
        moved, changed = (
            np.linalg.norm(np.stack(theirs) - mine, axis=1)
            for theirs, mine in (
                ([n.source[tap] for n in neighbours], source[tap]),
                ([n.styled[tap] for n in neighbours], styled[tap]),
            )
        )
        nearest = np.argsort(moved, kind="stable")[:NEAREST]
        ratios.append(np.median(changed[nearest]) / (np.median(moved[nearest]) + NOISE))
    return float(np.mean(ratios))
