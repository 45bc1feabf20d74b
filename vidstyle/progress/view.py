"""The view that shows nothing, which the others build upon, and a stream that cannot fail."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Self, TextIO

from vidstyle.events import Event


class ProgressView:
    """A context manager whose `listen` is the run's listener. This one is silent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was found; an exception passes through."""

    def listen(self, event: Event) -> None:
        """Take note of `event`. Costs microseconds: drawing happens by time, elsewhere."""

    def preview_due(self) -> tuple[int, int] | None:
        """Width, height in pixels of the box that the next FrameDone's pictures should fit into, by time; else None.

        A size counts as having been asked for.
        """
        return None


class SafeStream:
    """A text stream that swallows everything once its reader is gone (a closed pipe, a lost terminal)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.closed = False
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write what the stream's encoding can hold, '?' for the rest."""
        if not self.closed:
            try:
                self._stream.write(text.encode(self.encoding, "replace").decode(self.encoding))
            except (OSError, ValueError):
                self._fall_silent()
        return len(text)

    def flush(self) -> None:
        if not self.closed:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._fall_silent()

    def isatty(self) -> bool:
        try:
            return self._stream.isatty()
        except ValueError:  # already closed
            return False

    def fileno(self) -> int:
        return self._stream.fileno()

    def _fall_silent(self) -> None:
        """Never try again; and send what Python still holds in its buffer nowhere.

        Otherwise the interpreter's flush at exit fails and turns the exit code into 120.
        """
        self.closed = True
        try:
            target = self.fileno()
            nowhere = os.open(os.devnull, os.O_WRONLY)
        except (OSError, ValueError):
            return
        os.dup2(nowhere, target)
        os.close(nowhere)
