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
CANDIDATES = 2000
MARGIN = 0.03
"""Of the sides, where no patch is taken from: frames, torn edges and borders of paper are no marks."""
LIVELY = 0.6
"""Share of the candidates, the strongest, that are used: else there would be bald patches ..."""
TYPICAL = 0.6
"""... and of these the share that has most of its like elsewhere: a signature, an eye, a scratch is no mark either."""
ALIKE = 20
"""So many others must be like a patch."""
CELLS = 6
"""Per side of a patch: what is uneven has marks in some of them only."""
TRIED = 120
"""Candidates tried at each place: more find seams that fit better, but the same few patches again and again."""
ONCE = 32
"""Pixels around a patch from which no other is taken while there are others: else what fits well is everywhere."""
STRONGEST = 0.25
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
    missing = [max(0, 3 * PATCH - side) for side in plane.shape]
    return np.pad(plane, [(0, more) for more in missing], mode="symmetric")


def _candidates(luma: Array, random: np.random.Generator) -> tuple[Array, Array]:
    """Lively and typical patches [N, PATCH, PATCH] and their places [N, 2]."""
    room = [side - PATCH + 1 for side in luma.shape]
    places = np.stack(
        [random.integers(int(MARGIN * side), side - int(MARGIN * side), CANDIDATES) for side in room], 1
    )
    windows = np.lib.stride_tricks.sliding_window_view(luma, (PATCH, PATCH))
    patches = np.array(windows[tuple(places.T)], np.float32)
    power = np.square(patches).mean((1, 2))
    lively = np.argsort(-power, kind="stable")[: round(LIVELY * CANDIDATES)]
    patches, places = patches[lively], places[lively]
    typical = np.argsort(_rarity(patches, places), kind="stable")[: round(TYPICAL * len(lively))]
    return patches[typical], places[typical]


def _rarity(patches: Array, places: Array) -> Array:
    """How little patches are like others that lie elsewhere [N]."""
    looks = _looks(patches)
    squares = np.square(looks).sum(1)
    distance = squares[:, None] + squares - 2 * looks @ looks.T
    distance[np.abs(places[:, None] - places).max(2) <= PATCH] = np.inf
    return np.asarray(np.partition(distance, ALIKE, 1)[:, ALIKE])


def _looks(patches: Array) -> Array:
    """What patches look like [N, 8]: strength, direction, asymmetry, sparseness, fineness, evenness; standardised."""
    power = np.square(patches).mean((1, 2)) + 1e-9
    down, across = np.diff(patches, axis=1)[:, :, 1:], np.diff(patches, axis=2)[:, 1:]
    xx, yy, xy = ((one * two).mean((1, 2)) for one, two in ((across, across), (down, down), (across, down)))
    cells = np.square(patches).reshape(-1, CELLS, PATCH // CELLS, CELLS, PATCH // CELLS).mean((2, 4))
    cells = cells.reshape(len(patches), -1) / power[:, None]
    slopes = xx + yy + 1e-9
    looks = (
        np.log(power),
        (xx - yy) / slopes,
        2 * xy / slopes,
        (patches**3).mean((1, 2)) / power**1.5,
        np.log((patches**4).mean((1, 2)) / power**2 + 1e-9),
        np.log(slopes / power),
        np.log(cells.max(1)),
        np.log(cells.min(1) + 1e-3),
    )
    columns = np.stack(looks, 1)
    return np.asarray((columns - columns.mean(0)) / (columns.std(0) + 1e-9))


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
