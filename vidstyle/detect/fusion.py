"""From all the evidence about a frame to one score: by a trained network where there is one, else by a rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vidstyle.detect.decision import NAMES, THRESHOLD, Finding, combine, compress, stands_out
from vidstyle.detect.statistics import Array
from vidstyle.models.fusion import FusionNetwork, SideBySide

AROUND = (-4, -3, -2, -1, 1, 2, 3, 4)
"""The frames near one whose screening scores are looked at."""
END_DOUBT = 2.5
"""Taken from the logit of the first and the last two frames of a shot: shots begin with their least steady frames, and
every cut would be a false alarm, ..."""
PLAIN = 1.6
"""... but not where the strongest cue, in units of the threshold, speaks as plainly. With 1.3 the second frame of a
clip was a false alarm in three of six draws of the anomaly bench; none of the bad ones that it found lay between."""
SHORT = 5
"""Frames of the same shot around one (see `Circumstances.kin`) under which the shot is so short that ..."""
SHORT_DOUBT = 5.0
"""... all of it is doubted, and more: it is over before it is known what is usual in it."""
UNEASY = 0.05
"""Score from which the network is uneasy about a frame. If nothing stands out in the evidence it has no reason ..."""
RESTLESS = 0.1
"""... and where that is so for more than this share of the frames the style itself is restless. In a dozen draws of the
anomaly bench and of another suite 49 of 79 frames that it called bad there, with nothing else against them, were good,
29 of 125 elsewhere."""
RESTLESS_DOUBT = 12.0
"""Taken from the logit per share beyond that, but ..."""
DOUBTFUL = 0.99
"""... this is left of a score that was higher: only the worst of the good frames come so near to the threshold."""
SILENT = 1 / 3
"""If the strongest cue is weaker, in units of the threshold, the network stands alone against a frame, ..."""
FADING = 0.8
"""... and where the source becomes brighter or darker by more grey levels from frame to frame, as in fades and
dissolves, wherever nothing stands out."""
ALONE_DOUBT = 3.0
"""Taken from the logit where it stands alone. In 47 clips with fades in our own styles 13 of 16 false alarms went by
it; of 686 frames that were flagged in five draws of the anomaly bench one bad one was lost."""
QUIET = 0.1
"""If even the strongest cue is weaker, in units of the threshold, the network is not asked, ..."""
QUIET_SHARE = 0.01
"""... and this share of what the evidence amounts to is the score. In two draws of the anomaly bench that is so for 42
% of the frames; the network would have been uneasy about 2 of 1,020, and called none bad."""
NUMBERS = 2 * len(NAMES) + len(AROUND) + 8


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What else is known when a frame is weighed."""

    frame: int
    """Counted from 0, the first that was seen."""
    around: Sequence[float]
    """Screening scores of the frames AROUND it; 0 where there is none yet."""
    before: int
    """Neighbours that it was compared with, on either side ..."""
    after: int
    asked: int
    """... of so many."""
    history: int
    """Frames that tell what is usual."""
    noise: float
    """Of the source, in grey levels."""
    screening: bool
    """Whether this is the first look at it, before bad neighbours are known."""
    near_end: bool
    """Whether its shot has fewer than two frames before or after it."""
    kin: int
    """Frames of the same shot before and after it, up to `temporal.REACH` on either side."""
    unfounded: float
    """Share of the frames around it about which the network was uneasy for no reason that is seen in the evidence."""
    light: float
    """Grey levels per frame by which its source becomes brighter or darker."""

    @property
    def both_sides(self) -> bool:
        return min(self.before, self.after) >= 2


def numbers(scores: Array, finding: Finding, here: Circumstances) -> Array:
    """What the network is told beside the maps, each number in a range of some units: float32 [NUMBERS].

    scores  the evidence, in the order of NAMES
    """
    parts = (
        compress(scores / THRESHOLD),
        compress(np.nan_to_num(finding.cues, nan=0.0)),
        compress(np.asarray(here.around)),
        (
            np.log(finding.doubt),
            float(here.both_sides),
            float(np.isnan(finding.cues).any()),
        ),
        (here.before / here.asked, here.after / here.asked),
        (here.history / 30, np.log1p(here.noise), float(here.screening)),
    )
    return np.concatenate(parts).astype(np.float32)


Fusion = Callable[[Finding, Array, Circumstances], float]
"""What was measured in a frame (with maps), the evidence, the circumstances -> its score, 1.0 at the threshold."""


class TrainedFusion:
    """The score from a network that was trained to answer 0 at the threshold; it is not asked where all is QUIET."""

    def __init__(self, network: FusionNetwork) -> None:
        self._network = SideBySide(network)

    @torch.inference_mode()
    def __call__(self, finding: Finding, scores: Array, here: Circumstances) -> float:
        assert finding.maps is not None
        if scores.max() < QUIET * THRESHOLD:
            return QUIET_SHARE * combine(scores)
        if finding.seen is None:  # the second look, from another place in time, is at the same maps
            finding.seen = self._network.see(torch.from_numpy(finding.maps()))
        known = torch.from_numpy(numbers(scores, finding, here))
        logit = float(self._network.judge(finding.seen, known))
        if here.kin < SHORT:
            logit -= SHORT_DOUBT
        elif here.near_end and scores.max() < PLAIN * THRESHOLD:
            logit -= END_DOUBT
        silent = scores.max() < SILENT * THRESHOLD or (here.light > FADING and not stands_out(scores))
        if silent and not here.screening:
            logit -= ALONE_DOUBT
        doubt = RESTLESS_DOUBT * max(0.0, here.unfounded - RESTLESS)
        return max(self.score(logit - doubt), min(self.score(logit), DOUBTFUL))

    @staticmethod
    def score(logit: float) -> float:
        """Above 0 everywhere, 1 at 0, about logit + 0.5 for large ones."""
        return float(np.logaddexp(0, logit + LIFT))


LIFT = float(np.log(np.e - 1))
