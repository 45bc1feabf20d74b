"""However a run ends: the output name holds the old file or the whole new one, and the next run goes on."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.command import SECONDS, frame_lines, frames, paint, start, times, vidstyle, vidstyle_as_anybody
from tests.e2e.forked import Herd
from tests.media_factory import Sound, make_clip

FRAMES = 300
SEGMENT = 240


def moving(index: int, size: tuple[int, int]) -> np.ndarray:
    """A smooth picture that slides, so that flow and detector have ordinary work."""
    width, height = size
    x, y = np.meshgrid(np.arange(width) + 2 * index, np.arange(height))
    waves = [np.sin(x / 9 + y / 17), np.cos(x / 23 - y / 11), np.sin((x + y) / 31)]
    return (127 + 90 * np.stack(waves, -1)).astype(np.uint8)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("long") / "in.mp4"
    make_clip(path, frames=FRAMES, size=(64, 48), picture=moving, sounds=[Sound()])
    return path


@pytest.fixture(scope="module")
def undisturbed(long_clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "out.mkv"
    paint(long_clip, "-o", output, "--codec", "ffv1")
    return output


def wait_for_lines(log: Path, count: int) -> None:
    deadline = time.monotonic() + SECONDS
    while not (log.exists() and log.read_bytes().count(b'"frame":') >= count):
        assert time.monotonic() < deadline, "the run does not get there"
        time.sleep(0.02)


def wait_until_numpy_loads(process: subprocess.Popen[bytes]) -> None:
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + SECONDS
    while "_multiarray_umath" not in maps.read_text():
        assert time.monotonic() < deadline, "the run does not load numpy"
        time.sleep(0.005)


def test_kill_and_run_again_gives_the_undisturbed_result(
    long_clip: Path, undisturbed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"the old file")
    log = output.with_suffix(".anomalies.jsonl")
    process = start(long_clip, "-o", output, "--codec", "ffv1", "-y")
    wait_for_lines(log, SEGMENT + 30)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert output.read_bytes() == b"the old file"

    done = paint(long_clip, "-o", output, "--codec", "ffv1", "-y")
    assert f"resumed at frame {SEGMENT}" in done.stderr
    assert times(output) == times(undisturbed)
    assert equal(output, undisturbed)
    assert frame_lines(log) == frame_lines(undisturbed.with_suffix(".anomalies.jsonl"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [log.name, output.name], "nothing is left over"


def slow(sabotage: str) -> Any:
    return pytest.param(sabotage, marks=pytest.mark.slow)


KILLED = [
    "killed_before:rename",
    *(slow(f"killed:{frames}") for frames in range(0, FRAMES, 17)),
    *(slow(f"killed:{frames}") for frames in (SEGMENT - 1, SEGMENT, SEGMENT + 1, FRAMES - 1)),
    *(slow(f"killed_before:{step}") for step in ("finish", "join", "clearing", "summary")),
    *(slow(f"killed_in_join:{packets}") for packets in (0, SEGMENT, FRAMES - 1)),
]
"""30 places, 8 of them after the last frame."""


@pytest.mark.parametrize("sabotage", KILLED)
def test_killed_anywhere_the_next_run_gives_the_undisturbed_result(
    herd: Herd, long_clip: Path, undisturbed: Path, tmp_path: Path, sabotage: str
) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"the old file")
    log = output.with_suffix(".anomalies.jsonl")
    command = (long_clip, "-o", output, "--codec", "ffv1", "-y")
    assert herd.run(*command, limit=SECONDS, sabotage=sabotage).returncode == -signal.SIGKILL
    renamed = sabotage in ("killed_before:clearing", "killed_before:summary")
    assert equal(output, undisturbed) if renamed else output.read_bytes() == b"the old file"
    for line in log.read_text(encoding="utf-8").splitlines()[:-1]:
        json.loads(line)

    done = herd.run(*command, limit=SECONDS)
    assert done.returncode == 0, done.stderr
    kind, _, where = sabotage.partition(":")
    frames_done = int(where) if kind == "killed" else FRAMES
    if frames_done > SEGMENT and sabotage != "killed_before:summary":
        assert "resumed at frame" in done.stderr, "more than one segment is made again"
    assert "damaged" not in done.stderr
    assert times(output) == times(undisturbed)
    assert equal(output, undisturbed)
    assert frame_lines(log) == frame_lines(undisturbed.with_suffix(".anomalies.jsonl"))
    assert sorted(path.name for path in tmp_path.iterdir()) == [log.name, output.name], "nothing is left over"


def equal(one: Path, other: Path) -> bool:
    """Whether two videos show the same pictures, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(frames(one), frames(other), strict=True))


