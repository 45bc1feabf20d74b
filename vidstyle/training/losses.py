"""What training minimises. Pictures are float [T, 3, H, W], RGB around [0, 1]; every loss is a float32 scalar."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def gradient_l1(painted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical slopes: keeps strokes crisp where L1 would blur them."""
    difference = painted - target
    return difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()


def distillation(painted: Tensor, target: Tensor) -> Tensor:
    """L1 plus slope L1 against the teacher's picture."""
    return F.l1_loss(painted, target) + gradient_l1(painted, target)


def low_frequency(painted: Tensor, target: Tensor) -> Tensor:
    """L1 of blurred pictures: colours and tones stay the teacher's while a critic owns the detail."""
    return F.l1_loss(_blur(painted), _blur(target))


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.avg_pool2d(x, 7, 1), 7, 1)


def fooling(logits: Tensor) -> Tensor:
    """Non-saturating logistic loss of the generator (Goodfellow et al., 2014)."""
    return F.softplus(-logits).mean()


def telling_apart(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss of the critic."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def r1_penalty(real_logits: Tensor, real: Tensor) -> Tensor:
    """Mean squared gradient of the critic at real pictures (Mescheder et al., 2018); `real` must require gradients."""
    (gradient,) = torch.autograd.grad(real_logits.mean((1, 2, 3)).sum(), real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()
