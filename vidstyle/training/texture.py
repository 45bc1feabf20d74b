"""Features for style losses from what ships with vidstyle alone."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.models.load import load_features

PATCH = 3
SCALES = 3


class Texture(nn.Module):
    """Float [N, 3, H, W], RGB in [0, 1] -> maps [N, C, h, w], the last of them fit for comparing structure.

    Patches of 3x3 pixels at three scales, each as its cosine transform split into positive and negative parts (so that
    Gram matrices of them know edges from lines), then the maps of the detector's feature network, coarse to fine.
    """

    filters: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = load_features()
        places = torch.arange(PATCH) + 0.5
        waves = torch.stack([torch.cos(math.pi / PATCH * k * places) for k in range(PATCH)])
        planes = torch.einsum("ay,bx->abyx", waves, waves).flatten(0, 1)
        planes = planes / planes.flatten(1).norm(dim=1)[:, None, None]
        colours = torch.tensor(((1.0, 1.0, 1.0), (1.0, -1.0, 0.0), (1.0, 1.0, -2.0)))
        colours = colours / colours.norm(dim=1, keepdim=True)
        self.register_buffer("filters", torch.einsum("pyx,cr->pcryx", planes, colours).flatten(0, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = []
        x = pictures
        for scale in range(SCALES):
            if scale:
                x = F.avg_pool2d(x, 2)
            waves = F.conv2d(x, self.filters)
            maps.append(torch.cat((F.relu(waves), F.relu(-waves)), 1))
        return maps + self.network(pictures)[::-1]
