"""CycleGAN: photographs and paintings that show different things, translated there and back again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.training.augment import Augmentation
from vidstyle.training.datasets import Batch, Draw, Picture, Pictures, to_tensor
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.pool import ImagePool
from vidstyle.training.recipes.adversarial import AdversarialSettings, adam, entry, painted_by
from vidstyle.training.recipes.base import Recipe, as_float, option, rows, to_picture

HELD = 4
"""Photographs and paintings kept back for the sample sheets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleGANSettings(AdversarialSettings):
    cycle_weight: float = option(10.0, "of coming back to where one began")
    identity_weight: float = option(5.0, "of leaving alone what is a painting (a photograph) already")
    pool: int = option(50, "made pictures of the past that the critics are shown")
    degrees: float = option(3.0, "largest turn of a picture")
    jitter: float = option(0.0, "largest change of brightness, contrast and saturation")


class CycleGAN(Recipe):
    """Two generators, `paint` P and `unpaint` U, and a critic for each side (Zhu et al., 2017).

    L_G = adversarial(D_art(P(x))) + adversarial(D_photo(U(y)))
          + cycle_weight * (E|U(P(x)) - x| + E|P(U(y)) - y|)
          + identity_weight * (E|P(y) - y| + E|U(x) - x|)

    photos, art  x and y; some of each are taken away for the sheets
    """

    settings: CycleGANSettings

    def __init__(self, settings: CycleGANSettings, photos: Pictures, art: Pictures) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.photos, self.art, self.steps = settings, photos, art, settings.steps
        self.held = [source.hold_out(HELD, settings.crop) for source in (photos, art)]
        self.augment = Augmentation(settings.crop, degrees=settings.degrees, jitter=settings.jitter)
        paint, unpaint = settings.build_generator(), settings.build_generator()
        critic_art, critic_photo = settings.build_critic(), settings.build_critic()
        self._entry = entry(paint)
        self.networks = {
            "paint": paint,
            "unpaint": unpaint,
            "critic_art": critic_art,
            "critic_photo": critic_photo,
        }
        self.optimizers = {
            "generator": adam(paint, unpaint, rate=settings.rate),
            "critic": adam(critic_art, critic_photo, rate=settings.critic_rate),
        }
        self.averaged = {"paint": "generator", "unpaint": "generator"}
        self.pools = {"art": ImagePool(settings.pool), "photo": ImagePool(settings.pool)}

    def built(self) -> dict[str, dict[str, Any]]:
        return {"paint": self._entry, "unpaint": self._entry}

    def rates(self, step: int) -> dict[str, float]:
        return self.settings.rates(step)

    def state(self) -> dict[str, Any]:
        return {name: pool.kept for name, pool in self.pools.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        for name, pool in self.pools.items():
            pool.kept = state[name]

    def draw(self, draw: Draw) -> Batch:
        side = self.augment.margin
        return {"photo": self.photos.draw(draw, side), "art": self.art.draw(draw, side)}

    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        settings, nets = self.settings, self.networks
        photo, art = (
            self.augment(batch[name]).contiguous(memory_format=torch.channels_last)
            for name in ("photo", "art")
        )
        critics = nets["critic_art"], nets["critic_photo"]
        with engine.autocast():
            painted, unpainted = painted_by(nets["paint"], photo), painted_by(nets["unpaint"], art)
            cycle = F.l1_loss(painted_by(nets["unpaint"], painted), photo)
            cycle = cycle + F.l1_loss(painted_by(nets["paint"], unpainted), art)
            identity = F.l1_loss(painted_by(nets["paint"], art), art)
            identity = identity + F.l1_loss(painted_by(nets["unpaint"], photo), photo)
            with frozen(*critics):
                fooling = settings.game.generator_loss(critics[0], painted)
                fooling = fooling + settings.game.generator_loss(critics[1], unpainted)
        loss = fooling + settings.cycle_weight * cycle + settings.identity_weight * identity
        norm = engine.update("generator", loss)
        with engine.autocast():
            on_art, figures = settings.game.critic_loss(critics[0], art, self.pools["art"].exchange(painted))
            on_photo, others = settings.game.critic_loss(
                critics[1], photo, self.pools["photo"].exchange(unpainted)
            )
        engine.update("critic", on_art + on_photo)
        terms = {"fooling": fooling, "cycle": cycle, "identity": identity}
        return {
            **{name: term.detach() for name, term in terms.items()},
            "gradient": norm,
            **{f"{name}_art": value for name, value in figures.items()},
            **{f"{name}_photo": value for name, value in others.items()},
        }

    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """In each row a photograph, its painting and the way back, then a painting, its photograph and the way back."""
        made = []
        for photo, art in zip(*self.held, strict=False):
            row = []
            for picture, order in ((photo, ("paint", "unpaint")), (art, ("unpaint", "paint"))):
                there = painted_by(averages[order[0]], as_float(to_tensor([picture])).to(device))
                back = painted_by(averages[order[1]], there)
                row += [picture, to_picture(there[0]), to_picture(back[0])]
            made.append(row)
        return rows(made)
