"""Feeds a synthetic run to a view, as the pipeline would: python terminal_driver.py MODE [FRAMES [SECONDS_A_FRAME]].

Not a test: test_terminal.py starts it in terminals of several kinds. With VIDSTYLE_DRIVER_FAIL set it raises half-way.
"""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np

from vidstyle.events import FrameDone, Note, RunFinished, RunStarted, StageTimes
from vidstyle.progress import ProgressView, make_view


def pictures(index: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A drifting gradient and its negative, uint8 [h, w, 3]."""
    width, height = min(size[0], size[1] * 16 // 9), min(size[1], size[0] * 9 // 16)
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    source = np.stack([x, y, np.full_like(x, index * 2 % 256)], axis=2).astype(np.uint8)
    return source, 255 - source


def drive(view: ProgressView, frames: int, pause: float) -> None:
    view.listen(
        RunStarted(
            input="clips/harbour [night]\x1b[31m.mp4",
            output="clips/harbour [night].oil.mp4",
            style="oil",
            device="cpu (no CUDA device)",
            size=(640, 360),
            frames_hint=frames,
            seconds_hint=frames / 24,
        )
    )
    for index in range(frames):
        room = view.preview_due()
        shown = pictures(index, room) if room else (None, None)
        flagged = index % 40 == 20
        score = 1.3 if flagged else 0.2 + 0.5 * (index % 17 == 0)
        action = ("kept" if index % 80 == 20 else "repaired") if flagged else "none"
        view.listen(FrameDone(index, index / 24, score, flagged, action, *shown))
        view.listen(StageTimes({"decode": index * 0.1, "stylize": index * 0.7, "detect": index * 0.2}))
        if index == frames // 3:
            view.listen(Note("the input's [third] audio stream was dropped"))
        if index == frames // 2 and "VIDSTYLE_DRIVER_FAIL" in os.environ:
            raise RuntimeError("half-way")
        time.sleep(pause)
    view.listen(
        RunFinished(
            "clips/harbour [night].oil.mp4",
            frames,
            frames // 40,
            frames // 80,
            frames // 80,
            12.5,
            log="clips/harbour [night].oil.anomalies.jsonl",
        )
    )


if __name__ == "__main__":
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # tests in the background may hand down that it is ignored
    with make_view(sys.argv[1]) as the_view:  # type: ignore[arg-type]
        drive(
            the_view,
            int(sys.argv[2]) if len(sys.argv) > 2 else 120,
            float(sys.argv[3]) if len(sys.argv) > 3 else 0.01,
        )
