"""The adversarial losses are what their formulas say; penalties are checked on critics whose slope is known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from vidstyle.training import objectives
from vidstyle.training.objectives import OBJECTIVES

REAL, FAKE = torch.tensor([[2.0], [0.5]]), torch.tensor([[-1.0], [0.25]])


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


@pytest.mark.parametrize(
    ("name", "critic", "generator"),
    [
        (
            "bce",
            -(log_sigmoid(2) + log_sigmoid(0.5)) / 2 - (log_sigmoid(1) + log_sigmoid(-0.25)) / 2,
            -(log_sigmoid(-1) + log_sigmoid(0.25)) / 2,
        ),
        ("lsgan", ((1 + 0.25) / 2 + (1 + 0.0625) / 2) / 2, (4 + 0.5625) / 2 / 2),
        ("hinge", (0 + 0.5) / 2 + (0 + 1.25) / 2, (1 - 0.25) / 2),
        ("wgan-gp", -0.375 - 1.25, 0.375),
    ],
)
def test_losses_are_their_formulas(name: str, critic: float, generator: float) -> None:
    assert float(OBJECTIVES[name].on_critic(REAL, FAKE)) == pytest.approx(critic)
    assert float(OBJECTIVES[name].on_generator(FAKE)) == pytest.approx(generator)


class Linear:
    """D(x) = sum of weight * x: its slope is `weight` everywhere."""

    def __init__(self, size: int = 4) -> None:
        random = torch.Generator().manual_seed(1)
        self.weight = torch.randn(3, size, size, generator=random).requires_grad_()

    def __call__(self, pictures: Tensor) -> Tensor:
        return (self.weight * pictures).sum((1, 2, 3))[:, None]


def pictures(count: int = 3) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(2)
    return torch.rand(count, 3, 4, 4, generator=random), torch.rand(count, 3, 4, 4, generator=random)


def test_the_wgan_gp_penalty_and_its_gradient_by_hand() -> None:
    """P = (|w| - 1)^2, so dP/dw = 2 (|w| - 1) w / |w|, wherever between real and made it is looked at."""
    critic = Linear()
    real, fake = pictures()
    penalty = objectives.interpolation_penalty(critic, real, fake)
    norm = float(critic.weight.detach().norm())
    assert float(penalty.detach()) == pytest.approx((norm - 1) ** 2, rel=1e-4)
    (gradient,) = torch.autograd.grad(penalty, critic.weight)
    torch.testing.assert_close(gradient, 2 * (norm - 1) * critic.weight.detach() / norm, rtol=1e-3, atol=1e-4)


def test_the_penalty_looks_between_real_and_made() -> None:
    """D = |x|^2 / 2 has slope x, so the penalty tells where it was looked at."""
    real, fake = torch.zeros(64, 3, 1, 1), torch.zeros(64, 3, 1, 1)
    real[:, 0], fake[:, 0] = 3.0, 1.0
    steepness = objectives.slopes(lambda x: x.square().sum((1, 2, 3))[:, None] / 2, real.requires_grad_())
    torch.testing.assert_close(steepness.detach(), torch.full((64,), 3.0))
    torch.manual_seed(0)
    penalty = objectives.interpolation_penalty(
        lambda x: x.square().sum((1, 2, 3))[:, None] / 2, real.detach(), fake
    )
    # (x - 1)^2 with x uniform in [1, 3] has the mean 4 / 3.
    assert float(penalty.detach()) == pytest.approx(4 / 3, rel=0.25)


def test_r1_is_the_squared_slope() -> None:
    critic, real = Linear(), pictures()[0].requires_grad_()
    penalty = objectives.r1_penalty(critic(real), real)
    assert float(penalty.detach()) == pytest.approx(float(critic.weight.detach().square().sum()), rel=1e-4)


def test_a_patch_critic_counts_as_its_mean() -> None:
    """Four logits, each twice the sum of its quarter: the mean has slope 1/2 at every pixel."""
    real = torch.rand(2, 3, 4, 4, requires_grad=True)
    steepness = objectives.slopes(
        lambda x: 2 * torch.nn.functional.avg_pool2d(x, 2).sum(1, keepdim=True) * 4, real
    )
    torch.testing.assert_close(steepness.detach(), torch.full((2,), 0.5 * math.sqrt(48)), rtol=1e-4, atol=0)


def test_the_generator_penalty_moves_the_generator() -> None:
    """x' = scale * ones, D = |x'|^2 / 2: the penalty is |x'|, and grows with the scale by sqrt(48)."""
    scale = torch.tensor(2.0, requires_grad=True)
    penalty = objectives.generator_penalty(
        lambda x: x.square().sum((1, 2, 3))[:, None] / 2, scale * torch.ones(2, 3, 4, 4)
    )
    (gradient,) = torch.autograd.grad(penalty, scale)
    assert float(penalty.detach()) == pytest.approx(2 * math.sqrt(48), rel=1e-4)
    assert float(gradient) == pytest.approx(math.sqrt(48), rel=1e-4)


def test_penalties_stand_where_the_name_says() -> None:
    critic, (real, fake) = Linear(), pictures()
    norm = float(critic.weight.detach().norm())
    game = float((critic(fake).mean() - critic(real).mean()).detach())
    plain = float(-critic(fake).mean().detach())
    in_critic, in_generator = 10 * (norm - 1) ** 2, 10 * norm
    for name, wanted in {
        "wgan-gp": (game + in_critic, plain),
        "wgan-gp-both": (game + in_critic, plain + in_generator),
        "wgan-gp-generator": (game, plain + in_generator),
    }.items():
        objective = OBJECTIVES[name]
        made = fake.clone().requires_grad_()
        loss, _ = objective.critic_loss(critic, real, fake)
        assert float(loss.detach()) == pytest.approx(wanted[0], rel=1e-3), name
        assert float(objective.generator_loss(critic, made).detach()) == pytest.approx(wanted[1], rel=1e-3)


def test_scales_weigh_the_same() -> None:
    objective = OBJECTIVES["lsgan"]
    fine, coarse = torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 2, 2)
    assert float(objective.generator_loss(lambda _: [fine, coarse], torch.zeros(1, 3, 8, 8))) == 0.25


def test_accuracy_counts_both_sides() -> None:
    assert float(objectives.accuracy(REAL, FAKE)) == 1.0
    assert float(objectives.accuracy(FAKE, REAL)) == 0.0
