"""DCGAN: pictures out of noise, and a critic with one logit per picture, both with classes if wanted."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from vidstyle.models import initialise

SMALLEST = 4
"""Side of the innermost map."""


def _widths(size: int, channels: int) -> list[int]:
    """Channels from the largest map to the innermost one."""
    steps = (size // SMALLEST).bit_length() - 1
    if size != SMALLEST * 2**steps or steps < 1:
        raise ValueError(f"the side of the pictures must be 8, 16, 32, 64 ..., not {size}")
    return [min(2**i, 8) * channels for i in range(steps)]


class NoiseGenerator(nn.Module):
    """DCGAN's generator (Radford, Metz and Chintala, 2016).

    size      side of the pictures: 8, 16, 32, 64 ...
    latent    length of the noise vector
    channels  width of the last but one layer; doubled towards the inside, up to eight times
    classes   if any, an embedding of the class is joined to the noise (Mirza and Osindero, 2014)

    settings  the values above
    """

    def __init__(self, *, size: int = 32, latent: int = 128, channels: int = 64, classes: int = 0) -> None:
        super().__init__()
        self.settings = {"size": size, "latent": latent, "channels": channels, "classes": classes}
        self.latent, self.classes = latent, classes
        widths = _widths(size, channels)
        self.embedding = nn.Embedding(classes, latent) if classes else None
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(latent * (2 if classes else 1), widths[-1], SMALLEST),
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
        ]
        for before, after in zip(widths[:0:-1], widths[-2::-1], strict=True):
            layers += [
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        layers.append(nn.ConvTranspose2d(widths[0], 3, 4, stride=2, padding=1))
        self.layers = nn.Sequential(*layers)
        initialise.dcgan(self)
        if self.embedding is not None:
            nn.init.normal_(self.embedding.weight)  # as strong as the noise

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures [N, 3, size, size], RGB in [0, 1].

        noise    float [N, latent] of N(0, 1)
        classes  int64 [N], below `classes`
        """
        if self.embedding is not None:
            noise = torch.cat((noise, self.embedding(classes)), 1)
        return 0.5 + 0.5 * torch.tanh(self.layers(noise[:, :, None, None]).float())


class NoiseDiscriminator(nn.Module):
    """DCGAN's discriminator (Radford et al., 2016); with classes, a projection discriminator (Miyato and Koyama, 2018).

    The projection adds the dot product of the picture's features with an embedding of its class, so that the logit
    also says how well the two go together.

    size        side of the pictures: 8, 16, 32, 64 ...
    channels    width of the first layer; doubled per layer, up to eight times
    classes     how many, or 0
    spectral    spectral norm on every layer (Miyato et al., 2018) instead of batch normalisation
    normalised  batch normalisation; must be off with a gradient penalty, which is defined for each picture alone
    """

    def __init__(
        self,
        *,
        size: int = 32,
        channels: int = 64,
        classes: int = 0,
        spectral: bool = False,
        normalised: bool = True,
    ) -> None:
        super().__init__()
        widths = [3, *_widths(size, channels)]
        normalised = normalised and not spectral
        layers: list[nn.Module] = []
        for i in range(1, len(widths)):
            layers.append(nn.Conv2d(widths[i - 1], widths[i], 4, stride=2, padding=1))
            if normalised and i > 1:
                layers.append(nn.BatchNorm2d(widths[i]))
            layers.append(nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(widths[-1] * SMALLEST**2, 1)
        self.embedding = nn.Embedding(classes, widths[-1]) if classes else None
        if normalised:
            initialise.dcgan(self)
        if spectral:
            for layer in (*self.layers, self.out):
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    spectral_norm(layer)

    def forward(self, pictures: Tensor, classes: Tensor | None = None) -> Tensor:
        """Logits [N, 1], high for real pictures.

        pictures  float [N, 3, size, size], RGB in [0, 1]
        classes   int64 [N], below `classes`
        """
        maps = self.layers(2 * pictures - 1)
        logits: Tensor = self.out(maps.flatten(1))
        if self.embedding is not None:
            # The mean over places, where the paper sums: the same up to the scale of the embedding.
            logits = logits + (self.embedding(classes) * maps.mean((2, 3))).sum(1, keepdim=True)
        return logits
