"""Tune a painter to one picture, for as long as there is time."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from vidstyle.errors import InputError, Interrupted
from vidstyle.models.blend import StyleNetwork
from vidstyle.models.palette import colours_of
from vidstyle.training.data import paint
from vidstyle.training.datasets import Batch, Draw, PaintedPairs, Picture
from vidstyle.training.engine import Engine
from vidstyle.training.recipes.any_style import SHIFT, UNPAINTED, AnyStyleRecipe, AnyStyleSettings
from vidstyle.training.recipes.base import rows
from vidstyle.training.style_pictures import style_picture

JUDGED = 4
"""Batches on which the result so far is judged, always the same."""
JUDGE_EVERY = 15.0
"""Seconds between two judgements."""
RATE = 6e-4
STILLNESS = 20.0
"""Weight of painting the same scene alike a moment later; with less, plain walls swim."""
DOTS = 2.0
"""Weight of painting no dots and lines of one pixel, which no brush makes."""
HELD = 2
"""Pictures kept for the samples."""
MOST_PICTURES = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the tuning has come."""

    seconds: float
    of: float
    steps: int
    distance: float
    """Style distance of the best so far, in the features that are trained with."""
    first_distance: float
    """What it was before."""


class Tuned(nn.Module):
    """A painter that is called as `AnyStyle` is."""

    def __init__(self, base: StyleNetwork) -> None:
        super().__init__()
        self.base = base

    def forward(self, frames: Tensor, guides: Tensor, facts: Tensor) -> Tensor:
        painted: Tensor = self.base(frames, guides)
        return painted


class Tuner:
    """Tunes `painter` (with all guide planes) to paint like `picture`.

    pictures  to paint, [H, W, 3] uint8 RGB
    features  frozen network of the losses
    Raises InputError if no picture is large enough.
    """

    def __init__(
        self,
        painter: StyleNetwork,
        picture: Picture,
        pictures: Sequence[Picture],
        features: nn.Module,
        *,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        batch = 16 if device.type == "cuda" else 6
        settings = AnyStyleSettings(
            styles=1,
            batch=batch,
            rate=RATE,
            imitation_weight=0.0,
            temporal_weight=STILLNESS,
            dots_weight=DOTS,
        )
        random = np.random.default_rng(seed)
        pairs = [
            paint(one, UNPAINTED, random, painter.marks)
            for one in pictures[:: -(-len(pictures) // MOST_PICTURES)]
        ]
        pairs = [pair for pair in pairs if min(pair.size) >= settings.crop + SHIFT]
        if len(pairs) <= HELD:
            raise InputError(
                "There are too few pictures to learn on.",
                name="--content",
                hint="give at least 6 of 300 pixels or more a side, or a video",
            )
        style = style_picture(picture, features)
        self._start = copy.deepcopy(painter).requires_grad_(True)
        photos = PaintedPairs(pairs, held=HELD)
        self._recipe = AnyStyleRecipe(settings, Tuned(self._start), photos, [style], [style], features)
        self._engine = Engine(
            self._recipe.networks,
            self._recipe.optimizers,
            self._recipe.averaged,
            device=device,
            precision=settings.precision,
            average=0.99,
        )
        self._seed = seed
        self._judged = [self._draw(-1 - number) for number in range(JUDGED)]
        self._before = copy.deepcopy(self._engine.averages["any"])
        self.best = copy.deepcopy(painter)
        """The best so far, float32, on the CPU."""
        self.colours = colours_of([picture])

    def run(self, seconds: float, tell: Callable[[Progress], None], improved: Callable[[], None]) -> bool:
        """Train for so long; whether that was not cut short by a signal. `improved` is told of each new `best`."""
        engine, recipe = self._engine, self._recipe
        begin = time.monotonic()
        least, first = self._judge()
        distance = first
        next_judgement = JUDGE_EVERY
        try:
            while (spent := time.monotonic() - begin) < seconds:
                done = spent / seconds
                warm = min(1.0, (engine.step + 1) / 30)
                for group in engine.optimizers["any"].param_groups:
                    group["lr"] = RATE * warm * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * done)))
                recipe.step(self._draw(engine.step), engine)
                engine.step += 1
                spent = time.monotonic() - begin
                if spent >= min(next_judgement, seconds):
                    next_judgement = spent + JUDGE_EVERY
                    loss, found = self._judge()
                    if loss < least:
                        least, distance = loss, found
                        self._keep()
                        improved()
                tell(Progress(min(spent, seconds), seconds, engine.step, distance, first))
        except Interrupted:
            return False
        return True

    def _draw(self, step: int) -> Batch:
        settings = self._recipe.settings
        random = np.random.default_rng((self._seed, step + JUDGED))
        batch = self._recipe.draw(Draw(random, settings.batch))
        return {name: tensor.to(self._engine.device) for name, tensor in batch.items()}

    @torch.no_grad()
    def _judge(self) -> tuple[float, float]:
        """Loss and style distance of the averaged network; lower is better."""
        found = [
            self._recipe.terms(batch, self._engine.averages["any"], self._engine) for batch in self._judged
        ]
        losses = [float(torch.stack(list(terms.values())).sum()) for terms in found]
        return float(np.mean(losses)), float(np.mean([float(terms["style"]) for terms in found]))

    def _keep(self) -> None:
        tuned = self._engine.averages["any"]
        assert isinstance(tuned, Tuned)
        self.best.load_state_dict({name: value.cpu() for name, value in tuned.base.state_dict().items()})

    @torch.no_grad()
    def sheet(self) -> Picture:
        """Pictures as they were, as painted before, and as painted now: one row each."""
        device = self._engine.device
        now = Tuned(copy.deepcopy(self.best).to(device))
        sheets = [self._recipe.sheet({"any": network}, device) for network in (self._before, now)]
        assert sheets[0] is not None
        assert sheets[1] is not None
        painted = sheets[1][:, sheets[1].shape[1] // 2 :]
        made = rows([[sheets[0], painted]])
        assert made is not None
        return made
