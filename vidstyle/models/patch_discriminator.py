"""PatchGAN, and several of them at different scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vidstyle.models import initialise


class PatchDiscriminator(nn.Module):
    """PatchGAN: one logit for each overlapping patch (Isola et al., 2017), 70 pixels wide with three strided layers.

    condition_channels  channels of the picture it is shown beside the one it judges (0: judges without)
    channels            width of the first layer; doubled per layer, up to eight times
    layers              strided layers
    spectral            divide every weight by its largest singular value (Miyato et al., 2018), instead of normalising
                        activations
    normalised          instance normalisation after all but the first and the last layer. Without it and without
                        `spectral` the critic suits gradient penalties, which are defined for each picture alone.
    """

    def __init__(
        self,
        *,
        condition_channels: int = 0,
        channels: int = 64,
        layers: int = 3,
        spectral: bool = False,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        widths = [3 + condition_channels, *(min(2**i, 8) * channels for i in range(layers + 1))]
        stack: list[nn.Module] = []
        for i in range(layers + 1):
            stride = 2 if i < layers else 1
            stack.append(nn.Conv2d(widths[i], widths[i + 1], 4, stride=stride, padding=1))
            if normalised and not spectral and i > 0:
                stack.append(nn.InstanceNorm2d(widths[i + 1], affine=True))
            stack.append(nn.LeakyReLU(0.2))
        stack.append(nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.layers = nn.Sequential(*stack)
        if normalised and not spectral:
            initialise.dcgan(self)
        if spectral:
            for layer in self.layers:
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, pictures: Tensor, condition: Tensor | None = None) -> Tensor:
        """Logits [N, 1, h, w], high for real pictures.

        pictures   float [N, 3, H, W], RGB in [0, 1]
        condition  float [N, condition_channels, H, W], in [0, 1]
        """
        x = pictures if condition is None else torch.cat((pictures, condition), 1)
        return self.layers(2 * x - 1)


class MultiScaleDiscriminator(nn.Module):
    """PatchGANs that look at the picture at full, half, quarter ... size (Wang et al., "pix2pixHD", 2018).

    scales   how many
    options  as for `PatchDiscriminator`
    """

    def __init__(self, *, scales: int = 2, **options: int | bool) -> None:
        super().__init__()
        self.critics = nn.ModuleList(PatchDiscriminator(**options) for _ in range(scales))  # type: ignore[arg-type]

    def forward(self, pictures: Tensor, condition: Tensor | None = None) -> list[Tensor]:
        """Logits [N, 1, h, w] of each scale, from fine to coarse; for the arguments see `PatchDiscriminator`."""
        logits = []
        for i, critic in enumerate(self.critics):
            if i:
                pictures = _halved(pictures)
                condition = None if condition is None else _halved(condition)
            logits.append(critic(pictures, condition))
        return logits


def _halved(pictures: Tensor) -> Tensor:
    return F.avg_pool2d(pictures, 3, stride=2, padding=1, count_include_pad=False)
