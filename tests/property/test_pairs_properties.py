from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.errors import InputError
from vidstyle.media.times import FrameTimes
from vidstyle.pairs import Follower, plan

gaps = st.lists(st.integers(1, 400), min_size=1, max_size=60)


def rising(steps: list[int], start: int = 0) -> list[Fraction]:
    return [Fraction(start + sum(steps[:i]), 1000) for i in range(len(steps))]


def as_times(moments: list[Fraction]) -> FrameTimes:
    period = (moments[-1] - moments[0]) / (len(moments) - 1) if len(moments) > 1 else Fraction(1, 25)
    seconds = np.array([float(moment - moments[0]) for moment in moments])
    return FrameTimes(0, moments[0], seconds, period)


def found(
    source: list[Fraction], wanted: list[Fraction], slack: Fraction, reach: Fraction
) -> list[int | None]:
    follower: Follower[int, None] = Follower(
        ((time, i) for i, time in enumerate(source)), slack=slack, reach=reach
    )
    return [follower.at(time, None) for time in wanted]


@settings(max_examples=60, deadline=None)
@given(gaps, gaps, st.integers(-2000, 2000), st.integers(0, 200), st.integers(1, 500))
def test_every_frame_is_accounted_for_and_pairs_never_go_back(
    source: list[int], stylised: list[int], start: int, slack: int, reach: int
) -> None:
    offered, wanted = rising(source), rising(stylised, start)
    late, long = Fraction(slack, 1000), Fraction(reach, 1000)
    pairs = found(offered, wanted, late, long)
    assert len(pairs) == len(wanted)
    places = [place for place in pairs if place is not None]
    assert places == sorted(places)
    for time, place in zip(wanted, pairs, strict=True):
        if place is None:  # outside of the source, never between two of its frames
            assert time < offered[0] - late or time >= offered[-1] + long
            continue
        assert offered[place] - time <= late
        later = [other for other in offered[place + 1 :] if other <= time]
        assert not later, "an older frame than the one that was shown"


@settings(max_examples=40, deadline=None)
@given(gaps, st.integers(-3000, 3000))
def test_equal_times_give_equal_numbers_whatever_the_offset(steps: list[int], start: int) -> None:
    source, stylised = as_times(rising(steps)), as_times(rising(steps, start))
    pairing = plan(source, stylised, name="x")
    wanted = [Fraction(float(s)).limit_denominator(1000) + pairing.offset for s in stylised.seconds]
    if pairing.by == "time":
        pairs = found(rising(steps), wanted, pairing.slack, pairing.reach)
        assert pairs == list(range(len(steps)))
    assert len(steps) == 1 or pairing.by == "time"


@settings(max_examples=60, deadline=None)
@given(gaps, gaps, st.integers(-2000, 2000))
def test_any_two_videos_are_paired_or_refused(source: list[int], stylised: list[int], start: int) -> None:
    try:
        pairing = plan(as_times(rising(source)), as_times(rising(stylised, start)), name="x")
    except InputError as error:
        assert error.hint
        return
    assert pairing.slack >= 0
    assert pairing.reach > 0
    assert all(note.endswith(".") for note in pairing.notes)
