"""Starting at a key frame: taken where the index is certain, given up where it is not, and never seen in the result."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import Clip, Sound, make_clip

from vidstyle.media import decode as module
from vidstyle.media.decode import decode
from vidstyle.media.open import open_input, video_stream
from vidstyle.media.probe import probe
from vidstyle.media.seek import Entry, find_entry

CLOSED = {"bf": "2", "g": "8", "preset": "veryfast", "x264-params": "open-gop=0:scenecut=0"}


def entry_of(clip: Clip, *, start: Fraction | None = None, first_index: int = 0) -> Entry | None:
    with open_input(clip.path) as container:
        return find_entry(container, video_stream(container), start=start, first_index=first_index)


@pytest.mark.parametrize("name", ["c.mp4", "c.mov", "c.mkv"])
def test_the_last_key_frame_before_what_is_wanted(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, frames=40, rate=Fraction(10), options=CLOSED, sounds=[Sound()])
    found = {index: entry_of(clip, first_index=index) for index in (0, 7, 8, 15, 20, 39, 99)}
    assert {index: entry and entry.index for index, entry in found.items()} == {
        0: None, 7: None, 8: 8, 15: 8, 20: 16, 39: 32, 99: 32,
    }  # fmt: skip
    by_time = [entry_of(clip, start=Fraction(tenths, 10)) for tenths in (7, 8, 20)]
    assert [entry and entry.index for entry in by_time] == [None, 8, 16]
    both = entry_of(clip, start=Fraction(20, 10), first_index=33)
    assert both is not None and both.index == 32


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv"])
@pytest.mark.parametrize("first_index", [3, 8, 22, 39])
def test_the_result_is_the_same_with_less_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, first_index: int
) -> None:
    clip = make_clip(tmp_path / name, frames=40, options=CLOSED)
    info = probe(clip.path)
    whole = [
        (index, pts, picture)
        for batch in decode(info, batch_size=5)
        for index, pts, picture in zip(batch.indices, batch.pts, batch.pixels, strict=True)
    ]
    decoded = []
    real = module.stream_frames

    def counting(*what: object) -> object:
        for frame in real(*what):  # type: ignore[arg-type]
            decoded.append(frame.pts)
            yield frame

    monkeypatch.setattr(module, "stream_frames", counting)
    part = [
        (index, pts, picture)
        for batch in decode(info, batch_size=5, first_index=first_index)
        for index, pts, picture in zip(batch.indices, batch.pts, batch.pixels, strict=True)
    ]
    assert [f[:2] for f in part] == [f[:2] for f in whole[first_index:]]
    assert all(np.array_equal(a[2], b[2]) for a, b in zip(part, whole[first_index:], strict=True))
    assert len(decoded) == 40 - first_index // 8 * 8


def test_open_groups_of_pictures_are_no_entries(tmp_path: Path) -> None:
    options = {**CLOSED, "bf": "3", "x264-params": "open-gop=1:scenecut=0:b-adapt=0:keyint=8:min-keyint=8"}
    clip = make_clip(tmp_path / "open.mkv", frames=40, options=options)
    info = probe(clip.path)
    for first_index in (9, 17, 30):
        batches = list(decode(info, batch_size=50, first_index=first_index))
        assert batches[0].indices == tuple(range(first_index, 40))
        entry = entry_of(clip, first_index=first_index)
        assert entry is None or entry.index <= first_index


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stream.ts", {"options": CLOSED}),
        ("old.avi", {"codec": "mpeg4", "options": {"g": "8"}}),
        ("vp9.webm", {"codec": "libvpx-vp9", "options": {"g": "8", "deadline": "realtime", "cpu-used": "8"}}),
    ],
)
def test_other_files_are_decoded_from_the_beginning(
    tmp_path: Path, name: str, options: dict[str, object]
) -> None:
    clip = make_clip(tmp_path / name, frames=24, **options)  # type: ignore[arg-type]
    assert entry_of(clip, first_index=20) is None
    (batch,) = decode(probe(clip.path), batch_size=24, first_index=20)
    assert batch.indices == (20, 21, 22, 23)


class FakePacket:
    def __init__(
        self, pts: int | None, *, key: bool = False, discard: bool = False, corrupt: bool = False
    ) -> None:
        self.pts = self.dts = pts
        self.size = 1
        self.is_keyframe, self.is_discard, self.is_corrupt = key, discard, corrupt


def test_the_least_doubt_is_enough() -> None:
    from vidstyle.media.seek import _last_entry

    def entry(packets: list[FakePacket]) -> int | None:
        found = _last_entry(packets, Fraction(1, 10), None, 99)  # type: ignore[arg-type]
        return found and found.index

    def group(start: int) -> list[FakePacket]:
        return [FakePacket(start, key=True), FakePacket(start + 2), FakePacket(start + 1)]

    assert entry(group(0) + group(3) + group(6)) == 6
    assert entry([*group(0), FakePacket(6, key=True), FakePacket(5)]) == 0  # shown before its key frame
    assert entry(group(0) + group(3) + [FakePacket(None)]) is None
    assert entry(group(0) + group(3) + [FakePacket(6, discard=True)]) is None
    assert entry(group(0) + group(3) + [FakePacket(6, corrupt=True)]) is None
    assert entry([*group(0), FakePacket(2), *group(3)]) is None  # a time twice
    assert entry(group(0) + group(3) + group(6) + group(0)) is None  # time jumps back
    assert entry([FakePacket(0), *group(1)]) is None  # begins without a key frame
    assert entry([]) is None
