"""Training of the fusion network."""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.detect.decision import MAPS
from vidstyle.detect.fusion import NUMBERS
from vidstyle.models.fusion import FusionNetwork, Member

log = logging.getLogger("vidstyle")

AVERAGE = 0.998
"""Share of the running mean of the weights that each step keeps."""


@dataclass(frozen=True, slots=True)
class Table:
    """float16 maps [N, MAPS, rows, columns], float32 numbers [N, NUMBERS], float32 labels [N]: 1 bad, 0 good."""

    maps: Tensor
    numbers: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def load_tables(files: Sequence[Path]) -> Table:
    """Joins the files that `scripts/train_fusion.py make` wrote; maps of upright pictures are laid on their side."""
    maps, numbers, labels = [], [], []
    for path in files:
        with np.load(path) as part:
            if len(part["labels"]):
                field = part["maps"]
                maps.append(field.swapaxes(2, 3) if field.shape[2] > field.shape[3] else field)
                numbers.append(part["numbers"])
                labels.append(part["labels"])
    joined = (np.concatenate(parts) for parts in (maps, numbers, labels))
    fields, told, truth = (torch.from_numpy(part) for part in joined)
    return Table(fields, told, truth.float())


def train(
    table: Table,
    *,
    epochs: int,
    seed: int = 0,
    members: int = 2,
    batch: int = 128,
    rate: float = 2e-3,
    begin: FusionNetwork | None = None,
) -> FusionNetwork:
    """Trains each member with a seed of its own, one after the other.

    With `begin`, whose members they then are, they learn on from its weights, and the result is the mean of those and
    of what was learnt, which does better than either (Wortsman et al., "Robust Fine-Tuning of Zero-Shot Models", CVPR
    2022).
    """
    network = FusionNetwork(MAPS, NUMBERS, members) if begin is None else copy.deepcopy(begin)
    for number, member in enumerate(network.members):
        assert isinstance(member, Member)
        log.info("member %d of %d", number + 1, len(network.members))
        torch.manual_seed(seed + number)
        start = FusionNetwork(MAPS, NUMBERS, members=1)
        if begin is not None:
            start.members[0].load_state_dict(member.state_dict())
        learnt = train_member(table, start, epochs=epochs, batch=batch, rate=rate)
        if begin is None:
            network.members[number] = learnt
        else:
            with torch.no_grad():
                for weight, new in zip(member.parameters(), learnt.parameters(), strict=True):
                    weight.lerp_(new, 0.5)
    return network.eval()


def train_member(
    table: Table, network: FusionNetwork, *, epochs: int, batch: int, rate: float, decay: float = 2e-3
) -> nn.Module:
    """Trains the first member of a network: binary cross entropy, AdamW, cosine schedule, mirrored maps.

    Returns the running mean of its weights.
    """
    network = network.to(memory_format=torch.channels_last)
    mean = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=decay)
    steps, total = epochs * len(table) // batch, 0.0
    for step in range(steps):
        chosen = torch.randint(0, len(table), (batch,))
        maps = table.maps[chosen].float()
        for axis, share in ((3, 0.5), (2, 0.3)):
            if torch.rand(()) < share:
                maps = maps.flip(axis)
        for group in optimizer.param_groups:
            cosine = 0.5 + 0.5 * math.cos(math.pi * step / steps)
            group["lr"] = rate * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * cosine)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(
                maps.contiguous(memory_format=torch.channels_last), table.numbers[chosen]
            ).float()
        loss = F.binary_cross_entropy_with_logits(logits, table.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        keep = min(AVERAGE, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, value in zip(mean.parameters(), network.parameters(), strict=True):
                average.lerp_(value, 1 - keep)
        total += float(loss.detach())
        if (step + 1) % 200 == 0:
            log.info("step %d of %d: loss %.4f", step + 1, steps, total / 200)
            total = 0.0
    return mean.members[0]


@torch.inference_mode()
def logits(network: FusionNetwork, table: Table) -> Tensor:
    """The network's answers [N]."""
    parts = range(0, len(table), 256)
    return torch.cat([network(table.maps[i : i + 256].float(), table.numbers[i : i + 256]) for i in parts])


def set_threshold(network: FusionNetwork, table: Table, false_alarms: float) -> float:
    """Shifts the last biases so that the logit 0 is exceeded by this share of the good examples; returns the recall."""
    answers = logits(network, table)
    threshold = torch.quantile(answers[table.labels == 0], 1 - false_alarms)
    with torch.no_grad():
        for member in network.members:
            assert isinstance(member, Member)
            member.offset.sub_(threshold)
    return float((answers[table.labels == 1] > threshold).float().mean())
