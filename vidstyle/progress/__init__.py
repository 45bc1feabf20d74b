"""What the user sees while a run is under way.

    with make_view("auto", preview=None) as view:
        run(..., listener=view.listen)

events.py's facts go in; a dashboard, plain lines, JSON lines or nothing comes out. Views never stop the work: when
nobody reads their stream any more they fall silent.
"""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO

from vidstyle.errors import UsageError
from vidstyle.progress.plain import JsonView, PlainView
from vidstyle.progress.tally import printable
from vidstyle.progress.view import ProgressView, SafeStream

__all__ = ["Mode", "ProgressView", "make_view", "printable"]

Mode = Literal["auto", "rich", "plain", "json", "none"]


def make_view(
    mode: Mode = "auto", *, preview: bool | None = None, stream: TextIO | None = None
) -> ProgressView:
    """The view for `mode`; "auto" draws where `stream` is a terminal that can, and writes lines elsewhere.

    preview  False never shows pictures; None and True show them where the terminal can.
    stream   where to write; standard error unless given, standard output for "json".

    Raises UsageError for an unknown mode.
    """
    if mode == "none":
        return ProgressView()
    if mode == "json":
        return JsonView(SafeStream(stream or sys.stdout))
    safe = SafeStream(stream or sys.stderr)
    if mode == "auto":
        mode = "rich" if safe.isatty() and os.environ.get("TERM") not in (None, "", "dumb") else "plain"
    if mode == "plain":
        return PlainView(safe)
    if mode == "rich":
        from vidstyle.progress.dashboard import DashboardView

        return DashboardView(safe, preview=preview is not False)
    raise UsageError(f"unknown progress view {mode!r}", hint="choose one of auto, rich, plain, json and none")
