"""Run the real command and look at what it made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.e2e.forked import Ended, herd
from vidstyle.report import read_lines

SECONDS = 240 * int(os.environ.get("VIDSTYLE_PATIENCE", "1"))
"""The longest that a run may take; VIDSTYLE_PATIENCE multiplies it where a machine has much else to do."""


def vidstyle(*arguments: str | Path, **environment: str) -> Ended:
    """`vidstyle ARGUMENTS` to its end; in an interpreter of its own where the environment is to be another."""
    if not environment:
        return herd().run(*arguments, limit=SECONDS, cwd=Path.cwd())
    done = subprocess.run(
        [sys.executable, "-m", "vidstyle", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
        check=False,
    )
    return Ended(done.returncode, stdout=done.stdout, stderr=done.stderr)


def vidstyle_as_anybody(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The same without root's right to read and write everywhere; skips where root cannot give it up."""
    command = [sys.executable, "-m", "vidstyle", *map(str, arguments)]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and setpriv is not installed")
        rights = "-dac_override,-dac_read_search"
        command = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}", *command]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False
    )


def start(*arguments: str | Path, hang_up: signal.Handlers = signal.SIG_DFL) -> subprocess.Popen[bytes]:
    """`vidstyle ARGUMENTS` in a process group of its own, to be disturbed.

    hang_up: what becomes of SIGHUP, which the tests' own shell may have told them to ignore, as it may SIGINT.
    """

    def as_from_a_terminal() -> None:
        signal.signal(signal.SIGHUP, hang_up)
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "vidstyle", *map(str, arguments)],
        preexec_fn=as_from_a_terminal,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def paint(*arguments: str | Path) -> Ended:
    """A run that has to end well."""
    done = vidstyle(*arguments)
    assert done.returncode == 0, done.stderr
    return done


def frames(path: Path, pixel_format: str = "rgb24") -> Iterator[np.ndarray]:
    """All pictures as stored, uint8 [H, W, 3]."""
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            yield frame.to_ndarray(format=pixel_format)


def times(path: Path) -> list[Fraction]:
    """Presentation time of every frame, exact."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [frame.pts * stream.time_base for frame in container.decode(stream) if frame.pts is not None]


def sound_packets(path: Path) -> list[list[bytes]]:
    """The packets of every sound track."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[bytes]] = {stream.index: [] for stream in container.streams.audio}
        for packet in container.demux(*container.streams.audio) if tracks else ():
            if packet.size:
                tracks[packet.stream.index].append(bytes(packet))
        return list(tracks.values())


def frame_lines(log: Path) -> list[dict[str, object]]:
    """The log's lines of frames."""
    return [line for line in read_lines(log) if line["type"] == "frame"]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures in dB; 100 for equal ones."""
    error = float(np.mean((one.astype(np.float64) - other) ** 2))
    return 100.0 if error == 0 else 10 * np.log10(255**2 / error)
