"""What the detector looks at instead of a full picture: a small picture of colours and of texture energies."""

from __future__ import annotations

import cv2
import numpy as np
from torch import Tensor

from vidstyle.detect.statistics import Array

LONG_SIDE = 128
"""Of the analysis picture, in pixels. 160 found no more faults and costs half as much again."""
TEXTURE_LONG_SIDE = 480
"""Texture is measured on a picture of this size, so that it means the same for every resolution."""
CHANNELS = ("luma", "red", "blue", "fine", "coarse")
COLORS = slice(0, 3)
TEXTURES = slice(3, 5)


def analysis_size(width: int, height: int, long_side: int = LONG_SIDE) -> tuple[int, int]:
    """Width and height of the analysis picture, both even."""
    scale = min(1.0, long_side / max(width, height))
    return max(8, round(width * scale / 2) * 2), max(8, round(height * scale / 2) * 2)


def to_levels(picture: Tensor, long_side: int) -> Array:
    """A picture tensor [3, H, W] (uint8 or uint16) as float32 [h, w, 3], RGB in 0..255, no longer than long_side."""
    pixels = picture.permute(1, 2, 0).numpy()
    height, width = pixels.shape[:2]
    if max(height, width) > long_side:
        scale = long_side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    levels = pixels.astype(np.float32)
    return levels / np.float32(257) if pixels.dtype == np.uint16 else levels


def analyse(picture: Tensor) -> Array:
    """Analysis picture float32 [h, w, 5]: Y, Cr, Cb in grey levels, and the log energy of two bands of texture.

    `picture` is [3, H, W] RGB, uint8 or uint16, on the CPU. The energies are scaled so that their unit is about as
    visible as a grey level.
    """
    height, width = picture.shape[1:]
    size = analysis_size(width, height)
    color = cv2.cvtColor(to_levels(picture, TEXTURE_LONG_SIDE) / np.float32(255), cv2.COLOR_RGB2YCrCb) * 255
    luma = np.ascontiguousarray(color[..., 0])
    calm = cv2.GaussianBlur(luma, (0, 0), 0.8)
    calmer = cv2.GaussianBlur(luma, (0, 0), 2.2)
    result = np.empty((size[1], size[0], len(CHANNELS)), np.float32)
    result[..., COLORS] = cv2.resize(color, size, interpolation=cv2.INTER_AREA)
    for channel, band in ((3, luma - calm), (4, calm - calmer)):
        energy = cv2.resize(np.abs(band), size, interpolation=cv2.INTER_AREA)
        result[..., channel] = 12 * np.log(cv2.GaussianBlur(energy, (0, 0), 1.5) + np.float32(0.7))
    return result
