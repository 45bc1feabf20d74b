from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.forked import Herd, herd

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample clip that scripts/make_sample.py draws: 3 s of 320x180 with a cut, a fade and sound."""
    path = tmp_path_factory.mktemp("sample") / "in.mp4"
    subprocess.run(
        [
            sys.executable,
            str(ROOT / "scripts/make_sample.py"),
            str(path),
            "--size",
            "320x180",
            "--seconds",
            "3",
        ],
        check=True,
        capture_output=True,
    )
    return path


@pytest.fixture(name="herd", scope="session")
def fixture_herd() -> Herd:
    """Runs the command without its start-up."""
    return herd()
