"""What a user sees, in real (pseudo) terminals of several sizes, through a driver that plays a pipeline."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("terminal_driver.py")
SHOW_CURSOR, HIDE_CURSOR = "\x1b[?25h", "\x1b[?25l"


def environment(**changes: str) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name
        not in ("NO_COLOR", "FORCE_COLOR", "TMUX", "COLUMNS", "LINES", "TERM_PROGRAM", "VIDSTYLE_GRAPHICS")
    }
    return kept | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"} | changes


def in_terminal(
    *arguments: str,
    size: tuple[int, int] = (80, 30),
    during: Callable[[subprocess.Popen[bytes], str], bool] | None = None,
    **changes: str,
) -> tuple[int, str]:
    """Run the driver in a terminal of `size` columns, rows: its exit code and all it wrote.

    during  called with the process and what it wrote so far until it returns True.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    process = subprocess.Popen(
        [sys.executable, str(DRIVER), *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(**changes),
        start_new_session=True,
    )
    os.close(theirs)
    written = b""
    deadline = time.monotonic() + 60
    try:
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    chunk = os.read(ours, 65536)
                except OSError:  # Linux says EIO when the other side is closed
                    break
                if not chunk:
                    break
                written += chunk
            if during and during(process, written.decode("utf-8", "replace")):
                during = None
        return process.wait(30), written.decode("utf-8")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def visible(written: str) -> str:
    """What was written, without escape sequences; any that is not of a kind we mean to write stays."""
    return re.sub(r"\x1b\[[0-9;?]*[mAKJhlDG]|\r", "", written)


@pytest.mark.parametrize("size", [(40, 12), (80, 24), (160, 50)])
def test_the_dashboard_shows_the_run_and_ends_with_a_summary(size: tuple[int, int]) -> None:
    code, written = in_terminal("auto", "80", "0.01", size=size)
    seen = visible(written)
    assert code == 0
    assert "\x1b" not in seen
    assert "━" in seen
    assert re.search(r"\d+/80 frames", seen)
    assert "note: the input's [third] audio" in seen
    assert "▀▀▀▀" in seen or size[1] < 14
    assert re.search(r"✓ clips/harbour \[night\]\.oil\.mp4", seen)
    assert "2 flagged · 1 repaired · 1 kept" in seen
    assert written.count(HIDE_CURSOR) == written.count(SHOW_CURSOR) == 1
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)


def test_it_redraws_by_time_not_by_frame() -> None:
    _, written = in_terminal("auto", "3000", "0", size=(80, 12))
    assert written.count("\x1b[2K") < 3000


def test_every_redraw_is_shown_at_once() -> None:
    _, written = in_terminal("auto", "40", "0.02")
    outside = re.sub(r"\x1b\[\?2026h.*?\x1b\[\?2026l", "", written, flags=re.DOTALL)
    assert "\x1b[2K" in written
    assert "\x1b[2K" not in outside


def test_without_colours_there_are_none() -> None:
    _, written = in_terminal("auto", "40", "0.01", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*\b[34]\d?[;m]", written)
    assert "▀" not in written
    assert re.search(r"\d+/40 frames", visible(written))


def test_a_dumb_terminal_gets_plain_lines() -> None:
    code, written = in_terminal("auto", "40", "0.01", TERM="dumb")
    assert code == 0
    assert "\x1b" not in written
    assert written.splitlines()[0].startswith("clips/harbour [night]?[31m.mp4 -> ")


def test_control_c_gives_the_terminal_back() -> None:
    def stop(process: subprocess.Popen[bytes], written: str) -> bool:
        if not re.search(r"[1-9]\d*/1000 frames", visible(written)):
            return False
        os.killpg(process.pid, signal.SIGINT)
        return True

    code, written = in_terminal("auto", "1000", "0.02", during=stop)
    assert code in (130, -signal.SIGINT)
    assert "KeyboardInterrupt" in written
    before, _, after = written.rpartition(SHOW_CURSOR)
    assert HIDE_CURSOR in before
    assert HIDE_CURSOR not in after
    last_drawing = visible(before).splitlines()[-6:]
    assert any("/1000 frames" in line for line in last_drawing)  # how far it came stays on the screen


def test_an_exception_gives_the_terminal_back() -> None:
    code, written = in_terminal("auto", "40", "0.01", VIDSTYLE_DRIVER_FAIL="1")
    assert code == 1
    assert written.rindex(SHOW_CURSOR) > written.rindex(HIDE_CURSOR)
    assert "RuntimeError: half-way" in written[written.rindex(SHOW_CURSOR) :]


def test_a_narrowed_terminal_is_redrawn_to_its_width() -> None:
    def narrow(process: subprocess.Popen[bytes], written: str) -> bool:
        if "frames" not in visible(written):
            return False
        terminal = os.open(f"/proc/{process.pid}/fd/2", os.O_RDWR | os.O_NOCTTY)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
        os.close(terminal)
        return True

    code, written = in_terminal("auto", "150", "0.01", size=(120, 24), during=narrow)
    assert code == 0
    redrawn = written[written.index("\x1b[J") :]
    drawn = [line for line in visible(redrawn).split("\n") if "frames" in line or "━" in line]
    assert len(drawn) > 4
    assert all(len(line) <= 50 for line in drawn[:-1])


@pytest.mark.parametrize(
    ("kind", "start", "end"), [("kitty", "\x1b_Ga=p", "a=d"), ("sixel", "\x1bP0;1q", "\x1b\\")]
)
def test_pixel_graphics_are_sent_and_cleared(kind: str, start: str, end: str) -> None:
    _, written = in_terminal("auto", "60", "0.01", VIDSTYLE_GRAPHICS=kind)
    assert start in written
    assert end in written
    assert "▀" not in written


def test_a_pipe_gets_plain_lines_and_json_stays_on_standard_output() -> None:
    for mode, stdout_lines, stderr_lines in (("auto", 0, 3), ("json", 3, 0), ("none", 0, 0)):
        answer = subprocess.run(
            [sys.executable, str(DRIVER), mode, "10", "0"],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "\x1b" not in answer.stdout + answer.stderr
        assert len(answer.stdout.splitlines()) >= stdout_lines
        assert len(answer.stderr.splitlines()) >= stderr_lines
        assert bool(answer.stdout) == bool(stdout_lines)
        assert bool(answer.stderr) == bool(stderr_lines)


def test_a_reader_that_leaves_does_not_stop_the_work() -> None:
    with subprocess.Popen(
        [sys.executable, str(DRIVER), "json", "400", "0.002"],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait(30) == 0
    assert errors == b""
