"""`vidstyle ARGUMENTS` in forks of one process that has imported everything: the real command without its start-up.

Each run is a process of its own from the first argument to the interpreter's end, so crashes, hangs and memory are
its own as well.
"""

from __future__ import annotations

import atexit
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

import vidstyle.cli

ROOT = Path(__file__).resolve().parents[2]
HUNG = 1000
"""Stands for the exit code of a run that had to be killed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended."""

    returncode: int
    """Negative after a signal; HUNG where it took longer than it was given."""
    stdout: str
    stderr: str
    seconds: float = math.nan
    processor_seconds: float = math.nan
    """Does not grow with what else the machine does."""
    megabytes: float = math.nan
    """The most memory it held."""


class Herd:
    """Starts the process that is forked, and asks it for runs one by one."""

    def __init__(self, folder: Path) -> None:
        """`folder` is for the words of the runs."""
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from tests.e2e.forked import serve; serve()"],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(
        self, *arguments: str | Path, limit: float = 120, cwd: Path = ROOT, sabotage: str | None = None
    ) -> Ended:
        """`vidstyle ARGUMENTS` to its end, or killed after `limit` seconds.

        sabotage: a function of `tests.e2e.sabotage`, "name" or "name:argument", that is called first, in the run's
        own process.
        """
        request = {
            "arguments": [os.fspath(argument) for argument in arguments],
            "cwd": str(cwd),
            "stdout": str(self._stdout),
            "stderr": str(self._stderr),
            "limit": limit,
            "sabotage": sabotage,
        }
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        words = [path.read_text(encoding="utf-8", errors="replace") for path in (self._stdout, self._stderr)]
        return Ended(**answer, stdout=words[0], stderr=words[1])

    def close(self) -> None:
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def herd() -> Herd:
    """One for all tests of a process."""
    folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    herd = Herd(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(herd.close)
    return herd


def serve() -> None:
    """Read requests, fork, answer."""
    import vidstyle.pipeline
    import vidstyle.progress
    import vidstyle.stills  # noqa: F401 - imported for the forks

    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
            if request["sabotage"]:
                name, *argument = request["sabotage"].split(":")
                getattr(import_module("tests.e2e.sabotage"), name)(*argument)
            _run(request["arguments"])
        print(json.dumps(_wait(child, request["limit"])), flush=True)  # noqa: T201 - the answer


def _run(arguments: list[str]) -> NoReturn:
    code: object = HUNG
    try:
        vidstyle.cli.main(arguments)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - what the interpreter would do
        traceback.print_exc()
        code = 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(
            code if isinstance(code, int) else 0
        )  # taking torch down in order takes longer than most runs


def _become(request: dict[str, str]) -> None:
    os.setsid()
    os.chdir(request["cwd"])
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        file = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, descriptor)
        os.close(file)
    os.close(null)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - the server's own is full of requests


def _wait(child: int, limit: float) -> dict[str, float]:
    started = time.monotonic()
    hung = False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        seconds = time.monotonic() - started
        if done:
            code = HUNG if hung else os.waitstatus_to_exitcode(status)
            return {
                "returncode": code,
                "seconds": seconds,
                "processor_seconds": usage.ru_utime + usage.ru_stime,
                "megabytes": usage.ru_maxrss / 1024,
            }
        if seconds > limit and not hung:
            hung = True
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.005)
