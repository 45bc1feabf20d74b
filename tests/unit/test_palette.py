"""Colours of one picture given to another, and the generator that sees its frames through such a map."""

import numpy as np
import pytest
import torch

from vidstyle.models.generator import Generator
from vidstyle.models.palette import LARGEST_GAIN, Colours, colours_of, recolour, transfer

RANDOM = np.random.default_rng(3)


def picture(low: int, high: int) -> np.ndarray:
    base = RANDOM.integers(low, high, (40, 50, 1))
    return np.clip(base + RANDOM.integers(-20, 20, (40, 50, 3)), 0, 255).astype(np.uint8)


def test_colours_are_mean_and_covariance_of_all_pixels() -> None:
    one, two = picture(30, 200), picture(100, 160)
    pixels = np.concatenate([p.reshape(-1, 3) for p in (one, two)]) / 255
    found = colours_of([one, two])
    np.testing.assert_allclose(found.mean, pixels.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(pixels.T, bias=True), atol=1e-6)


def test_a_picture_gets_the_colours_of_the_other() -> None:
    source, wanted = picture(30, 200), picture(100, 220)
    matrix, offset = transfer(colours_of([source]), colours_of([wanted]))
    mapped = source.reshape(-1, 3) / 255 @ matrix.T + offset
    np.testing.assert_allclose(mapped.mean(0), wanted.reshape(-1, 3).mean(0) / 255, atol=1e-6)
    np.testing.assert_allclose(np.cov(mapped.T), np.cov(wanted.reshape(-1, 3).T / 255), atol=2e-3)


def test_the_map_to_oneself_changes_nothing() -> None:
    own = colours_of([picture(30, 200)])
    matrix, offset = transfer(own, own)
    np.testing.assert_allclose(matrix, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(offset, 0, atol=1e-6)


def test_a_flat_picture_is_not_blown_up() -> None:
    flat = Colours(np.full(3, 0.5), np.zeros((3, 3)))
    matrix, _ = transfer(flat, colours_of([picture(0, 255)]))
    assert np.linalg.eigvalsh(matrix).max() <= LARGEST_GAIN + 1e-9


@pytest.mark.parametrize("gray", [False, True])
def test_a_recoloured_generator_paints_what_the_plain_one_makes_of_recoloured_frames(gray: bool) -> None:
    torch.manual_seed(0)
    plain = Generator(channels=8, blocks=1, edge_channels=8, mix_skip=True).eval().requires_grad_(False)
    mapped = Generator(channels=8, blocks=1, edge_channels=8, mix_skip=True).eval().requires_grad_(False)
    mapped.load_state_dict(plain.state_dict())
    source = picture(30, 200)
    if gray:
        source[...] = source[..., :1]
    matrix, offset = transfer(colours_of([source]), colours_of([picture(60, 250)]))
    recolour(mapped, matrix, offset)
    frames, guides = torch.rand(1, 3, 80, 80), torch.randn(1, 1, 80, 80)
    there = torch.einsum("ij,njhw->nihw", torch.from_numpy(matrix).float(), frames)
    there += torch.from_numpy(offset).float().view(1, 3, 1, 1)
    edge = (
        mapped.context_pixels + 4
    )  # nearer to the border the padding tells: it is black before or after the map
    inside = (..., slice(edge, -edge), slice(edge, -edge))
    torch.testing.assert_close(
        mapped(frames, guides)[inside], plain(there, guides)[inside], atol=1e-4, rtol=1e-4
    )
