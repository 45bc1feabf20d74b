"""scripts/run and its set-up, with a Python that only pretends to install."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FAKE_PYTHON = """#!/usr/bin/env bash
here=$(dirname -- "$0")
case "$1 $2" in
    *version_info*) [ -z "$FAKE_OLD" ] ;;
    *ensurepip*) [ -z "$FAKE_NO_VENV" ] ;;
    "-m venv") mkdir -p "$4/bin" && cp -- "$0" "$4/bin/python" ;;
    "-m pip")
        [ -z "$FAKE_FAIL" ] || { echo "no such package" >&2; exit 1; }
        echo "${@: -1}" >>"$FAKE_LOG"
        printf '#!/bin/sh\\npwd; for word; do echo "<$word>"; done\\n' >"$here/vidstyle"
        chmod +x "$here/vidstyle" ;;
    *make_sample.py*) : >"$2" ; echo drawn >"$2" ;;
    "-V "*) echo "Python 3.9.1" ;;
esac
"""


class Clone:
    """A copy of what the scripts need, and a folder to call them from."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a clone"
        self.elsewhere = folder / "else where"
        self.elsewhere.mkdir()
        (self.root / "scripts").mkdir(parents=True)
        for name in ("scripts/run", "scripts/setup.sh", "pyproject.toml", "setup.cfg"):
            shutil.copy(ROOT / name, self.root / name)
        self.python = folder / "python3.fake"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)
        self.log = folder / "log"

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.root / "scripts" / "run"), *arguments],
            cwd=self.elsewhere,
            env={**os.environ, "PYTHON": str(self.python), "FAKE_LOG": str(self.log), **environment},
            capture_output=True,
            text=True,
        )

    @property
    def installs(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_it_installs_once_and_hands_arguments_on(clone: Clone) -> None:
    first = clone.run("my clip.mp4", "--style", "oil")
    assert first.stdout.splitlines() == [str(clone.elsewhere), "<my clip.mp4>", "<--style>", "<oil>"]
    assert first.stderr.count("\n") == 1
    assert "takes some minutes" in first.stderr
    second = clone.run("x")
    assert second.stderr == ""
    assert clone.installs == [str(clone.root)]


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.cfg"])
def test_it_installs_again_when_the_project_changed(clone: Clone, name: str) -> None:
    clone.run("x")
    with (clone.root / name).open("a") as file:
        file.write("# changed\n")
    clone.run("x")
    clone.run("x")
    assert len(clone.installs) == 2


def test_it_installs_again_in_a_moved_clone(clone: Clone) -> None:
    clone.run("x")
    clone.root = clone.root.rename(clone.root.with_name("moved"))
    assert clone.run("x").returncode == 0
    assert clone.installs[-1] == str(clone.root)


def test_tests_need_their_extra_even_after_a_plain_installation(clone: Clone) -> None:
    clone.run("x")
    for _ in range(2):
        subprocess.run(
            ["bash", "-c", '. "$0/scripts/setup.sh"; set_up test', str(clone.root)],
            env={**os.environ, "FAKE_LOG": str(clone.log)},
            check=True,
        )
    clone.run("x")
    assert clone.installs == [str(clone.root), f"{clone.root}[test]"]


def test_without_arguments_it_paints_a_sample(clone: Clone) -> None:
    sample = clone.root / "sample.mp4"
    sample.touch()
    answer = clone.run()
    assert answer.stdout.splitlines()[1:] == [f"<{sample}>", "<--style>", "<oil>", "<-y>"]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"FAKE_OLD": "1"}, "Python 3.11 or newer"),
        ({"FAKE_NO_VENV": "1"}, "python3-venv"),
        ({"FAKE_FAIL": "1"}, "installation failed"),
        ({"PYTHON": "no-such-python"}, "no-such-python is not installed"),
    ],
)
def test_what_is_missing_is_said_in_a_line(clone: Clone, environment: dict[str, str], words: str) -> None:
    answer = clone.run("x", **environment)
    assert answer.returncode == 5
    assert answer.stderr.splitlines()[-1].startswith("vidstyle: error: ")
    assert words in answer.stderr.splitlines()[-1]
    assert clone.run("x").returncode == 0  # nothing half-made is left in the way
