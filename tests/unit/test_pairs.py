from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.media_factory import MATRICES
from tests.unit.painted_clip import paint, pan
from vidstyle.errors import InputError
from vidstyle.frames import ColorTags, VideoInfo
from vidstyle.media.times import FrameTimes
from vidstyle.pairs import Follower, alike, fit, likeness, plan


def times(count: int, rate: int, start: float = 0.0) -> FrameTimes:
    period = Fraction(1, rate)
    return FrameTimes(0, Fraction(start).limit_denominator(1000), np.arange(count) / rate, period)


def video(width: int, height: int, matrix: str = "identity", pixel: Fraction = Fraction(1)) -> VideoInfo:
    turned = matrix != "identity"
    return VideoInfo(
        path=Path("in.mp4"),
        coded_size=(height, width) if turned else (width, height),
        size=(width, height),
        time_base=Fraction(1, 1000),
        rate=Fraction(25),
        pix_fmt="yuv420p",
        depth=8,
        color=ColorTags(),
        sample_aspect_ratio=pixel,
        display_matrix=MATRICES[matrix] if turned else None,
        frames_hint=None,
        seconds_hint=None,
        codec="h264",
        audio_streams=0,
    )


@pytest.mark.parametrize(
    ("source", "stylised", "by", "offset", "words"),
    [
        (times(100, 25), times(100, 25), "time", 0, ""),
        (times(100, 25), times(100, 25, start=2), "time", 0, "starts 2.000 s later"),
        (times(100, 25, start=1.4), times(99, 25), "time", 0, "starts 1.400 s earlier"),
        (times(100, 25), times(95, 25, start=0.2), "time", Fraction(1, 5), "first 5 frame(s)"),
        (times(100, 25), times(90, 25), "time", 0, "last 10 frame(s)"),
        (times(100, 30), times(100, 24), "number", 0, "by number"),
        (times(100, 30), times(99, 24), "number", 0, "last 1 "),
        (times(100, 25), times(100, 50), "number", 0, "by number"),
        (times(100, 25), times(99, 12), "number", 0, "by number"),
        (times(300, 30), times(240, 24), "time", 0, "24 frames per second, SOURCE 30"),
        (times(300, 30), times(150, 15), "time", 0, "15 frames per second"),
        (times(150, 15), times(300, 30), "time", 0, "30 frames per second"),
        (times(100, 25), times(120, 25), "time", 0, ""),
        (times(1, 25), times(1, 25), "time", 0, "single frame"),
    ],
)
def test_how_videos_are_paired(
    source: FrameTimes, stylised: FrameTimes, by: str, offset: Fraction, words: str
) -> None:
    pairing = plan(source, stylised, name="x")
    assert (pairing.by, pairing.offset) == (by, offset)
    assert words in " ".join(pairing.notes)
    assert bool(pairing.notes) == bool(words)


def test_an_uneven_source_that_a_tool_made_even_is_paired_by_number() -> None:
    uneven = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.09, 200))
    source = FrameTimes(0, Fraction(0), uneven - uneven[0], Fraction(1, 20))
    assert plan(source, times(200, 20), name="x").by == "number"


@pytest.mark.parametrize(("count", "rate"), [(30, 23), (250, 25)])
def test_videos_of_quite_another_length_are_refused(count: int, rate: int) -> None:
    with pytest.raises(InputError, match="cannot be compared") as caught:
        plan(times(100, 25), times(count, rate), name="sty.mp4")
    assert caught.value.name == "sty.mp4"
    assert caught.value.hint


def test_a_plain_piece_of_the_source_is_paired_however_short() -> None:
    pairing = plan(times(1000, 25), times(30, 25), name="x")
    assert (pairing.by, pairing.offset, pairing.exact) == ("time", 0, True)
    assert "last 970 frame(s) of SOURCE" in " ".join(pairing.notes)


