"""What training minimises beside the game with the critic.

Pictures are float [N, 3, H, W], RGB around [0, 1]; every loss is a float32 scalar.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from vidstyle.models.features import gram

YUV = ((0.299, 0.587, 0.114), (-0.147, -0.289, 0.436), (0.615, -0.515, -0.100))

# ---- pairs: the teacher's picture is known


def gradient_l1(painted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the horizontal and vertical slopes: keeps strokes crisp where L1 would blur them."""
    difference = painted - target
    return difference.diff(dim=2).abs().mean() + difference.diff(dim=3).abs().mean()


def distillation(painted: Tensor, target: Tensor) -> Tensor:
    """L1 plus slope L1 against the teacher's picture."""
    return F.l1_loss(painted, target) + gradient_l1(painted, target)


def detail(painted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the local detail, the deviation of the luma's Laplacian in windows of 7 pixels.

    Where a network cannot tell what exactly the teacher would draw, L1 asks for the mean of all that it might: blur.
    This asks for as much detail as the teacher's, whatever it is.
    """
    return F.l1_loss(_local_detail(painted), _local_detail(target))


def _local_detail(x: Tensor) -> Tensor:
    luma = (x.float() * x.new_tensor(YUV[0], dtype=torch.float32).view(1, 3, 1, 1)).sum(1, keepdim=True)
    kernel = luma.new_tensor(((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0)))
    return (F.avg_pool2d(F.conv2d(luma, kernel[None, None]).square(), 7, 2) + 1e-6).sqrt()


def low_frequency(painted: Tensor, target: Tensor) -> Tensor:
    """L1 of blurred pictures: colours and tones stay the teacher's while a critic owns the detail."""
    return F.l1_loss(_blur(painted), _blur(target))


def _blur(x: Tensor) -> Tensor:
    return F.avg_pool2d(F.avg_pool2d(x, 7, 1), 7, 1)


# ---- feature maps (`vidstyle.training.perceptual`), one [N, C, h, w] for each layer looked at


def content(painted: Sequence[Tensor], source: Sequence[Tensor]) -> Tensor:
    """Relative squared distance of feature maps, mean over the layers (after Johnson et al., 2016).

    Relative, ||A - B||^2 / ||B||^2, so that layers and networks of any scale weigh the same.
    """
    terms = [
        (a.float() - b.float()).square().mean() / (b.float().square().mean() + 1e-8)
        for a, b in _pairs(painted, source)
    ]
    return torch.stack(terms).mean()


def style(painted: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Relative Frobenius distance ||A - B|| / ||B|| of Gram matrices, mean over pictures and layers.

    After Gatys et al., 2016, whose squared distance is ruled by outliers. Sizes may differ, the number of pictures too:
    with other numbers every painted picture is compared with the mean matrix of all wanted ones.
    """
    return torch.stack([_gram_distance(gram(a), gram(b)) for a, b in _pairs(painted, wanted)]).mean()


def _gram_distance(painted: Tensor, wanted: Tensor) -> Tensor:
    if len(painted) != len(wanted):
        wanted = wanted.mean(0, keepdim=True)
    return ((painted - wanted).flatten(1).norm(dim=1) / (wanted.flatten(1).norm(dim=1) + 1e-8)).mean()


def _pairs(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return list(zip(first, second, strict=True))


# ---- the picture itself


def colour(painted: Tensor, source: Tensor) -> Tensor:
    """Distance in YUV: L1 in luma, Huber in chroma (Chen et al., "AnimeGAN", 2020). The picture keeps its colours."""
    matrix = painted.new_tensor(YUV)
    a, b = (torch.einsum("ij,njhw->nihw", matrix, x.float()) for x in (painted, source))
    return F.l1_loss(a[:, :1], b[:, :1]) + F.huber_loss(a[:, 1:], b[:, 1:]) * 2


def total_variation(pictures: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels (Rudin et al., 1992): against grain that nobody asked for."""
    return pictures.diff(dim=2).square().mean() + pictures.diff(dim=3).square().mean()


# ---- time


def temporal(painted: Tensor, before: Tensor, flow: Tensor, visible: Tensor) -> Tensor:
    """Mean absolute difference to the earlier painting carried along the motion, over what both frames show.

    (Ruder et al., "Artistic Style Transfer for Videos", 2016, with L1.)

    painted, before  of the frame and of the one before
    flow             float [N, 2, H, W], pixels (dx, dy), from each pixel of the frame to its place in the one before
    visible          float [N, 1, H, W] in [0, 1]
    """
    difference = (painted - warp(before, flow)).abs() * visible
    return difference.sum() / (painted.shape[1] * visible.sum() + 1e-6)


def warp(pictures: Tensor, flow: Tensor) -> Tensor:
    """Fetch pictures [N, C, H, W] along `flow` [N, 2, H, W]: result(x) = pictures(x + flow(x)), bilinear.

    Borders are repeated.
    """
    height, width = flow.shape[2:]
    x = torch.arange(width, device=flow.device) + flow[:, 0].float()
    y = torch.arange(height, device=flow.device)[:, None] + flow[:, 1].float()
    at = torch.stack(((2 * x + 1) / width - 1, (2 * y + 1) / height - 1), -1)
    return F.grid_sample(pictures.float(), at, padding_mode="border", align_corners=False)


def moved(
    frames: Tensor, *, shift: float = 8.0, degrees: float = 2.0, noise: float = 0.02
) -> tuple[Tensor, Tensor, Tensor]:
    """A moment later as a camera might see it: the frames moved, turned a little, and with other sensor noise.

    shift, degrees  largest displacement in pixels and turn about the centre, drawn for each frame
    noise           largest deviation of the noise, drawn for each frame

    Returns the disturbed copy, its flow back to `frames` [N, 2, H, W] and what is visible in both [N, 1, H, W], as
    `temporal` takes them.
    """
    count, _, height, width = frames.shape
    device = frames.device
    drawn = 2 * torch.rand(count, 3, 1, 1, device=device) - 1
    angle = drawn[:, 2] * (degrees * torch.pi / 180)
    x = torch.arange(width, device=device) - (width - 1) / 2
    y = torch.arange(height, device=device)[:, None] - (height - 1) / 2
    dx = shift * drawn[:, 0] + x * (angle.cos() - 1) - y * angle.sin()
    dy = shift * drawn[:, 1] + y * (angle.cos() - 1) + x * angle.sin()
    flow = torch.stack((dx, dy), 1)
    amount = noise * torch.rand(count, 1, 1, 1, device=device)
    copy = warp(frames, flow) + amount * torch.randn_like(frames)
    inside = ((x + dx).abs() <= (width - 1) / 2) & ((y + dy).abs() <= (height - 1) / 2)
    return copy, flow, inside[:, None].float()
