"""Every shipped style through the real command: plainly itself, and still the scene it was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.e2e.command import frames, paint, psnr, vidstyle
from vidstyle.styles import available

STYLES = sorted(available())
FRAME = 12


@pytest.fixture(scope="module")
def pictures(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """One frame of the sample and what each style makes of it, uint8 RGB."""
    folder = tmp_path_factory.mktemp("styles")
    made = {"source": list(frames(sample))[FRAME]}
    for style in STYLES:
        output = folder / f"{style}.mkv"
        paint(
            sample, "--style", style, "-o", output, "--codec", "ffv1", "--end", f"{FRAME + 1}f", "--no-detect"
        )
        made[style] = list(frames(output))[FRAME]
    return made


def light(picture: np.ndarray) -> float:
    return float(picture.mean())


def colour(picture: np.ndarray) -> float:
    return float(np.ptp(picture.astype(int), axis=2).mean())


@pytest.mark.parametrize("style", STYLES)
def test_a_style_is_no_other_and_keeps_the_scene(pictures: dict[str, np.ndarray], style: str) -> None:
    for other in pictures.keys() - {style}:
        assert psnr(pictures[style], pictures[other]) < 30, f"{style} looks like {other}"
    source, result = (pictures[name].mean(2) for name in ("source", style))
    assert np.corrcoef(source.ravel(), result.ravel())[0, 1] > 0.7, "light and dark are where they were"


def test_each_style_is_what_its_name_says(pictures: dict[str, np.ndarray]) -> None:
    source = pictures["source"]
    assert colour(pictures["sketch"]) < 8 < colour(source)
    assert light(pictures["watercolor"]) > light(source) + 10
    assert light(pictures["scifi"]) < light(source) - 10
    assert pictures["scifi"][..., 2].mean() > 1.3 * pictures["scifi"][..., 0].mean()
    assert colour(pictures["cartoon"]) > 1.1 * colour(source)
    white = pictures["source"].min(2) > 190
    snow, paper = (pictures[name][white].mean(0) for name in ("source", "ukiyoe"))
    assert paper[:2].mean() - paper[2] > snow[:2].mean() - snow[2] + 12, "on cream paper"


def test_the_command_lists_them_with_a_line_each() -> None:
    listed = vidstyle("styles").stdout
    for name, style in available().items():
        assert name in listed
        assert style.description.split()[0] in listed
