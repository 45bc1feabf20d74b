"""The views: what they count, what they write and how often, and that nothing they meet stops the work."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from vidstyle.errors import InputError, UsageError
from vidstyle.events import FlaggedFrame, FrameDone, Note, RunFinished, RunStarted, StageTimes
from vidstyle.progress import make_view, printable
from vidstyle.progress.dashboard import Dashboard, DashboardView
from vidstyle.progress.plain import JsonView, PlainView
from vidstyle.progress.tally import ScoreStrip, Tally, clock, found, pace
from vidstyle.progress.view import ProgressView, SafeStream


def started(frames: int | None = 100, **changes: object) -> RunStarted:
    facts: dict[str, object] = {
        "input": "in.mp4",
        "output": "in.oil.mp4",
        "style": "oil",
        "device": "cpu",
        "size": (640, 360),
        "frames_hint": frames,
        "seconds_hint": 4.0,
    }
    return RunStarted(**(facts | changes))  # type: ignore[arg-type]


def done(index: int, score: float = 0.1, action: str = "none") -> FrameDone:
    return FrameDone(index, index / 25, score, action != "none", action)


FINISHED = RunFinished("in.oil.mp4", 100, 3, 2, 1, 20.0, log="in.oil.anomalies.jsonl")


CHECKED = RunFinished(
    None,
    102,
    7,
    0,
    0,
    20.0,
    log="sty.check.jsonl",
    first_flagged=(
        FlaggedFrame(41, 1.64, 9.13, ("noise", "color"), (8, 0, 32, 16), "none"),
        FlaggedFrame(60, 2.4, 1.2, (), None, "repaired"),
    ),
    stylised="sty.mp4",
    unpaired=2,
)


class Time:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


# Counting


def test_tally_counts_actions_and_guesses_the_rest() -> None:
    tally = Tally(started(100), 0.0)
    for index, action in enumerate(["none", "repaired", "restyled", "kept", "none"]):
        tally.add(done(index, action=action), float(index + 1))
    assert (tally.done, tally.flagged, tally.repaired, tally.kept) == (5, 3, 2, 1)
    assert tally.fps == pytest.approx(1.0)
    assert tally.seconds_left == pytest.approx(95)
    assert pace(tally) == ["5/100 frames", "1.0 fps", "1:35 left"]


def test_speed_follows_the_last_seconds_not_the_whole_run() -> None:
    tally = Tally(started(None), 0.0)
    for index in range(100):
        tally.add(done(index), index * 1.0)
    for index in range(100, 500):
        tally.add(done(index), 100 + (index - 100) * 0.1)
    assert tally.fps == pytest.approx(10, rel=0.05)


def test_resumed_frames_count_as_done_but_not_as_speed() -> None:
    tally = Tally(started(100, resumed_at=50), 0.0)
    tally.add(done(50), 1.0)
    assert tally.done == 51
    assert tally.fps == pytest.approx(1.0)


def test_more_frames_than_promised_make_the_total_unknown() -> None:
    tally = Tally(started(2), 0.0)
    for index in range(3):
        tally.add(done(index), 1.0)
    assert tally.fraction is None
    assert tally.seconds_left is None


def test_bottleneck_is_the_stage_with_most_of_the_work() -> None:
    tally = Tally(started(), 0.0)
    assert tally.bottleneck is None
    tally.stage_seconds = {"decode": 1.0, "stylize": 6.0, "detect": 3.0}
    assert tally.bottleneck == ("stylize", pytest.approx(0.6))


@given(
    scores=st.lists(st.floats(0, 5), min_size=1, max_size=300),
    width=st.integers(1, 50),
    capacity=st.sampled_from([2, 4, 16]),
)
@settings(max_examples=60, deadline=None)
def test_score_strip_is_bounded_and_never_loses_the_worst(
    scores: list[float], width: int, capacity: int
) -> None:
    strip = ScoreStrip(capacity)
    for score in scores:
        strip.add(score)
    columns = strip.columns(width)
    assert len(strip.bins) <= capacity
    assert len(columns) <= width
    assert max(columns) == max(scores)


def test_score_strip_keeps_the_order_of_time() -> None:
    strip = ScoreStrip(8)
    for index in range(64):
        strip.add(1.5 if index == 48 else 0.0)
    assert strip.columns(8).index(1.5) == 6


@given(st.text())
@settings(max_examples=100, deadline=None)
def test_printable_text_holds_nothing_that_moves_the_cursor(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)


def test_printable_names() -> None:
    assert printable("Größe [1] – 日本.mp4") == "Größe [1] – 日本.mp4"
    assert printable("a\x1b[31m\n\u202eb\udcff") == "a?[31m??b?"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (7.4, "0:07"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# Choosing


def test_the_first_flagged_frames_are_listed() -> None:
    assert found(CHECKED) == [
        "frame 41 at 1.640 s: noise and color in 32x16 at 8,0, score 9.1",
        "frame 60 at 2.400 s: flagged, score 1.2, repaired",
        "and 5 more",
    ]
    assert found(FINISHED) == []


@pytest.mark.parametrize("make", [PlainView, lambda stream: DashboardView(stream, preview=True)])
def test_a_check_without_output_is_about_the_stylised_video(
    make: Callable[[SafeStream], ProgressView],
) -> None:
    text = io.StringIO()
    with make(SafeStream(text)) as view:
        view.listen(started(102, output=None, style=None, stylised="sty.mp4"))
        view.listen(done(0))
        view.listen(CHECKED)
    words = text.getvalue()
    for expected in ("sty.mp4", "check", "100 frames checked", "7 flagged", "frame 41", "5 more"):
        assert expected in words
    assert "None" not in words
    assert "repaired, 0 kept" not in words


def test_json_tells_which_video_was_checked() -> None:
    text = io.StringIO()
    view = JsonView(SafeStream(text))
    view.listen(started(102, output=None, style=None, stylised="sty.mp4"))
    view.listen(CHECKED)
    first, last = map(json.loads, text.getvalue().splitlines())
    assert (first["output"], first["style"], first["stylised"]) == (None, None, "sty.mp4")
    assert (last["unpaired"], len(last["first_flagged"])) == (2, 2)
    assert last["first_flagged"][0] == {
        "frame": 41,
        "time": 1.64,
        "score": 9.13,
        "reasons": ["noise", "color"],
        "region": [8, 0, 32, 16],
        "action": "none",
    }


def test_unknown_mode_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="wild"):
        make_view("wild")  # type: ignore[arg-type]


def test_auto_writes_plain_lines_where_there_is_no_terminal() -> None:
    assert isinstance(make_view("auto", stream=io.StringIO()), PlainView)


@pytest.mark.parametrize(
    ("term", "kind"), [("xterm-256color", DashboardView), ("dumb", PlainView), ("", PlainView)]
)
def test_auto_draws_only_where_the_terminal_can(
    term: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setenv("TERM", term)
    assert isinstance(make_view("auto", stream=stream), kind)


# Plain lines


def run_plain(frames: int, seconds_a_frame: float, total: int | None) -> list[str]:
    stream, time = io.StringIO(), Time()
    view = PlainView(SafeStream(stream), time)
    view.listen(started(total))
    for index in range(frames):
        time.now += seconds_a_frame
        view.listen(done(index))
    view.listen(FINISHED)
    return stream.getvalue().splitlines()


def test_plain_lines_come_every_tenth_of_the_way() -> None:
    lines = run_plain(100, 0.5, 100)
    assert len(lines) == 12
    assert lines[0] == "in.mp4 -> in.oil.mp4 (oil, 640x360, cpu)"
    assert lines[1].startswith(" 10%, 10/100 frames, 2.0 fps, 0:45 left")
    assert lines[-1] == (
        "in.oil.mp4: 100 frames in 0:20 (5.0 fps), 3 flagged, 2 repaired, 1 kept, log in.oil.anomalies.jsonl"
    )


def test_plain_lines_of_a_slow_run_come_every_ten_seconds() -> None:
    assert len(run_plain(60, 1.0, 10_000)) == 2 + 6


def test_plain_lines_of_unknown_length_come_every_ten_seconds() -> None:
    lines = run_plain(60, 1.0, None)
    assert len(lines) == 2 + 6
    assert lines[1].startswith("10 frames")


def test_plain_lines_of_a_fast_run_do_not_flood() -> None:
    assert len(run_plain(1500, 0.001, 1500)) == 2 + 1


def test_plain_lines_are_ascii_and_without_escapes() -> None:
    raw = io.BytesIO()
    view = PlainView(SafeStream(io.TextIOWrapper(raw, encoding="ascii", errors="strict")))
    view.listen(started(input="\x1b[2Jä.mp4"))
    view.listen(Note("Größe\nline"))
    view.listen(FINISHED)
    text = raw.getvalue().decode("ascii")
    assert text.splitlines()[:2] == ["?[2J?.mp4 -> in.oil.mp4 (oil, 640x360, cpu)", "note: Gr??e?line"]


# JSON lines


def read_json(stream: io.StringIO) -> list[dict[str, object]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in stream.getvalue().splitlines()]


def test_json_lines_tell_the_whole_run_at_most_five_times_a_second() -> None:
    stream, time = io.StringIO(), Time()
    with JsonView(SafeStream(stream), time) as view:
        view.listen(started(100))
        for index in range(100):
            view.listen(done(index, 2.0 if index == 7 else 0.1, "kept" if index == 7 else "none"))
            view.listen(StageTimes({"decode": index * 0.1}))
            time.now += 0.02
        view.listen(Note("[odd] \udcff"))
        view.listen(FINISHED)
    objects = read_json(stream)
    kinds = [entry["type"] for entry in objects]
    assert kinds[0] == "started"
    assert kinds[-2:] == ["note", "finished"]
    assert 9 <= kinds.count("progress") <= 11
    assert kinds.count("stages") == 2
    progress = [entry for entry in objects if entry["type"] == "progress"]
    assert max(entry["score"] for entry in progress) == 2.0  # type: ignore[type-var]
    assert progress[-1]["kept"] == 1
    assert progress[-1]["frames"] == 100
    assert objects[-1]["log"] == "in.oil.anomalies.jsonl"


def test_json_has_no_nan() -> None:
    stream = io.StringIO()
    view = JsonView(SafeStream(stream))
    view.listen(started())
    view.listen(done(0, float("inf")))
    assert read_json(stream)[-1]["score"] is None


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (InputError("It is not a video.", name="x.mp4", hint="look at it"), 3, "It is not a video."),
        (KeyboardInterrupt(), 130, "Stopped before the end."),
        (RuntimeError("oops"), 1, "RuntimeError: oops"),
    ],
)
def test_json_ends_with_the_error(error: BaseException, code: int, reason: str) -> None:
    stream = io.StringIO()
    with pytest.raises(type(error)), JsonView(SafeStream(stream)):
        raise error
    last = read_json(stream)[-1]
    assert (last["type"], last["exit_code"], last["error"]) == ("error", code, reason)


# Streams that fail


@pytest.fixture
def broken_pipe() -> Iterator[io.TextIOWrapper]:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        yield stream


@pytest.mark.parametrize("make", [PlainView, JsonView, lambda stream: DashboardView(stream, preview=True)])
def test_a_closed_pipe_silences_the_view(
    make: Callable[[SafeStream], ProgressView], broken_pipe: io.TextIOWrapper
) -> None:
    stream = SafeStream(broken_pipe)
    with make(stream) as view:
        view.listen(started())
        view.listen(Note("nobody hears this"))
        view.listen(done(0))
        view.listen(FINISHED)
    assert stream.closed
    broken_pipe.write("later")
    broken_pipe.flush()  # what Python does at exit no longer fails


def test_a_closed_stream_silences_the_view() -> None:
    stream = io.StringIO()
    stream.close()
    view = make_view("plain", stream=stream)
    view.listen(started())


# The dashboard


def draw(
    run: RunStarted, frames: list[FrameDone], width: int, height: int = 40, encoding: str = "utf-8"
) -> tuple[Dashboard, list[str]]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(
        file=file,
        width=width,
        height=height,
        force_terminal=True,
        color_system="truecolor",
        legacy_windows=False,
        _environ={},
    )
    dashboard = Dashboard(run, console, True)
    for frame in frames:
        dashboard.take(frame, 5.0)
    dashboard.take(StageTimes({"decode": 1.0, "stylize": 3.0}), 5.0)
    console.print(dashboard)
    file.flush()
    return dashboard, plain(raw.getvalue().decode(encoding)).splitlines()


def plain(text: str) -> str:
    """`text` without colours."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


