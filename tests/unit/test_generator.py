"""The painter's promises: exact tiles and batches, bfloat16 without loss of the picture, settings that rebuild it."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor

from vidstyle.models.discriminator import Discriminator
from vidstyle.models.generator import Generator


@pytest.fixture(scope="module")
def network() -> Generator:
    torch.manual_seed(3)
    network = Generator().eval().requires_grad_(False)
    for parameter in network.parameters():  # a fresh network paints next to nothing
        parameter.add_(0.02 * torch.randn_like(parameter))
    return network


def inputs(frames: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(5)
    return (
        torch.rand(frames, 3, height, width, generator=random),
        torch.randn(frames, 1, height, width, generator=random),
    )


def test_shapes_and_dtype(network: Generator) -> None:
    pictures, guides = inputs(2, 36, 52)
    painted = network(pictures, guides)
    assert painted.shape == pictures.shape
    assert painted.dtype == torch.float32
    assert not torch.allclose(painted, pictures, atol=0.05)


def test_settings_rebuild_the_network() -> None:
    small = Generator(channels=16, blocks=2, edge_channels=8, guide_channels=3)
    again = Generator(**json.loads(json.dumps(small.settings)))
    again.load_state_dict(small.state_dict())
    assert again.guide_channels == 3
    assert again.context_pixels == small.context_pixels < Generator().context_pixels


def test_a_mixed_skip_lets_no_colour_through() -> None:
    network = Generator(channels=8, blocks=1, edge_channels=8, mix_skip=True).eval().requires_grad_(False)
    again = Generator(**json.loads(json.dumps(network.settings)))
    again.load_state_dict(network.state_dict())
    network.out.weight.zero_()
    assert network.mix is not None
    network.mix.weight.copy_(torch.full((3, 3, 1, 1), 1 / 3))
    pictures, guides = inputs(1, 16, 16)
    painted = network(pictures, guides)
    torch.testing.assert_close(painted[:, :1].expand(-1, 3, -1, -1), painted)
    assert painted.std() > 0.05


def test_input_beyond_the_context_cannot_matter(network: Generator) -> None:
    reach, size = network.context_pixels, 2 * network.context_pixels + 40
    pictures, guides = inputs(1, 16, size)
    pictures.requires_grad_(True)
    guides.requires_grad_(True)
    middle = size // 2
    network(pictures, guides)[..., middle].square().sum().backward()
    for tensor in (pictures, guides):
        assert tensor.grad is not None
        columns = tensor.grad.abs().amax((0, 1, 2)).nonzero().flatten()
        assert columns.min() >= middle - reach
        assert columns.max() <= middle + reach
        # The promise is not much larger than the truth, or tiles would cost too much.
        assert columns.max() - columns.min() > 1.5 * reach


def test_tiles_paint_what_the_whole_picture_gets(network: Generator) -> None:
    reach = network.context_pixels
    pictures, guides = inputs(1, 32, 4 * reach)
    whole = network(pictures, guides)
    tile = network(pictures[..., : 2 * reach], guides[..., : 2 * reach])
    torch.testing.assert_close(tile[..., :reach], whole[..., :reach], atol=1e-5, rtol=0)


def test_a_batch_is_its_frames(network: Generator) -> None:
    pictures, guides = inputs(3, 32, 48)
    together = network(pictures, guides)
    alone = torch.cat([network(pictures[i : i + 1], guides[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_bfloat16_keeps_the_picture(network: Generator) -> None:
    pictures, guides = inputs(1, 64, 64)
    exact = network(pictures, guides)
    half = Generator().eval()
    half.load_state_dict(network.state_dict())
    painted = half.bfloat16()(pictures, guides)
    assert painted.dtype == torch.float32
    error = (painted - exact).square().mean()
    assert -10 * torch.log10(error) > 48


def test_layers_only_look_at_neighbourhoods(network: Generator) -> None:
    allowed = {"Generator", "Sequential", "ResidualBlock", "Conv2d"}
    assert {type(module).__name__ for module in network.modules()} <= allowed


def test_the_critic_judges_patches_of_detail() -> None:
    critic = Discriminator(channels=8)
    pictures, _ = inputs(2, 64, 96)
    logits = critic(pictures, pictures)
    assert logits.shape == (2, 1, 8, 12)
    # Lightness alone tells it nothing: it sees high-passed luminance.
    torch.testing.assert_close(critic(pictures + 0.1, pictures), logits, atol=1e-4, rtol=0)
    assert not torch.allclose(critic(pictures.flip(3), pictures), logits, atol=1e-4)
