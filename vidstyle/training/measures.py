"""What a stylised clip is measured by. Frames are uint8 [H, W, 3], RGB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.flow import estimate, warp
from vidstyle.models.features import gram
from vidstyle.training import losses
from vidstyle.training.perceptual import Features

Frame = NDArray[Any]
Map = NDArray[Any]

LEAST_VISIBLE = 0.25
"""Pairs of frames that share less than this are cuts, and are left out."""


@dataclass(frozen=True, slots=True)
class WarpingError:
    """Mean squared difference to the frame before, carried along the source's motion; colours in [0, 1]."""

    painted: float
    floor: float
    """Of the source itself: flow mistakes, noise and exposure cost it just as much."""


def warping_error(sources: Sequence[Frame], painted: Sequence[Frame]) -> WarpingError | None:
    """Means over all pairs of neighbouring frames, on pixels that both show; None without such a pair.

    Flow is DIS (medium) on the source alone. After Lai et al., "Learning Blind Video Temporal Consistency", 2018.
    """
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in sources]
    errors = []
    for t in range(1, len(sources)):
        back, forth = estimate(dis, grey[t], grey[t - 1]), estimate(dis, grey[t - 1], grey[t])
        seen = visible(back, forth)
        if seen.mean() >= LEAST_VISIBLE:
            errors.append([_missed(clip[t - 1], clip[t], back, seen) for clip in (painted, sources)])
    if not errors:
        return None
    ours, floor = np.mean(errors, axis=0)
    return WarpingError(float(ours), float(floor))


def _missed(before: Frame, after: Frame, back: Map, seen: Map) -> float:
    difference = warp(before, back).astype(np.float32) - after
    return float(np.square(difference[seen] / 255).mean())


def visible(back: Map, forth: Map) -> Map:
    """Pixels whose place in the frame before can be trusted, bool [H, W]: flow there and back agrees, no motion edge.

    The bounds are those of Ruder et al., 2016, with half a pixel (0.05 for edges) more, for DIS is coarser.
    """
    height, width = back.shape[:2]
    x, y = np.arange(width) + back[..., 0], np.arange(height)[:, None] + back[..., 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    there = warp(forth, back)
    length = np.square(back).sum(2)
    agree = np.square(back + there).sum(2) <= 0.01 * (length + np.square(there).sum(2)) + 0.5
    slopes = [np.square(np.gradient(back[..., axis], axis=way)) for axis in (0, 1) for way in (0, 1)]
    return np.asarray(inside & agree & (sum(slopes) <= 0.01 * length + 0.052))


def sharpness(frame: Frame) -> float:
    """Deviation of the Laplacian of the luma, in grey levels."""
    return float(cv2.Laplacian(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32), cv2.CV_32F).std())


def edge_ssim(source: Frame, painted: Frame) -> float:
    """SSIM (Wang et al., 2004) of the blurred edge strengths: 1 where all edges are where they were."""
    return ssim(_edges(source), _edges(painted))


def _edges(frame: Frame) -> Map:
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    x, y = cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1)
    strength: Map = cv2.GaussianBlur(np.hypot(x, y), (0, 0), 2.0)
    return np.minimum(strength, 255)


def ssim(first: Map, second: Map) -> float:
    """Of two planes in [0, 255], Gauss window of deviation 1.5."""

    def mean(x: Map) -> Map:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    a, b = mean(first), mean(second)
    variances = mean(first * first) - a * a, mean(second * second) - b * b
    covariance = mean(first * second) - a * b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similar = (2 * a * b + c1) * (2 * covariance + c2) / ((a * a + b * b + c1) * (sum(variances) + c2))
    return float(similar.mean())


class StyleDistance:
    """Relative distance of Gram matrices to the mean of a set of pictures, and of content to a source frame.

    features  frozen network (`vidstyle.training.perceptual`)
    pictures  the style set
    """

    def __init__(self, features: Features, pictures: Sequence[Frame]) -> None:
        self._features = features
        grams = [[gram(maps) for maps in self.maps(picture)] for picture in pictures]
        self._wanted = [torch.stack(layer).mean(0) for layer in zip(*grams, strict=True)]

    @torch.no_grad()
    def maps(self, frame: Frame) -> list[Tensor]:
        """The feature maps that the distances below are between."""
        return self._features(
            torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float() / 255
        )

    def style(self, maps: Sequence[Tensor]) -> float:
        """||A - B|| / ||B||, mean over the layers."""
        found = [gram(layer) for layer in maps]
        distances = [(a - b).norm() / b.norm() for a, b in zip(found, self._wanted, strict=True)]
        return float(torch.stack(distances).mean())

    def content(self, source: Sequence[Tensor], painted: Sequence[Tensor]) -> float:
        """Relative squared distance of the deepest maps."""
        return float(losses.content(painted[-1:], source[-1:]))
