"""What the picture-to-picture recipes with a critic share: settings, and how they choose their networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.models.generator import Generator
from vidstyle.models.patch_discriminator import MultiScaleDiscriminator, PatchDiscriminator
from vidstyle.models.resnet import ResNet
from vidstyle.models.unet import UNet
from vidstyle.training.objectives import OBJECTIVES, Objective
from vidstyle.training.recipes.base import RecipeSettings, falling, option

PictureGenerator = Generator | UNet | ResNet
GENERATORS = {"generator": Generator, "unet": UNet, "resnet": ResNet}
"""By the names they have in the manifest; the first one is the light generator that runs on videos."""
CRITICS = {"patch": PatchDiscriminator, "multiscale": MultiScaleDiscriminator}
BETAS = (0.5, 0.999)
"""Of Adam (Radford et al., 2016)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdversarialSettings(RecipeSettings):
    steps: int = option(20000, "length of the run")
    crop: int = option(128, "side of the pictures")
    objective: str = option("lsgan", "what generator and critic play for", tuple(OBJECTIVES))
    generator: str = option("resnet", "the network that paints", tuple(GENERATORS))
    channels: int = option(0, "its width (0: its default)")
    blocks: int = option(0, "its residual blocks, or the U-Net's depth (0: its default)")
    critic: str = option("patch", "the network that judges", tuple(CRITICS))
    critic_channels: int = option(64, "its width")
    critic_layers: int = option(3, "its strided layers")
    spectral: bool = option(False, "spectral norm in the critic")
    rate: float = option(2e-4, "learning rate of the generator")
    critic_rate: float = option(2e-4, "learning rate of the critic")

    def __post_init__(self) -> None:
        with torch.device("meta"):
            multiple = self.build_generator().size_multiple
        if self.crop < multiple or self.crop % multiple:
            raise ValueError(f"crop must be a multiple of {multiple}, not {self.crop}")

    @property
    def game(self) -> Objective:
        return OBJECTIVES[self.objective]

    def build_generator(self, guide_channels: int = 0) -> PictureGenerator:
        wanted = {"channels": self.channels, ("depth" if self.generator == "unet" else "blocks"): self.blocks}
        chosen = {name: value for name, value in wanted.items() if value}
        return GENERATORS[self.generator](guide_channels=guide_channels, **chosen)

    def build_critic(self, condition_channels: int = 0) -> nn.Module:
        return CRITICS[self.critic](
            condition_channels=condition_channels,
            channels=self.critic_channels,
            layers=self.critic_layers,
            spectral=self.spectral,
            normalised=not self.game.penalised,
        )

    def rates(self, step: int) -> dict[str, float]:
        """Constant for half of the run, then falling to zero."""
        return {
            "generator": falling(self.rate, step, self.steps),
            "critic": falling(self.critic_rate, step, self.steps),
        }


def entry(network: PictureGenerator, guides: Sequence[str] = ()) -> dict[str, Any]:
    """What the manifest says of a generator."""
    name = next(name for name, kind in GENERATORS.items() if isinstance(network, kind))
    return {"network": name, "settings": network.settings, "guides": list(guides)}


def painted_by(network: nn.Module, pictures: Tensor) -> Tensor:
    """What a generator without guides makes of pictures [N, 3, H, W] in [0, 1]."""
    painted: Tensor = network(pictures, pictures.new_empty((len(pictures), 0, *pictures.shape[2:])))
    return painted


def adam(*networks: nn.Module, rate: float) -> torch.optim.Adam:
    return torch.optim.Adam([p for network in networks for p in network.parameters()], rate, betas=BETAS)
