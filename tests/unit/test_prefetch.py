import threading
import time
from collections.abc import Iterator

import pytest

from vidstyle.prefetch import prefetch


def test_items_come_unchanged_and_in_order() -> None:
    assert list(prefetch(range(100), depth=3)) == list(range(100))


def test_runs_at_most_depth_items_ahead() -> None:
    produced = []

    def source() -> Iterator[int]:
        for item in range(100):
            produced.append(item)
            yield item

    stream = prefetch(source(), depth=2)
    next(stream)
    time.sleep(0.2)
    # one handed out, two waiting, one in the thread's hands
    assert len(produced) <= 4
    stream.close()


def test_an_error_arrives_with_its_own_traceback() -> None:
    def source() -> Iterator[int]:
        yield 1
        raise KeyError("broken in the thread")

    stream = prefetch(source(), depth=2)
    assert next(stream) == 1
    with pytest.raises(KeyError, match="broken in the thread") as caught:
        next(stream)
    assert any(entry.name == "source" for entry in caught.traceback)


def test_closing_closes_the_source_and_ends_the_thread() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(10**9)
        finally:
            closed.set()

    stream = prefetch(source(), depth=2, name="prefetch-test")
    next(stream)
    stream.close()
    assert closed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch-test"]


def test_two_in_a_row_close_together_after_an_error() -> None:
    def double(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            yield 2 * item

    inner = prefetch(iter(range(10**9)), depth=2, name="prefetch-inner")
    outer = prefetch(double(inner), depth=2, name="prefetch-outer")
    next(outer)
    outer.close()
    inner.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch-")]


def test_depth_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        prefetch([], depth=0)


def test_a_thread_that_dies_without_a_word_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from vidstyle import prefetch as module

    monkeypatch.setattr(module, "_ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(module, "_work", lambda items, slots, stop: slots.put(next(items)))
    items = prefetch(iter(range(5)), 2)
    assert next(items) == 0
    with pytest.raises(RuntimeError, match="died"):
        next(items)
