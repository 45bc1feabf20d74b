"""Peak memory does not grow with the length of the video."""

import os
import sys
from pathlib import Path

import numpy as np

from tests.e2e.test_endings import moving
from tests.media_factory import make_clip

SHORT, LONG = 100, 500
SIZE = (320, 180)


def peak_megabytes(source: Path, output: Path) -> float:
    """Peak resident memory of one run; asked of the kernel for that process alone."""
    arguments = [sys.executable, "-m", "vidstyle", str(source), "-o", str(output), "-q"]
    process = os.posix_spawn(sys.executable, arguments, os.environ)
    _, status, usage = os.wait4(process, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return usage.ru_maxrss / 1024


def test_five_times_the_frames_take_no_more_memory(tmp_path: Path) -> None:
    peaks = []
    for frames in (SHORT, LONG):
        source = tmp_path / f"{frames}.mp4"
        make_clip(source, frames=frames, size=SIZE, picture=moving, options={"preset": "ultrafast"})
        peaks.append(peak_megabytes(source, tmp_path / f"{frames}.out.mp4"))
    pictures = (LONG - SHORT) * SIZE[0] * SIZE[1] * 3 / 2**20
    # Peaks of equal runs differ by up to 20 MB (which thread allocates when); one kept picture per frame is 66 MB.
    assert peaks[1] - peaks[0] < 0.75 * pictures, f"peaks of {np.round(peaks)} MB"
