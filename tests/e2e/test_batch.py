"""Folders through the real command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tests.e2e.command import times
from tests.e2e.forked import Herd
from tests.media_factory import make_clip


def test_a_folder_painted_again_skips_what_is_done_and_does_the_rest(herd: Herd, tmp_path: Path) -> None:
    folder, results = tmp_path / "clips", tmp_path / "painted"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4"):
        make_clip(folder / name, frames=3)
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / "p.png")
    asked = (folder, "-o", results, "--no-detect")
    assert "3 files: 3 painted" in herd.run(*asked).stderr
    before = {path: path.stat().st_mtime_ns for path in results.iterdir()}

    make_clip(folder / "b.mp4", frames=4)  # another input under a name that is done
    make_clip(folder / "c.mp4", frames=3)
    again = herd.run(*asked)
    assert again.returncode == 4, "b.mp4 exists already, and is not what would be painted now"
    assert "4 files: 1 painted, 1 failed, 2 skipped" in again.stderr
    assert all(path.stat().st_mtime_ns == before[path] for path in before)

    assert "4 files: 1 painted, 3 skipped" in herd.run(*asked, "-y", "--resume").stderr
    assert len(times(results / "b.mp4")) == 4
    assert "4 files: 4 painted" in herd.run(*asked, "-y").stderr, "overwriting paints all again"
    other = herd.run(*asked, "-y", "--resume", "--strength", "0.5")
    assert "4 files: 3 painted, 1 skipped" in other.stderr, "of a picture only the age tells"


def test_one_file_that_is_done_is_skipped_only_when_asked(herd: Herd, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=3).path
    assert herd.run(source, "--no-detect").returncode == 0
    assert herd.run(source, "--no-detect").returncode == 4
    again = herd.run(source, "--no-detect", "--resume")
    assert (again.returncode, "skipped" in again.stderr) == (0, True)


def test_one_log_is_not_enough_for_two_inputs(herd: Herd, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / name, frames=2)
    refused = herd.run(tmp_path, "--anomaly-log", tmp_path / "log.jsonl")
    assert refused.returncode == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_pictures_tell_programs_as_well(herd: Herd, tmp_path: Path) -> None:
    import json

    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "p.png")
    done = herd.run(tmp_path / "p.png", "--progress", "json")
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert kinds == ["started", "finished"]
    assert done.stderr == ""
    failed = herd.run(tmp_path / "p.png", "--progress", "json")
    assert json.loads(failed.stdout)["exit_code"] == failed.returncode == 4
