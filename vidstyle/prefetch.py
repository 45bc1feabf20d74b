"""Run an iterable in a thread of its own, a bounded number of items ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

_END = object()
_POLL_SECONDS = 0.1
_ALIVE_SECONDS = 1.0


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def prefetch(items: Iterable[Item], depth: int, *, name: str = "prefetch") -> Generator[Item, None, None]:
    """Yield `items` unchanged and in order while a thread computes up to `depth` of them ahead.

    An error in the thread is raised here with its own traceback. Closing the generator (do it: see `pipeline.py`)
    stops the thread, closes `items` and waits for both, so no thread outlives its consumer.
    """
    if depth < 1:
        raise ValueError(f"depth must be at least 1, got {depth}")
    return _prefetch(items, queue.Queue(maxsize=depth), threading.Event(), name)


def _prefetch(
    items: Iterable[Item], slots: queue.Queue[object], stop: threading.Event, name: str
) -> Generator[Item, None, None]:
    thread = threading.Thread(target=_work, args=(items, slots, stop), name=name, daemon=True)
    thread.start()
    try:
        while (item := _get(slots, thread)) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


def _work(items: Iterable[Item], slots: queue.Queue[object], stop: threading.Event) -> None:
    try:
        for item in items:
            if not _put(slots, item, stop):
                return
        _put(slots, _END, stop)
    except BaseException as error:  # noqa: BLE001 - handed over to the consumer, whatever it is
        _put(slots, _Failure(error), stop)
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def _get(slots: queue.Queue[object], thread: threading.Thread) -> object:
    """Wait for an item; one who waits for a thread that died (of memory, say, as it handed its error over) hangs."""
    while True:
        try:
            return slots.get(timeout=_ALIVE_SECONDS)
        except queue.Empty:
            if not thread.is_alive() and slots.empty():
                raise RuntimeError(f"the thread {thread.name} died") from None


def _put(slots: queue.Queue[object], item: object, stop: threading.Event) -> bool:
    """Wait for a free slot; False when the consumer has gone."""
    while not stop.is_set():
        try:
            slots.put(item, timeout=_POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False
