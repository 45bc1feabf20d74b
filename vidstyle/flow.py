"""Optical flow of the source: computed once per pair of neighbouring frames, shared by every stage after it.

Flow is numpy float32 [h, w, 2]: dx, dy in pixels of its own grid. `back` points from a frame to the frame before,
`forth` from the frame before to the frame. The estimator is DIS (Kroeger et al., "Fast Optical Flow using Dense
Inverse Search", ECCV 2016) as in OpenCV.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.frames import Batch, Motion

Image = NDArray[Any]
"""[h, w] or [h, w, 3], uint8 or float32 in grey levels."""
Flow = NDArray[Any]
"""float32 [h, w, 2]."""

ANALYSIS_LONG_SIDE = 320
"""Pixels. Twice the area costs twice the time and found no more faults (see the detector's benchmark)."""

LEAST_HEIGHT = 32
"""Pixels. OpenCV's estimator takes its scales from the width alone, and reads wild memory where the height is less."""

CUT_CORRELATION = 0.45
"""A new shot begins where the warped frame before correlates less than this with the frame ..."""
CUT_DIFFERENCE = 12.0
"""... and differs by more than this many grey levels on average (still, flat pictures correlate with nothing)."""


def analysis_size(width: int, height: int, long_side: int = ANALYSIS_LONG_SIDE) -> tuple[int, int]:
    """Width, height of the grid that flow is computed on; never larger than the picture, never under 8 pixels."""
    scale = min(1.0, long_side / max(width, height))
    return max(8, round(width * scale)), max(8, round(height * scale))


def to_array(picture: Tensor) -> NDArray[Any]:
    """A picture tensor [3, H, W] as the array [H, W, 3] that shares its memory (CPU, channels_last)."""
    return picture.permute(1, 2, 0).numpy()


def to_8_bit(picture: Tensor) -> NDArray[np.uint8]:
    """A picture tensor [3, H, W], uint8 or uint16, as uint8 [H, W, 3]; no copy where it has 8 bits already."""
    array = to_array(picture)
    return array if array.dtype == np.uint8 else (array >> 8).astype(np.uint8)


def shrink(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize [H, W] or [H, W, 3] to (width, height), averaging areas."""
    if (image.shape[1], image.shape[0]) == size:
        return image
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def analysis_gray(picture: Tensor) -> NDArray[np.uint8]:
    """The grey picture [h, w] that flow is computed on."""
    array = to_8_bit(picture)
    small = shrink(array, analysis_size(array.shape[1], array.shape[0]))
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)


def warp(image: Image, flow: Flow, interpolation: int = cv2.INTER_LINEAR) -> Image:
    """Fetch `image` [h, w] or [h, w, C <= 4] along `flow` [h, w, 2]: result(x) = image(x + flow(x)).

    Borders are repeated.
    """
    height, width = flow.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return cv2.remap(
        image, columns + flow[..., 0], rows + flow[..., 1], interpolation, borderMode=cv2.BORDER_REPLICATE
    )


def resize_flow(flow: Flow, size: tuple[int, int]) -> Flow:
    """Bring a flow field to another grid (width, height), its vectors to that grid's pixels."""
    height, width = flow.shape[:2]
    if (width, height) == size:
        return flow
    resized = cv2.resize(flow, size, interpolation=cv2.INTER_LINEAR)
    return cv2.multiply(resized, (size[0] / width, size[1] / height, 0, 0))


def direct_flow(at: Tensor, towards: Tensor, *, max_long_side: int = 640) -> Flow:
    """Flow [h, w, 2] from picture `at` [3, H, W] to picture `towards`, at half size or less: for distant frames.

    result vectors are in pixels of the returned grid; bring it to full size with `resize_flow`.
    """
    height, width = at.shape[-2:]
    long_side = min(max_long_side, max(64, max(width, height) // 2))
    size = analysis_size(width, height, long_side)
    first, second = (
        cv2.cvtColor(shrink(to_8_bit(picture), size), cv2.COLOR_RGB2GRAY) for picture in (at, towards)
    )
    return estimate(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM), first, second)


def estimate(dis: cv2.DISOpticalFlow, at: NDArray[np.uint8], towards: NDArray[np.uint8]) -> Flow:
    """Flow [h, w, 2] from one grey picture [h, w] to another. Low ones are continued downwards meanwhile."""
    height = len(at)
    if height < LEAST_HEIGHT:
        below = LEAST_HEIGHT - height
        at, towards = (
            cv2.copyMakeBorder(gray, 0, below, 0, 0, cv2.BORDER_REPLICATE) for gray in (at, towards)
        )
    return dis.calc(at, towards, None)[:height]


def track_motion(batches: Iterable[Batch], *, first_shot: int = 0) -> Generator[Batch, None, None]:
    """Fill in `Batch.motion`: flow both ways between each source frame and the one before, cuts and shots.

    The first frame seen opens shot `first_shot`. A frame's entry depends on itself and the frame before alone.
    """
    tracker = _Tracker(first_shot)
    for batch in batches:
        yield replace(batch, motion=tuple(tracker.next(picture) for picture in batch.pixels))


class _Tracker:
    def __init__(self, first_shot: int) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: NDArray[np.uint8] | None = None
        self._shot = first_shot

    def next(self, picture: Tensor) -> Motion:
        gray = analysis_gray(picture)
        before, self._before = self._before, gray
        still = np.zeros((*gray.shape, 2), np.float32)
        if before is None:
            return Motion(still, still, cut=True, shot=self._shot)
        if np.array_equal(before, gray):
            return Motion(still, still, cut=False, shot=self._shot)
        if min(gray.shape) < 16:  # DIS needs a patch of 8 pixels on two scales
            cut = is_cut(before, gray)
            self._shot += cut
            return Motion(still, still, cut=cut, shot=self._shot)
        back = estimate(self._dis, gray, before)
        if is_cut(warp(before, back), gray):
            self._shot += 1
            return Motion(still, still, cut=True, shot=self._shot)
        return Motion(back, estimate(self._dis, before, gray), cut=False, shot=self._shot)


def is_cut(warped_before: Image, gray: Image) -> bool:
    """Whether a frame [h, w] shares nothing with the (warped) frame before.

    Structure is compared on coarse grids, zero-mean and unit-variance, so flashes, fades and exposure steps, which
    change levels but not structure, do not count.
    """
    first, second = (
        cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA).astype(np.float32)
        for image in (warped_before, gray)
    )
    difference = float(np.abs(first - second).mean())
    if difference < CUT_DIFFERENCE:
        return False
    spread = float(first.std() * second.std())
    if math.isclose(spread, 0.0, abs_tol=1.0):
        return False
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread < CUT_CORRELATION
