"""The network that weighs everything the detector measured in a frame, and says whether the frame is bad."""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
