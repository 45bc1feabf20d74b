"""What a teacher's picture must be: painted, whole, alive, and dependent on nothing but the picture and its field."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from vidstyle.training import teachers
from vidstyle.training.data import still_field
from vidstyle.training.teachers import Array


@pytest.fixture(scope="module")
def picture() -> Array:
    """Sky, a coloured disc with a hard edge, a black bar, fine letters."""
    canvas = np.full((128, 192, 3), (140, 178, 217), np.uint8)
    cv2.circle(canvas, (60, 64), 30, (204, 89, 51), -1)
    cv2.putText(canvas, "oil", (110, 80), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (25, 25, 25), 1, cv2.LINE_AA)
    canvas[:, 176:] = 0
    return canvas.astype(np.float32) / 255


@pytest.fixture(scope="module")
def painted(picture: Array) -> Array:
    return teachers.oil(picture, still_field(picture))


def test_it_is_a_picture(picture: Array, painted: Array) -> None:
    assert painted.shape == picture.shape
    assert painted.dtype == np.float32
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_flat_sky_gets_strokes_and_black_stays_black(picture: Array, painted: Array) -> None:
    assert painted[8:24, 100:170].std(axis=(0, 1)).min() > 0.01
    assert painted[:, 184:].max() < 0.02


def test_motif_and_letters_stay(picture: Array, painted: Array) -> None:
    def tones(p: Array) -> Array:
        return cv2.cvtColor(p, cv2.COLOR_RGB2GRAY)[60:86, 106:150].ravel()

    assert np.corrcoef(tones(picture), tones(painted))[0, 1] > 0.85
    disc, sky = painted[54:74, 50:70].mean((0, 1)), painted[8:24, 100:170].mean((0, 1))
    assert disc[0] - disc[2] > 0.5 * (0.8 - 0.2)
    assert sky[2] > sky[0]


def test_colours_get_livelier(picture: Array) -> None:
    pale = np.full((8, 8, 3), (0.5, 0.55, 0.6), np.float32)
    lively = teachers.vivid(pale, saturation=1.4, contrast=0.0)
    assert np.ptp(lively[0, 0]) > 1.2 * np.ptp(pale[0, 0])
    for end in (0.0, 1.0):
        flat = np.full((4, 4, 3), end, np.float32)
        np.testing.assert_allclose(teachers.vivid(flat, 1.4, 0.35), flat, atol=1e-6)


def test_without_a_field_there_are_no_marks(picture: Array, painted: Array) -> None:
    plain = teachers.oil(picture, np.zeros(picture.shape[:2], np.float32))
    assert plain[8:24, 110:140].std() < painted[8:24, 110:140].std()
    assert plain[8:24, 100:170].std(axis=(0, 1)).max() < 0.01


def test_kuwahara_keeps_edges_and_removes_noise() -> None:
    step = np.zeros((40, 40, 3), np.float32)
    step[:, 20:] = 1
    noisy = np.clip(0.1 + 0.8 * step + np.random.default_rng(0).normal(0, 0.05, step.shape), 0, 1).astype(
        np.float32
    )
    calm = teachers.kuwahara(noisy, radius=5)
    assert calm[10:30, 5:15].std() < 0.5 * noisy[10:30, 5:15].std()
    assert (calm[10:30, 22] - calm[10:30, 17]).mean() > 0.6


def test_smear_averages_along_the_direction_only() -> None:
    x = np.arange(48, dtype=np.float32)
    stripes = np.repeat((0.5 + 0.4 * np.sin(x))[None, :, None], 48, 0).repeat(3, 2).astype(np.float32)
    downwards = np.dstack((np.zeros((48, 48)), np.ones((48, 48)))).astype(np.float32)
    sideways = downwards[..., ::-1].copy()
    np.testing.assert_allclose(teachers.smear(stripes, downwards, 5), stripes, atol=1e-4)
    assert teachers.smear(stripes, sideways, 5)[:, 10:-10].std() < 0.2 * stripes.std()


@pytest.mark.parametrize("colour", [(0.85, 0.65, 0.55), (0.45, 0.3, 0.22)])
def test_skin_is_known_in_light_and_dark(colour: tuple[float, float, float]) -> None:
    assert teachers.skin(np.full((16, 16, 3), colour, np.float32)).min() > 0.4


@pytest.mark.parametrize("colour", [(0.5, 0.5, 0.5), (0.4, 0.6, 0.9), (0.2, 0.5, 0.2), (0.9, 0.1, 0.1)])
def test_grey_sky_grass_and_paint_are_no_skin(colour: tuple[float, float, float]) -> None:
    assert teachers.skin(np.full((16, 16, 3), colour, np.float32)).max() < 0.2
