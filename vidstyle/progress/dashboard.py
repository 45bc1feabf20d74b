"""The view for terminals: a dashboard at the foot of the screen, redrawn by time.

holiday.mp4 → holiday.oil.mp4  oil · cpu
━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸━━━━━━━━━━━━━━━━━━━━━━━━━━━ 61%
112/184 frames · 3.4 fps · 0:21 left · stylize 71%
▁▁▁▂▁▁▁▁▁▇▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
3 flagged · 2 repaired · 1 kept
(the source and its painting, side by side)
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType, Segment
from rich.table import Column, Table
from rich.text import Text

from vidstyle import preview
from vidstyle.events import Event, FrameDone, Note, RunFinished, RunStarted, StageTimes
from vidstyle.progress.tally import Tally, found, outcome, pace, printable, subject
from vidstyle.progress.view import ProgressView, SafeStream

PREVIEW_INTERVAL = {"kitty": 0.25, "blocks": 0.25, "sixel": 1.0, "none": float("inf")}
"""Seconds between two pictures of the preview: sixels take tenths of a second to encode."""
PREVIEW_ROWS = 14
"""The most rows of the screen that pictures take."""

COLORS = {None: 0, "standard": 16, "windows": 16, "256": 256, "truecolor": 1 << 24}
_MARKS = "▁▂▃▄▅▆▇█"
_ASCII_MARKS = "_.-:=+*#"
_IMAGE = 7_160_233
"""Number of the preview among the terminal's kitty images; any that others are unlikely to use."""
_VERBATIM = [(ControlType.CURSOR_FORWARD, 0)]  # rich hands segments with any control code through as they are


