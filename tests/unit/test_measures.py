"""The yardsticks of the evaluation: right on clips whose answer is known."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidstyle.training import measures
from vidstyle.training.measures import Frame, StyleDistance


def pan(count: int, noise: float = 0.0) -> list[Frame]:
    """A smooth picture that moves by two pixels a frame."""
    random = np.random.default_rng(0)
    wide = cv2.resize(
        random.integers(0, 256, (10, 24, 3), dtype=np.uint8), (192, 80), interpolation=cv2.INTER_CUBIC
    )
    frames = [wide[:, 2 * i : 2 * i + 120].astype(np.float32) for i in range(count)]
    return [np.clip(f + random.normal(0, noise, f.shape), 0, 255).astype(np.uint8) for f in frames]


def test_a_clip_that_moves_with_its_source_has_the_sources_error() -> None:
    sources = pan(4)
    inverted = [255 - frame for frame in sources]
    error = measures.warping_error(sources, inverted)
    assert error is not None
    assert error.painted == pytest.approx(error.floor, rel=0.1)
    assert error.floor < 1e-4


def test_noise_of_its_own_is_found_to_the_variance() -> None:
    error = measures.warping_error(pan(4), pan(4, noise=8.0))
    assert error is not None
    # Twice the variance, less what the bilinear warp smooths away.
    assert (8 / 255) ** 2 < error.painted - error.floor < 2.2 * (8 / 255) ** 2


def test_a_picture_that_stands_still_before_a_moving_source_is_unsteady() -> None:
    sources = pan(4)
    error = measures.warping_error(sources, [sources[0]] * 4)
    assert error is not None
    assert error.painted > 20 * error.floor


def test_cuts_are_left_out() -> None:
    random = np.random.default_rng(1)
    other = cv2.resize(random.integers(0, 256, (10, 12, 3), dtype=np.uint8), (120, 80))
    assert measures.warping_error([pan(1)[0], other], [other, other]) is None


def test_sharpness_falls_with_blur() -> None:
    frame = pan(1, noise=20)[0]
    assert measures.sharpness(cv2.GaussianBlur(frame, (0, 0), 2)) < 0.2 * measures.sharpness(frame)
    assert measures.sharpness(np.full((8, 8, 3), 90, np.uint8)) == 0


def test_edges_survive_colour_but_not_a_move() -> None:
    frame = pan(1)[0]
    assert measures.edge_ssim(frame, frame) == pytest.approx(1)
    assert measures.edge_ssim(frame, 255 - frame) > 0.98
    assert measures.edge_ssim(frame, np.roll(frame, 12, 1)) < 0.8


def test_the_style_set_itself_has_no_style_distance() -> None:
    def features(pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures, pictures[:, :, ::2, ::2]]

    frame, other = pan(1)[0], 255 - pan(1)[0]
    distance = StyleDistance(features, [frame])
    of_frame, of_other = distance.maps(frame), distance.maps(other)
    assert distance.style(of_frame) == pytest.approx(0, abs=1e-6)
    assert distance.style(of_other) > 0.1
    between = StyleDistance(features, [frame, other])
    assert 0 < between.style(of_frame) < distance.style(of_other)
    assert distance.content(of_frame, of_frame) == 0
    assert distance.content(of_frame, of_other) > 0.1


def test_the_script_prints_all_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(__file__).resolve().parents[2] / "scripts" / "evaluate.py"
    spec = importlib.util.spec_from_file_location("scripts_evaluate", path)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    clip = tmp_path / "pan.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 25, (120, 80))
    for frame in pan(4):
        writer.write(frame)
    writer.release()
    (tmp_path / "styles" / "oil").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "styles" / "oil" / "one.png"), pan(1)[0])
    command = [str(clip), "--styles", "oil", "--style-pictures", str(tmp_path / "styles"), "--frames", "3"]
    assert script.main([*command, "--json", "--teachers"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["style"], row["clip"], row["frames"]) == ("oil", "pan", 3)
    assert row["excess"] == pytest.approx((row["warping"] - 1) * row["floor"])
    assert 0 < row["edges"] < 1
    assert 0.5 < row["of_teacher"] < 1.5
    assert row["source_style_distance"] < row["style_distance"]  # the style set is the source itself
    assert script.main(command) == 0
    assert "Hayao" in capsys.readouterr().out
    assert script.main([str(tmp_path / "none.mp4")]) == 3
    assert script.main([str(clip), "--styles", "none"]) == 2
