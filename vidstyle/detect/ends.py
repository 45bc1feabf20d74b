"""Faults that last until the end of a shot, or from its beginning: no frame beyond them tells which side is wrong."""

from __future__ import annotations

import numpy as np

from vidstyle.detect.statistics import Array

LONGEST = 8
"""Frames at the end of a shot that are looked at."""
LEAST_USUAL = 6
"""Frames before them that must tell what is usual."""
FLOOR = 0.03
"""A difference of two states that means nothing: 3 % of contrast, or one grey level."""
UNUSUAL = 6.0
"""Times the usual difference (1.5 times the median) plus that, from which frames are unlike all before. In 14 draws of
the anomaly bench this finds 10 frames at the ends of shots, all of them bad; 4 would find five good ones, too."""
SUDDEN = 0.6
"""Share of the largest difference that must come from one frame to the next: fades come slowly."""


def changed_end(states: Array) -> int:
    """How many frames at the end of a shot are painted unlike all before them, since a sudden change.

    states  [N, S], of N successive frames, see `temporal.Sight.state`; those of a beginning in reverse order
    """
    for length in range(1, min(LONGEST, len(states) - LEAST_USUAL) + 1):
        usual, end = states[:-length], states[-length:]
        center = np.median(usual, axis=0)
        unit = 1.5 * np.median(np.abs(usual - center), axis=0) + FLOOR
        away, before = (end - center) / unit, np.abs(usual - center) / unit
        one_way = np.maximum(away.min(0), -away.max(0)) > UNUSUAL
        sudden = np.abs(end[0] - usual[-1]) > SUDDEN * np.abs(end - center).max(0)
        if (one_way & sudden & (before.max(0) < UNUSUAL / 2)).any():
            return length
    return 0
