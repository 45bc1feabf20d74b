"""A picture's own marks as an endless texture: its brush strokes, cuts or dots without what they depict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIDE = 512
"""Of the texture, pixels."""
PATCH = 48
"""Side of the patches that it is sewn together from: wider than a mark, narrower than what they depict."""
STEP = 32
"""Pixels from one patch to the next; what is left is the seam."""
COARSEST = 8
"""Marks are what a picture loses if it is averaged over squares of so many pixels."""
WINDOW = 17
"""Side of the windows in which marks are strong or weak."""
USUAL = 0.7
"""Quantile of the strength in all windows that counts as the picture's; stronger ones are outlines, and weakened."""
CANDIDATES = 4000
TRIED = 120
"""Candidates tried at each place: more find seams that fit better, but the same few patches again and again."""
ONCE = 16
"""Pixels around a patch from which no other is taken while there are others: else what fits well, an inscription or a
signature, is everywhere."""
STRONGEST = 0.2
"""Stronger marks (cuts of black in white) would hide what is painted: they are weakened to that."""
FAINT = 2e-3
"""Weaker marks, of colours in [0, 1], are none."""

_LUMA = np.array((0.299, 0.587, 0.114), np.float32)


@dataclass(frozen=True, slots=True)
class Texture:
    """Marks of a picture."""

    table: Array
    """float32 [SIDE, SIDE], periodic, mean 0, deviation 1."""
    strength: float
    """Deviation of luma that they are to have, of [0, 1]: that of the picture, unless it is extreme."""
    colour: Array
    """float32 [3]: what they do to R, G and B, with a luma of 1."""


def texture_of(picture: Array, *, seed: int = 0) -> Texture | None:
    """The marks of a picture uint8 [H, W, 3], RGB; None where it has next to none.

    Patches of its fine detail are sewn together, each the one of some that fits best to what is there: after Efros and
    Freeman, "Image Quilting for Texture Synthesis and Transfer", 2001, but with soft seams, and on a torus.
    """
    whole = picture.astype(np.float32) / 255
    fine = whole - _averaged(whole)
    luma = fine @ _LUMA
    power = cv2.blur(luma * luma, (WINDOW, WINDOW))
    usual = float(np.quantile(power, USUAL))
    if usual < FAINT**2:
        return None
    luma = _large_enough(luma * np.minimum(1, np.sqrt(usual / (power + 1e-9))))
    random = np.random.default_rng(seed)
    table = _sewn(*_candidates(luma, random), random)
    axis = np.linalg.eigh(np.einsum("hwi,hwj->ij", fine, fine))[1][:, -1]
    grey = float(axis @ _LUMA)
    colour = axis / grey if abs(grey) > 0.2 else np.ones(3)  # else they differ in hue alone
    strength = min(usual**0.5, STRONGEST)
    return Texture((table - table.mean()) / table.std(), strength, colour.astype(np.float32))


def _averaged(picture: Array) -> Array:
    """A picture [H, W, C] without its marks."""
    height, width = picture.shape[:2]
    small = max(1, round(width / COARSEST)), max(1, round(height / COARSEST))
    low = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(low, (width, height), interpolation=cv2.INTER_LINEAR)


def _large_enough(plane: Array) -> Array:
    """A plane [H, W], mirrored at its borders where patches would find no room."""
    missing = [max(0, 2 * PATCH - side) for side in plane.shape]
    return np.pad(plane, [(0, more) for more in missing], mode="symmetric")


def _candidates(luma: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Patches [N, PATCH, PATCH] and their places [N, 2]."""
    places = np.stack([random.integers(0, side - PATCH + 1, CANDIDATES) for side in luma.shape], 1)
    windows = np.lib.stride_tricks.sliding_window_view(luma, (PATCH, PATCH))
    return np.array(windows[tuple(places.T)], np.float32), places


def _sewn(patches: Array, places: Array, random: np.random.Generator) -> Array:
    ramp = np.minimum(1, (np.arange(PATCH, dtype=np.float32) + 0.5) / (PATCH - STEP))
    ramp = np.minimum(ramp, ramp[::-1])
    share = np.outer(ramp, ramp)
    total, weight = np.zeros((2, SIDE, SIDE), np.float32)
    left = np.ones(len(patches), bool)
    for y in range(0, SIDE, STEP):
        for x in range(0, SIDE, STEP):
            at = np.ix_(np.arange(y, y + PATCH) % SIDE, np.arange(x, x + PATCH) % SIDE)
            there, known = total[at], weight[at]
            if np.count_nonzero(left) < TRIED:
                left[:] = True
            tried = random.choice(np.flatnonzero(left), TRIED)
            misfit = np.square(patches[tried] - there / np.maximum(known, 1e-6)) * (known > 0)
            best = tried[misfit.sum((1, 2)).argmin()]
            left &= np.abs(places - places[best]).max(1) > ONCE
            total[at] = there + share * patches[best]
            weight[at] = known + share
    return total / weight
