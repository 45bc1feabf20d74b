"""Traits of single pictures that give a fault away however the style flickers: none of the pictures around has them.

Each is an array of numbers about a picture [H, W, 3], higher where it is worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from vidstyle.detect.banding import banding
from vidstyle.detect.blocks import blockiness
from vidstyle.detect.statistics import Array, Pixels, column_median

LEAST_AROUND = 3
"""Pictures that must tell what is usual."""
DEVIATIONS = 2.0
"""Median deviations of the pictures around that are usual ..."""


@dataclass(frozen=True, slots=True)
class Trait:
    """One of them, and how it is weighed."""

    reason: str
    measure: Callable[[Pixels], Array]
    floor: float
    """... beside this much, ..."""
    notable: float
    """... and how many times that tells of a fault."""

    def excess(self, here: Array, around: Sequence[Array]) -> float:
        """How far the worst number is above those around it, 1 at what is notable; 0 if none is by enough to ask."""
        middle = column_median(around)
        beyond = here - middle
        if not (beyond > self.floor * self.notable).any():  # most pictures
            return 0.0
        usual = self.floor + DEVIATIONS * column_median(np.abs(np.asarray(around) - middle))
        return float((beyond / usual).max()) / self.notable


TRAITS = (
    # In three draws of the anomaly bench 22 of 23 blocky frames, most of them in a small part only, have 3.1 times the
    # usual or more; 3,305 good ones have 2.3 at most.
    Trait("blocks", blockiness, floor=0.15, notable=2.5),
    # There 20 of 21 posterised frames have 48 or more, some with other colours or noise 8 to 30, good ones 6.2 at most.
    Trait("banding", banding, floor=0.03, notable=8.0),
)

Traits = tuple[Array, ...]
"""In the order of TRAITS."""


def traits(picture: Tensor) -> Traits:
    """Of a picture [3, H, W], uint8 or uint16."""
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    return tuple(trait.measure(pixels) for trait in TRAITS)
