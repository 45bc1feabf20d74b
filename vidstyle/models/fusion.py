"""The network that weighs everything the detector measured in a frame, and says whether the frame is bad."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class FusionNetwork(nn.Module):
    """The mean answer of a few small networks, which were trained from different beginnings.

    Trained by `scripts/train_fusion.py` on clips spoilt on purpose.
    """

    def __init__(
        self, maps: int, numbers: int, members: int = 2, channels: int = 24, hidden: int = 48
    ) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member(maps, numbers, channels, hidden) for _ in range(members))

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """float [N, maps, rows, columns] and [N, numbers] -> logits [N] that the frame is bad."""
        return self.judge(self.see(maps), numbers)

    def see(self, maps: Tensor) -> Tensor:
        """What each member sees in the maps: [members, N, features]."""
        return torch.stack([member.see(maps) for member in self._members])

    def judge(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """Logits [N] from what `see` gave, and numbers [N, numbers]."""
        return torch.stack(
            [member.judge(part, numbers) for member, part in zip(self._members, seen, strict=True)]
        ).mean(0)

    @property
    def _members(self) -> list[Member]:
        return [member for member in self.members if isinstance(member, Member)]


class Member(nn.Module):
    """A few convolutions over the maps of deviations; their means and maxima, with the numbers, through two layers."""

    def __init__(self, maps: int, numbers: int, channels: int, hidden: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(maps, channels, 1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
        )
        self.weigh = nn.Sequential(
            nn.Linear(2 * channels + numbers, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    @property
    def offset(self) -> Tensor:
        """The last bias [1]: what is added to every logit."""
        last = self.weigh[-1]
        assert isinstance(last, nn.Linear)
        return last.bias

    def forward(self, maps: Tensor, numbers: Tensor) -> Tensor:
        """As of the whole."""
        return self.judge(self.see(maps), numbers)

    def see(self, maps: Tensor) -> Tensor:
        """[N, maps, rows, columns] -> [N, features]."""
        seen = self.look(maps)
        return torch.cat((seen.mean((2, 3)), seen.amax((2, 3))), 1)

    def judge(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """What `see` gave and [N, numbers] -> logits [N]."""
        logits: Tensor = self.weigh(torch.cat((seen, numbers), 1))[:, 0]
        return logits


class SideBySide:
    """A trained network's answers about one picture, all members in the same operations: in half of the time."""

    def __init__(self, network: FusionNetwork) -> None:
        members = [member for member in network.members if isinstance(member, Member)]
        self._looks = [
            _joined(layers) for layers in zip(*(member.look[::2] for member in members), strict=True)
        ]
        self._weighs = [
            _joined(layers) for layers in zip(*(member.weigh[::2] for member in members), strict=True)
        ]

    def see(self, maps: Tensor) -> Tensor:
        """[maps, rows, columns] -> [members, features]."""
        x = maps[None]
        for n, (weight, bias) in enumerate(self._looks):
            groups = len(weight) if n else 1  # all look at the same maps
            x = functional.conv2d(
                x, weight.flatten(0, 1), bias.flatten(), padding=weight.shape[-1] // 2, groups=groups
            ).relu_()
        seen = x.view(len(self._looks[0][0]), -1, maps.shape[1] * maps.shape[2])
        return torch.cat((seen.mean(2), seen.amax(2)), 1)

    def judge(self, seen: Tensor, numbers: Tensor) -> Tensor:
        """What `see` gave and [numbers] -> the logit."""
        x = torch.cat((seen, numbers.expand(len(seen), -1)), 1)[:, None]
        for n, (weight, bias) in enumerate(self._weighs):
            x = torch.baddbmm(bias[:, None], x.relu_() if n else x, weight.mT)
        return x.mean()


def _joined(layers: Sequence[nn.Module]) -> tuple[Tensor, Tensor]:
    """The weights of one layer of each member, and its biases, one member after the other."""
    states = [layer.state_dict() for layer in layers]
    return torch.stack([state["weight"] for state in states]), torch.stack(
        [state["bias"] for state in states]
    )
