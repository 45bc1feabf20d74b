"""The sample clip: it plays, it has what the pipeline is to be shown, and it is always the same."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "make_sample.py"
SIZE, SECONDS, FRAMES = (160, 90), 1.0, 24


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sample") / "a clip.mp4"
    make(out)
    return out


def make(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(out), "--size", "160x90", "--seconds", "1", *arguments]
    return subprocess.run(command, check=not arguments, capture_output=True, text=True)


def pictures(path: Path) -> Iterator[np.ndarray]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.float32)


def test_it_has_picture_and_sound(clip: Path) -> None:
    with av.open(str(clip)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert (video.width, video.height) == SIZE
        assert (video.codec.name, audio.codec.name) == ("h264", "aac")
        assert abs(float(container.duration or 0) / 1e6 - SECONDS) < 0.1
        loudest = max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0))
    assert 0.1 < loudest <= 1.05
    assert sum(1 for _ in pictures(clip)) == FRAMES


def test_it_moves_cuts_once_and_fades_to_black(clip: Path) -> None:
    frames = list(pictures(clip))
    steps = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(frames)]
    before_fade = steps[: -round(FRAMES * 0.13) - 1]
    cut = int(np.argmax(before_fade))
    assert cut == round(FRAMES * 0.55) - 1
    assert steps[cut] > 3 * sorted(before_fade)[-2]
    assert min(before_fade) > 0.3
    assert frames[-1].mean() < 3 < 60 < frames[cut].mean()


def test_it_is_detailed_and_colourful(clip: Path) -> None:
    for picture in list(pictures(clip))[:-5:6]:
        assert picture.std(axis=(0, 1)).min() > 20
        assert np.abs(np.diff(picture, axis=1)).mean() > 2


def test_it_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    draw = importlib.import_module("make_sample").frames
    once, again, other = (list(draw((96, 64), 0.2, seed)) for seed in (7, 7, 8))
    assert len(once) == 5
    for first, second in zip(once, again, strict=True):
        assert (first == second).all()
    assert any((first != third).any() for first, third in zip(once, other, strict=True))


def test_a_bad_size_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    answer = make(tmp_path / "odd.mp4", "--size", "161x90")
    assert answer.returncode == 2
    assert "even numbers" in answer.stderr
    assert not list(tmp_path.iterdir())
