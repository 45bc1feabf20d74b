from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.errors import UsageError
from vidstyle.settings import CheckSettings, Clip, OutputSettings, Settings, StyleSettings, parse_time

RATE = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12.5", Fraction("12.5")),
        ("12.5s", Fraction("12.5")),
        ("1:02", Fraction(62)),
        ("1:02:03.25", Fraction("3723.25")),
        ("30f", 30 / RATE),
    ],
)
def test_times_are_read_exactly(text: str, seconds: Fraction) -> None:
    assert parse_time(text, RATE, "--start") == seconds


@pytest.mark.parametrize("text", ["", "abc", "-1", "1:2:3:4", "5 f", "1e3", "nan"])
def test_other_times_are_refused_with_the_option_named(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_time(text, RATE, "--end")
    assert caught.value.name == "--end"


@given(st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_seconds_and_timecode_agree(seconds: int) -> None:
    code = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    assert parse_time(code, RATE, "--start") == seconds


@pytest.mark.parametrize(
    "build",
    [
        lambda: StyleSettings(strength=1.5),
        lambda: StyleSettings(strength=float("nan")),
        lambda: StyleSettings(device="gpu"),
        lambda: StyleSettings(precision="int4"),
        lambda: StyleSettings(batch_size=0),
        lambda: StyleSettings(tile=8),
        lambda: CheckSettings(threshold=0),
        lambda: OutputSettings(crf=99),
        lambda: Clip(start=Fraction(-1)),
        lambda: Clip(start=Fraction(2), end=Fraction(2)),
    ],
)
def test_impossible_settings_are_refused_when_built(build: object) -> None:
    with pytest.raises(UsageError):
        build()  # type: ignore[operator]


def test_what_shapes_pictures_leaves_out_what_only_changes_speed() -> None:
    slow = Settings(style=StyleSettings(device="cpu", batch_size=1))
    fast = Settings(style=StyleSettings(device="cuda", batch_size=8))
    assert slow.what_shapes_pictures() == fast.what_shapes_pictures()
    assert Settings(style=StyleSettings(strength=0.5)).what_shapes_pictures() != slow.what_shapes_pictures()
