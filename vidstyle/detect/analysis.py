"""What the detector looks at instead of a full picture: a small picture of colours and of texture energies."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.detect.statistics import Array, Pixels

LONG_SIDE = 96
"""Of the analysis picture, in pixels. 112, and 160 at more than twice the cost, find no more faults."""
TEXTURE_SCALE = 3
"""Texture is measured on a picture so many times larger, so that it means the same for every resolution."""
CHANNELS = ("luma", "red", "blue", "fine", "coarse")
COLORS = slice(0, 3)
TEXTURES = slice(3, 5)
LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
"""Of R, G and B, as in Y'CbCr of BT.601."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is looked at of one picture."""

    planes: Array
    """float32 [5, h, w]: Y, Cr, Cb in grey levels, and the log energy of two bands of texture. The energies are
    scaled so that their unit is about as visible as a grey level."""
    thumbnail: NDArray[np.uint8]
    """[h, w, 3], RGB: what the feature network sees."""


def analysis_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height of the analysis picture, both even."""
    scale = min(1.0, long_side / max(width, height))
    return max(8, round(width * scale / 2) * 2), max(8, round(height * scale / 2) * 2)


def shrink(pixels: Pixels, size: tuple[int, int]) -> Array:
    """Resize [H, W, 3] to float32 of (width, height): areas by a whole factor, then linearly.

    Averaging areas by any other factor is five times as slow. Up to as many pixels as the factor are cut off.
    """
    height, width = pixels.shape[:2]
    factor = max(1, min(width // size[0], height // size[1]))
    if factor > 1:
        small = (width // factor, height // factor)
        whole = pixels[: small[1] * factor, : small[0] * factor]
        pixels = cv2.resize(whole, small, interpolation=cv2.INTER_AREA)
    numbers = torch.from_numpy(pixels).float().numpy()  # numpy's own takes three times as long
    if (pixels.shape[1], pixels.shape[0]) != size:
        numbers = cv2.resize(numbers, size, interpolation=cv2.INTER_LINEAR)
    return numbers


def analyse(picture: Tensor) -> Analysis:
    """Analysis of a picture [3, H, W], RGB, uint8 or uint16, on the CPU."""
    pixels = picture.permute(1, 2, 0).numpy()
    height, width = pixels.shape[:2]
    size = analysis_size(width, height)
    large = TEXTURE_SCALE * size[0], TEXTURE_SCALE * size[1]
    levels = shrink(pixels, large if large[0] <= width and large[1] <= height else (width, height))
    if pixels.dtype == np.uint16:
        levels *= np.float32(1 / 257)
    luma = cv2.transform(levels, LUMA)
    calm = cv2.GaussianBlur(luma, (5, 5), 0.8)  # seven taps, which OpenCV would take, cost twice as much
    calmer = cv2.GaussianBlur(luma, (13, 13), 2.2)
    small = cv2.resize(levels, size, interpolation=cv2.INTER_AREA)
    planes = np.empty((len(CHANNELS), size[1], size[0]), np.float32)
    cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb), [*planes[COLORS]])
    for plane, (band, next_band) in zip(planes[TEXTURES], ((luma, calm), (calm, calmer)), strict=True):
        energy = cv2.resize(cv2.absdiff(band, next_band), size, interpolation=cv2.INTER_AREA)
        plane[:] = 12 * np.log(cv2.GaussianBlur(energy, (0, 0), 1.5) + np.float32(0.7))
    return Analysis(planes, (small + np.float32(0.5)).astype(np.uint8))
