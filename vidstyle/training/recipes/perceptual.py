"""Photographs towards paintings in one direction: what is shown stays, how it is painted comes from the paintings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vidstyle.training import losses
from vidstyle.training.augment import Augmentation
from vidstyle.training.datasets import Batch, Draw, FramePairs, Picture, Pictures, to_tensor
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.recipes.adversarial import GENERATORS, AdversarialSettings, adam, entry, painted_by
from vidstyle.training.recipes.base import Recipe, as_float, option, rows, to_picture

HELD = 6
"""Photographs kept back for the sample sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualSettings(AdversarialSettings):
    generator: str = option("generator", "the network that paints", tuple(GENERATORS))
    adversarial_weight: float = option(0.1, "of looking like the paintings to the critic")
    content_weight: float = option(1.0, "of the photograph's features")
    style_weight: float = option(1.0, "of the paintings' Gram matrices")
    colour_weight: float = option(1.0, "of the photograph's colours")
    smooth_weight: float = option(0.1, "of total variation")
    temporal_weight: float = option(1.0, "of painting alike what moved or was disturbed")
    degrees: float = option(3.0, "largest turn of a picture")
    jitter: float = option(0.0, "largest change of brightness, contrast and saturation")


class Perceptual(Recipe):
    """Feature losses (Johnson et al., 2016), colour and critic (Chen et al., "AnimeGAN", 2020), temporal loss.

    photos    pictures to paint; some are taken away for the sheets
    art       pictures that show how
    features  the network of the feature losses (`vidstyle.training.perceptual`), frozen
    frames    consecutive frames of videos for the temporal loss; without them disturbed copies of the photographs do
    """

    settings: PerceptualSettings

    def __init__(
        self,
        settings: PerceptualSettings,
        photos: Pictures,
        art: Pictures,
        features: nn.Module,
        frames: FramePairs | None = None,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.photos, self.art, self.frames = settings, photos, art, frames
        self.features, self.steps = features, settings.steps
        self.held = photos.hold_out(HELD, settings.crop)
        self.augment = Augmentation(settings.crop, degrees=settings.degrees, jitter=settings.jitter)
        generator, critic = settings.build_generator(), settings.build_critic()
        self._entry = entry(generator)
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
        side = self.augment.margin
        batch = {"photo": self.photos.draw(draw, side), "art": self.art.draw(draw, side)}
        return batch if self.frames is None else batch | self.frames.draw(draw, self.settings.crop)

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        settings, generator, critic = self.settings, self.networks["generator"], self.networks["critic"]
        photo, art = (
            self.augment(batch[name]).contiguous(memory_format=torch.channels_last)
            for name in ("photo", "art")
        )
        features = self.features.to(engine.device)
        with engine.autocast():
            painted = painted_by(generator, photo)
            with torch.no_grad():
                of_photo, of_art = features(photo), features(art)
            of_painted = features(painted)
            with frozen(critic):
                fooling = settings.game.generator_loss(critic, painted)
        terms = {
            "fooling": settings.adversarial_weight * fooling,
            "content": settings.content_weight * losses.content(of_painted[-1:], of_photo[-1:]),
            "style": settings.style_weight * losses.style(of_painted, of_art),
            "colour": settings.colour_weight * losses.colour(painted, photo),
            "smooth": settings.smooth_weight * losses.total_variation(painted),
            "temporal": settings.temporal_weight * self._temporal(batch, photo, painted, engine),
        }
        norm = engine.update("generator", torch.stack(list(terms.values())).sum())
        with engine.autocast():
            loss, figures = settings.game.critic_loss(critic, art, painted)
        engine.update("critic", loss)
        return {**{name: term.detach() for name, term in terms.items()}, "gradient": norm, **figures}

    def _temporal(self, batch: Batch, photo: Tensor, painted: Tensor, engine: Engine) -> Tensor:
        """A disturbed copy of the photographs, and real frames where there are any."""
        generator = self.networks["generator"]
        copy, flow, visible = losses.moved(photo)
        with engine.autocast():
            loss = losses.temporal(painted_by(generator, copy), painted, flow, visible)
            if self.frames is None:
                return loss
            before, after = (painted_by(generator, as_float(batch[name])) for name in ("before", "after"))
        return 0.5 * (loss + losses.temporal(after, before, batch["flow"], batch["visible"]))

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """Held-out photographs and their paintings, one row each."""
        made = []
        for photo in self.held:
            painted = painted_by(averages["generator"], as_float(to_tensor([photo])).to(device))
            made.append([photo, to_picture(painted[0])])
        return rows(made)