def test_other_settings_start_again_and_say_so(long_clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    process = start(long_clip, "-o", output, "--no-detect")
    wait_for_lines(output.with_suffix(".anomalies.jsonl"), SEGMENT + 20)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    done = paint(long_clip, "-o", output, "--no-detect", "--strength", "0")
    assert "resumed at" not in done.stderr
    assert "not used: the input, the style or a setting changed" in done.stderr
    assert len(times(output)) == FRAMES


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_end_the_run_in_order(
    long_clip: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    output = tmp_path / "out.mkv"
    process = start(long_clip, "-o", output, "--no-detect")
    wait_for_lines(output.with_suffix(".anomalies.jsonl"), 30)
    sent = time.monotonic()
    process.send_signal(number)
    _, text = process.communicate(timeout=20)
    assert time.monotonic() - sent < 10
    assert process.returncode == code
    assert b"Traceback" not in text
    assert text.decode().strip().splitlines()[-2].startswith("vidstyle: error:")
    assert not output.exists()


def test_a_run_under_nohup_outlives_its_terminal(sample: Path, tmp_path: Path) -> None:
    process = start(sample, "-o", tmp_path / "out.mkv", "--end", "30f", hang_up=signal.SIG_IGN)
    for _ in range(6):
        time.sleep(0.5)
        process.send_signal(signal.SIGHUP)
    _, text = process.communicate(timeout=120)
    assert process.returncode == 0, text
    assert (tmp_path / "out.mkv").exists()


def test_a_signal_while_the_command_line_loads_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "click.py").write_text(
        "import os, signal\n"
        "try:\n    os.kill(os.getpid(), signal.SIGINT); [None for _ in range(1000)]\n"
        "except BaseException:\n    pass\n"  # as some libraries do
        "raise SystemExit(99)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = start("in.mp4")
    _, text = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    assert text == b"vidstyle: error: Stopped before the end.\n"


@pytest.mark.parametrize("seconds", [0, 0.1, 0.25, 0.5, 0.8])
def test_a_signal_during_start_up_leaves_no_traceback(
    long_clip: Path, tmp_path: Path, seconds: float
) -> None:
    process = start(long_clip, "-o", tmp_path / "out.mkv")
    wait_until_numpy_loads(process)  # the interpreter's own start is over, however slow the machine
    time.sleep(seconds)  # numpy, torch and others are being imported, and would swallow an exception
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=SECONDS)
    assert process.returncode == 130, text
    assert b"Traceback" not in text


def test_a_second_run_on_the_same_output_is_refused(long_clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    first = start(long_clip, "-o", output, "--end", "150f")
    wait_for_lines(output.with_suffix(".anomalies.jsonl"), 10)
    os.killpg(first.pid, signal.SIGSTOP)  # however slow the second is to start, the first is at work
    second = vidstyle(long_clip, "-o", output)
    os.killpg(first.pid, signal.SIGCONT)
    assert second.returncode == 4
    assert "another run" in second.stderr.lower()
    _, text = first.communicate(timeout=120)
    assert first.returncode == 0, text
    assert len(times(output)) == 150


def test_a_full_disk_is_one_line_and_leaves_no_output(long_clip: Path, tmp_path: Path) -> None:
    import resource
    import sys

    output = tmp_path / "out.mkv"
    done = subprocess.run(
        [sys.executable, "-m", "vidstyle", str(long_clip), "-o", str(output), "--no-detect"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)),
        timeout=120,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("named", [True, False], ids=["named", "by default"])
def test_a_read_only_folder_is_refused_before_any_work(long_clip: Path, tmp_path: Path, named: bool) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    shutil.copy(long_clip, folder / "in.mkv")
    folder.chmod(0o500)
    try:
        done = vidstyle_as_anybody(
            *((long_clip, "-o", folder / "out.mkv") if named else (folder / "in.mkv",))
        )
        assert done.returncode == 4
        assert "may not be written" in done.stderr and "--output" in done.stderr
        assert [path.name for path in folder.iterdir()] == ["in.mkv"]
    finally:
        folder.chmod(0o700)


def test_an_input_without_permission(long_clip: Path, tmp_path: Path) -> None:
    closed = tmp_path / "in.mkv"
    shutil.copy(long_clip, closed)
    closed.chmod(0)
    done = vidstyle_as_anybody(closed)
    assert done.returncode == 3
    assert len(done.stderr.strip().splitlines()) <= 2 and "Traceback" not in done.stderr


def test_a_missing_folder_is_refused_before_any_work(long_clip: Path, tmp_path: Path) -> None:
    done = vidstyle(long_clip, "-o", tmp_path / "no" / "out.mkv")
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) <= 2


def test_a_closed_stdout_and_stderr_do_not_stop_the_work(long_clip: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    process = start(long_clip, "-o", output, "--duration", "30f")
    assert process.stdout and process.stderr
    process.stdout.close()
    process.stderr.close()
    assert process.wait(timeout=120) == 0
    assert len(times(output)) == 30
