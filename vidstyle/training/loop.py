"""The training loop: time, states on disk, statistics, sample sheets, and an end before bad numbers spread.

Every step seeds torch by (seed, step, process) and draws its batch by (seed, step). So there is no state of a random
generator to keep: a run that was stopped after any step and resumed is the undisturbed run, to the bit on one machine.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, distributed

from vidstyle.training.datasets import Batch, Draw
from vidstyle.training.engine import Engine
from vidstyle.training.recipes.base import Recipe
from vidstyle.training.state import STATE, read_state, write_state

log = logging.getLogger("vidstyle")

Figures = dict[str, float]
Tick = Callable[[int, str, Figures], None]
"""Told after each step: steps done, stage, figures of the step."""


class TrainingDiverged(RuntimeError):
    """A figure or a weight became NaN or infinite; the last good state is still on disk."""


class Trainer:
    """One run of a recipe.

    folder   for `state.pt`, `log.jsonl` and `samples/`; made if it does not exist
    device   of the networks
    workers  threads that draw batches ahead
    """

    def __init__(
        self, recipe: Recipe, folder: Path, device: torch.device | str = "cpu", *, workers: int = 1
    ) -> None:
        self.recipe, self.folder, self.workers = recipe, folder, workers
        settings = recipe.settings
        self.engine = Engine(
            recipe.networks,
            recipe.optimizers,
            recipe.averaged,
            device=device,
            precision=settings.precision,
            average=settings.average,
            clip=settings.clip,
        )
        if settings.batch % self.engine.world:
            raise ValueError(f"a batch of {settings.batch} cannot be shared by {self.engine.world} processes")
        self._stopped = False
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.engine.step

    def stop(self) -> None:
        """End after the step that is running; for signal handlers."""
        self._stopped = True

    # --- training

    def run(self, max_seconds: float = math.inf, tick: Tick | None = None) -> None:
        """Train to the last step, for `max_seconds`, or until `stop`, whichever is first; save at the end.

        Raises TrainingDiverged when something is no longer finite; nothing is saved then.
        """
        settings = self.recipe.settings
        start, since = time.monotonic(), Sums()
        over = max_seconds <= 0
        with ThreadPoolExecutor(self.workers, "draw") as pool:
            ahead: deque[Future[Batch]] = deque()
            try:
                while self.step < self.recipe.steps and not over:
                    while len(ahead) <= self.workers and self.step + len(ahead) < self.recipe.steps:
                        ahead.append(pool.submit(self._draw, self.step + len(ahead)))
                    stage = self.recipe.stage(self.step)
                    made = self._train(ahead.popleft().result())
                    spent = time.monotonic() - start
                    figures, over = self._agreed(made, self._stopped or spent >= max_seconds)
                    if not all(map(math.isfinite, figures.values())):
                        self._diverged(figures)
                    since.add(figures)
                    if tick is not None:
                        tick(self.step, stage, figures)
                    if self.step % settings.report_every == 0:
                        self._note(
                            {"step": self.step, "stage": stage, "seconds": round(spent, 1), **since.means()}
                        )
                        since = Sums()
                    if self.step % settings.save_every == 0:
                        self.save()
                        self.sheet()
            finally:
                pool.shutdown(cancel_futures=True)
        self.save()
        self.sheet()

    def advance(self) -> Figures:
        """One step; its figures, those of this process alone."""
        return {name: float(value) for name, value in self._train(self._draw(self.step)).items()}

    def _draw(self, step: int) -> Batch:
        settings = self.recipe.settings
        random = np.random.default_rng((settings.seed, step))
        return self.recipe.draw(Draw(random, settings.batch, self.engine.rank, self.engine.world))

    def _train(self, batch: Batch) -> dict[str, Tensor]:
        engine = self.engine
        seed = np.random.SeedSequence((self.recipe.settings.seed, self.step, engine.rank))
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0]))
        for name, rate in self.recipe.rates(self.step).items():
            for group in engine.optimizers[name].param_groups:
                group["lr"] = rate
        batch = {name: tensor.to(engine.device, non_blocking=True) for name, tensor in batch.items()}
        figures = self.recipe.step(batch, engine)
        engine.step += 1
        return figures

    def _agreed(self, figures: Mapping[str, Tensor], over: bool) -> tuple[Figures, bool]:
        """The figures as means over all processes, and whether any of them wants to end: all must end together."""
        values = torch.stack(
            [*figures.values(), torch.tensor(float(over), device=self.engine.device)]
        ).double()
        if self.engine.world > 1:
            distributed.all_reduce(values)
            values /= self.engine.world
        *means, ending = values.tolist()
        return dict(zip(figures, means, strict=True)), ending > 0

    # --- traces on disk

    def _note(self, line: dict[str, Any]) -> None:
        if self.engine.rank == 0:
            with (self.folder / "log.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")
            log.info("%s", line)

    def _diverged(self, figures: Mapping[str, Any]) -> None:
        self._note({"step": self.step, "diverged": {name: str(value) for name, value in figures.items()}})
        raise TrainingDiverged(f"step {self.step}: {dict(figures)}")

    def save(self) -> None:
        """Write `state.pt` at once or not at all. Of several processes all must call it; the first one writes."""
        if not self.engine.is_finite:
            self._diverged({"weights": math.nan})
        recipe = self.recipe.state()
        everybody = [recipe]
        if self.engine.world > 1:
            everybody = [recipe] * self.engine.world
            distributed.all_gather_object(everybody, recipe)
        if self.engine.rank:
            return
        state = {
            **self.engine.state(),
            "recipe": everybody,
            "settings": asdict(self.recipe.settings),
            "built": self.recipe.built(),
        }
        write_state(self.folder / STATE, state)

    def load(self, path: Path, *, networks_only: bool = False) -> None:
        """Continue from a saved state; with `networks_only`, take just its networks and begin at step 0."""
        state = read_state(path, self.engine.device)
        if networks_only:
            self.engine.restore_networks(state)
            return
        mine = asdict(self.recipe.settings)
        for name in sorted(mine.keys() | state["settings"].keys()):
            was, now = state["settings"].get(name), mine.get(name)
            if was != now:
                log.warning("the run began with %s %s and goes on with %s", name, was, now)
        self.engine.restore(state)
        if len(state["recipe"]) == self.engine.world:
            self.recipe.restore(state["recipe"][self.engine.rank])
        else:
            log.warning("the run began with %d processes: the pools begin anew", len(state["recipe"]))

    def sheet(self) -> None:
        """`samples/STEP.png`."""
        if self.engine.rank:
            return
        with torch.no_grad():
            picture = self.recipe.sheet(self.engine.averages, self.engine.device)
        if picture is None:
            return
        place = self.folder / "samples"
        place.mkdir(exist_ok=True)
        cv2.imwrite(str(place / f"{self.step:06d}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


class Sums:
    """Figures of some steps; not every step has all of them."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = total + value, count + 1

    def means(self) -> dict[str, float]:
        return {name: round(total / count, 5) for name, (total, count) in self._sums.items()}
