"""Random views of pictures, made on the device they train on (kornia)."""

from __future__ import annotations

import math

from kornia import augmentation
from torch import Tensor, nn


class Augmentation(nn.Module):
    """Turn, mirror, crop and tint pictures, each in its own way.

    side     of the pictures it returns
    degrees  largest turn
    flip     share of pictures that are mirrored
    jitter   largest change of brightness, contrast and saturation, as a share; a fifth of it of the hue

    Sources draw squares of `margin` pixels, so that a turned picture has no empty corners.
    """

    def __init__(self, side: int, *, degrees: float = 5.0, flip: float = 0.5, jitter: float = 0.0) -> None:
        super().__init__()
        turn = math.radians(degrees)
        self.margin = math.ceil(side * (math.cos(turn) + math.sin(turn))) + 2
        steps: list[nn.Module] = []
        if degrees:
            steps.append(augmentation.RandomRotation(degrees, p=1.0))
        if flip:
            steps.append(augmentation.RandomHorizontalFlip(p=flip))
        steps.append(augmentation.CenterCrop(side))
        if jitter:
            steps.append(augmentation.ColorJiggle(jitter, jitter, jitter, jitter / 5, p=1.0))
        self.steps = nn.Sequential(*steps)

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 [N, 3, margin, margin] -> float32 [N, 3, side, side], RGB in [0, 1]."""
        return self.steps(pictures.float() / 255).clamp(0, 1)
