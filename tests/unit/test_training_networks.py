"""The networks of the recipes: shapes, settings that rebuild them, initial weights, spectral norm, classes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vidstyle.models import initialise
from vidstyle.models.dcgan import NoiseDiscriminator, NoiseGenerator
from vidstyle.models.patch_discriminator import MultiScaleDiscriminator, PatchDiscriminator
from vidstyle.models.resnet import ResNet
from vidstyle.models.unet import UNet


@pytest.mark.parametrize("guides", [0, 2])
@pytest.mark.parametrize("kind", [UNet, ResNet])
def test_generators_keep_the_size_and_are_rebuilt_by_their_settings(
    kind: type[nn.Module], guides: int
) -> None:
    depth = {"depth": 3} if kind is UNet else {"blocks": 1}
    network = kind(channels=4, guide_channels=guides, **depth)
    height, width = 2 * network.size_multiple, 3 * network.size_multiple
    frames, planes = torch.rand(2, 3, height, width), torch.randn(2, guides, height, width)
    painted = network(frames, planes)
    assert painted.shape == frames.shape
    assert painted.min() >= 0 and painted.max() <= 1
    again = kind(**network.settings)
    again.load_state_dict(network.state_dict())
    assert torch.equal(again.eval()(frames, planes), network.eval()(frames, planes))
    if not guides:
        assert torch.equal(network(frames), network(frames, planes))


def test_no_picture_of_a_batch_sees_another() -> None:
    for network in (
        UNet(channels=4, depth=3).eval(),
        ResNet(channels=4, blocks=1),
        PatchDiscriminator(channels=4),
    ):
        frames = torch.rand(2, 3, 32, 32)
        torch.testing.assert_close(network(frames)[:1], network(frames[:1]), atol=1e-5, rtol=1e-4)


def test_the_u_net_carries_detail_over_its_skips() -> None:
    """With everything from inside cut off, the last layer still tells pictures apart."""
    torch.manual_seed(0)
    network = UNet(channels=4, depth=3).eval()
    with torch.no_grad():
        network.out[1].weight[:4] = 0
        first, second = network(torch.rand(2, 3, 16, 16))
    assert (first - second).abs().max() > 1e-3


@pytest.mark.parametrize("size", [8, 32, 64])
def test_noise_becomes_pictures_of_the_size(size: int) -> None:
    generator = NoiseGenerator(size=size, latent=16, channels=4)
    pictures = generator(torch.randn(2, 16))
    assert pictures.shape == (2, 3, size, size)
    assert NoiseDiscriminator(size=size, channels=4)(pictures).shape == (2, 1)


@pytest.mark.parametrize("size", [0, 4, 30, 48])
def test_other_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="side"):
        NoiseGenerator(size=size)


def test_classes_change_pictures_and_verdicts() -> None:
    torch.manual_seed(0)
    generator, critic = (
        NoiseGenerator(size=8, latent=8, channels=4, classes=3),
        NoiseDiscriminator(size=8, classes=3),
    )
    noise = torch.randn(1, 8).expand(3, -1)
    made = generator.eval()(noise, torch.arange(3))
    assert (made[0] - made[1]).abs().max() > 1e-4
    verdicts = critic.eval()(made[:1].expand(3, -1, -1, -1), torch.arange(3))
    assert len(verdicts.unique()) == 3


def test_a_multi_scale_critic_looks_at_smaller_and_smaller_pictures() -> None:
    critic = MultiScaleDiscriminator(scales=3, channels=4, layers=2, condition_channels=3)
    logits = critic(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    assert [scale.shape[2] for scale in logits] == [14, 6, 2]


@pytest.mark.parametrize("critic", [PatchDiscriminator, NoiseDiscriminator])
def test_spectral_norm_bounds_every_layer(critic: type[nn.Module]) -> None:
    torch.manual_seed(0)
    network = critic(channels=4, spectral=True)
    with torch.no_grad():
        for _ in range(30):  # the estimate improves with every pass
            network(torch.rand(1, 3, 32, 32))
    layers = [m for m in network.eval().modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    norms = [float(torch.linalg.matrix_norm(m.weight.detach().flatten(1), 2)) for m in layers]
    assert len(norms) >= 4
    assert norms == pytest.approx([1.0] * len(norms), abs=0.05)
    assert not any(isinstance(m, nn.BatchNorm2d | nn.InstanceNorm2d) for m in network.modules())


def test_initial_weights_are_dcgans() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(64, 64, 4), nn.ConvTranspose2d(64, 64, 4), nn.BatchNorm2d(4096))
    initialise.dcgan(network)
    for layer, mean in zip(network, (0.0, 0.0, 1.0), strict=True):
        assert float(layer.weight.detach().mean()) == pytest.approx(mean, abs=0.002)
        assert float(layer.weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert not layer.bias.detach().any()


def test_critics_without_normalisation_are_not_made_that_small() -> None:
    torch.manual_seed(0)
    plain = PatchDiscriminator(channels=8, normalised=False)
    assert not any(isinstance(m, nn.InstanceNorm2d) for m in plain.modules())
    assert float(plain(torch.rand(4, 3, 64, 64)).detach().std()) > 0
    assert float(plain.layers[2].weight.detach().std()) > 0.03