FRAMES = [done(0), done(1, 1.2, "repaired"), done(2, 1.4, "kept"), done(3)]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_dashboard_fits_every_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "none")
    _, lines = draw(started(8, input="x" * 300 + "[b].mp4"), FRAMES, width)
    assert len(lines) == 5
    assert all(len(line) <= width for line in lines)
    assert "50%" in lines[1]
    assert lines[2].startswith("4/8 frames")
    assert lines[4].strip() == "2 flagged · 1 repaired · 1 kept"


def test_dashboard_names_what_limits_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "none")
    _, lines = draw(started(8), FRAMES, 80)
    assert "stylize 75%" in lines[2]


def test_dashboard_shows_scores_under_the_part_of_the_bar_they_belong_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "none")
    _, lines = draw(started(8), FRAMES, 80)
    assert lines[3].rstrip() == "▁▇█▁"


def test_dashboard_without_unicode_is_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDSTYLE_GRAPHICS", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    _, lines = draw(started(None), FRAMES, 60, encoding="ascii")
    assert lines[0].startswith("in.mp4 -> in.oil.mp4")
    assert "\n".join(lines).isascii()


def test_dashboard_takes_markup_in_names_literally(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "none")
    _, lines = draw(started(input="dir/[red]a\x1b[2J.mp4"), FRAMES, 80)
    assert lines[0].startswith("[red]a?[2J.mp4 → in.oil.mp4")


