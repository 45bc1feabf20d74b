"""Banding: levels that a picture lacks between those that it has.

Whatever has been quantised coarsely, or stretched after it was quantised, has a comb for a histogram (Stamm and Liu
2010, "Forensic detection of image manipulation using statistical intrinsic fingerprints").
"""

from __future__ import annotations

import cv2
import numpy as np

from vidstyle.detect.statistics import Array, Pixels

LEVELS = 256
WIDTH = 9
"""Levels over which a histogram without gaps is about even."""
LINES = 90
"""Rows of a larger picture that are looked at."""


def banding(pixels: Pixels) -> Array:
    """Of a picture [H, W, 3]: by how many nats the histogram of each channel tells more than the same smoothed, [3].

    About 0 where it is even.
    """
    full = LEVELS if pixels.dtype == np.uint8 else LEVELS * 257
    # one copy: else each histogram would make its own
    some = np.ascontiguousarray(pixels[:: max(1, len(pixels) // LINES)])
    counts = np.stack([cv2.calcHist([some], [n], None, [LEVELS], [0, full]).ravel() for n in range(3)])
    smooth = cv2.blur(counts, (WIDTH, 1), borderType=cv2.BORDER_CONSTANT)
    return _entropies(smooth) - _entropies(counts)


def _entropies(counts: Array) -> Array:
    """Of histograms [N, LEVELS], in nats."""
    shares = counts / counts.sum(1, keepdims=True)
    result: Array = -(shares * np.log(shares + np.float32(1e-9))).sum(1)
    return result
