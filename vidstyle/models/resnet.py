"""CycleGAN's generator: a stack of residual blocks between two strided and two up-sampling layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidstyle.models import initialise


class ResNet(nn.Module):
    """ResNet generator (Zhu et al., 2017, after Johnson et al., 2016): instance norm, reflected borders.

    The two up-sampling layers enlarge and convolve where the paper convolves with fractional stride: no checkerboard
    to unlearn (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016).

    channels        width of the first layer; four times that in the blocks
    blocks          residual blocks (the paper: 6 for 128 pixels, 9 for 256)
    guide_channels  guide planes beside the frame (see `vidstyle.guides`)

    settings        the values above
    size_multiple   height and width must be multiples of this
    """

    size_multiple: int = 4

    def __init__(self, *, channels: int = 64, blocks: int = 9, guide_channels: int = 0) -> None:
        super().__init__()
        self.settings = {"channels": channels, "blocks": blocks, "guide_channels": guide_channels}
        self.guide_channels = guide_channels
        c = channels
        self.layers = nn.Sequential(
            *_convolution(3 + guide_channels, c, kernel=7),
            *_convolution(c, 2 * c, stride=2),
            *_convolution(2 * c, 4 * c, stride=2),
            *(_Block(4 * c) for _ in range(blocks)),
            nn.Upsample(scale_factor=2),
            *_convolution(4 * c, 2 * c),
            nn.Upsample(scale_factor=2),
            *_convolution(2 * c, c),
            nn.Conv2d(c, 3, 7, padding=3, padding_mode="reflect"),
        )
        initialise.dcgan(self)

    def forward(self, frames: Tensor, guides: Tensor | None = None) -> Tensor:
        """Translate `frames` [T, 3, H, W], float RGB in [0, 1], with `guides` [T, guide_channels, H, W] if it has any.

        Returns [T, 3, H, W], RGB in [0, 1].
        """
        x = 2 * frames - 1
        if guides is not None:
            x = torch.cat((x, guides.to(x.dtype)), 1)
        return 0.5 + 0.5 * torch.tanh(self.layers(x).float())


def _convolution(before: int, after: int, *, kernel: int = 3, stride: int = 1) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, padding_mode="reflect"),
        nn.InstanceNorm2d(after, affine=True),
        nn.ReLU(),
    )


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*_convolution(channels, channels), *_convolution(channels, channels)[:2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)
