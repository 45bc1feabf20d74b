"""pix2pix: a conditional GAN on pairs, with a teacher's picture as the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.guides import STROKES
from vidstyle.training.data import Pair, sample
from vidstyle.training.datasets import Batch, Draw, PaintedPairs, Picture
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.objectives import OBJECTIVES
from vidstyle.training.recipes.adversarial import GENERATORS, AdversarialSettings, adam, entry
from vidstyle.training.recipes.base import Recipe, option, rows, to_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pix2PixSettings(AdversarialSettings):
    objective: str = option("bce", "what generator and critic play for", tuple(OBJECTIVES))
    generator: str = option("unet", "the network that paints", tuple(GENERATORS))
    l1_weight: float = option(100.0, "of the distance to the target; the adversarial loss has weight 1")


class Pix2Pix(Recipe):
    """L_G = adversarial(D(x', source)) + l1_weight * E|x' - target| (Isola et al., 2017).

    pairs   source, target and guides
    guides  names of the guide planes
    """

    settings: Pix2PixSettings

    def __init__(
        self, settings: Pix2PixSettings, pairs: PaintedPairs, guides: Sequence[str] = (STROKES,)
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.pairs, self.steps = settings, pairs, settings.steps
        generator = settings.build_generator(len(guides))
        critic = settings.build_critic(condition_channels=3)
        self._entry, self._multiple = entry(generator, guides), generator.size_multiple
        self.networks = {"generator": generator, "critic": critic}
        self.optimizers = {
            "generator": adam(generator, rate=settings.rate),
            "critic": adam(critic, rate=settings.critic_rate),
        }
        self.averaged = {"generator": "generator"}

    def built(self) -> dict[str, dict[str, Any]]:
        return {"generator": self._entry}

    def rates(self, step: int) -> dict[str, float]:
        return self.settings.rates(step)

    def draw(self, draw: Draw) -> Batch:
        crops = self.pairs.draw(draw, self.settings.crop)
        return {"source": crops.source, "target": crops.painted, "guides": crops.guides}

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        source, target, guides = (
            batch[name].contiguous(memory_format=torch.channels_last)
            for name in ("source", "target", "guides")
        )
        game = self.settings.game
        critic = partial(self.networks["critic"], condition=source)
        with engine.autocast():
            painted = self.networks["generator"](source, guides)
            with frozen(self.networks["critic"]):
                fooling = game.generator_loss(critic, painted)
        l1 = F.l1_loss(painted, target)
        norm = engine.update("generator", fooling + self.settings.l1_weight * l1)
        with engine.autocast():
            loss, figures = game.critic_loss(critic, target, painted)
        engine.update("critic", loss)
        return {"l1": l1.detach(), "fooling": fooling.detach(), "gradient": norm, **figures}

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """Source, target and painted picture of the held-out pairs, one row each."""
        return pair_sheet(averages["generator"], self.pairs.held, device, self._multiple)


def pair_sheet(
    network: nn.Module, pairs: Sequence[Pair], device: torch.device, multiple: int
) -> Picture | None:
    """Source, target and what the network paints, one row for each pair, cut to a multiple of `multiple` pixels."""
    made = []
    for pair in pairs:
        height, width = (side // multiple * multiple for side in pair.size)
        pair = pair.part(slice(height), slice(width))
        one = sample([pair])
        painted = network(one.source.to(device), one.guides.to(device))
        made.append([pair.source, pair.painted, to_picture(painted[0])])
    return rows(made)
