"""What comes with HDR10 pictures is read where it is sound, and spelled as each encoder wants it."""

from __future__ import annotations

import struct
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest
from av.sidedata.sidedata import Type

from vidstyle.frames import Hdr10
from vidstyle.media.hdr10 import hdr10_options, read_hdr10

NUMBERS = [
    34000,
    50000,
    16000,
    50000,
    13250,
    50000,
    34500,
    50000,
    7500,
    50000,
    3000,
    50000,
    15635,
    50000,
    16450,
    50000,
]
LUMINANCE = [1, 10_000, 10_000_000, 10_000]


def frame(display: list[int] | None, light: tuple[int, int] | None = None) -> Any:
    """A decoded frame with the side data FFmpeg would give."""
    data = {
        Type.MASTERING_DISPLAY_METADATA: struct.pack("<22i", *display) if display else None,
        Type.CONTENT_LIGHT_LEVEL: struct.pack("<2I", *light) if light else None,
    }
    return SimpleNamespace(side_data=data)


def test_sound_data_are_read() -> None:
    hdr10 = read_hdr10(frame([*NUMBERS, *LUMINANCE, 1, 1], (1000, 400)))
    assert hdr10 and hdr10.display
    assert hdr10.display[:2] == (Fraction(34, 50), Fraction(16, 50))
    assert hdr10.display[8:] == (Fraction(1, 10_000), 1000)
    assert hdr10.light == (1000, 400)


@pytest.mark.parametrize(
    "display",
    [
        [*NUMBERS, *LUMINANCE, 0, 1],
        [*NUMBERS, *LUMINANCE, 1, 0],
        [*NUMBERS[:-1], 0, *LUMINANCE, 1, 1],
        [60_000, *NUMBERS[1:], *LUMINANCE, 1, 1],
        [-1, *NUMBERS[1:], *LUMINANCE, 1, 1],
        [*NUMBERS, 1, 1, 200_000, 1, 1, 1],
        [*NUMBERS, 100, 1, 1, 1, 1, 1],
    ],
)
def test_what_makes_no_sense_is_damage(display: list[int]) -> None:
    assert read_hdr10(frame(display, (1 << 31, 5))) is None


def test_nothing_comes_of_nothing() -> None:
    assert read_hdr10(frame(None)) is None


def test_each_encoder_is_told_in_its_own_words_beside_what_the_user_says() -> None:
    hdr10 = Hdr10(display=None, light=(1000, 400))
    assert hdr10_options("libx264", hdr10, {"x264-params": "ref=2"}) == {"x264-params": "ref=2:cll=1000,400"}
    assert hdr10_options("libx265", hdr10, {"crf": "20"}) == {
        "crf": "20",
        "x265-params": "hdr10=1:max-cll=1000,400",
    }
    assert hdr10_options("ffv1", hdr10, {}) is None
