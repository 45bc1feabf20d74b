"""The critic: tells painted patches from the teacher's, given the source."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_LUMA = (0.299, 0.587, 0.114)


class Discriminator(nn.Module):
    """Conditional patch critic without normalisation (after Isola et al., 2017).

    It sees the picture's high-passed luminance only, beside the source frame: low frequencies are the distillation
    loss's business, and a critic that may judge them spends itself on colour.
    """

    def __init__(self, *, channels: int = 40) -> None:
        super().__init__()
        c = channels
        self.layers = nn.Sequential(
            nn.Conv2d(4, c, 5, stride=2, padding=2),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c, 2 * c, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * c, 3 * c, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(3 * c, 3 * c, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(3 * c, 1, 3, padding=1),
        )

    def forward(self, pictures: Tensor, frames: Tensor) -> Tensor:
        """Logits [T, 1, H/8, W/8], positive for the teacher's pictures.

        pictures, frames  float [T, 3, H, W], RGB in [0, 1]
        """
        luma = (pictures * pictures.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)
        around = F.avg_pool2d(F.pad(luma, (4, 4, 4, 4), mode="reflect"), 9, 1)
        logits: Tensor = self.layers(torch.cat((6 * (luma - around), 2 * frames - 1), 1))
        return logits
