"""What `vidstyle learn` shows: a bar with the time left on a terminal, else a line now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from vidstyle.progress.tally import printable

if TYPE_CHECKING:
    from vidstyle.training.tuning import Progress as Tuning

SECONDS_BETWEEN_LINES = 30.0


class LearningView:
    """`tell` takes the progress, `say` a sentence."""

    def __init__(self, quiet: bool, bar: Progress | None) -> None:
        self._quiet, self._bar = quiet, bar
        self._task: TaskID | None = None
        self._next_line = SECONDS_BETWEEN_LINES

    def tell(self, at: Tuning) -> None:
        gone = 1 - at.distance / at.first_distance
        if self._bar is not None:
            if self._task is None:
                self._task = self._bar.add_task("learn", total=at.of, figures="")
            figures = f"{at.steps} steps, style distance {-gone:+.0%}"
            self._bar.update(self._task, completed=at.seconds, figures=figures)
        elif at.seconds >= self._next_line:
            self._next_line = at.seconds + SECONDS_BETWEEN_LINES
            self.say(f"{at.of - at.seconds:.0f} s left, {at.steps} steps, style distance {-gone:+.0%}")

    def say(self, text: str) -> None:
        if self._quiet:
            return
        line = printable(f"vidstyle: {text}")
        with suppress(OSError, ValueError):
            if self._bar is not None:
                self._bar.console.print(line, highlight=False, markup=False)
            else:
                print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the terminal view


@contextmanager
def learning_view(quiet: bool) -> Iterator[LearningView]:
    if quiet or not sys.stderr.isatty():
        yield LearningView(quiet, None)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield LearningView(quiet, bar)