class DashboardView(ProgressView):
    """Draws with rich.live; what is printed meanwhile, notes too, appears above."""

    def __init__(self, stream: SafeStream, *, preview: bool) -> None:
        self._stream = stream
        self._console = Console(file=cast(IO[str], _Whole(stream)))
        self._pictures = preview
        self._dashboard: Dashboard | None = None
        self._live: Live | None = None
        self._asked = float("-inf")

    def __exit__(self, *details: object) -> None:
        """Stop drawing; a run that did not finish leaves its bar, which shows how far it came."""
        self._stop(keep=True)

    def preview_due(self) -> tuple[int, int] | None:
        now = time.monotonic()
        if self._dashboard is None or now - self._asked < PREVIEW_INTERVAL[self._dashboard.graphics]:
            return None
        self._asked = now
        return self._dashboard.preview_size

    def listen(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._start(event)
            case FrameDone() | StageTimes() if self._dashboard:
                self._dashboard.take(event, time.monotonic())
            case Note():
                note = Text.assemble(("note: ", "yellow"), printable(event.text))
                self._console.print(note)
            case RunFinished():
                self._stop(keep=False)
                self._summarise(event)

    def _start(self, run: RunStarted) -> None:
        self._stop(keep=True)
        self._dashboard = Dashboard(run, self._console, self._pictures)
        self._live = Live(
            self._dashboard,
            console=self._console,
            # Sixels have to be sent again with every redraw, which erases them: half as often is smooth enough.
            refresh_per_second=4 if self._dashboard.graphics == "sixel" else 8,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=sys.stderr.isatty(),
            vertical_overflow="crop",
        )
        self._live.start(refresh=True)

    def _stop(self, *, keep: bool) -> None:
        if self._live is None or self._dashboard is None:
            return
        self._dashboard.drop_pictures()
        self._live.transient = not keep
        self._live.stop()
        self._live = self._dashboard = None

    def _summarise(self, run: RunFinished) -> None:
        mark = "✓ " if _speaks_unicode(self._console) else ""
        text = Text.assemble((mark, "bold green"), (printable(subject(run)), "bold"), "\n  ")
        text.append(
            _separator(self._console).join(outcome(run)), style="red" if run.flagged > run.repaired else ""
        )
        for line in found(run):
            text.append(f"\n    {line}", style="dim")
        if run.log:
            text.append(f"\n  log {printable(run.log)}", style="dim")
        self._console.print(text, soft_wrap=True)  # names stay whole, to be copied


class Dashboard:
    """A rich renderable that shows one run. `take` is called by the pipeline, drawing happens in rich's thread."""

    def __init__(self, run: RunStarted, console: Console, pictures: bool) -> None:
        colors = COLORS.get(console.color_system, 0)
        self.graphics = preview.choose_graphics(os.environ, colors) if pictures else "none"
        self._truecolor = colors > 256
        self._unicode = _speaks_unicode(console)
        if self.graphics == "blocks" and not self._unicode:
            self.graphics = "none"
        self._console = console
        self._lock = threading.Lock()
        self._tally = Tally(run, time.monotonic())
        self._pictures: tuple[np.ndarray, np.ndarray] | None = None
        self._received = 0
        self._drawn: tuple[object, list[str]] = (None, [])
        self._lengths: list[int] = []

    @property
    def preview_size(self) -> tuple[int, int] | None:
        """Width, height in pixels of one pane; None where there is no room for pictures."""
        pane, cell = self._pane(), self._cell()
        return (pane[0] * cell[0], pane[1] * cell[1]) if pane else None

    def take(self, event: FrameDone | StageTimes, now: float) -> None:
        """Count `event` at `now` (seconds of time.monotonic()); it is seen at the next redraw."""
        with self._lock:
            if isinstance(event, StageTimes):
                self._tally.stage_seconds = dict(event.seconds)
                return
            self._tally.add(event, now)
            if event.source is not None and event.picture is not None and self.graphics != "none":
                self._pictures = event.source, event.picture
                self._received += 1

    def drop_pictures(self) -> None:
        """Show none from now on."""
        with self._lock:
            shown, self.graphics, self._pictures = self.graphics, "none", None
        if shown == "kitty":
            self._console.control(_Verbatim(preview.kitty_forget(_IMAGE)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        with self._lock:
            lines = list(self._lines(width, options.ascii_only))
            pictures = self._pictures
        single = options.update(no_wrap=True, overflow="ellipsis", height=1)
        rows = [console.render_lines(line, single, pad=False)[0] for line in lines]
        lengths = [Segment.get_line_length(row) for row in rows]
        pane = self._pane()
        if pictures and pane:
            shown, over = self._draw(pictures, pane)
            rows += [[Segment(text, None, _VERBATIM)] for text in shown]
            [caption] = console.render_lines(self._caption(pane[0]), single, pad=False)
            rows.append([*caption, Segment(over, None, _VERBATIM)])
            lengths += [2 * pane[0] + 1] * (len(shown) + 1)
        # A narrowed terminal has wrapped what it showed: start that many rows further up.
        if folds := sum(-(-length // width) - 1 for length in self._lengths if length):
            rows[0] = [Segment(f"\x1b[{folds}A\r\x1b[J", None, _VERBATIM), *rows[0]]
        self._lengths = lengths
        for row in rows:
            yield from row
            yield Segment.line()

    def _lines(self, width: int, ascii_only: bool) -> Iterator[RenderableType]:
        tally = self._tally
        dot = _separator(self._console)
        arrow = " → " if self._unicode else " -> "
        run = tally.run
        yield Text.assemble(
            (printable(Path(run.input).name), "bold"),
            (arrow, "dim"),
            (printable(Path(subject(run)).name), "bold"),
            (f"  {printable(run.style or 'check')}{dot}{printable(run.device)}", "dim"),
        )
        percent = f"{tally.fraction:5.0%}" if tally.fraction is not None else ""
        bar = Table.grid(Column(), Column(justify="right"))
        bar.add_row(
            ProgressBar(tally.total or 0, tally.done, width=max(width - 5, 1), pulse=not tally.total), percent
        )
        yield bar
        words = pace(tally)
        if slowest := tally.bottleneck:
            words.append(f"{printable(slowest[0])} {slowest[1]:.0%} of the work")
        yield Text(_fit(words, dot, width))
        yield self._strip(width - 5, ascii_only)
        yield Text(dot).join(
            Text(f"{count} {name}", style=style if count else "dim")
            for count, name, style in (
                (tally.flagged, "flagged", "yellow"),
                (tally.repaired, "repaired", "green"),
                (tally.kept, "kept", "bold red"),
            )
        )

    def _strip(self, width: int, ascii_only: bool) -> Text:
        """The anomaly scores so far: height by score, colour by threshold, under the part of the bar they belong to."""
        marks = _ASCII_MARKS if ascii_only else _MARKS
        share = self._tally.fraction
        strip = Text(no_wrap=True)
        for score in self._tally.scores.columns(max(1, round(width * share) if share is not None else width)):
            level = max(0, min(len(marks) - 1, int(score / 1.5 * len(marks))))
            strip.append(marks[level], "red" if score >= 1 else "yellow" if score >= 0.6 else "green")
        return strip

    def _draw(self, pictures: tuple[np.ndarray, np.ndarray], pane: tuple[int, int]) -> tuple[list[str], str]:
        """Rows of the screen for both pictures, and what to write in the line below to draw over these rows.

        A picture is encoded anew only when it or its space changed.
        """
        rows, cell = pane[1], self._cell()
        key = (self._received, pane, cell)
        fresh = key != self._drawn[0]
        if fresh:
            self._drawn = key, self._encode(preview.side_by_side(*pictures, pane, cell))
        encoded = self._drawn[1]
        if self.graphics == "blocks":
            return encoded, ""
        if self.graphics == "sixel":
            return [""] * rows, preview.drawn_above(encoded[0], rows)
        show = preview.kitty_show(_IMAGE, 2 * pane[0] + 1, rows)
        return [""] * rows, preview.drawn_above((encoded[0] if fresh else "") + show, rows)

    def _encode(self, picture: np.ndarray) -> list[str]:
        if self.graphics == "blocks":
            return preview.blocks(picture, truecolor=self._truecolor)
        if self.graphics == "sixel":
            return [preview.sixel(picture)]
        return [preview.kitty_send(picture, _IMAGE)]

    def _caption(self, columns: int) -> Text:
        style = printable(self._tally.run.style or "stylised")
        return Text(
            "source".center(columns)[:columns] + " " + Path(style).name.center(columns)[:columns], style="dim"
        )

    def _pane(self) -> tuple[int, int] | None:
        """Columns, rows of one picture; None where there is no room (or no way) to show any."""
        if self.graphics == "none":
            return None
        width, height = self._console.size
        rows = min(height - 8, PREVIEW_ROWS)
        if width < 24 or rows < 3 or min(self._tally.run.size) < 1:
            return None
        cell = preview.cell_size(_descriptor(self._console)) if self.graphics != "blocks" else (1, 2)
        return preview.pane_cells(self._tally.run.size, (width - 1, rows), cell)

    def _cell(self) -> tuple[int, int]:
        """Pixels to draw per cell."""
        if self.graphics == "blocks":
            return 1, 2
        width, height = preview.cell_size(_descriptor(self._console))
        # kitty enlarges what it is sent: a quarter of the bytes looks as good in motion.
        return (max(width // 2, 1), max(height // 2, 1)) if self.graphics == "kitty" else (width, height)


class _Whole:
    """A stream whose every write a terminal shows at once, so that erasing and drawing again does not flicker.

    rich hands over one redraw as one text. Terminals that do not know synchronized updates ignore the marks.
    """

    def __init__(self, stream: SafeStream) -> None:
        self._stream = stream
        self.encoding = stream.encoding
        self.flush, self.isatty, self.fileno = stream.flush, stream.isatty, stream.fileno

    def write(self, text: str) -> int:
        if "\x1b[2K" in text:  # a redraw, not a line that stays
            text = f"\x1b[?2026h{text}\x1b[?2026l"
        return self._stream.write(text)


class _Verbatim(Control):
    """Characters for the terminal that rich is not to touch."""

    def __init__(self, text: str) -> None:
        self.segment = Segment(text, None, _VERBATIM)


def _fit(words: list[str], separator: str, width: int) -> str:
    """As many of `words`, from the first on, as go into `width` columns."""
    while len(words) > 1 and cell_len(separator.join(words)) > width:
        words = words[:-1]
    return separator.join(words)


def _speaks_unicode(console: Console) -> bool:
    return console.encoding.lower().startswith("utf")


def _separator(console: Console) -> str:
    return " · " if _speaks_unicode(console) else ", "


def _descriptor(console: Console) -> int:
    try:
        return console.file.fileno()
    except (OSError, ValueError):
        return -1
