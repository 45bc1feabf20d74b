"""Whatever breaks around a run: one line, the right exit code, the old file whole, and nothing left over."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.command import SECONDS, times
from tests.e2e.forked import Herd
from tests.e2e.manifest import bad_ending
from tests.media_factory import Sound, make_clip

FRAMES = 24
OPTIONS = ("--no-detect", "--batch-size", "2", "-y")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    make_clip(tmp_path / "in.mp4", frames=FRAMES, size=(64, 48), sounds=[Sound()])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.mp4").write_bytes(b"the old file")
    return tmp_path


@pytest.mark.parametrize(
    ("sabotage", "code", "words"),
    [
        ("no_memory_to_decode", 5, "Memory ran out"),
        ("no_memory_to_track", 5, "Memory ran out"),
        ("no_memory_to_paint", 5, "Memory ran out"),
        ("no_memory_to_write", 5, "Memory ran out"),
        ("thread_dies", 1, "died"),
        ("bug_in_a_thread", 1, "ZeroDivisionError"),
        ("interrupted_twice", 143, "Stopped at once"),
        ("interrupted_at_the_end", 143, "Stopped before the end"),
        ("input_vanishes", 3, "vanished while it was being read"),
        ("full_at_1_kb", 4, "cannot be written"),
        ("full_at_8_kb", 4, "isk full"),
        ("full_at_12_kb", 4, "isk full"),
        ("few_files", 5, "Too many files"),
        ("weights_tampered_with", 5, "do not match their checksum"),
    ],
)
def test_the_old_file_stays_and_one_line_says_why(
    herd: Herd, place: Path, sabotage: str, code: int, words: str
) -> None:
    ended = herd.run(place / "in.mp4", "-o", place / "out" / "x.mp4", *OPTIONS, cwd=place, sabotage=sabotage)
    assert ended.returncode == code, ended.stderr
    assert words in ended.stderr
    assert not list(bad_ending(ended, bugs=code == 1))
    assert (place / "out" / "x.mp4").read_bytes() == b"the old file"

    left = [path for path in (place / "out").iterdir() if path.name not in ("x.mp4", "x.anomalies.jsonl")]
    if sabotage not in (
        "interrupted_twice",
        "few_files",
    ):  # which leave no time, or no way, to look into folders
        assert all((path / "state.json").is_file() for path in left), "nothing but whole segments"
    if sabotage != "input_vanishes":
        again = herd.run(place / "in.mp4", "-o", place / "out" / "x.mp4", *OPTIONS)
        assert again.returncode == 0, again.stderr
        assert len(times(place / "out" / "x.mp4")) == FRAMES
        assert {path.name for path in (place / "out").iterdir()} == {"x.mp4", "x.anomalies.jsonl"}


@pytest.mark.parametrize("sabotage", ["folder_vanishes", "folder_vanishes_at_the_end"])
def test_a_folder_that_vanishes_is_one_line(herd: Herd, place: Path, sabotage: str) -> None:
    ended = herd.run(place / "in.mp4", "-o", place / "out" / "x.mp4", *OPTIONS, cwd=place, sabotage=sabotage)
    assert ended.returncode == 4, ended.stderr
    assert not list(bad_ending(ended))
    assert sorted(path.name for path in place.iterdir()) == ["in.mp4"], "and is not made again"


def test_a_file_system_without_locks_is_no_hindrance(herd: Herd, place: Path) -> None:
    ended = herd.run(place / "in.mp4", "-o", place / "out" / "x.mp4", *OPTIONS, sabotage="no_locks")
    assert ended.returncode == 0, ended.stderr


def test_where_even_root_may_not_write_is_told_before_any_work(herd: Herd, place: Path) -> None:
    ended = herd.run(place / "in.mp4", "-o", "/proc/x.mp4")
    assert ended.returncode == 4
    assert "may not be written" in ended.stderr


def test_a_full_file_system(place: Path) -> None:
    """A real one, where the test may mount it."""
    disk = place / "disk"
    disk.mkdir()
    script = (
        "mount -t tmpfs -o size=64k none disk && cp out/x.mp4 disk/ || exit 99; "
        f'"$0" -m vidstyle in.mp4 -o disk/x.mp4 {" ".join(OPTIONS)}; code=$?; '
        "test \"$(cat disk/x.mp4)\" = 'the old file' || code=98; ls -A disk; exit $code"
    )
    make_clip(place / "in.mp4", frames=60, size=(160, 96), options={"crf": "1"})
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, sys.executable],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode == 99 or "unshare" in done.stderr:
        pytest.skip("no file system may be mounted here")
    assert done.returncode == 4, done.stderr
    assert "isk full" in done.stderr
    left = {
        name for name in done.stdout.split() if not name.startswith(".vidstyle-")
    }  # whole segments may wait
    assert left <= {"x.mp4", "x.anomalies.jsonl"}


@pytest.mark.slow
@pytest.mark.parametrize("gigabytes", [1.0, 2.0, 3.0, 3.5, 4.0, 5.0])
def test_too_little_memory_ends_in_one_line(place: Path, gigabytes: float) -> None:
    limit = int(gigabytes * 2**30)
    make_clip(place / "in.mp4", frames=12, size=(1280, 720))
    done = subprocess.run(
        [sys.executable, "-m", "vidstyle", "in.mp4", "-o", "out/x.mp4", "-y"],
        cwd=place,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode in (0, 5), done.stderr
    assert "Traceback" not in done.stderr
    assert ("ulimit" in done.stderr) == (gigabytes < 3.5)
    if done.returncode:
        assert (place / "out" / "x.mp4").read_bytes() == b"the old file"
