"""A file that was cut off says so by the sizes written in it, wherever it was cut; a whole one never does."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media_factory import Sound, make_clip
from vidstyle.media.completeness import is_cut_off, promised_end
from vidstyle.media.decode import decode
from vidstyle.media.open import open_input, video_stream
from vidstyle.media.probe import probe

KINDS = {
    "in.mp4": {"container_options": {"movflags": "faststart"}, "sounds": [Sound()]},
    "live.mp4": {"container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "in.mkv": {"sounds": [Sound()]},
    "in.webm": {"codec": "libvpx", "options": {"deadline": "realtime"}},
    "in.avi": {"codec": "mpeg4"},
    "in.ts": {},
    "in.m2ts": {"container_options": {"mpegts_m2ts_mode": "1"}, "container": "mpegts"},
    "in.gif": {"codec": "gif", "pix_fmt": "bgr8"},
}


def format_of(path: Path) -> str:
    with av.open(str(path)) as container:
        return container.format.name


@pytest.mark.parametrize("name", KINDS)
def test_the_end_is_missed_wherever_it_was_cut(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    make_clip(path, frames=6, **KINDS[name])  # type: ignore[arg-type]
    kind, data = format_of(path), path.read_bytes()
    assert not is_cut_off(path, kind)
    for part in (0.5, 0.77, 0.98):
        left = int(len(data) * part)
        left += 50 if left % 188 == 0 or left % 192 == 0 else 0
        path.write_bytes(data[:left])
        assert is_cut_off(path, kind), f"cut at {left} of {len(data)}"


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi", "in.ts"])
def test_what_stands_behind_the_end_does_not_matter(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    make_clip(path, frames=4, **KINDS[name])  # type: ignore[arg-type]
    path.write_bytes(path.read_bytes() * 2)
    assert not is_cut_off(path, format_of(path))


def test_a_recording_that_never_knew_its_size_is_whole(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=4, container_options={"live": "1"})
    assert not is_cut_off(clip.path, "matroska,webm")


@pytest.mark.parametrize(
    "kind", ["mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "mpegts", "gif", "nut", "unheard of"]
)
def test_noise_is_no_error(kind: str, tmp_path: Path) -> None:
    for size in (0, 1, 7, 9, 4000):
        path = tmp_path / f"{size}"
        path.write_bytes(os.urandom(size))
        assert is_cut_off(path, kind) in (True, False)
    assert not is_cut_off(tmp_path / "missing", kind)


def test_long_sound_is_no_promise_of_pictures(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=6, sounds=[Sound(seconds=3)])
    with open_input(clip.path) as container:
        end = promised_end(container, video_stream(container))
    assert abs(end - Fraction(6, 24)) < Fraction(1, 50)


def test_a_cut_transport_stream_is_told_of(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.ts", frames=12, options={"bf": "0"})
    clip.path.write_bytes(clip.path.read_bytes()[:-1000])
    told: list[str] = []
    info = probe(clip.path)
    for _ in decode(info, batch_size=4, on_damage=lambda message, index: told.append(message)):
        pass
    assert any("last part is missing" in message for message in told)
