"""What a recipe is: networks, their optimisers, one step, one sheet. The loop does everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from vidstyle.training.datasets import Batch, Draw, Picture
from vidstyle.training.engine import PRECISIONS, Engine

Value = TypeVar("Value")


def option(default: Value, about: str, choices: tuple[str, ...] = ()) -> Value:
    """A field of settings that the command line shows with this help."""
    metadata = {"help": about, "choices": choices or None}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSettings:
    """What every run depends on beside its data."""

    batch: int = option(8, "pictures of one step, all processes together")
    seed: int = option(0, "of weights, batches and all other chance")
    precision: str = option("auto", "of the forward pass; fp16 on CUDA alone", PRECISIONS)
    average: float = option(0.995, "share of the running mean of the weights that each step keeps")
    clip: float = option(1.0, "largest norm of a gradient")
    save_every: int = option(500, "steps between two states and sheets")
    report_every: int = option(50, "steps between two lines of statistics")


class Recipe(ABC):
    """One way of training. Subclasses fill the attributes in their constructor, on the CPU."""

    settings: RecipeSettings
    steps: int
    """Length of the run."""
    networks: dict[str, nn.Module]
    """By name. The engine puts them on its device and wraps them, in this dictionary, for several processes."""
    optimizers: dict[str, torch.optim.Optimizer]
    averaged: Mapping[str, str]
    """The networks that are shipped -> the optimiser that moves them."""

    @abstractmethod
    def draw(self, draw: Draw) -> Batch:
        """The batch of a step, on the CPU; runs in another thread, some steps ahead."""

    @abstractmethod
    def step(self, batch: Batch, engine: Engine) -> dict[str, Tensor]:
        """Train on one batch; detached figures for the statistics. All that is random in it comes from torch."""

    @abstractmethod
    def sheet(self, averages: Mapping[str, nn.Module], device: torch.device) -> Picture | None:
        """What the averaged networks can do, as one picture."""

    def built(self) -> dict[str, dict[str, Any]]:
        """For each shipped network, its name in the manifest and the settings to build it with."""
        return {}

    def stage(self, step: int) -> str:
        """A word for the progress bar and the statistics."""
        return "train"

    def rates(self, step: int) -> dict[str, float]:
        """Learning rate of each optimiser; those left out keep theirs."""
        return {}

    def state(self) -> dict[str, Any]:
        """What changes from step to step beside weights and optimisers, of this process (tensors and numbers)."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        if state:
            raise ValueError("this recipe has no state of its own")


def falling(rate: float, step: int, steps: int) -> float:
    """Constant for the first half of the run, then linearly to zero (Zhu et al., 2017)."""
    return rate * min(1.0, 2 - 2 * step / max(1, steps))


def as_float(pictures: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1], channels_last."""
    return pictures.float().div_(255).contiguous(memory_format=torch.channels_last)


def to_picture(pictures: Tensor) -> Picture:
    """Float [3, H, W] around [0, 1] -> uint8 [H, W, 3]."""
    return (pictures.float().clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()


def rows(pictures: list[list[Picture]]) -> Picture | None:
    """A sheet of rows of pictures, padded with black where they differ in size; None without rows."""
    made = []
    for row in pictures:
        height = max(picture.shape[0] for picture in row)
        made.append(np.hstack([cv2.copyMakeBorder(p, 0, height - p.shape[0], 0, 0, 0) for p in row]))
    if not made:
        return None
    width = max(row.shape[1] for row in made)
    return np.vstack([np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in made])
