"""What lasts until the end of a shot, or for long within one: told by sudden changes to what else was never there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidstyle.detect.ends import LEAST_AFTER, LEAST_USUAL, LONG, LONGEST, changed_end, changed_run


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


@given(
    length=st.sampled_from(LONG), plane=st.integers(0, 9), size=st.floats(0.25, 4), seed=st.integers(0, 99)
)
def test_a_long_run_is_measured_from_its_first_frame_only(
    length: int, plane: int, size: float, seed: int
) -> None:
    shot = states(13 + length + LEAST_AFTER, seed)
    shot[13 : 13 + length, plane] += size
    found = [changed_run(shot, start) for start in range(len(shot))]
    assert found == [length if start == 13 else 0 for start in range(len(shot))]


@given(st.integers(0, 30), st.integers(0, 99))
def test_a_calm_shot_has_no_run(start: int, seed: int) -> None:
    assert changed_run(states(31, seed), start) == 0


@pytest.mark.parametrize("length", [*range(1, min(LONG)), max(LONG) + 1])
def test_shorter_and_longer_changes_are_no_long_runs(length: int) -> None:
    shot = states(40)
    shot[13 : 13 + length] += 1
    assert not any(changed_run(shot, start) for start in range(len(shot)))


def test_what_rises_and_falls_slowly_is_no_run() -> None:
    shot = states(40)
    shot[13:21] += np.concatenate((np.linspace(0, 1, 4), np.linspace(1, 0, 4)))[:, None]
    assert not any(changed_run(shot, start) for start in range(len(shot)))
