"""The U-Net of pix2pix: an encoder and a decoder with skips between layers of one size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidstyle.models import initialise

DROPOUT_LAYERS = 3
"""So many of the innermost decoder layers drop half of their channels: the paper's only source of chance."""


class UNet(nn.Module):
    """U-Net generator (Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017).

    Every layer of the encoder halves the size by a 4x4 convolution with stride 2, every layer of the decoder doubles it
    and sees the encoder's output of the same size. Instance normalisation (Ulyanov et al., 2016) stands for the
    paper's batch normalisation at batch size 1, which is the same thing.

    channels        width of the first layer; doubled per layer, up to eight times
    depth           layers of the encoder (the paper: 8 for 256 pixels, which ends at 1x1)
    guide_channels  guide planes beside the frame (see `vidstyle.guides`)

    settings        the values above
    size_multiple   height and width must be multiples of this
    """

    def __init__(self, *, channels: int = 64, depth: int = 6, guide_channels: int = 0) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"a U-Net has at least two layers, not {depth}")
        self.settings = {"channels": channels, "depth": depth, "guide_channels": guide_channels}
        self.guide_channels = guide_channels
        self.size_multiple = 2**depth
        widths = [min(2**i, 8) * channels for i in range(depth)]
        self.encoder = nn.ModuleList([nn.Conv2d(3 + guide_channels, widths[0], 4, stride=2, padding=1)])
        for i in range(1, depth):
            # The innermost map may be 1x1, which a normalisation would set to zero.
            self.encoder.append(_Down(widths[i - 1], widths[i], normalised=i < depth - 1))
        self.decoder = nn.ModuleList()
        inside = widths[-1]
        for i in range(depth - 1, 0, -1):
            self.decoder.append(_Up(inside, widths[i - 1], dropout=depth - 1 - i < DROPOUT_LAYERS))
            inside = 2 * widths[i - 1]
        self.out = nn.Sequential(nn.ReLU(), nn.ConvTranspose2d(inside, 3, 4, stride=2, padding=1))
        initialise.dcgan(self)

    def forward(self, frames: Tensor, guides: Tensor | None = None) -> Tensor:
        """Translate `frames` [T, 3, H, W], float RGB in [0, 1], with `guides` [T, guide_channels, H, W] if it has any.

        Returns [T, 3, H, W], RGB in [0, 1].
        """
        x = 2 * frames - 1
        if guides is not None:
            x = torch.cat((x, guides.to(x.dtype)), 1)
        skips = []
        for layer in self.encoder:
            x = layer(x)
            skips.append(x)
        skips.pop()
        for layer in self.decoder:
            x = torch.cat((layer(x), skips.pop()), 1)
        return 0.5 + 0.5 * torch.tanh(self.out(x).float())


class _Down(nn.Sequential):
    def __init__(self, before: int, after: int, *, normalised: bool) -> None:
        layers: list[nn.Module] = [nn.LeakyReLU(0.2), nn.Conv2d(before, after, 4, stride=2, padding=1)]
        if normalised:
            layers.append(nn.InstanceNorm2d(after, affine=True))
        super().__init__(*layers)


class _Up(nn.Sequential):
    def __init__(self, before: int, after: int, *, dropout: bool) -> None:
        layers: list[nn.Module] = [
            nn.ReLU(),
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1),
            nn.InstanceNorm2d(after, affine=True),
        ]
        if dropout:
            layers.append(nn.Dropout(0.5))
        super().__init__(*layers)
