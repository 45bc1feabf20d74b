"""Two pictures in each other's place: the painted picture goes back where the source goes on.

How a style answers to changes of the source differs from style to style, but hardly from frame to frame: the change
from one painted picture to the next is correlated with the source's own. Between two exchanged pictures the correlation
has the other sign, and the right one if they change back. That needs neither motion nor a calm style.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vidstyle.detect.statistics import Array, column_median
from vidstyle.detect.temporal import Sight

STYLED, SOURCE = slice(0, 4, 3), [0, 3, 4]
"""Planes of the analysis whose changes are correlated: brightness, and texture. A slice copies nothing."""
MOST = 3.0
"""Times the mean change that a pixel counts for at most."""
LEAST_CHANGE = 0.03
"""Grey levels by which the source must change to be answered to."""
LEAST_NEAR = 4
"""Answers that must be known to tell what is usual."""
CHANCE = 0.05
"""By which a correlation may always be off."""
LEAST_STRENGTH = 2.4
"""How plain the usual answer must be, in standard deviations ..."""
REVERSED, RESTORED = 0.6, 0.55
"""... how far it must be reversed between two pictures, and on average be right if they change back. In four draws of
the anomaly bench all 16 exchanges of four grey levels or more have 0.88 and 0.66 at least. Of 3,868 pairs of good
frames none comes near both, nor does a bad frame beside a good one: that is no better in the other's place."""


def answer(before: Sight, here: Sight) -> Array:
    """Correlations of the changes in the styled picture with those in the source, from one frame to another: [6]."""
    return _answer(before, before, here, here)


def _answer(picture: Sight, place: Sight, next_picture: Sight, next_place: Sight) -> Array:
    """The same, were the one picture in the one place and the other in the other."""
    styled = _changes(picture.styled[STYLED], next_picture.styled[STYLED])
    source = _changes(place.source[SOURCE], next_place.source[SOURCE])
    lengths = np.outer(np.linalg.norm(styled, axis=1), np.linalg.norm(source, axis=1))
    result: Array = (styled @ source.T / (lengths + 1e-3)).ravel().astype(np.float32)
    return result


def _changes(before: Array, here: Array) -> Array:
    """Without what is common to all pixels, and without letting a few of them rule: [planes, pixels]."""
    change = (here - before).reshape(len(here), -1)
    even = np.full(change.shape[1], 1 / change.shape[1], np.float32)  # a product is the quickest mean
    change -= (change @ even)[:, None]
    most = np.float32(MOST) * (np.abs(change) @ even)[:, None]
    result: Array = np.clip(change, -most, most)
    return result


def exchanged(
    first: Sight,
    second: Sight,
    before: Sight | None,
    after: Sight | None,
    *,
    found: Array,
    usual: Sequence[Array],
) -> bool:
    """Whether the styled pictures of two frames in a row came in each other's place.

    before, after  the frames around the two; None where the shot ends
    found          the `answer` from the first to the second
    usual          the `answer`s from frame to frame near by, of which neither picture is part
    """
    if len(usual) < LEAST_NEAR or (before is None and after is None):
        return False
    middle = column_median(usual)
    if found @ middle >= 0:  # most pairs: it costs nothing to see that they are right
        return False
    spread = 1.4826 * column_median([np.abs(there - middle) for there in usual]) + CHANCE
    strength = float(np.linalg.norm(middle / spread))
    if strength < LEAST_STRENGTH:
        return False
    weight = middle / (spread * strength) ** 2

    def agreement(picture: Sight, place: Sight, next_picture: Sight, next_place: Sight) -> float:
        """1 for the usual answer, -1 for its reverse."""
        return float(_answer(picture, place, next_picture, next_place) @ weight)

    between = float(found @ weight)
    if between > -REVERSED:
        return False
    restored = [-between]
    if before is not None:
        restored.append(agreement(before, before, second, first))
    if after is not None:
        restored.append(agreement(first, second, after, after))
    return float(np.mean(restored)) > RESTORED
