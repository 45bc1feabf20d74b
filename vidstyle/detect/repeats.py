"""Parts of an older picture that are shown again, down or up to an edge of the frame: stale and torn pictures.

A style that flickers hides them from every comparison with what neighbours lead to expect; but no picture of such a
style is twice the same where the source goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from vidstyle.detect.cells import cell_means
from vidstyle.detect.decision import pale
from vidstyle.detect.statistics import Array
from vidstyle.detect.temporal import Sight

LAGS = 16
"""How many frames old what is shown again may be."""
TILES = (16, 9)
"""Columns and rows in which pictures are compared, of a landscape picture."""
LEAST_NEAR = 4
"""Frames that must tell how much the tiles usually change."""
LIVELY = 0.6
"""Grey levels by which a tile must change from frame to frame, in all but RESTING of the frames, to say anything."""
RESTING = 0.4
"""Less than half: some styles show every picture twice. More than a third: a run of five may be bad."""
HELD = (0.15, 0.1)
"""Grey levels, and share of that change, by which a tile that is shown again may differ ..."""
MOST_HELD = 0.6
"""... and at most: other faults near by may well be changes of a hundred."""
SOURCE_LIVELY = (0.2, 0.6)
"""Grey levels, and share of its usual change, by which the source must differ there."""
WHOLE = 0.9
"""Share of the lively tiles of the rows up to an edge that must be held ..."""
LEAST_TILES = 12
"""... and how many. In two draws of the anomaly bench torn and older pictures have 23 or more, but for those in which
next to nothing is lively; 2,232 good frames have 3 at most."""


class Band(NamedTuple):
    """Rows of a frame, as shares of its height from the top, that show an older picture."""

    top: float
    bottom: float


def changes(pictures: Sequence[Array], picture: Array) -> Array:
    """Mean absolute difference of the lumas [h, w] of some pictures to one, per tile: [N, rows, columns]."""
    tiles = TILES if picture.shape[1] >= picture.shape[0] else TILES[::-1]
    apart = np.empty((len(pictures), *picture.shape), np.float32)
    for there, layer in zip(pictures, apart, strict=True):
        cv2.absdiff(there, picture, layer)
    return cell_means(apart, tiles)


def pace(before: Sight, here: Sight) -> Array:
    """How much the tiles of the styled picture and of the source changed since the frame before, [2, rows, columns]."""
    pairs = ((before.styled, here.styled), (before.source, here.source))
    return np.concatenate([changes([old[0]], new[0]) for old, new in pairs])


def repeated(source: Array, styled: Array, older: Sequence[Sight], near: Sequence[Array]) -> Band | None:
    """The part of a frame that shows an older picture, if any.

    source, styled  analysis planes [5, h, w] of the frame
    older           frames before it, at most LAGS, the last first
    near            the `pace` of the frames around it

    None where source or picture show next to nothing, as at the end of a fade.
    """
    if not older or len(near) < LEAST_NEAR or pale(source) or pale(styled):
        return None
    ordered = np.sort(np.stack(near), 0)
    usual_styled, usual_source = ordered[int(RESTING * len(near)), 0], ordered[len(near) // 2, 1]
    lively = usual_styled > LIVELY
    if np.count_nonzero(lively) < LEAST_TILES:
        return None
    found: tuple[int, Band] | None = None
    allowed = np.minimum(HELD[0] + HELD[1] * usual_styled, MOST_HELD)
    held = changes([there.styled[0] for there in older], styled[0]) < allowed
    for there, same in zip(older, held, strict=True):
        if np.count_nonzero(same & lively) < LEAST_TILES:
            continue
        (moved,) = changes([there.source[0]], source[0])
        asked = lively & (moved > np.maximum(SOURCE_LIVELY[0], SOURCE_LIVELY[1] * usual_source))
        best = _largest_band(asked.sum(1), (asked & same).sum(1))
        if best is not None and (found is None or best[0] > found[0]):
            found = best
    return found[1] if found else None


def _largest_band(asked: Array, held: Array) -> tuple[int, Band] | None:
    """The rows from the top or the bottom on that hold the most tiles, and how many, from both per row."""
    count, found = len(asked), None
    for downwards in (True, False):
        order = slice(None) if downwards else slice(None, None, -1)
        sums = np.cumsum(held[order])
        sums = np.where(sums >= WHOLE * np.cumsum(asked[order]), sums, 0)
        rows, most = int(sums.argmax()) + 1, int(sums.max())
        if most >= LEAST_TILES and (found is None or most > found[0]):
            found = most, Band(0, rows / count) if downwards else Band(1 - rows / count, 1)
    return found
