"""Probing: each field against what was written."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
from media_factory import BT601, BT709_FULL, MATRICES, PQ, Color, Sound, make_clip
from PIL import Image

from vidstyle.errors import InputError
from vidstyle.frames import ColorTags
from vidstyle.media.probe import probe


def test_a_plain_clip(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "plain.mp4", frames=10, rate=Fraction(30000, 1001), color=BT601, sounds=[Sound()] * 2
    )
    info = probe(clip.path)
    assert info.path == clip.path
    assert info.size == info.coded_size == (160, 96)
    assert info.rate == Fraction(30000, 1001)
    assert info.pix_fmt == "yuv420p"
    assert info.depth == 8
    assert info.color == ColorTags(1, 6, 6, 6)
    assert info.sample_aspect_ratio == 1
    assert info.display_matrix is None
    assert info.frames_hint == 10
    assert info.seconds_hint == pytest.approx(10 * 1001 / 30000, abs=0.01)
    assert info.codec == "h264"
    assert info.audio_streams == 2
    assert info.notes == ()
    with av.open(str(clip.path)) as container:
        assert info.time_base == container.streams.video[0].time_base


@pytest.mark.parametrize("name", [n for n in MATRICES if n != "identity"])
def test_turned_clips_are_described_upright(tmp_path: Path, name: str) -> None:
    info = probe(make_clip(tmp_path / "turned.mp4", frames=2, matrix=MATRICES[name]).path)
    assert info.size == (160, 96)
    assert info.coded_size == ((160, 96) if MATRICES[name][0] else (96, 160))
    assert info.display_matrix == MATRICES[name]
    assert info.notes == ()


def test_an_odd_matrix_is_left_out_with_a_note(tmp_path: Path) -> None:
    shrunk = (-46341, 0, 0, 0, -46341, 0, 0, 0, 1 << 30)
    path = make_clip(tmp_path / "odd.mp4", frames=2, matrix=shrunk).path
    info = probe(path)
    assert info.display_matrix is None
    assert info.size == (160, 96)
    assert "display matrix" in info.notes[0]


@pytest.mark.parametrize(
    ("color", "pix_fmt", "expected", "depth"),
    [
        (BT709_FULL, "yuv420p", ColorTags(2, 1, 1, 1), 8),
        (Color(tagged=False), "yuv420p", ColorTags(0, 2, 2, 2), 8),
        (PQ, "yuv420p10le", ColorTags(1, 9, 16, 9), 16),
        (BT601, "yuv444p", ColorTags(1, 6, 6, 6), 8),
    ],
)
def test_colours_and_depth(
    tmp_path: Path, color: Color, pix_fmt: str, expected: ColorTags, depth: int
) -> None:
    info = probe(make_clip(tmp_path / "c.mp4", frames=2, color=color, pix_fmt=pix_fmt).path)
    assert info.color == expected
    assert info.depth == depth
    assert any("HDR (PQ)" in note for note in info.notes) == (color is PQ)


def test_pixel_shape_and_odd_size(tmp_path: Path) -> None:
    assert probe(
        make_clip(tmp_path / "s.mp4", sample_aspect_ratio=Fraction(64, 45)).path
    ).sample_aspect_ratio == (Fraction(64, 45))
    odd = probe(make_clip(tmp_path / "odd.mp4", size=(161, 97), pix_fmt="yuv444p").path)
    assert odd.size == odd.coded_size == (161, 97)


def test_rates_of_slow_and_raw_clips(tmp_path: Path) -> None:
    slow = make_clip(tmp_path / "slow.mp4", pts=[0, 600_000, 1_200_000], time_base=Fraction(1, 1000))
    assert 0 < probe(slow.path).rate < 1
    raw = probe(make_clip(tmp_path / "raw.h264", container="h264").path)
    assert raw.rate > 0
    assert raw.seconds_hint is None
    assert raw.frames_hint is None


def test_interlaced_clips_get_a_note(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "i.mp4", options={"x264-params": "tff=1:bframes=0", "preset": "veryfast"})
    assert any("interlaced" in note for note in probe(clip.path).notes)


def test_only_pictures_that_are_transparent_get_a_note(tmp_path: Path) -> None:
    for alpha, noted in ((255, False), (40, True)):
        path = tmp_path / f"{alpha}.png"
        Image.fromarray(np.full((16, 16, 4), alpha, np.uint8)).save(path)
        assert any("ransparent" in note for note in probe(path).notes) == noted


def test_two_videos_get_a_note(shared: Path) -> None:
    info = probe(shared / "data" / "video" / "nasa_lowlight_2video_2audio.mp4")
    assert any(note.startswith("There are 2 video streams") for note in info.notes)
    assert info.audio_streams == 2


def test_no_frames_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "zero.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F24:1 Ip A1:1 C420jpeg\n")
    with pytest.raises(InputError, match="No frame"):
        probe(path)


def test_the_limit_can_be_moved(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "c.mp4", frames=2).path
    assert probe(path, max_pixels=160 * 96).size == (160, 96)
    with pytest.raises(InputError, match="limit of 1000"):
        probe(path, max_pixels=1000)


def hostile(shared: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_inputs", shared / "hostile" / "make_inputs.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_hostile_inputs_are_refused_with_one_sentence(shared: Path, tmp_path: Path) -> None:
    groups = ["notvideo", "security", "mp3_with_cover", "audio_only_m4a", "zero_frames_y4m", "trunc_mp4_40"]
    cases = hostile(shared).build(str(tmp_path), only=groups)
    assert len(cases) >= 15
    for case in cases:
        assert case["expect"] == "error"
        path = Path(case["file"]) if case.get("literal") else tmp_path / case["file"]
        with pytest.raises(InputError) as caught:
            probe(path)
        assert caught.value.reason.endswith(".") and "\n" not in caught.value.reason, case["name"]
