import time
from collections.abc import Generator, Iterable

from vidstyle.stopwatch import Stopwatch


def slow(items: Iterable[int], seconds: float) -> Generator[int, None, None]:
    for item in items:
        time.sleep(seconds)
        yield item


def test_a_stage_is_not_charged_for_the_one_before() -> None:
    watch = Stopwatch()
    first = watch.stage("slow", lambda items: slow(items, 0.02), range(5))
    second = watch.stage("fast", lambda items: slow(items, 0.0), first)
    assert list(second) == list(range(5))
    assert watch.seconds["slow"] > 5 * watch.seconds["fast"]


def test_closing_closes_the_stage_and_what_feeds_it() -> None:
    closed = []

    def stage(items: Iterable[int], name: str) -> Generator[int, None, None]:
        try:
            yield from items
        finally:
            closed.append(name)

    watch = Stopwatch()
    chain = watch.stage("b", lambda items: stage(items, "b"), stage(range(10), "a"))
    next(chain)
    chain.close()
    assert sorted(closed) == ["a", "b"]
