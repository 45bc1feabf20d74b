"""Pictures out of noise: DCGAN's networks with any objective, with classes if the data has them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.models.dcgan import NoiseDiscriminator, NoiseGenerator
from vidstyle.training.augment import Augmentation
from vidstyle.training.datasets import Batch, Cifar10, Draw, LabelledPictures, Picture
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.objectives import OBJECTIVES
from vidstyle.training.recipes.adversarial import adam
from vidstyle.training.recipes.base import Recipe, RecipeSettings, option, rows, to_picture

SHOWN = 8
"""Pictures in a row of the sample sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseSettings(RecipeSettings):
    batch: int = option(64, "pictures of one step, all processes together")
    steps: int = option(50000, "length of the run, in steps of the critic")
    size: int = option(32, "side of the pictures: 8, 16, 32, 64 ...")
    objective: str = option("wgan-gp", "what generator and critic play for", tuple(OBJECTIVES))
    critic_steps: int = option(5, "steps of the critic for one of the generator")
    spectral: bool = option(False, "spectral norm in the critic")
    labels: bool = option(False, "show generator and critic the class")
    latent: int = option(128, "length of the noise vector")
    channels: int = option(64, "width of the generator")
    critic_channels: int = option(64, "width of the critic")
    rate: float = option(2e-4, "learning rate of the generator")
    critic_rate: float = option(2e-4, "learning rate of the critic")
    jitter: float = option(0.0, "largest change of brightness, contrast and saturation")


class NoiseGAN(Recipe):
    """x' = G(z, c) with z of N(0, 1), against D(x, c); c, the class, only with `labels`.

    data  pictures and their classes
    """

    settings: NoiseSettings

    def __init__(self, settings: NoiseSettings, data: LabelledPictures | Cifar10) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.data, self.steps = settings, data, settings.steps
        self.game = OBJECTIVES[settings.objective]
        self.augment = Augmentation(settings.size, degrees=0, jitter=settings.jitter)
        classes = len(data.names) if settings.labels else 0
        generator = NoiseGenerator(
            size=settings.size, latent=settings.latent, channels=settings.channels, classes=classes
        )
        critic = NoiseDiscriminator(
            size=settings.size,
            channels=settings.critic_channels,
            classes=classes,
            spectral=settings.spectral,
            normalised=not self.game.penalised,
        )
        self.classes, self._settings = classes, generator.settings
        self.networks = {"generator": generator, "critic": critic}
        self.optimizers = {
            "generator": adam(generator, rate=settings.rate),
            "critic": adam(critic, rate=settings.critic_rate),
        }
        self.averaged = {"generator": "generator"}

    def built(self) -> dict[str, dict[str, Any]]:
        return {"generator": {"network": "noise", "settings": self._settings, "classes": self.data.names}}

    def draw(self, draw: Draw) -> Batch:
        pictures, labels = self.data.draw(draw, self.augment.margin)
        return {"pictures": pictures, "labels": labels}

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        real = self.augment(batch["pictures"]).contiguous(memory_format=torch.channels_last)
        labels = batch["labels"] if self.classes else None
        generator = partial(self.networks["generator"], classes=labels)
        critic = partial(self.networks["critic"], classes=labels)
        with engine.autocast():
            with torch.no_grad():
                fake = generator(self._noise(real))
            loss, figures = self.game.critic_loss(critic, real, fake)
        figures["gradient_critic"] = engine.update("critic", loss)
        if (engine.step + 1) % self.settings.critic_steps:
            return figures
        with engine.autocast(), frozen(self.networks["critic"]):
            fooling = self.game.generator_loss(critic, generator(self._noise(real)))
        norm = engine.update("generator", fooling)
        return {**figures, "fooling": fooling.detach(), "gradient": norm}

    def _noise(self, real: Tensor) -> Tensor:
        return torch.randn(len(real), self.settings.latent, device=real.device)

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """The same noise at every step; with classes, one row for each."""
        random = torch.Generator().manual_seed(self.settings.seed)
        lines = self.classes or SHOWN
        noise = torch.randn(lines * SHOWN, self.settings.latent, generator=random).to(device)
        labels = torch.arange(lines, device=device).repeat_interleave(SHOWN) if self.classes else None
        made = [to_picture(picture) for picture in averages["generator"](noise, labels)]
        return rows([made[i : i + SHOWN] for i in range(0, len(made), SHOWN)])
