"""Files with changed bytes end well or with one line; `scripts/fuzz.py` tries ten times as many."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import fuzz

FILES = 120
"""Four of each kind."""


@pytest.mark.parametrize(
    "files", [FILES, pytest.param(fuzz.FILES, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
)
def test_nothing_is_lost(files: int, tmp_path: Path) -> None:
    tried = 0
    for trial in fuzz.trials(files, 0, tmp_path):
        tried += len(trial.paths)
        assert not trial.lost, trial.paths
    assert tried == files


@pytest.mark.parametrize(
    ("code", "words", "wrong"),
    [
        (0, "", False),
        (3, "vidstyle: error: x: No.\n", False),
        (3, "", True),
        (1, "vidstyle: error: bug", True),
        (0, "Traceback (most recent call last):", True),
        (-11, "", True),
        (fuzz.HUNG, "", True),
    ],
)
def test_what_counts_as_lost(code: int, words: str, wrong: bool) -> None:
    ended = fuzz.Ended(code, "", words, 1.0, 1.0, 100.0)
    assert bool(fuzz.Trial((Path("x"),), ended).lost) == wrong
