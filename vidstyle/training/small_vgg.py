"""VGG-19 made sixteen times smaller by collaborative distillation (Wang et al., 2020): feature losses for a CPU."""

from __future__ import annotations

import itertools
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.errors import WeightsError

CHANNELS = (16, 32, 64, 128)
CONVOLUTIONS = (2, 2, 4, 1)
"""Of each scale; the last one is looked at no further than its first."""


class SmallVGG(nn.Module):
    """Float [N, 3, H, W], RGB in [0, 1] -> maps after the first ReLU of each of four scales."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv2d(3, 3, 1)
        widths = [
            3,
            *(width for width, count in zip(CHANNELS, CONVOLUTIONS, strict=True) for _ in range(count)),
        ]
        self.layers = nn.ModuleList(nn.Conv2d(*pair, 3, padding=1) for pair in itertools.pairwise(widths))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = []
        x = self.input(pictures)
        layers = iter(self.layers)
        for number, count in enumerate(CONVOLUTIONS):
            if number:
                x = F.max_pool2d(x, 2)
            for place in range(count):
                x = F.relu(next(layers)(x))
                if place == 0:
                    maps.append(x)
        return maps


def load(path: Path | None) -> SmallVGG:
    """The network with the weights of the authors' fourth encoder (safetensors), frozen. Raises WeightsError."""
    if path is None or not path.is_file():
        raise WeightsError(
            "The weights of the small VGG are not there.",
            name=str(path),
            hint="name them with --feature-weights",
        )
    network = SmallVGG()
    theirs = [f"conv{i + 1}{j + 1}" for i, count in enumerate(CONVOLUTIONS) for j in range(count)]
    names = {"input": "conv0"} | {f"layers.{i}": name for i, name in enumerate(theirs)}
    try:
        tensors = load_file(path)
        network.load_state_dict(
            {
                f"{ours}.{kind}": tensors[f"{name}.{kind}"]
                for ours, name in names.items()
                for kind in ("weight", "bias")
            }
        )
    except (SafetensorError, KeyError, RuntimeError) as error:
        raise WeightsError(f"Not the weights of the small VGG: {error}.", name=str(path)) from error
    return network.eval().requires_grad_(False)
