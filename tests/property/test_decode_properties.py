"""Whatever the batch size and the selection: the right frames, each with its own index, time and picture."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_factory import MATRICES, make_clip, read_stamp

from vidstyle.frames import VideoInfo
from vidstyle.media.decode import decode
from vidstyle.media.orientation import as_stored, upright
from vidstyle.media.probe import probe

FRAMES = 23
quick = settings(max_examples=15, deadline=None)


@pytest.fixture(scope="module")
def vfr(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    """A clip with B-frames and uneven times."""
    gaps = np.random.default_rng(4).integers(5, 120, FRAMES - 1)
    pts = [0, *np.cumsum(gaps).tolist()]
    clip = make_clip(
        tmp_path_factory.mktemp("clips") / "vfr.mkv",
        size=(96, 64),
        pts=pts,
        time_base=Fraction(1, 1000),
        options={"bf": "3", "g": "6", "preset": "veryfast"},  # several key frames to start at
    )
    return probe(clip.path)


@pytest.fixture(scope="module")
def whole(vfr: VideoInfo) -> list[tuple[int, int, int, np.ndarray]]:
    return frames_of(vfr, batch_size=FRAMES)


def frames_of(info: VideoInfo, **selection: object) -> list[tuple[int, int, int, np.ndarray]]:
    frames = []
    for batch in decode(info, **selection):  # type: ignore[arg-type]
        pictures = batch.pixels.permute(0, 2, 3, 1).numpy()
        frames += list(zip(batch.indices, batch.pts, batch.durations, pictures, strict=True))
    return frames


@quick
@given(batch_size=st.integers(1, FRAMES + 3))
def test_batch_size_changes_nothing(
    vfr: VideoInfo, whole: list[tuple[int, int, int, np.ndarray]], batch_size: int
) -> None:
    frames = frames_of(vfr, batch_size=batch_size)
    assert [f[:3] for f in frames] == [f[:3] for f in whole]
    assert all(np.array_equal(a[3], b[3]) for a, b in zip(frames, whole, strict=True))


@quick
@given(
    start=st.none() | st.integers(0, 1600),
    length=st.none() | st.integers(0, 1600),
    first_index=st.integers(0, FRAMES + 2),
    batch_size=st.integers(1, 6),
)
def test_a_selection_is_the_part_of_the_whole(
    vfr: VideoInfo,
    whole: list[tuple[int, int, int, np.ndarray]],
    start: int | None,
    length: int | None,
    first_index: int,
    batch_size: int,
) -> None:
    end = None if length is None else (start or 0) + length
    expected = [
        frame
        for frame in whole
        if frame[0] >= first_index and (start or 0) <= frame[1] and (end is None or frame[1] < end)
    ]
    frames = frames_of(
        vfr,
        batch_size=batch_size,
        start=None if start is None else Fraction(start, 1000),
        end=None if end is None else Fraction(end, 1000),
        first_index=first_index,
    )
    assert [f[:3] for f in frames] == [f[:3] for f in expected]
    assert [read_stamp(f[3]) for f in frames] == [f[0] for f in expected]


@quick
@given(st.sampled_from(sorted(MATRICES)), st.integers(1, 6), st.integers(1, 6))
def test_turning_there_and_back_is_nothing(name: str, height: int, width: int) -> None:
    picture = np.arange(height * width * 3).reshape(height, width, 3)
    matrix = MATRICES[name]
    assert np.array_equal(upright(as_stored(picture, matrix), matrix), picture)
    assert np.array_equal(as_stored(upright(picture, matrix), matrix), picture)
