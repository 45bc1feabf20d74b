"""An index that lists more than its file can hold is refused before anybody makes room for it."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from tests.media_factory import Sound, make_clip
from vidstyle.errors import InputError
from vidstyle.media.index_bomb import lists_too_much
from vidstyle.media.open import open_input


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def nested(path: bytes, content: bytes) -> bytes:
    for kind in reversed(path.split(b"/")):
        content = box(kind, content)
    return content


STSZ = b"moov/trak/mdia/minf/stbl/stsz"
TRUN = b"moof/traf/trun"


@pytest.mark.parametrize(
    ("path", "content", "refused"),
    [
        (STSZ, struct.pack(">III", 0, 1, 50_000_000), True),
        (STSZ, struct.pack(">III", 0, 1, 900_000), False),
        (
            STSZ,
            struct.pack(">III", 0, 0, 50_000_000),
            False,
        ),  # a size each: FFmpeg looks whether they are there
        (TRUN, struct.pack(">II", 1, 30_000_000), True),
        (TRUN, struct.pack(">II", 1, 900_000), False),
        (b"moov/udta/stsz", struct.pack(">III", 0, 1, 50_000_000), False),
        (STSZ, b"", False),
    ],
)
def test_more_samples_than_bytes(path: bytes, content: bytes, refused: bool, tmp_path: Path) -> None:
    file = tmp_path / "in.mp4"
    file.write_bytes(box(b"ftyp", b"isom") + nested(path, content))
    assert lists_too_much(file) is refused
    if refused:
        with pytest.raises(InputError, match="index"):
            open_input(file)


@pytest.mark.parametrize("kind", [b"moov", b"free"])
def test_boxes_without_end_are_no_trouble(kind: bytes, tmp_path: Path) -> None:
    file = tmp_path / "in.mp4"
    file.write_bytes(nested(b"/".join([kind] * 3000), b"") + b"\0\0\0\1moov" + b"\xff" * 8)
    assert not lists_too_much(file)


@pytest.mark.parametrize("options", [{}, {"movflags": "frag_keyframe+empty_moov"}])
def test_real_files_are_believed(options: dict[str, str], tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mov", sounds=[Sound("pcm_s16le")], container_options=options)
    assert not lists_too_much(clip.path)
    cut = tmp_path / "cut.mov"
    cut.write_bytes(clip.path.read_bytes()[: clip.path.stat().st_size // 4])
    assert not lists_too_much(cut)
