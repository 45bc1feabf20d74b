"""A painter for any picture: what the picture looks like decides the weights of a light generator."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from vidstyle.models.features import FeatureNetwork
from vidstyle.models.generator import Generator
from vidstyle.models.marks import OCTAVES, Strength

BANDS = 5
"""Octaves in which the marks of a picture are measured."""
LONGEST = 640
"""Pictures are looked at with at most so many pixels a side: a brush mark is as wide there as in a frame."""

_OPPONENT = ((0.299, 0.587, 0.114), (0.5, -0.5, 0.0), (0.25, 0.25, -0.5))


class AnyStyle(nn.Module):
    """One forward pass over a picture gives a `Generator` that paints like it.

    A small network describes the picture (statistics of its features at three scales, the strength of its marks in
    each octave, their coherence, its colours), and is told how lively the film is that will be painted: a calm one
    needs more of the marks to look like the picture, a busy one less. From that follow, for every convolution of the
    generator, how a few banks of weights are mixed (Yang et al., "CondConv", 2019) and the scale and shift of each
    channel (Perez et al., "FiLM", 2018). Both are folded into ordinary convolution weights, so a style costs nothing
    per frame.

    generator  settings of the generator it makes (with `mix_skip`, see `vidstyle.models.palette`)
    banks      weights that are mixed, beside those that all styles share
    code       numbers a style is boiled down to
    features   channels of the describing network
    """

    centre: Tensor
    spread: Tensor
    opponent: Tensor

    def __init__(
        self,
        *,
        generator: dict[str, Any],
        banks: int = 4,
        code: int = 64,
        features: Sequence[int] = (24, 48, 96, 160),
    ) -> None:
        super().__init__()
        self.settings = {"generator": generator, "banks": banks, "code": code, "features": list(features)}
        self.base = Generator(**generator)
        self.features = FeatureNetwork(features).requires_grad_(False)
        self.banks = nn.ParameterDict(
            {
                name.replace(".", "_"): 0.15 * weight.std() * torch.randn(banks, weight.numel())
                for name, weight in self._convolutions().items()
            }
        )
        facts = 2 * sum(features[1:]) + 3 * BANDS + BANDS + 9 + 2 * OCTAVES
        self.register_buffer("centre", torch.zeros(facts))
        self.register_buffer("spread", torch.ones(facts))
        self.register_buffer("opponent", torch.tensor(_OPPONENT), persistent=False)
        self.encoder = nn.Sequential(
            nn.Linear(facts, 96), nn.ReLU(), nn.Linear(96, code), nn.ReLU(), nn.Linear(code, code)
        )
        self.mixing = nn.ModuleDict()
        for name, weight in self._convolutions().items():
            layer = nn.Linear(code, banks + 2 * self._channels(name, weight))
            with torch.no_grad():
                layer.weight[banks:].mul_(0.1)
                layer.bias[banks:].zero_()
            self.mixing[name.replace(".", "_")] = layer

    def _convolutions(self) -> dict[str, Tensor]:
        """The weights of the generator that a style decides, by the names of their layers."""
        return {
            name.removesuffix(".weight"): weight
            for name, weight in self.base.named_parameters()
            if name.endswith(".weight") and not name.startswith("mix.")
        }

    @staticmethod
    def _channels(name: str, weight: Tensor) -> int:
        """Channels of a layer that have a scale and shift; the four pixels of a shuffle share theirs."""
        return len(weight) // 4 if name in ("up", "out") else len(weight)

    @torch.no_grad()
    def describe(self, picture: Tensor) -> Tensor:
        """Facts about a picture, float32 [1, 3, H, W], RGB in [0, 1], sides from 64 to LONGEST: float32."""
        facts = []
        for maps in self.features(picture):
            columns = maps[0].flatten(1)
            facts += [columns.mean(1), columns.std(1)]
        facts += self._marks(torch.einsum("ij,njhw->nihw", self.opponent, picture))
        pixels = picture[0].flatten(1)
        rows, columns_ = torch.triu_indices(3, 3)
        facts += [pixels.mean(1), torch.cov(pixels)[rows, columns_].clamp_min(0).sqrt()]
        return torch.cat(facts)

    @staticmethod
    def _marks(planes: Tensor) -> list[Tensor]:
        """For each octave the strength of luma and colour detail, and how far the marks share a direction."""
        facts = []
        for _ in range(BANDS):
            smaller = F.avg_pool2d(planes, 2, ceil_mode=True)
            back = F.interpolate(smaller, planes.shape[2:], mode="bilinear")
            facts.append((planes - back)[0].flatten(1).std(1).add(1e-3).log())
            luma = F.pad(planes[:, :1], (0, 1, 0, 1), mode="replicate")
            gx, gy = luma.diff(dim=3)[:, :, :-1], luma.diff(dim=2)[..., :-1]
            xx, yy, xy = (F.avg_pool2d(product, 5, 1, padding=2) for product in (gx * gx, gy * gy, gx * gy))
            coherent = ((xx - yy).square() + 4 * xy.square()).sqrt().sum() / ((xx + yy).sum() + 1e-6)
            facts.append(coherent[None])
            planes = smaller
        return facts

    def weights(self, facts: Tensor) -> dict[str, Tensor]:
        """The parameters of a generator for what `describe` found, followed by what is known of the film."""
        code = self.encoder((facts - self.centre) / self.spread)
        weights: dict[str, Tensor] = dict(self.base.named_parameters())
        for name in self._convolutions():
            key = name.replace(".", "_")
            bank = self.banks[key]
            mixed = self.mixing[key](code)
            shared = weights[f"{name}.weight"]
            weight = shared + (mixed[: len(bank)] @ bank).view_as(shared)
            scale, shift = mixed[len(bank) :].chunk(2)
            repeats = len(weight) // len(scale)
            scale, shift = scale.repeat_interleave(repeats), shift.repeat_interleave(repeats)
            weights[f"{name}.weight"] = weight * (1 + scale)[:, None, None, None]
            weights[f"{name}.bias"] = weights[f"{name}.bias"] * (1 + scale) + shift
        return weights

    def forward(self, frames: Tensor, guides: Tensor, facts: Tensor) -> Tensor:
        """Paint `frames` in the style that has these `facts`; otherwise as `Generator.forward`."""
        weights = self.weights(facts.float())
        painted: Tensor = functional_call(self.base, weights, (frames, guides))
        return painted

    @torch.no_grad()
    def painter(self, picture: Tensor, film: Strength) -> Generator:
        """The generator that paints like `picture` (see `describe`), in evaluation mode, parameters frozen.

        film  how strong the marks of what will be painted are, in the colours of the picture
        """
        network = copy.deepcopy(self.base)
        facts = torch.cat((self.describe(picture), torch.from_numpy(film.facts)))
        network.load_state_dict(self.weights(facts))
        return network.eval().requires_grad_(False)
