"""The marks of a picture, and a painting that is given them."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.models.marks import (
    GAINS,
    LARGEST,
    OCTAVES,
    Strength,
    given_marks,
    joined,
    liveliness_of,
    marks_of,
    octaves,
)
from vidstyle.models.palette import colours_of, transfer
from vidstyle.training.made_pictures import dead_leaves


def picture(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
    return np.ascontiguousarray(dead_leaves(max(height, width), np.random.default_rng(seed))[:height, :width])


def unit(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float32) / 255


def whole(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.round(255 * picture), 0, 255).astype(np.uint8)


def noise(like: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=like.shape[:2]).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(24, 90), st.integers(24, 90))
def test_octaves_joined_are_the_picture(seed: int, height: int, width: int) -> None:
    whole = np.random.default_rng(seed).random((height, width, 3), np.float32)
    np.testing.assert_allclose(joined(*octaves(whole)), whole, atol=1e-5)


def test_stripes_have_their_strength_in_their_octave() -> None:
    x = np.arange(200)
    fine, coarse = (
        np.repeat(np.tile(0.5 + 0.2 * np.sin(2 * np.pi * x / period), (160, 1))[..., None], 3, 2)
        for period in (3, 14)
    )
    of_fine, of_coarse = (marks_of(whole(one)).strength.overall[:, 0] for one in (fine, coarse))
    assert np.argmax(of_fine) == 0
    assert np.argmax(of_coarse) >= 2


def test_lines_are_strokes_and_dots_are_not() -> None:
    random = np.random.default_rng(1)
    dots = np.repeat(random.random((160, 200, 1), np.float32), 3, 2)
    lines = np.repeat(cv2.blur(random.random((160, 200), np.float32), (41, 1))[..., None], 3, 2)
    assert marks_of(whole(lines)).along[0] > 0.9
    assert marks_of(whole(dots)).along[0] < 0.5


def test_strength_in_other_colours_is_that_of_the_recoloured_picture() -> None:
    source, wanted = picture(3), colours_of([picture(4)])
    matrix, offset = transfer(colours_of([source]), wanted)
    mapped = unit(source) @ matrix.T + offset
    predicted = liveliness_of([source]).in_colours(matrix)
    bands, _ = octaves(mapped.astype(np.float32))
    luma = [float((band @ np.array((0.299, 0.587, 0.114))).std()) for band in bands]
    assert predicted.overall[:, 0] == pytest.approx(luma, rel=0.1, abs=3e-3)


def test_of_a_large_picture_the_middle_is_looked_at() -> None:
    large = np.zeros((40, LARGEST + 400, 3), np.uint8)
    large[:, 200:-200] = np.random.default_rng(0).integers(0, 255, (40, LARGEST, 3))
    large[:, :200] = 255
    found, middle = (liveliness_of([one]).covariance for one in (large, large[:, 200:-200]))
    np.testing.assert_array_equal(found, middle)


def test_a_black_film_has_facts() -> None:
    strength = liveliness_of([np.zeros((60, 80, 3), np.uint8)]).in_colours(np.eye(3))
    assert np.isfinite(strength.facts).all()


def test_a_painting_with_its_own_marks_stays_as_it_is() -> None:
    painting, own = picture(3), marks_of(picture(3))
    lines = noise(painting)
    made = given_marks(unit(painting), lines, noise(painting, 1), own, own.strength)
    np.testing.assert_allclose(made, unit(painting), atol=1e-5)


def test_marks_become_as_strong_as_wanted() -> None:
    painting = whole(0.5 + 0.3 * (unit(picture(4)) - 0.5))
    own = marks_of(painting)
    wanted = dataclasses.replace(own, strength=Strength(1.5 * own.strength.overall, np.zeros(OCTAVES)))
    made = given_marks(unit(painting), noise(painting), noise(painting, 1), wanted, own.strength)
    found = marks_of(whole(made)).strength.overall[:, 0]
    assert found == pytest.approx(1.5 * own.strength.overall[:, 0], rel=0.15)


@pytest.mark.parametrize("factor", [0.01, 50.0])
def test_no_gain_goes_beyond_its_limits(factor: float) -> None:
    painting = whole(0.5 + 0.2 * (unit(picture(4)) - 0.5))
    own = marks_of(painting)
    wanted = dataclasses.replace(own, strength=Strength(factor * own.strength.overall, np.zeros(OCTAVES)))
    made = given_marks(unit(painting), noise(painting), noise(painting, 1), wanted, own.strength)
    gain = marks_of(whole(made)).strength.overall[:, 0] / own.strength.overall[:, 0]
    assert gain.min() > 0.9 * GAINS[0]
    assert gain.max() < 1.15 * GAINS[1]


def test_calm_parts_get_lively() -> None:
    flat = np.full((160, 200, 3), 0.5, np.float32)
    own = marks_of(whole(flat))
    calm = Strength(own.strength.overall, np.full(OCTAVES, 0.05, np.float32))
    wanted = dataclasses.replace(own, strength=calm, along=np.ones(OCTAVES))
    made = given_marks(flat, noise(flat), noise(flat, 1), wanted, own.strength)
    again = given_marks(flat, noise(flat), noise(flat, 2), wanted, own.strength)
    assert made.std() > 0.03
    np.testing.assert_array_equal(made, again)  # strokes alone fill it
