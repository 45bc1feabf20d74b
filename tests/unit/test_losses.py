"""Losses in numbers."""

from __future__ import annotations

import math

import pytest
import torch

from vidstyle.models.features import gram
from vidstyle.training import losses


def test_distillation_in_numbers() -> None:
    a = torch.zeros(1, 3, 32, 32)
    assert losses.distillation(a, a) == 0
    assert losses.gradient_l1(a + 0.5, a) == 0
    assert losses.distillation(a + 0.5, a) == 0.5
    checker = (torch.arange(32)[:, None] + torch.arange(32)) % 2 - 0.5
    assert losses.low_frequency(a + checker, a) < 0.02


def test_detail_counts_how_much_and_not_where() -> None:
    noise = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    other = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    blurred = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    assert losses.detail(noise, noise) == 0
    assert losses.detail(noise, other) < 0.3 * losses.detail(noise, blurred)
    assert losses.detail(noise, noise + 0.2) < 1e-6  # whatever the tone


def test_detail_has_a_slope_where_all_is_flat() -> None:
    flat = torch.full((1, 3, 32, 32), 0.5, requires_grad=True)
    losses.detail(flat, torch.rand(1, 3, 32, 32)).backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()


def test_gram_is_the_mean_product_of_channels() -> None:
    maps = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])
    torch.testing.assert_close(gram(maps), torch.tensor([[[2.5, 0.5], [0.5, 5.0]]]))


def test_style_is_relative_and_blind_to_places() -> None:
    torch.manual_seed(0)
    wanted = [torch.rand(2, 4, 6, 6), torch.rand(2, 8, 3, 3)]
    shuffled = [maps.flatten(2)[..., torch.randperm(maps[0, 0].numel())].view_as(maps) for maps in wanted]
    assert float(losses.style(shuffled, wanted)) == pytest.approx(0, abs=1e-5)
    twice = [math.sqrt(2) * maps for maps in wanted]
    assert float(losses.style(twice, wanted)) == pytest.approx(1.0, rel=1e-4)
    assert float(losses.style([1e3 * m for m in twice], [1e3 * m for m in wanted])) == pytest.approx(
        1, rel=1e-4
    )


def test_style_compares_with_the_mean_of_other_numbers() -> None:
    one, two = torch.ones(1, 2, 2, 2), torch.cat((torch.ones(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)))
    assert float(losses.style([one], [two])) == pytest.approx(1.0)


def test_content_sees_places() -> None:
    torch.manual_seed(0)
    maps = [torch.rand(1, 4, 6, 6)]
    assert losses.content(maps, maps) == 0
    assert float(losses.content([2 * maps[0]], maps)) == pytest.approx(1.0, rel=1e-4)
    assert losses.content([maps[0].flip(3)], maps) > 0.1


def test_colour_and_total_variation() -> None:
    grey = torch.full((1, 3, 4, 4), 0.5)
    tinted = grey.clone()
    tinted[:, 0] += 0.2
    assert losses.colour(grey, grey) == 0
    assert losses.colour(tinted, grey) > 0.299 * 0.2
    assert losses.total_variation(grey) == 0
    ramp = torch.arange(4.0).expand(1, 3, 4, 4)
    assert losses.total_variation(ramp) == 1


def test_warp_fetches_along_the_flow() -> None:
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 8, 9)
    flow = torch.zeros(1, 2, 8, 9)
    flow[:, 0], flow[:, 1] = 2, -1
    moved = losses.warp(picture, flow)
    torch.testing.assert_close(moved[..., 1:, :-2], picture[..., :-1, 2:], atol=1e-5, rtol=0)


def test_a_disturbed_copy_is_the_warped_picture() -> None:
    """A painter that paints nothing has no temporal loss, one that paints the screen's grain has."""
    torch.manual_seed(0)
    rough = torch.rand(3, 3, 6, 6)
    frames = torch.nn.functional.interpolate(rough, size=(48, 48), mode="bicubic")
    copy, flow, visible = losses.moved(frames, noise=0.0)
    assert not torch.allclose(copy, frames, atol=0.05)
    assert 0.4 < float(visible.mean()) < 1
    assert losses.temporal(copy, frames, flow, visible) < 1e-5
    grain = 0.1 * torch.rand(1, 3, 48, 48)
    assert losses.temporal(copy + grain, frames + grain, flow, visible) > 0.01


def test_what_is_hidden_does_not_count() -> None:
    before, after = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    after[..., :2] = 1
    visible = torch.ones(1, 1, 4, 4)
    flow = torch.zeros(1, 2, 4, 4)
    assert float(losses.temporal(after, before, flow, visible)) == pytest.approx(0.5)
    visible[..., :2] = 0
    assert losses.temporal(after, before, flow, visible) == 0
    assert losses.temporal(after, before, flow, 0 * visible) == 0
