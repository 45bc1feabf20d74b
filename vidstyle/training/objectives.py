"""What generator and critic play for: adversarial losses and gradient penalties, each with formula and source.

x is a real picture, x' = G(...) a made one, D the critic's logits; E is the mean over pictures and, for critics that
give one logit per patch, over patches. A critic of several scales returns a list of logits, of which every loss takes
the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Logits = Tensor | Sequence[Tensor]
Critic = Callable[[Tensor], Logits]
"""From pictures [N, 3, H, W] to logits; a condition, if any, is bound before."""


# ---- non-saturating GAN (Goodfellow et al., 2014): binary cross-entropy, generator with flipped labels


def bce_critic(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = -E[log sigma(D(x))] - E[log(1 - sigma(D(x')))]"""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def bce_generator(fake: Tensor) -> Tensor:
    """L_G = -E[log sigma(D(x'))], whose slope does not vanish while the critic is right."""
    return F.softplus(-fake).mean()


# ---- least squares (Mao et al., "Least Squares Generative Adversarial Networks", 2017), labels 1 and 0


def lsgan_critic(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = 1/2 E[(D(x) - 1)^2] + 1/2 E[D(x')^2]"""
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def lsgan_generator(fake: Tensor) -> Tensor:
    """L_G = 1/2 E[(D(x') - 1)^2]"""
    return 0.5 * (fake - 1).square().mean()


# ---- hinge (Lim and Ye, "Geometric GAN", 2017; Miyato et al., 2018)


def hinge_critic(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E[max(0, 1 - D(x))] + E[max(0, 1 + D(x'))]"""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def wasserstein_generator(fake: Tensor) -> Tensor:
    """L_G = -E[D(x')], for the hinge and the Wasserstein objective."""
    return -fake.mean()


# ---- Wasserstein (Arjovsky et al., 2017); needs one of the penalties below


def wasserstein_critic(real: Tensor, fake: Tensor) -> Tensor:
    """L_D = E[D(x')] - E[D(x)]"""
    return fake.mean() - real.mean()


# ---- gradient penalties. Logits of a patch critic count as their mean: D is one number per picture.


def interpolation_penalty(critic: Critic, real: Tensor, fake: Tensor) -> Tensor:
    """E[(||grad_x^ D(x^)||_2 - 1)^2], x^ = e x + (1 - e) x', e uniform in [0, 1] for each picture.

    The WGAN-GP penalty of the critic's loss (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017).
    real, fake  float [N, 3, H, W]; only the critic's parameters receive gradients
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_()
    return (slopes(critic, between) - 1).square().mean()


def generator_penalty(critic: Critic, fake: Tensor) -> Tensor:
    """E[||grad_x' D(x')||_2], the variant that stands in the generator's loss: where D is steep, no x' should lie.

    fake  float [N, 3, H, W], with the generator's graph, which receives the gradients
    """
    return slopes(critic, fake).mean()


def r1_penalty(logits: Logits, real: Tensor) -> Tensor:
    """E[||grad_x D(x)||_2^2] at real pictures (Mescheder et al., 2018); half of it, times gamma, is the paper's R1.

    logits  of `real`, which must require gradients
    """
    return _gradient(logits, real).square().sum((1, 2, 3)).mean()


def slopes(critic: Critic, pictures: Tensor) -> Tensor:
    """||grad D||_2 at each picture, float32 [N], differentiable once more."""
    # The square root has no slope at 0; a critic that is flat there would give NaN.
    return (_gradient(critic(pictures), pictures).square().sum((1, 2, 3)) + 1e-12).sqrt()


def _gradient(logits: Logits, pictures: Tensor) -> Tensor:
    """Of each picture's score, the mean of its logits: float32, shaped like `pictures`."""
    score = _mean([scale.float().flatten(1).mean(1).sum() for scale in as_scales(logits)])
    (gradient,) = torch.autograd.grad(score, pictures, create_graph=True)
    return gradient.float()


# ---- the objectives by name


@dataclass(frozen=True, slots=True)
class Objective:
    """One game: what the critic and what the generator minimises, and what is added to it."""

    on_critic: Callable[[Tensor, Tensor], Tensor]
    on_generator: Callable[[Tensor], Tensor]
    interpolation_weight: float = 0.0
    """Of `interpolation_penalty` in the critic's loss."""
    generator_penalty_weight: float = 0.0
    """Of `generator_penalty` in the generator's loss."""
    r1_weight: float = 0.0
    """Of `r1_penalty` in the critic's loss."""

    @property
    def penalised(self) -> bool:
        """Whether a gradient of the critic is penalised: it must judge every picture alone, so no batch norm in it."""
        return bool(self.interpolation_weight or self.generator_penalty_weight or self.r1_weight)

    def critic_loss(self, critic: Critic, real: Tensor, fake: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The critic's loss with its penalties, and the figures to report; `fake` is taken without its graph."""
        logits = as_scales(critic(real)), as_scales(critic(fake.detach()))
        loss = _mean([self.on_critic(r.float(), f.float()) for r, f in zip(*logits, strict=True)])
        figures = {"critic": loss.detach(), "right": accuracy(*logits)}
        penalty = loss.new_zeros(())
        with torch.autocast(real.device.type, enabled=False):  # slopes of slopes need float32
            if self.interpolation_weight:
                penalty = penalty + self.interpolation_weight * interpolation_penalty(critic, real, fake)
            if self.r1_weight:
                real = real.detach().requires_grad_()
                penalty = penalty + self.r1_weight * r1_penalty(critic(real), real)
        if self.interpolation_weight or self.r1_weight:
            figures["penalty"] = penalty.detach()
        return loss + penalty, figures

    def generator_loss(self, critic: Critic, fake: Tensor) -> Tensor:
        """The generator's adversarial loss with its penalty. The critic's parameters must be frozen by the caller."""
        loss = _mean([self.on_generator(logits.float()) for logits in as_scales(critic(fake))])
        if self.generator_penalty_weight:
            with torch.autocast(fake.device.type, enabled=False):
                loss = loss + self.generator_penalty_weight * generator_penalty(critic, fake)
        return loss


OBJECTIVES = {
    "bce": Objective(bce_critic, bce_generator),
    "bce-r1": Objective(bce_critic, bce_generator, r1_weight=1.0),
    "lsgan": Objective(lsgan_critic, lsgan_generator),
    "hinge": Objective(hinge_critic, wasserstein_generator),
    "wgan-gp": Objective(wasserstein_critic, wasserstein_generator, interpolation_weight=10.0),
    "wgan-gp-both": Objective(
        wasserstein_critic, wasserstein_generator, interpolation_weight=10.0, generator_penalty_weight=10.0
    ),
    "wgan-gp-generator": Objective(wasserstein_critic, wasserstein_generator, generator_penalty_weight=10.0),
}
"""With `wgan-gp-generator` the penalty stands in the generator's loss alone: nothing then bounds the critic, so watch
its loss and prefer `wgan-gp-both` for more than a few thousand steps."""


def as_scales(logits: Logits) -> Sequence[Tensor]:
    return [logits] if isinstance(logits, Tensor) else logits


def accuracy(real: Logits, fake: Logits) -> Tensor:
    """Share of logits on the right side of the middle between real and made: 0.5 is guessing."""
    shares = []
    for r, f in zip(as_scales(real), as_scales(fake), strict=True):
        middle = (r.detach().float().mean() + f.detach().float().mean()) / 2
        shares.append(((r > middle).float().mean() + (f < middle).float().mean()) / 2)
    return _mean(shares)


def _mean(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).mean()
