"""Blockiness: how much more a picture changes where blocks of eight pixels meet than between.

As in the measure of Wang, Bovik and Evans 2000, "Blind measurement of blocking artifacts in images", but in the
picture itself instead of its spectrum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import cv2
import numpy as np
from torch import Tensor

from vidstyle.detect.statistics import Array

BLOCK = 8
"""Pixels; those of JPEG, MPEG and many networks' tiles, from the first of the picture on."""
LINES = 360
"""Rows, and columns, of a larger picture that are looked at."""
CALM = 0.05
"""Grey levels of change that hardly count, as a share of ..."""
FULL = {"uint8": 1.0, "uint16": 257.0}
"""... a grey level."""
NOTABLE = 0.28
"""By how much (log ratio) a picture must be blockier than those around it. In four draws of the anomaly bench 16 of 21
blocky frames have 0.25 or more, the other five are blocky in a small part; 4,460 good frames have 0.20 at most."""


def blockiness(picture: Tensor) -> float:
    """Of a picture [3, H, W], uint8 or uint16: log ratio of the change across blocks to that within, both directions.

    About 0 where there are none, and for pictures of fewer than two blocks.
    """
    pixels = picture.permute(1, 2, 0).numpy()
    height, width = pixels.shape[:2]
    if min(height, width) < 2 * BLOCK:
        return 0.0
    rows = cv2.cvtColor(np.ascontiguousarray(pixels[:: max(1, height // LINES)]), cv2.COLOR_RGB2GRAY)
    columns = cv2.cvtColor(np.ascontiguousarray(pixels[:, :: max(1, width // LINES)]), cv2.COLOR_RGB2GRAY)
    across = cv2.reduce(cv2.absdiff(rows[:, 1:], rows[:, :-1]), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    down = cv2.reduce(cv2.absdiff(columns[1:], columns[:-1]), 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    calm = CALM * FULL[str(pixels.dtype)]
    return 0.5 * (_log_ratio(across.ravel(), calm) + _log_ratio(down.ravel(), calm))


def _log_ratio(changes: Array, calm: float) -> float:
    """From the mean change from each row or column to the next."""
    whole = len(changes) // BLOCK * BLOCK
    *within, across = changes[:whole].reshape(-1, BLOCK).mean(0).tolist()
    return math.log((across + calm) / (median(within) + calm))


def excess(here: float, around: Sequence[float]) -> float:
    """How much blockier a picture is than those around it, over what is NOTABLE; 0 where there are none."""
    return (here - median(around)) / NOTABLE if around else 0.0
