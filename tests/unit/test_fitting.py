"""Of some painters of a picture the one is taken that makes a film look most like it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidstyle.fitting import LIVELIER, ORDER, SHARES, USUAL_SHARE, most_alike
from vidstyle.models.generator import Generator
from vidstyle.models.load import load_features
from vidstyle.models.marked import Marked
from vidstyle.models.quilt import SIDE, Texture, texture_of
from vidstyle.training.made_pictures import dead_leaves

FLAT = Texture(np.zeros((SIDE, SIDE), np.float32), 0.01, np.ones(3, np.float32))


def fading(livelier: float, texture: Texture = FLAT) -> Marked:
    """Paints what it sees with so many times less contrast."""
    base = Generator(channels=8, blocks=1, edge_channels=8, guide_channels=len(ORDER), mix_skip=True)
    base.eval().requires_grad_(False)
    for layer in (base.out.weight, base.out.bias):
        assert layer is not None
        layer.zero_()
    assert base.mix is not None
    assert base.mix.bias is not None
    base.mix.weight.copy_(torch.eye(3)[..., None, None] / livelier)
    base.mix.bias.fill_(0.5 - 0.5 / livelier)
    return Marked(base, texture).eval().requires_grad_(False)


def noise(deviation: float, seed: int, side: int = 160) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.clip(random.normal(127.5, deviation, (side, side, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("livelier", LIVELIER)
def test_a_painter_is_told_that_a_film_is_as_lively_as_makes_it_look_like_the_picture(
    livelier: float,
) -> None:
    # its colours would be mapped to the picture's; so the painter is asked for less contrast than those have
    picture, film = noise(40, 0), [noise(40, seed) for seed in (1, 2, 3)]
    made: list[float] = []

    def painter(told: float) -> Marked:
        made.append(told)
        return fading(max(told / livelier, livelier / told))

    best = most_alike(painter, load_features(), picture, film)
    assert made == list(LIVELIER)
    assert best.base.mix is not None
    assert best.base.mix.weight[0, 0, 0, 0] == pytest.approx(1)


def test_marks_are_as_strong_as_makes_a_calm_film_look_like_the_picture() -> None:
    picture = dead_leaves(256, np.random.default_rng(3))
    texture = texture_of(picture)
    assert texture is not None
    calm = np.full((256, 256, 3), picture.mean((0, 1)), np.uint8)
    best = most_alike(lambda _: fading(1.0, texture), load_features(), picture, [calm])
    assert min(abs(float(best.strength) / texture.strength - share) for share in SHARES) < 1e-4
    weak = most_alike(
        lambda _: fading(1.0, Texture(texture.table, 0.6 * texture.strength, texture.colour)),
        load_features(),
        picture,
        [calm],
    )
    assert float(weak.strength) / (0.6 * texture.strength) > float(best.strength) / texture.strength


def test_of_a_tiny_film_nothing_is_tried() -> None:
    asked: list[float] = []

    def painter(told: float) -> Marked:
        asked.append(told)
        return fading(told)

    best = most_alike(painter, load_features(), noise(40, 0), [noise(40, 1, side=40)])
    assert asked == [1.0]
    assert float(best.strength) == pytest.approx(USUAL_SHARE * FLAT.strength)
