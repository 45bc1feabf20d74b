"""A small network whose feature maps tell how a picture looks, for the detector of bad frames."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

STRIDES = (4, 8, 16)
"""Pixels between two columns of the maps that `FeatureNetwork` returns."""


class FeatureNetwork(nn.Module):
    """Four stride-2 convolutions; the outputs of the last three are the features.

    Distilled from SqueezeNet 1.1 (Iandola et al. 2016, arXiv:1602.07360) by
    `vidstyle.training.feature_distillation`, on photographs, stylised photographs and spoilt ones.
    """

    def __init__(self, channels: Sequence[int] = (24, 48, 96, 160)) -> None:
        super().__init__()
        widths = (3, *channels)
        self.stages = nn.ModuleList(
            # in place: room for other maps takes as long as the convolutions
            nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU(inplace=True))
            for before, after in pairwise(widths)
        ).to(memory_format=torch.channels_last)  # as the pictures come, and a quarter faster

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Float [N, 3, H, W], RGB in [0, 1] -> maps [N, C, ~H/s, ~W/s], one for each s of STRIDES, all >= 0."""
        maps = []
        x = pictures * 2 - 1
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]

    @torch.inference_mode()
    def describe(self, pictures: Tensor) -> list[Tensor]:
        """The maps with every column scaled to unit length, so that their dot products are cosines."""
        return [nn.functional.normalize(maps, dim=1) for maps in self(pictures)]


def gram(maps: Tensor) -> Tensor:
    """Products of all pairs of channels, mean over places: [N, C, h, w] -> float32 [N, C, C]."""
    columns = maps.float().flatten(2)
    return columns @ columns.transpose(1, 2) / columns.shape[2]
