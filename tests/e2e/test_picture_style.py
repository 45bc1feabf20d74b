"""A picture as the style: an interrupted run that goes on gives what an undisturbed one gives."""

import os
import signal
from pathlib import Path

from PIL import Image

from tests.e2e.command import frame_lines, paint, start
from tests.e2e.test_endings import FRAMES, SEGMENT, equal, moving, wait_for_lines
from tests.media_factory import make_clip


def test_kill_and_run_again_with_a_picture_as_the_style(tmp_path: Path) -> None:
    source, painting = tmp_path / "in.mp4", tmp_path / "painting.png"
    make_clip(source, frames=FRAMES, size=(64, 48), picture=moving)
    Image.fromarray(moving(9, (200, 150))[..., ::-1].copy()).save(painting)
    undisturbed, output = tmp_path / "whole" / "out.mkv", tmp_path / "killed" / "out.mkv"
    for path in (undisturbed, output):
        path.parent.mkdir()
    options = ("--style", painting, "--codec", "ffv1")
    paint(source, "-o", undisturbed, *options)

    process = start(source, "-o", output, *options)
    wait_for_lines(output.with_suffix(".anomalies.jsonl"), SEGMENT + 30)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = paint(source, "-o", output, *options)
    assert f"resumed at frame {SEGMENT}" in done.stderr
    assert equal(output, undisturbed)
    logs = [path.with_suffix(".anomalies.jsonl") for path in (output, undisturbed)]
    assert frame_lines(logs[0]) == frame_lines(logs[1])