def test_dashboard_shows_both_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "blocks")
    picture = np.full((9, 16, 3), 200, np.uint8)
    frame = FrameDone(0, 0.0, 0.1, False, "none", picture, picture)
    dashboard, lines = draw(started(8), [frame], 80)
    assert sum(set(line.strip()) == {"▀"} for line in lines) > 5
    assert lines[-1].split() == ["source", "oil"]
    assert all(len(line) <= 80 for line in lines)
    assert dashboard.preview_size is not None


@pytest.mark.parametrize(("width", "height"), [(20, 40), (80, 9)])
def test_dashboard_leaves_pictures_out_where_there_is_no_room(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "blocks")
    picture = np.full((9, 16, 3), 200, np.uint8)
    dashboard, lines = draw(
        started(8), [FrameDone(0, 0.0, 0.1, False, "none", picture, picture)], width, height
    )
    assert dashboard.preview_size is None
    assert len(lines) == 5


def test_dashboard_starts_further_up_when_the_terminal_got_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "none")
    raw = io.StringIO()
    console = Console(file=raw, width=80, height=40, force_terminal=True, _environ={})
    dashboard = Dashboard(started(8), console, True)
    console.print(dashboard)
    assert "\x1b[J" not in raw.getvalue()
    console.width = 40
    console.print(dashboard)
    assert "\x1b[1A\r\x1b[J" in raw.getvalue()  # of five lines only the bar was longer than 40


def test_pictures_are_due_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSTYLE_GRAPHICS", "blocks")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "40")
    time = Time()
    monkeypatch.setattr("vidstyle.progress.dashboard.time.monotonic", time)
    with DashboardView(SafeStream(io.StringIO()), preview=True) as view:
        assert view.preview_due() is None  # nothing runs yet
        view.listen(started())
        assert view.preview_due() is not None
        assert view.preview_due() is None
        time.now += 0.3
        assert view.preview_due() is not None


def test_no_preview_asks_for_no_pictures() -> None:
    with DashboardView(SafeStream(io.StringIO()), preview=False) as view:
        view.listen(started())
        assert view.preview_due() is None


def test_views_do_not_import_what_is_heavy() -> None:
    import subprocess

    code = "import vidstyle.progress.dashboard, sys; print({'torch', 'av', 'cv2'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
