"""What a style makes of that which only a frame's own source shows: other light, or an edge that the flow misplaced.

Around each pixel a painted picture is nearly linear in its source (as in the guided filter of He, Sun and Tang 2010,
"Guided image filtering"). The slope is that of the neighbours, whose sources and paintings were carried alike.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidstyle.correct.pyramid import Array

LONG_SIDE = 384
"""Pixels of the picture in which slopes are measured."""
AROUND = 1 / 48
"""How far around a pixel, of the long side. Half and a third of it serve as well."""
NOISE = 30.0
"""Squared grey levels of variance in the source that count for nothing."""
STEEPEST = 2.0


def response(source: Array, seen: Array, picture: Array) -> Array:
    """How a picture would change if its source were another; all are [H, W, 3] in 0..255.

    source  the other source
    seen    that of the picture
    """
    height, width = source.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cause, effect = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (seen, picture))
    sigma = max(1.0, AROUND * max(size))

    def mean(values: Array) -> Array:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))

    level = mean(cause)
    variance = mean(cause * cause) - level * level
    slope = (mean(cause * effect) - level * mean(effect)) / (np.maximum(variance, 0) + np.float32(NOISE))
    slope = cv2.resize(np.clip(slope, -STEEPEST, STEEPEST), (width, height))
    result: Array = slope * (source - seen)
    return result