def test_a_long_still_frame_lasts_until_the_next_one() -> None:
    source = [(Fraction(0), "a"), (Fraction(10), "b")]
    follower: Follower[str, None] = Follower(source, slack=Fraction(1, 50), reach=Fraction(1, 25))
    shown = [follower.at(Fraction(t), None) for t in ("0", "9", "9.97", "9.99", "10.03", "10.04")]
    assert shown == ["a", "a", "a", "b", "b", None]


def test_no_source_no_pair() -> None:
    follower: Follower[str, None] = Follower([], slack=Fraction(0), reach=Fraction(1))
    assert follower.at(Fraction(0), None) is None


@pytest.mark.parametrize("rule", ["the last before", "the nearest", "as ffmpeg rounds"])
def test_which_frame_a_tool_took_is_seen_from_the_picture(rule: str) -> None:
    late = {"the last before": 0, "the nearest": Fraction(1, 60), "as ffmpeg rounds": Fraction(1, 48)}[rule]
    source = [Fraction(i, 30) for i in range(60)]
    taken = [max(i for i, own in enumerate(source) if own <= Fraction(j, 24) + late) for j in range(46)]
    follower: Follower[int, int] = Follower(
        ((time, i) for i, time in enumerate(source)),
        slack=Fraction(1, 48),
        reach=Fraction(1, 30),
        likeness=lambda item, wanted: -abs(item - wanted),
    )
    assert [follower.at(Fraction(j, 24), wanted) for j, wanted in enumerate(taken)] == taken


def test_likeness_tells_neighbouring_frames_of_a_slow_pan_apart() -> None:
    frames = [torch.from_numpy(picture).permute(2, 0, 1) for picture in pan(8)]
    styled = [torch.from_numpy(paint(picture)).permute(2, 0, 1) for picture in pan(8)]
    for index, picture in enumerate(styled):
        scores = [likeness(frame, picture) for frame in frames]
        assert scores.index(max(scores)) == index
    assert np.isfinite(likeness(frames[0], torch.zeros_like(frames[0])))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ((640, 360), ""),
        ((640, 352), "scaled"),
        ((320, 160), "scaled"),
        ((480, 256), "scaled"),
        ((1280, 640), None),
        ((1280, 720), "scaled"),
        ((512, 288), "scaled"),
        ((480, 360), None),
        ((360, 640), None),
    ],
)
def test_shapes_that_are_rounded_or_scaled_are_taken(size: tuple[int, int], words: str | None) -> None:
    if words is None:
        with pytest.raises(InputError, match="another shape"):
            alike(video(640, 360), video(*size))
        return
    source, notes = alike(video(640, 360), video(*size))
    assert source == video(640, 360)
    assert words in " ".join(notes)


def test_small_pictures_may_be_rounded_by_a_larger_part() -> None:
    alike(video(176, 144), video(160, 128))
    alike(video(320, 180), video(320, 160))


def test_wide_pixels_may_have_become_square() -> None:
    alike(video(720, 576, pixel=Fraction(16, 15)), video(768, 576))
    alike(video(720, 576, pixel=Fraction(64, 45)), video(1024, 576))


def test_a_rotation_that_the_tool_lost_is_left_out() -> None:
    source = video(360, 640, "clockwise")
    found, notes = alike(source, video(640, 360))
    assert found == replace(source, display_matrix=None, size=(640, 360))
    assert "rotation" in notes[0]
    assert alike(source, video(360, 640)) == (source, ())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(8, 12), (4, 6), (16, 24)])
def test_fit_scales_and_changes_depth(dtype: type, size: tuple[int, int]) -> None:
    picture = torch.full((8, 12, 3), 200, dtype=torch.uint8).permute(2, 0, 1)
    into = np.zeros((*size, 3), dtype)
    fit(picture, into)
    assert (into == (200 if dtype == np.uint8 else 200 * 257)).all()
    back = np.zeros((8, 12, 3), np.uint8)
    fit(torch.from_numpy(into).permute(2, 0, 1), back)
    assert (back == 200).all()
