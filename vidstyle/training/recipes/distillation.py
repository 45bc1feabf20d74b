"""Copy a teacher in three stages: distil, train the critic alone, then both against each other.

The last two are optional: a loss on the amount of detail makes the distilled pictures nearly as crisp, at a third of
the time a step.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle import styles
from vidstyle.errors import UsageError
from vidstyle.guides import STROKES
from vidstyle.models.discriminator import Discriminator
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.training import losses, objectives
from vidstyle.training.data import Sample
from vidstyle.training.datasets import Batch, Draw, PaintedPairs, Picture
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.recipes.base import Recipe, RecipeSettings, option
from vidstyle.training.recipes.paired import pair_sheet

SHIFT = 8
"""The second view of the temporal term is moved by up to so many pixels ..."""
DISTURBANCE = 0.02
"""... and carries noise of at most this deviation."""
BORDER = 16
"""Pixels at the border of a crop that only the distillation loss looks at."""
R1_EVERY = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillationSettings(RecipeSettings):
    distil_steps: int = option(6000, "copying the teacher")
    critic_steps: int = option(300, "of the critic alone")
    adversarial_steps: int = option(2000, "of both")
    crop: int = option(144, "side of the pictures")
    distil_rate: float = option(2e-3, "learning rate while copying")
    adversarial_rate: float = option(3e-4, "learning rate beside the critic")
    critic_rate: float = option(4e-4, "learning rate of the critic")
    temporal_weight: float = option(1.0, "of the same scene a moment later, painted alike")
    adversarial_weight: float = option(0.06, "of fooling the critic")
    slope_weight: float = option(0.6, "of the slopes beside the critic: no dots along hard edges")
    detail_weight: float = option(1.5, "of as much local detail as the teacher's")
    r1_weight: float = option(1.0, "of the critic's gradient penalty")
    generator: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least = 2 * BORDER + 2 * SHIFT
        if self.crop < least or self.crop % 8:
            raise ValueError(f"crop must be a multiple of 8 from {least} upwards, not {self.crop}")


class Distillation(Recipe):
    """The light generator learns a procedural painter; the critic's objective is the non-saturating one with R1.

    pairs   painted by the teacher, at least SHIFT pixels larger than the crop
    guides  names of their guide planes, for the manifest
    begin   style whose weights to begin with; its guides and mix_skip may differ

    Raises UsageError if there is no such style or its network has another size.
    """

    settings: DistillationSettings

    def __init__(
        self,
        settings: DistillationSettings,
        pairs: PaintedPairs,
        guides: Sequence[str] = (STROKES,),
        begin: str | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.pairs = settings, pairs
        self.steps = settings.distil_steps + settings.critic_steps + settings.adversarial_steps
        generator = Generator(guide_channels=len(guides), **settings.generator)
        if begin:
            begin_with(generator, guides, begin)
        self._built = {"network": "generator", "settings": generator.settings, "guides": list(guides)}
        critic = Discriminator()
        self.networks = {"generator": generator, "critic": critic}
        self.optimizers = {
            "generator": torch.optim.Adam(generator.parameters(), settings.distil_rate, betas=(0.9, 0.99)),
            "critic": torch.optim.Adam(critic.parameters(), settings.critic_rate, betas=(0.0, 0.99)),
        }
        self.averaged = {"generator": "generator"}

    def built(self) -> dict[str, dict[str, Any]]:
        return {"generator": self._built}

    def stage(self, step: int) -> str:
        settings = self.settings
        if step < settings.distil_steps:
            return "distil"
        return "critic" if step < settings.distil_steps + settings.critic_steps else "both"

    def rates(self, step: int) -> dict[str, float]:
        settings = self.settings
        if self.stage(step) == "distil":
            warm = min(1.0, (step + 1) / 50)
            done = step / settings.distil_steps
            cosine = 0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * done))
            return {"generator": settings.distil_rate * warm * cosine}
        done = (step - settings.distil_steps - settings.critic_steps) / max(1, settings.adversarial_steps)
        return {"generator": settings.adversarial_rate * (1 - 0.8 * done)}

    def draw(self, draw: Draw) -> Batch:
        size = self.settings.crop
        crops = self.pairs.draw(draw, size + SHIFT)
        # The same scene a moment later: moved by some pixels and with other noise in it.
        shift = draw.random.integers(0, SHIFT + 1, 2)
        noise = draw.random.normal(size=(draw.batch, 3, size, size)).astype(np.float32)
        noise *= draw.random.uniform(0, DISTURBANCE)
        return {
            "source": crops.source,
            "painted": crops.painted,
            "guides": crops.guides,
            "noise": torch.from_numpy(noise[draw.mine]),
            "shift": torch.from_numpy(shift),
        }

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        stage = self.stage(engine.step)
        first = self._view(batch, 0, 0)
        if stage == "critic":
            with torch.no_grad():
                painted = self._paint(first, engine)
            return self._train_critic(first, painted, engine)
        painted, figures = self._train_generator(batch, first, stage, engine)
        if stage == "both":
            figures |= self._train_critic(first, painted, engine)
        return figures

    def _view(self, batch: Batch, top: int, left: int) -> Sample:
        size = self.settings.crop
        part = (..., slice(top, top + size), slice(left, left + size))
        return Sample(
            *(
                batch[name][part].contiguous(memory_format=torch.channels_last)
                for name in ("source", "painted", "guides")
            )
        )

    def _paint(self, batch: Sample, engine: Engine) -> Tensor:
        with engine.autocast():
            painted: Tensor = self.networks["generator"](batch.source, batch.guides)
        return painted

    def _train_generator(
        self, batch: Batch, first: Sample, stage: str, engine: Engine
    ) -> tuple[Tensor, dict[str, Tensor]]:
        settings = self.settings
        for group in self.optimizers["generator"].param_groups:
            group["betas"] = (0.9, 0.99) if stage == "distil" else (0.0, 0.99)
        top, left = (int(v) for v in batch["shift"])
        second = self._view(batch, top, left)
        half = len(first.source) // 2
        later = Sample(
            second.source[:half] + batch["noise"][:half], second.painted[:half], second.guides[:half]
        )
        both = Sample(
            torch.cat((first.source, later.source)),
            torch.cat((first.painted, later.painted)),
            torch.cat((first.guides, later.guides)),
        )
        painted, again = self._paint(both, engine).split((len(first.source), half))

        terms: dict[str, Tensor] = {}
        if stage == "distil":
            terms["distil"] = losses.distillation(painted, first.painted)
            terms["distil_disturbed"] = 0.5 * losses.distillation(again, later.painted)
        else:
            terms["low"] = 4 * losses.low_frequency(painted, first.painted)
            terms["l1"] = 0.5 * F.l1_loss(painted, first.painted)
            # Without it the critic is fooled by dots along hard edges, two pixels apart.
            terms["slope"] = settings.slope_weight * losses.gradient_l1(painted, first.painted)
            critic = self.networks["critic"]
            with frozen(critic), engine.autocast():
                logits = _inner(critic(painted, first.source))
            terms["fooling"] = settings.adversarial_weight * objectives.bce_generator(logits)
        terms["detail"] = settings.detail_weight * losses.detail(painted, first.painted)
        same = slice(top + BORDER, settings.crop - BORDER), slice(left + BORDER, settings.crop - BORDER)
        moved = slice(BORDER, settings.crop - BORDER - top), slice(BORDER, settings.crop - BORDER - left)
        difference = painted[:half, :, same[0], same[1]] - again[:, :, moved[0], moved[1]]
        terms["temporal"] = settings.temporal_weight * difference.abs().mean()
        norm = engine.update("generator", torch.stack(list(terms.values())).sum())
        return painted.detach(), {name: value.detach() for name, value in terms.items()} | {"gradient": norm}

    def _train_critic(self, batch: Sample, painted: Tensor, engine: Engine) -> dict[str, Tensor]:
        penalise = engine.step % R1_EVERY == 0
        real = batch.painted.detach().requires_grad_(penalise)
        critic = self.networks["critic"]
        with torch.autocast(
            engine.device.type, engine.dtype, enabled=engine.dtype is not None and not penalise
        ):
            real_logits, fake_logits = (
                _inner(critic(real, batch.source)),
                _inner(critic(painted, batch.source)),
            )
        loss = objectives.bce_critic(real_logits, fake_logits)
        figures = {"critic": loss.detach()}
        if penalise:
            penalty = R1_EVERY * self.settings.r1_weight * objectives.r1_penalty(real_logits, real)
            figures["penalty"] = penalty.detach()
            loss = loss + penalty
        engine.update("critic", loss, clip=math.inf)
        right = ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2
        return figures | {"right": right}

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """Source, teacher and painted picture of the held-out pairs, one row each."""
        return pair_sheet(averages["generator"], self.pairs.held, device, multiple=4)


def begin_with(network: Generator, guides: Sequence[str], style: str) -> None:
    """Take over what the generator of a shipped style knows of edges and patches, in place.

    Guide planes that only one of the two sees do not count, nor does a colour matrix that only one of them has.
    """
    entry = styles.find(style)
    theirs = load(entry).state_dict()
    weights = network.state_dict()
    try:
        for name in weights.keys() & theirs.keys() - {"stem.weight"}:
            weights[name].copy_(theirs[name])
        stem = theirs["stem.weight"]
        weights["stem.weight"][:, :3] = stem[:, :3]
        for place, plane in enumerate(guides):
            if plane in entry.guides:
                weights["stem.weight"][:, 3 + place] = stem[:, 3 + entry.guides.index(plane)]
    except RuntimeError as error:
        raise UsageError(
            f"The network of {style} has another size.", hint="begin with another style"
        ) from error


def _inner(logits: Tensor) -> Tensor:
    """Without the outermost patches, which see the crop's border."""
    return logits[..., 2:-2, 2:-2].float()
