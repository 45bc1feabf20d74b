"""Counting events, and putting the counts into words."""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Mapping

from vidstyle.events import FlaggedFrame, FrameDone, RunFinished, RunStarted

_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode categories that could move the cursor, reorder a line or not be encoded."""


class Tally:
    """The state of one run, in bounded memory however long the video is."""

    def __init__(self, run: RunStarted, now: float) -> None:
        self.run = run
        self.total = run.frames_hint
        self.done = run.resumed_at
        self.flagged = self.repaired = self.kept = 0
        self.scores = ScoreStrip()
        self.stage_seconds: Mapping[str, float] = {}
        self._moments = deque([(now, self.done)], maxlen=64)

    def add(self, frame: FrameDone, now: float) -> None:
        """Count one frame that went to the encoder at `now` (seconds of time.monotonic())."""
        self.done += 1
        if self.total is not None and self.done > self.total:
            self.total = None  # the hint was wrong, as hints may be
        self.flagged += frame.flagged
        self.repaired += frame.action in ("repaired", "restyled")
        self.kept += frame.action == "kept"
        self.scores.add(frame.score)
        if now - self._moments[-1][0] >= 0.25:
            self._moments.append((now, self.done))
            while len(self._moments) > 8 and now - self._moments[0][0] > 15:
                self._moments.popleft()

    @property
    def fraction(self) -> float | None:
        """How much is done, in [0, 1]; None where the total is unknown."""
        return self.done / self.total if self.total else None

    @property
    def fps(self) -> float | None:
        """Frames per second over about the last quarter of a minute; None until that can be told."""
        (first, before), (last, after) = self._moments[0], self._moments[-1]
        return (after - before) / (last - first) if after > before else None

    @property
    def seconds_left(self) -> float | None:
        rate = self.fps
        return (self.total - self.done) / rate if rate and self.total is not None else None

    @property
    def bottleneck(self) -> tuple[str, float] | None:
        """The stage that limits the speed and its share of all stages' work, in [0, 1]."""
        everything = sum(self.stage_seconds.values())
        if everything <= 0:
            return None
        name = max(self.stage_seconds, key=lambda stage: self.stage_seconds[stage])
        return name, self.stage_seconds[name] / everything


class ScoreStrip:
    """Every frame's anomaly score, kept as the maximum of equally long runs of frames; at most `capacity` runs."""

    def __init__(self, capacity: int = 512) -> None:
        self.capacity = capacity
        self.bins: list[float] = []
        self._frames_per_bin = 1
        self._room = 0

    def add(self, score: float) -> None:
        if self._room:
            self.bins[-1] = max(self.bins[-1], score)
            self._room -= 1
            return
        if len(self.bins) == self.capacity:
            self.bins = [max(self.bins[i : i + 2]) for i in range(0, self.capacity, 2)]
            self._frames_per_bin *= 2
        self.bins.append(score)
        self._room = self._frames_per_bin - 1

    def columns(self, width: int) -> list[float]:
        """The scores in at most `width` columns, each the worst of the frames it stands for."""
        count = len(self.bins)
        width = min(width, count)
        return [max(self.bins[i * count // width : (i + 1) * count // width]) for i in range(width)]


def printable(text: str) -> str:
    """`text` with '?' for everything that could disturb a terminal: control characters, lone surrogates."""
    return "".join("?" if unicodedata.category(letter) in _INVISIBLE else letter for letter in text)


def clock(seconds: float) -> str:
    """A length of time as a stopwatch shows it: 0:07, 12:34, 1:02:03."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def speed(fps: float) -> str:
    """A rate with as many digits as mean something."""
    return f"{fps:.0f} fps" if fps >= 20 else f"{fps:.1f} fps" if fps >= 1 else f"{fps:.2f} fps"


def plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def pace(tally: Tally) -> list[str]:
    """How far and how fast, the most important first: "112/184 frames", "3.4 fps", "0:21 left"."""
    words = [f"{tally.done}/{plural(tally.total, 'frame')}" if tally.total else plural(tally.done, "frame")]
    if tally.fps is not None:
        words.append(speed(tally.fps))
    if tally.seconds_left is not None:
        words.append(f"{clock(tally.seconds_left)} left")
    return words


def subject(run: RunStarted | RunFinished) -> str:
    """The file that a run is about: its output, or the video that is only checked."""
    return run.output or run.stylised or ""


def found(run: RunFinished) -> list[str]:
    """The first flagged frames, a line each: "frame 41 at 1.640 s: noise, score 9.1, repaired"."""
    lines = [_found(frame) for frame in run.first_flagged]
    if lines and run.flagged > len(lines):
        lines.append(f"and {run.flagged - len(lines)} more")
    return lines


def _found(frame: FlaggedFrame) -> str:
    words = [" and ".join(frame.reasons) or "flagged", f"score {frame.score:.1f}"]
    if frame.region:
        x, y, width, height = frame.region
        words[0] += f" in {width}x{height} at {x},{y}"
    if frame.action != "none":
        words.append(frame.action)
    return f"frame {frame.index} at {frame.seconds:.3f} s: {', '.join(words)}"


def outcome(run: RunFinished) -> list[str]:
    """What came of a run: "184 frames in 0:54 (3.4 fps)", "3 flagged", "2 repaired", "1 kept".

    Where none was flagged or no frame was looked at, "none flagged" or "not checked"; without an output nothing is
    repaired or kept.
    """
    length = clock(run.seconds) if run.seconds >= 10 else f"{run.seconds:.1f} s"
    rate = f" ({speed(run.frames / run.seconds)})" if run.seconds > 0 and run.frames > 1 else ""
    count = (
        f"{plural(run.frames - run.unpaired, 'frame')} checked"
        if run.stylised
        else plural(run.frames, "frame")
    )
    words = [f"{count} in {length}{rate}"]
    if not run.checked:
        return [*words, "not checked"]
    if not run.flagged:
        return [*words, "none flagged"]
    words.append(f"{run.flagged} flagged")
    return words if run.output is None else [*words, f"{run.repaired} repaired", f"{run.kept} kept"]
