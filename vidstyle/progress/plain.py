"""Views for files, pipes and other programs: lines of text, lines of JSON."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from types import TracebackType

from vidstyle.errors import VidstyleError
from vidstyle.events import Event, FlaggedFrame, FrameDone, Note, RunFinished, RunStarted, StageTimes
from vidstyle.progress.tally import Tally, found, outcome, pace, printable, subject
from vidstyle.progress.view import ProgressView, SafeStream

Clock = Callable[[], float]


class PlainView(ProgressView):
    """A line at the start, now and then one on the way, notes, and a summary. ASCII but for names; no escapes."""

    def __init__(self, stream: SafeStream, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._tally: Tally | None = None
        self._last_time = 0.0
        self._last_tenth = 0

    def listen(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case FrameDone():
                self._count(event)
            case Note():
                self._say(f"note: {event.text}")
            case RunFinished():
                log = [f"log {event.log}"] if event.log else []
                self._say(f"{subject(event)}: {', '.join(outcome(event) + log)}")
                for line in found(event):
                    self._say(f"  {line}")
                self._tally = None

    def _start(self, run: RunStarted) -> None:
        now = self._clock()
        self._tally = Tally(run, now)
        self._last_time, self._last_tenth = now, _tenth(self._tally)
        width, height = run.size
        resumed = f", resumed at frame {run.resumed_at}" if run.resumed_at else ""
        facts = f"{run.style or 'check'}, {width}x{height}, {run.device}{resumed}"
        self._say(f"{_files(run)} ({facts})")

    def _count(self, frame: FrameDone) -> None:
        if self._tally is None:
            return
        now = self._clock()
        self._tally.add(frame, now)
        waited = now - self._last_time
        tenth = _tenth(self._tally)
        if waited < 1 or (waited < 10 and tenth <= self._last_tenth):
            return
        self._last_time, self._last_tenth = now, tenth
        percent = [f"{self._tally.fraction:4.0%}"] if self._tally.fraction is not None else []
        found = [f"{self._tally.flagged} flagged"] if self._tally.flagged else []
        self._say(", ".join(percent + pace(self._tally) + found))

    def _say(self, line: str) -> None:
        self._stream.write(printable(line) + "\n")
        self._stream.flush()


def _files(run: RunStarted) -> str:
    target = f" -> {run.output}" if run.output else ""
    return f"{run.input}{target}" if not run.stylised else f"{run.stylised} against {run.input}{target}"


def _tenth(tally: Tally) -> int:
    """How many tenths of the way are done."""
    return tally.done * 10 // tally.total if tally.total else 0


class JsonView(ProgressView):
    """One JSON object a line for programs that start vidstyle, on standard output. Every object has a "type":

    started   input, output, style, device: strings; width, height: pixels; frames: how many will be written, or
              null; seconds: the input's length, or null; resumed_at: frames done by an earlier run; stylised: the
              video that `vidstyle check` looks at, or null: style is null then, and output if none is written
    progress  at most five a second. frame: index of the newest frame; time: its presentation time in seconds;
              done: frames done, of frames (or null); fps, seconds_left: or null; score: the highest since the
              last such line (1.0 = threshold); flagged, repaired, kept: counted since the start
    stages    at most one a second. seconds: how long each stage has worked, by name
    note      text: something the user should know
    finished  output, log (or null): paths; frames, flagged, repaired, kept: counts; seconds; stages: as above;
              stylised: as above; unpaired: those of its frames that could not be checked; first_flagged: the first
              few flagged frames, each with frame, time, score, reasons, region (x, y, width, height or null) and
              action as in the log
    error     error: what went wrong, a sentence; hint: what to do, or null; name: what it is about, or null;
              exit_code: what the process will end with

    A run ends with "finished" or the stream ends with "error". New fields may be added; none will change its
    meaning.
    """

    def __init__(self, stream: SafeStream, clock: Clock = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._tally: Tally | None = None
        self._next_progress = self._next_stages = 0.0
        self._worst = 0.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, VidstyleError):
            self._write(
                "error", error=error.reason, hint=error.hint, name=error.name, exit_code=error.exit_code
            )
        elif isinstance(error, KeyboardInterrupt):
            self._write("error", error="Stopped before the end.", hint=None, name=None, exit_code=130)
        elif error is not None and not (isinstance(error, SystemExit) and not error.code):
            reason = f"{type(error).__name__}: {error}"
            self._write("error", error=reason, hint=None, name=None, exit_code=1)

    def listen(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._tally = Tally(event, self._clock())
                self._write(
                    "started",
                    input=event.input,
                    output=event.output,
                    style=event.style,
                    device=event.device,
                    width=event.size[0],
                    height=event.size[1],
                    frames=event.frames_hint,
                    seconds=event.seconds_hint,
                    resumed_at=event.resumed_at,
                    stylised=event.stylised,
                )
            case FrameDone():
                self._count(event)
            case StageTimes():
                if self._clock() >= self._next_stages:
                    self._next_stages = self._clock() + 1
                    self._write("stages", seconds=event.seconds)
            case Note():
                self._write("note", text=event.text)
            case RunFinished():
                self._write(
                    "finished",
                    output=event.output,
                    log=event.log,
                    frames=event.frames,
                    flagged=event.flagged,
                    repaired=event.repaired,
                    kept=event.kept,
                    seconds=event.seconds,
                    stages=event.stage_seconds,
                    stylised=event.stylised,
                    unpaired=event.unpaired,
                    first_flagged=[_flagged(frame) for frame in event.first_flagged],
                )

    def _count(self, frame: FrameDone) -> None:
        if self._tally is None:
            return
        tally, now = self._tally, self._clock()
        tally.add(frame, now)
        self._worst = max(self._worst, frame.score)
        if now < self._next_progress:
            return
        self._next_progress = now + 0.2
        self._write(
            "progress",
            frame=frame.index,
            time=frame.seconds,
            done=tally.done,
            frames=tally.total,
            fps=tally.fps,
            seconds_left=tally.seconds_left,
            score=self._worst,
            flagged=tally.flagged,
            repaired=tally.repaired,
            kept=tally.kept,
        )
        self._worst = 0.0

    def _write(self, kind: str, **fields: object) -> None:
        # ASCII escapes carry any name, lone surrogates too, through any encoding.
        self._stream.write(json.dumps({"type": kind, **{k: _plain(v) for k, v in fields.items()}}) + "\n")
        self._stream.flush()


def _flagged(frame: FlaggedFrame) -> dict[str, object]:
    return {
        "frame": frame.index,
        "time": frame.seconds,
        "score": frame.score,
        "reasons": frame.reasons,
        "region": frame.region,
        "action": frame.action,
    }


def _plain(value: object) -> object:
    """Numbers rounded to what means something; NaN and infinity, which JSON does not know, as null."""
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
