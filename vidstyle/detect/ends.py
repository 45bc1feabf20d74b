"""Faults that last: until the end of a shot, from its beginning, or for most of the neighbours of a frame in them.

The neighbours do not tell which side of such a change is wrong; how the shot is painted for longer does.
"""

from __future__ import annotations

import numpy as np

from vidstyle.detect.statistics import Array

LONGEST = 8
"""Frames at the end of a shot that are looked at."""
LONG = range(6, LONGEST + 1)
"""Frames of a run within a shot that are looked for: a frame in a shorter one differs from most of its neighbours."""
LEAST_USUAL = 6
"""Frames before them that must tell what is usual, ..."""
LEAST_AFTER = 3
"""... and after a run."""
FLOOR = 0.03
"""A difference of two states that means nothing: 3 % of contrast, or one grey level."""
UNUSUAL = 6.0
"""Times the usual difference (1.5 times the median) plus that, from which frames are unlike all before. In 14 draws of
the anomaly bench this finds 10 frames at the ends of shots, all of them bad; 4 would find five good ones, too."""
UNUSUAL_RUN = 3.0
"""The same for a run, whose two ends are evidence each. In 42 clips with a run of eight bad frames (six kinds of
faults) 248 of the 336 are found, with 6.0 223 of them, without this rule 166; in three draws of the anomaly bench,
whose runs are shorter, no good frame is suspected."""
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


def changed_run(states: Array, start: int) -> int:
    """How many frames from `start` on are painted unlike those before and after them: one of LONG, or 0.

    states  [N, S], of N successive frames of a shot, see `temporal.Sight.state`
    """
    if start < LEAST_USUAL or np.abs(states[start] - states[start - 1]).max() <= SUDDEN * UNUSUAL_RUN * FLOOR:
        return 0  # most frames
    for length in LONG:
        run, after = states[start : start + length], states[start + length :]
        if len(after) < LEAST_AFTER:
            break
        usual = np.concatenate((states[:start], after))
        center = np.median(usual, axis=0)
        unit = 1.5 * np.median(np.abs(usual - center), axis=0) + FLOOR
        away, around = (run - center) / unit, np.abs(usual - center) / unit
        one_way = np.maximum(away.min(0), -away.max(0)) > UNUSUAL_RUN
        least = SUDDEN * np.abs(run - center).max(0)
        sudden = np.minimum(np.abs(run[0] - states[start - 1]), np.abs(after[0] - run[-1])) > least
        if (one_way & sudden & (around.max(0) < UNUSUAL_RUN / 2)).any():
            return length
    return 0
