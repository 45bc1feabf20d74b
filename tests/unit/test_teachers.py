"""What a teacher's picture must be: painted, whole, alive, and dependent on nothing but the picture and its guides."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vidstyle.frames import Motion
from vidstyle.guides import StrokeField
from vidstyle.training.teachers import TEACHERS, Array, tools

SKY = slice(8, 24), slice(110, 165)
LETTERS = slice(60, 86), slice(106, 150)
DISC = slice(54, 74), slice(50, 70)
BLACK = slice(8, 120), slice(184, 192)


@pytest.fixture(scope="module")
def picture() -> Array:
    """Sky, a coloured disc with a hard edge, fine letters, a black bar, and some skin."""
    canvas = np.full((128, 192, 3), (140, 178, 217), np.uint8)
    cv2.circle(canvas, (60, 64), 30, (204, 89, 51), -1)
    cv2.putText(canvas, "oil", (110, 80), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (25, 25, 25), 1, cv2.LINE_AA)
    canvas[:, 176:] = 0
    canvas[100:, 100:170] = 217, 166, 140
    return canvas.astype(np.float32) / 255


def guides(picture: Array, style: str) -> Array:
    """The guide planes [H, W, C] of the style for a single picture."""
    height, width = picture.shape[:2]
    still = np.zeros((height, width, 2), np.float32)
    field = StrokeField((width, height), planes=TEACHERS[style].guides)
    frame = torch.from_numpy(picture).permute(2, 0, 1)[None]
    return field(frame, [Motion(still, still, True, 0)], [0])[0].permute(1, 2, 0).numpy()


@pytest.fixture(scope="module")
def painted(picture: Array) -> dict[str, Array]:
    return {style: teacher.paint(picture, guides(picture, style)) for style, teacher in TEACHERS.items()}


def luma(picture: Array) -> Array:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def colourfulness(picture: Array) -> float:
    return float(np.ptp(picture, axis=2).mean())


@pytest.mark.parametrize("style", TEACHERS)
def test_it_is_a_picture(picture: Array, painted: dict[str, Array], style: str) -> None:
    result = painted[style]
    assert result.shape == picture.shape
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    assert np.abs(result - picture).mean() > 0.02


@pytest.mark.parametrize("style", TEACHERS)
def test_it_is_always_the_same_picture(picture: Array, painted: dict[str, Array], style: str) -> None:
    before = picture.copy()
    again = TEACHERS[style].paint(picture, guides(picture, style))
    np.testing.assert_array_equal(again, painted[style])
    np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("style", TEACHERS)
def test_letters_and_tones_stay(picture: Array, painted: dict[str, Array], style: str) -> None:
    before, after = luma(picture), luma(painted[style])
    least = 0.7 if style == "scifi" else 0.75  # a dim night: neon is brighter than white paper
    assert np.corrcoef(before[LETTERS].ravel(), after[LETTERS].ravel())[0, 1] > least
    assert after[SKY].mean() > after[DISC].mean() > after[BLACK].mean()


@pytest.mark.parametrize("style", TEACHERS)
@pytest.mark.parametrize("size", [(24, 40), (33, 17)])
def test_black_white_and_small_pictures_can_be_painted(style: str, size: tuple[int, int]) -> None:
    for value in (0.0, 1.0):
        flat = np.full((*size, 3), value, np.float32)
        result = TEACHERS[style].paint(flat, guides(flat, style))
        assert result.shape == flat.shape
        assert np.isfinite(result).all()


def test_oil_gives_flat_sky_strokes_and_leaves_black(picture: Array, painted: dict[str, Array]) -> None:
    assert luma(painted["oil"])[SKY].std() > 0.01
    assert painted["oil"][BLACK].max() < 0.05
    plain = TEACHERS["oil"].paint(picture, np.zeros((*picture.shape[:2], 1), np.float32))
    assert plain[SKY].std(axis=(0, 1)).max() < 0.01


def test_a_cartoon_is_flat_and_lively_with_dark_outlines(picture: Array, painted: dict[str, Array]) -> None:
    cel = painted["cartoon"]
    noisy = np.clip(picture + np.random.default_rng(0).normal(0, 0.02, picture.shape), 0, 1).astype(
        np.float32
    )
    calm = TEACHERS["cartoon"].paint(noisy, guides(noisy, "cartoon"))
    assert calm[SKY].std(axis=(0, 1)).max() < 0.5 * noisy[SKY].std(axis=(0, 1)).min()
    assert colourfulness(cel[SKY]) > 1.2 * colourfulness(picture[SKY])
    rim = luma(cel)[64, 24:34]
    assert rim.min() < 0.7 * luma(cel)[DISC].mean(), "the disc has an outline"


def test_watercolor_is_light_on_grained_paper_with_pigment_at_its_borders(
    picture: Array, painted: dict[str, Array]
) -> None:
    wash = luma(painted["watercolor"])
    assert wash.mean() > luma(picture).mean()
    assert wash[SKY].std() > 0.004, "the paper shows"
    assert wash[60:68, 31:35].mean() < wash[DISC].mean(), "pigment gathers at the rim of the disc"
    bare = np.full((32, 32, 3), 1, np.float32)
    assert TEACHERS["watercolor"].paint(bare, guides(bare, "watercolor")).mean() > 0.9


def test_a_sketch_is_grey_on_paper_and_hatches_only_shadows(painted: dict[str, Array]) -> None:
    drawn = painted["sketch"]
    assert colourfulness(drawn) < 0.03
    light = np.full((64, 64, 3), 0.9, np.float32)
    shadow = np.full((64, 64, 3), 0.3, np.float32)
    paper, hatched = (luma(TEACHERS["sketch"].paint(p, guides(p, "sketch"))) for p in (light, shadow))
    assert paper.min() > 0.8
    assert hatched.std() > 5 * paper.std()


def test_scifi_is_dark_cold_and_warm_with_glowing_contours(picture: Array, painted: dict[str, Array]) -> None:
    night = painted["scifi"]
    assert luma(night).mean() < luma(picture).mean()
    assert night[SKY].mean((0, 1))[2] > 1.5 * night[SKY].mean((0, 1))[0], "sky turns to cyan"
    disc = night[DISC].mean((0, 1))
    assert disc[0] > disc[1] < disc[2], "warm things turn to magenta"
    assert luma(night)[64, 88:93].max() > luma(night)[64, 70:80].max(), "the border of the disc glows"


def test_a_woodblock_print_is_flat_on_cream_paper_with_blue_shadows(
    picture: Array, painted: dict[str, Array]
) -> None:
    printed = painted["ukiyoe"]
    white, dark = (np.full((48, 48, 3), value, np.float32) for value in (1.0, 0.12))
    paper, shadow = (TEACHERS["ukiyoe"].paint(p, guides(p, "ukiyoe")).mean((0, 1)) for p in (white, dark))
    assert paper[0] > paper[1] > paper[2] > 0.7, "cream"
    assert shadow[2] > 1.5 * shadow[0], "Prussian blue"
    assert luma(printed)[64, 24:34].min() < 0.6 * luma(printed)[DISC].mean(), "the disc has an outline"
    near = TEACHERS["ukiyoe"].paint(picture * 0.97, guides(picture, "ukiyoe"))
    assert np.abs(near - printed)[DISC].mean() < 0.03, (
        "colours change little by little, not from block to block"
    )


def test_colours_get_livelier() -> None:
    pale = np.full((8, 8, 3), (0.5, 0.55, 0.6), np.float32)
    lively = tools.vivid(pale, saturation=1.4, contrast=0.0)
    assert np.ptp(lively[0, 0]) > 1.2 * np.ptp(pale[0, 0])
    for end in (0.0, 1.0):
        flat = np.full((4, 4, 3), end, np.float32)
        np.testing.assert_allclose(tools.vivid(flat, 1.4, 0.35), flat, atol=1e-6)


def test_kuwahara_keeps_edges_and_removes_noise() -> None:
    step = np.zeros((40, 40, 3), np.float32)
    step[:, 20:] = 1
    noisy = np.clip(0.1 + 0.8 * step + np.random.default_rng(0).normal(0, 0.05, step.shape), 0, 1).astype(
        np.float32
    )
    calm = tools.kuwahara(noisy, radius=5)
    assert calm[10:30, 5:15].std() < 0.5 * noisy[10:30, 5:15].std()
    assert (calm[10:30, 22] - calm[10:30, 17]).mean() > 0.6


def test_smear_averages_along_the_direction_only() -> None:
    x = np.arange(48, dtype=np.float32)
    stripes = np.repeat((0.5 + 0.4 * np.sin(x))[None, :, None], 48, 0).repeat(3, 2).astype(np.float32)
    downwards = np.dstack((np.zeros((48, 48)), np.ones((48, 48)))).astype(np.float32)
    sideways = downwards[..., ::-1].copy()
    np.testing.assert_allclose(tools.smear(stripes, downwards, 5), stripes, atol=1e-4)
    assert tools.smear(stripes, sideways, 5)[:, 10:-10].std() < 0.2 * stripes.std()


def test_lines_lie_on_the_dark_side_of_edges() -> None:
    step = np.full((40, 40), 0.3, np.float32)
    step[:, 20:] = 0.8
    ink = tools.lines(step, tools.brush_direction(step), 1.0, 0.01, 0.04)[20]
    assert ink[:20].max() > 0.8
    assert ink[21:].max() < 0.05
    assert ink[:10].max() == 0


def test_soft_steps_are_monotonous_and_flat_in_the_middle_of_a_band() -> None:
    tones = np.linspace(0, 0.999, 1000, dtype=np.float32)
    steps = tools.soft_steps(tones, 5, 6.0)
    assert (np.diff(steps) > -1e-5).all()
    assert np.abs(steps - tones).max() < 0.11
    slopes = np.diff(steps)
    assert slopes[::200][1:].max() < 0.3 * slopes[100::200].max() or slopes.max() > 3 * slopes.min()


def test_wandering_moves_along_the_slope_of_the_noise() -> None:
    ramp = np.repeat(np.linspace(0, 1, 64, dtype=np.float32)[None, :, None], 32, 0).repeat(3, 2)
    noise = np.repeat(np.arange(64, dtype=np.float32)[None], 32, 0)
    moved = tools.wander(ramp, noise, np.full((32, 64), 2.0, np.float32))
    np.testing.assert_allclose(moved[:, 4:-6], ramp[:, 6:-4], atol=1e-5)


@pytest.mark.parametrize("colour", [(0.85, 0.65, 0.55), (0.45, 0.3, 0.22)])
def test_skin_is_known_in_light_and_dark(colour: tuple[float, float, float]) -> None:
    assert tools.skin(np.full((16, 16, 3), colour, np.float32)).min() > 0.4


@pytest.mark.parametrize("colour", [(0.5, 0.5, 0.5), (0.4, 0.6, 0.9), (0.2, 0.5, 0.2), (0.9, 0.1, 0.1)])
def test_grey_sky_grass_and_paint_are_no_skin(colour: tuple[float, float, float]) -> None:
    assert tools.skin(np.full((16, 16, 3), colour, np.float32)).max() < 0.2
