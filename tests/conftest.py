"""What all tests share: where the shared media are, and a guard against threads left behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("VIDSTYLE_SHARED", REPOSITORY.parent / "shared"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test media beside the checkout; tests that need it skip where a user has only the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared test media at {SHARED}")
    return SHARED


@pytest.fixture(autouse=True)
def no_threads_left_behind() -> Iterator[None]:
    """A stage that leaves its thread running can hang the interpreter at exit."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 2
    while left := [
        t for t in set(threading.enumerate()) - before if t.name.startswith(("prefetch", "encode"))
    ]:
        if time.monotonic() > deadline:
            pytest.fail(f"threads left running: {left}")
        time.sleep(0.01)
