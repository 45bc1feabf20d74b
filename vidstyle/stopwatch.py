"""How long each stage works: the stage with the most seconds limits the speed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")


class Stopwatch:
    """Seconds of work by stage, waiting for the stage before not counted."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def stage(
        self, name: str, run: Callable[[Iterable[In]], Generator[Out, None, None]], items: Iterable[In]
    ) -> Generator[Out, None, None]:
        """`run(items)`, timed under `name`. Closing it closes the stage and then `items`."""
        self.seconds.setdefault(name, 0.0)
        waited = _Waited(items)
        stage = run(waited)
        try:
            while True:
                started, before = time.perf_counter(), waited.seconds
                try:
                    item = next(stage)
                except StopIteration:
                    return
                finally:
                    self.seconds[name] += time.perf_counter() - started - (waited.seconds - before)
                yield item
        finally:
            stage.close()
            waited.close()

    def add(self, name: str, seconds: float) -> None:
        """Count work that is not a stage of its own."""
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds


class _Waited(Iterable[In]):
    """Passes items on and counts the seconds they took to come."""

    def __init__(self, items: Iterable[In]) -> None:
        self._items = items
        self._iterator = iter(items)
        self.seconds = 0.0

    def __iter__(self) -> _Waited[In]:
        return self

    def __next__(self) -> In:
        started = time.perf_counter()
        try:
            return next(self._iterator)
        finally:
            self.seconds += time.perf_counter() - started

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()
