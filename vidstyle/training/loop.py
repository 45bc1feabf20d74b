"""Training one style in three stages: distil the teacher, train the critic alone, then both against each other."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vidstyle.models.discriminator import Discriminator
from vidstyle.models.generator import Generator
from vidstyle.training import losses
from vidstyle.training.data import Pair, Sample, crops, sample

log = logging.getLogger("vidstyle")
Network = TypeVar("Network", bound=nn.Module)

SHIFT = 8
"""The second view of the temporal term is moved by up to so many pixels ..."""
DISTURBANCE = 0.02
"""... and carries noise of at most this deviation."""
BORDER = 16
"""Pixels at the border of a crop that only the distillation loss looks at."""
R1_EVERY = 4
REPORT_EVERY = 50


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """Everything a run depends on beside its data."""

    distil_steps: int = 6000
    critic_steps: int = 300
    adversarial_steps: int = 2000
    batch: int = 8
    crop: int = 144
    seed: int = 0
    distil_rate: float = 2e-3
    adversarial_rate: float = 3e-4
    critic_rate: float = 4e-4
    temporal_weight: float = 1.0
    adversarial_weight: float = 0.06
    slope_weight: float = 0.6
    r1_weight: float = 1.0
    average: float = 0.995
    """Share of the running mean of the weights that each step keeps."""
    save_every: int = 500
    generator: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        least = 2 * BORDER + 2 * SHIFT
        if self.crop < least or self.crop % 8:
            raise ValueError(f"crop must be a multiple of 8 from {least} upwards, not {self.crop}")

    @property
    def steps(self) -> int:
        return self.distil_steps + self.critic_steps + self.adversarial_steps

    def stage(self, step: int) -> str:
        if step < self.distil_steps:
            return "distil"
        return "critic" if step < self.distil_steps + self.critic_steps else "both"


class TrainingDiverged(RuntimeError):
    """A loss became NaN or infinite; the last good state is still on disk."""


class Trainer:
    """State of a run: networks, optimisers, running mean of the weights, step.

    pairs   to learn from
    held    pairs that only the sample sheets show
    folder  for `state.pt`, `log.jsonl` and the sheets; made if it does not exist
    """

    def __init__(
        self,
        settings: TrainingSettings,
        pairs: Sequence[Pair],
        held: Sequence[Pair],
        folder: Path,
        device: torch.device | str = "cpu",
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.pairs, self.held, self.folder = settings, pairs, held, folder
        self.device = torch.device(device)
        self.step = 0
        self.generator = self._placed(Generator(**settings.generator))
        self.average = self._placed(Generator(**settings.generator)).requires_grad_(False)
        self.average.load_state_dict(self.generator.state_dict())
        self.critic = self._placed(Discriminator())
        self.painter_steps = torch.optim.Adam(
            self.generator.parameters(), settings.distil_rate, betas=(0.9, 0.99)
        )
        self.critic_steps = torch.optim.Adam(
            self.critic.parameters(), settings.critic_rate, betas=(0.0, 0.99)
        )
        folder.mkdir(parents=True, exist_ok=True)

    def _placed(self, network: Network) -> Network:
        return network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    # --- state on disk

    @property
    def _parts(self) -> dict[str, Any]:
        return {
            "generator": self.generator,
            "average": self.average,
            "critic": self.critic,
            "painter_steps": self.painter_steps,
            "critic_steps": self.critic_steps,
        }

    def save(self) -> None:
        """Write `state.pt` at once or not at all."""
        state = {name: part.state_dict() for name, part in self._parts.items()}
        part = self.folder / "state.part"
        torch.save({**state, "step": self.step, "settings": asdict(self.settings)}, part)
        part.replace(self.folder / "state.pt")

    def load(self, path: Path, *, weights_only_of: Sequence[str] = ()) -> None:
        """Continue from a saved state; with `weights_only_of`, take just these networks and begin at step 0."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        for name, part in self._parts.items():
            if not weights_only_of or name in weights_only_of:
                part.load_state_dict(state[name])
        if not weights_only_of:
            self.step = int(state["step"])

    # --- training

    def run(self, max_seconds: float = math.inf) -> None:
        """Train to the last step or for `max_seconds`, whichever is first; save at the end.

        Raises TrainingDiverged when a loss is no longer finite; nothing is saved then.
        """
        start, sums, count = time.monotonic(), {}, 0  # type: ignore[var-annotated]
        while self.step < self.settings.steps and time.monotonic() - start < max_seconds:
            figures = self.advance()
            if not all(map(math.isfinite, figures.values())):
                self._note({"step": self.step, "diverged": {k: str(v) for k, v in figures.items()}})
                raise TrainingDiverged(f"step {self.step}: {figures}")
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            if self.step % REPORT_EVERY == 0:
                means = {name: round(value / count, 5) for name, value in sums.items()}
                stage = self.settings.stage(self.step - 1)
                self._note(
                    {
                        "step": self.step,
                        "stage": stage,
                        "seconds": round(time.monotonic() - start, 1),
                        **means,
                    }
                )
                sums, count = {}, 0
            if self.step % self.settings.save_every == 0:
                self.save()
                self.sheet()
        self.save()
        self.sheet()

    def _note(self, line: dict[str, Any]) -> None:
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        log.info("%s", line)

    def advance(self) -> dict[str, float]:
        """One step; the losses and rates of it."""
        stage = self.settings.stage(self.step)
        random = np.random.default_rng((self.settings.seed, self.step))
        batch = crops(self.pairs, self.settings.batch, self.settings.crop + SHIFT, random)
        if stage == "critic":
            with torch.no_grad():
                painted = self._paint(self._view(batch, 0, 0))
            figures = self._train_critic(self._view(batch, 0, 0), painted)
        else:
            painted, figures = self._train_generator(batch, stage, random)
            if stage == "both":
                figures |= self._train_critic(self._view(batch, 0, 0), painted)
        self.step += 1
        return figures

    def _view(self, batch: Sample, top: int, left: int) -> Sample:
        size = self.settings.crop
        part = (..., slice(top, top + size), slice(left, left + size))
        tensors = (batch.source, batch.painted, batch.guides)
        return Sample(
            *(t[part].to(self.device).contiguous(memory_format=torch.channels_last) for t in tensors)
        )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16)

    def _paint(self, batch: Sample) -> Tensor:
        with self._autocast():
            painted: Tensor = self.generator(batch.source, batch.guides)
        return painted

    def _train_generator(
        self, batch: Sample, stage: str, random: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        settings = self.settings
        for group in self.painter_steps.param_groups:
            group["lr"] = self._rate(stage)
            group["betas"] = (0.9, 0.99) if stage == "distil" else (0.0, 0.99)
        first = self._view(batch, 0, 0)
        # The same scene a moment later: moved by some pixels and with other noise in it.
        top, left = (int(v) for v in random.integers(0, SHIFT + 1, 2))
        second = self._view(batch, top, left)
        noise = torch.from_numpy(random.normal(size=tuple(second.source.shape)).astype(np.float32)).to(
            self.device
        )
        amount = random.uniform(0, DISTURBANCE)
        disturbed = Sample(second.source + amount * noise, second.painted, second.guides)
        half = settings.batch // 2
        painted = self._paint(first)
        again = self._paint(
            Sample(*(t[:half] for t in (disturbed.source, disturbed.painted, disturbed.guides)))
        )

        terms: dict[str, Tensor] = {}
        if stage == "distil":
            terms["distil"] = losses.distillation(painted, first.painted)
            terms["distil_disturbed"] = 0.5 * losses.distillation(again, second.painted[:half])
        else:
            terms["low"] = 4 * losses.low_frequency(painted, first.painted)
            terms["l1"] = 0.5 * torch.nn.functional.l1_loss(painted, first.painted)
            # Without it the critic is fooled by dots along hard edges, two pixels apart.
            terms["slope"] = settings.slope_weight * losses.gradient_l1(painted, first.painted)
            self.critic.requires_grad_(False)
            with self._autocast():
                logits = self.critic(painted, first.source)
            terms["fooling"] = settings.adversarial_weight * losses.fooling(logits[..., 2:-2, 2:-2].float())
            self.critic.requires_grad_(True)
        same = slice(top + BORDER, settings.crop - BORDER), slice(left + BORDER, settings.crop - BORDER)
        moved = slice(BORDER, settings.crop - BORDER - top), slice(BORDER, settings.crop - BORDER - left)
        difference = painted[:half, :, same[0], same[1]] - again[:, :, moved[0], moved[1]]
        terms["temporal"] = settings.temporal_weight * difference.abs().mean()

        self.painter_steps.zero_grad(set_to_none=True)
        torch.stack(list(terms.values())).sum().backward()
        norm = nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        if torch.isfinite(norm):
            self.painter_steps.step()
            self._update_average()
        figures = {name: float(value.detach()) for name, value in terms.items()}
        return painted.detach(), figures | {"gradient": float(norm)}

    def _rate(self, stage: str) -> float:
        settings = self.settings
        if stage == "distil":
            warm = min(1.0, (self.step + 1) / 50)
            done = self.step / settings.distil_steps
            return settings.distil_rate * warm * (0.05 + 0.95 * (0.5 + 0.5 * math.cos(math.pi * done)))
        done = (self.step - settings.distil_steps - settings.critic_steps) / settings.adversarial_steps
        return settings.adversarial_rate * (1 - 0.8 * done)

    def _update_average(self) -> None:
        # A short memory at first, so that the mean is not dragged down by the untrained beginning.
        keep = min(self.settings.average, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)

    def _train_critic(self, batch: Sample, painted: Tensor) -> dict[str, float]:
        penalise = self.step % R1_EVERY == 0
        real = batch.painted.detach().requires_grad_(penalise)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=not penalise):
            real_logits = self.critic(real, batch.source)
            fake_logits = self.critic(painted, batch.source)
        inner = (..., slice(2, -2), slice(2, -2))
        real_logits, fake_logits = real_logits[inner].float(), fake_logits[inner].float()
        loss = losses.telling_apart(real_logits, fake_logits)
        figures = {"critic": float(loss.detach())}
        if penalise:
            penalty = losses.r1_penalty(real_logits, real)
            figures["r1"] = R1_EVERY * float(penalty.detach())
            loss = loss + R1_EVERY * self.settings.r1_weight * penalty
        self.critic_steps.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_steps.step()
        right = ((real_logits > 0).float().mean() + (fake_logits < 0).float().mean()) / 2
        return figures | {"right": float(right)}

    # --- looking at it

    def sheet(self) -> None:
        """`samples/STEP.png`: source, teacher and painted picture of the held-out pairs, one row each."""
        rows = []
        for pair in self.held:
            height, width = (side // 4 * 4 for side in pair.field.shape)
            pair = Pair(
                pair.source[:height, :width], pair.painted[:height, :width], pair.field[:height, :width]
            )
            one = sample([pair])
            with torch.no_grad():
                painted = self.average(one.source.to(self.device), one.guides.to(self.device))
            picture = (painted[0].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            rows.append(np.hstack((pair.source, pair.painted, picture)))
        if not rows:
            return
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
        place = self.folder / "samples"
        place.mkdir(exist_ok=True)
        cv2.imwrite(str(place / f"{self.step:06d}.png"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
