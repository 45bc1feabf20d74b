"""The marks of a picture, and a painting that is given them."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.training.made_pictures import dead_leaves
from vidstyle.training.marks import GAINS, OCTAVES, Marks, given_marks, joined, marks_of, mean_marks, octaves


def picture(seed: int, height: int = 160, width: int = 200) -> np.ndarray:
    made = dead_leaves(max(height, width), np.random.default_rng(seed))[:height, :width]
    return np.ascontiguousarray(made, np.float32) / 255


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
    of_fine, of_coarse = (marks_of(one.astype(np.float32)).strength[:, 0] for one in (fine, coarse))
    assert np.argmax(of_fine) == 0
    assert np.argmax(of_coarse) >= 2


def test_lines_are_strokes_and_dots_are_not() -> None:
    random = np.random.default_rng(1)
    dots = np.repeat(random.random((160, 200, 1), np.float32), 3, 2)
    lines = np.repeat(cv2.blur(random.random((160, 200), np.float32), (41, 1))[..., None], 3, 2)
    assert marks_of(lines).along[0] > 0.9
    assert marks_of(dots).along[0] < 0.5


def test_a_painting_with_its_own_marks_stays_as_it_is() -> None:
    own = marks_of(picture(3))
    made = given_marks(picture(3), noise(picture(3)), noise(picture(3), 1), own, own)
    np.testing.assert_allclose(made, picture(3), atol=1e-5)


def test_marks_become_as_strong_as_wanted() -> None:
    painting = 0.5 + 0.3 * (picture(4) - 0.5)
    own = marks_of(painting)
    wanted = dataclasses.replace(own, strength=1.5 * own.strength, calm=np.zeros(OCTAVES))
    made = marks_of(given_marks(painting, noise(painting), noise(painting, 1), wanted, own))
    assert made.strength[:, 0] == pytest.approx(1.5 * own.strength[:, 0], rel=0.1)


def test_no_gain_goes_beyond_its_limit() -> None:
    painting = 0.5 + 0.1 * (picture(4) - 0.5)
    own = marks_of(painting)
    wanted = dataclasses.replace(own, strength=50 * own.strength, calm=np.zeros(OCTAVES))
    made = marks_of(given_marks(painting, noise(painting), noise(painting, 1), wanted, own))
    assert (made.strength[:, 0] < 1.15 * GAINS[1] * own.strength[:, 0]).all()


def test_calm_parts_get_lively() -> None:
    flat = np.full((160, 200, 3), 0.5, np.float32)
    own = marks_of(flat)
    wanted = dataclasses.replace(own, calm=np.full(OCTAVES, 0.05, np.float32), along=np.ones(OCTAVES))
    made = given_marks(flat, noise(flat), noise(flat, 1), wanted, own)
    again = given_marks(flat, noise(flat), noise(flat, 2), wanted, own)
    assert made.std() > 0.03
    np.testing.assert_array_equal(made, again)  # strokes alone fill it


def test_mean_marks() -> None:
    one, two = marks_of(picture(5)), marks_of(picture(6))
    mean = mean_marks([one, two])
    assert isinstance(mean, Marks)
    np.testing.assert_allclose(mean.strength, (one.strength + two.strength) / 2, rtol=1e-6)
    np.testing.assert_allclose(mean.calm, (one.calm + two.calm) / 2, rtol=1e-6)
