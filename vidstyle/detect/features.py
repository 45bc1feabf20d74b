"""How far a frame's look is from that of its neighbours and of its shot, seen by the feature network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from statistics import fmean, median

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vidstyle.detect.statistics import Array
from vidstyle.models.features import FeatureNetwork

LEAST_SIDE = 32
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


def describe(thumbnails: Sequence[NDArray[np.uint8]], network: FeatureNetwork) -> list[Look]:
    """For each of some pictures [h, w, 3] of one size, RGB, its mean features at each tap of the network.

    Computed where the network is.
    """
    device = next(network.parameters()).device
    height, width = (max(LEAST_SIDE, side) for side in thumbnails[0].shape[:2])
    pixels = np.stack(
        [cv2.resize(t, (width, height)) if t.shape[:2] != (height, width) else t for t in thumbnails]
    )
    with _queue(device):
        pictures = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float() / 255
        means = [maps.mean((2, 3)).cpu().numpy() for maps in network.describe(pictures)]
    return [tuple(tap[i] for tap in means) for i in range(len(thumbnails))]


def _queue(device: torch.device) -> AbstractContextManager[object]:
    """On a GPU a queue of its own: behind that of the stylizer each answer would wait for whole batches of pictures."""
    return torch.cuda.stream(_stream(device)) if device.type == "cuda" else nullcontext()


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)


def estrangement(source: Look, styled: Look, neighbours: Sequence[Looks]) -> float:
    """How much farther the styled picture is from its neighbours' than the source is from theirs (ratio, mean of taps).

    Only the neighbours count whose source looks most alike. nan where there are too few of them.
    """
    if len(neighbours) < LEAST_NEIGHBOURS:
        return float("nan")
    ratios = []
    for tap in range(len(source)):
        moved, changed = (
            _norms(np.stack(theirs) - mine)
            for theirs, mine in (
                ([n.source[tap] for n in neighbours], source[tap]),
                ([n.styled[tap] for n in neighbours], styled[tap]),
            )
        )
        nearest = np.argsort(moved, kind="stable")[:NEAREST]
        ratios.append(median(changed[nearest].tolist()) / (median(moved[nearest].tolist()) + NOISE))
    return fmean(ratios)


def _norms(rows: Array) -> Array:
    """Lengths of the rows (numpy's own takes twice as long)."""
    lengths: Array = np.sqrt(np.einsum("nc,nc->n", rows, rows))
    return lengths
