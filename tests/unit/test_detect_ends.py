"""What lasts until the end of a shot: told by a sudden change to what was never there before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vidstyle.detect.ends import LEAST_USUAL, LONGEST, changed_end


def states(frames: int, seed: int = 0) -> np.ndarray:
    """A shot whose state hardly changes."""
    return np.random.default_rng(seed).normal(0.3, 0.01, (frames, 10)).astype(np.float32)


@given(
    length=st.integers(1, LONGEST), plane=st.integers(0, 9), size=st.floats(0.4, 4), seed=st.integers(0, 99)
)
def test_a_sudden_lasting_change_is_measured(length: int, plane: int, size: float, seed: int) -> None:
    shot = states(30, seed)
    shot[-length:, plane] -= size
    assert changed_end(shot) == length


@given(st.integers(0, 40), st.integers(0, 99))
def test_nothing_has_changed_in_a_calm_shot(frames: int, seed: int) -> None:
    assert changed_end(states(frames, seed)) == 0


def test_a_fade_is_no_change() -> None:
    shot = states(30)
    shot[-LONGEST:] -= np.linspace(0, 3, LONGEST)[:, None]
    assert changed_end(shot) == 0


def test_what_was_there_before_is_no_change() -> None:
    shot = states(30)
    shot[-4:, 2] += 1
    shot[12, 2] += 1
    assert changed_end(shot) == 0


def test_too_little_before_it_tells_nothing() -> None:
    shot = states(LEAST_USUAL + 3)
    shot[-4:, 2] += 1
    assert changed_end(shot) == 0
    assert changed_end(np.concatenate((shot[:1], shot))) == 4
