"""Decoding: every frame once, in order, at its own time, upright; and as much as possible of what is damaged."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import torch
from media_factory import BT709, MATRICES, PQ, Clip, Sound, make_clip, read_stamp, stamped

from vidstyle.errors import InputError
from vidstyle.frames import Batch, VideoInfo
from vidstyle.media import decode as module
from vidstyle.media.decode import decode
from vidstyle.media.probe import probe


def stamps(batches: Sequence[Batch]) -> list[int]:
    return [read_stamp(picture.permute(1, 2, 0).numpy()) for batch in batches for picture in batch.pixels]


def joined(batches: Sequence[Batch], field: str) -> list[int]:
    return [value for batch in batches for value in getattr(batch, field)]


def _decoded(path: Path) -> tuple[list[Batch], list[tuple[str, int]]]:
    """All batches of four, and what was reported on the way."""
    damage: list[tuple[str, int]] = []
    batches = list(decode(probe(path), batch_size=4, on_damage=lambda *what: damage.append(what)))
    return batches, damage


def plain_pts(path: Path) -> list[int | None]:
    with av.open(str(path)) as container:
        return [frame.pts for frame in container.decode(video=0)]


CLIPS = {
    "b-frames.mp4": {"options": {"bf": "3", "preset": "veryfast"}, "sounds": [Sound()]},
    "vfr.mp4": {"pts": [0, 20, 150, 160, 400, 401, 900], "time_base": Fraction(1, 1000)},
    "vfr.mkv": {"pts": [0, 20, 150, 160, 400, 401, 900], "time_base": Fraction(1, 1000)},
    "late.mp4": {"pts": range(700, 1100, 40), "time_base": Fraction(1, 1000), "sounds": [Sound()]},
    "stream.ts": {"options": {"bf": "2", "preset": "veryfast"}, "sounds": [Sound("mp2", rate=48000)]},
    "ntsc.mp4": {"rate": Fraction(30000, 1001)},
    "b.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "slow.mp4": {"pts": [0, 600_000, 1_200_000], "time_base": Fraction(1, 1000)},
    "one.mp4": {"frames": 1},
}


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_once_in_order_at_its_own_time(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / name, **CLIPS[name])  # type: ignore[arg-type]
    info = probe(clip.path)
    batches, damage = _decoded(clip.path)
    assert [len(batch) for batch in batches[:-1]] == [4] * (len(batches) - 1)
    assert joined(batches, "indices") == list(range(clip.frames))
    assert stamps(batches) == list(range(clip.frames))
    assert joined(batches, "pts") == plain_pts(clip.path)
    ticks = joined(batches, "pts")
    times = [(t - ticks[0]) * info.time_base for t in ticks]
    assert max(abs(a - b) for a, b in zip(times, clip.times, strict=True)) <= max(
        Fraction(1, 1000), info.time_base
    )
    assert not any(joined(batches, "damaged"))
    assert damage == []


def test_the_layout_of_a_batch(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=5, size=(96, 64))
    first, last = decode(probe(clip.path), batch_size=3)
    assert first.pixels.shape == (3, 3, 64, 96)
    assert last.pixels.shape == (2, 3, 64, 96)
    assert first.pixels.dtype == torch.uint8
    assert first.pixels.is_contiguous(memory_format=torch.channels_last)
    assert first.durations == (512,) * 3
    for index, picture in enumerate(first.pixels):
        error = picture.permute(1, 2, 0).numpy().astype(float) - stamped(index, (96, 64))
        assert np.sqrt((error[32:] ** 2).mean()) < 6


def test_ten_bits_come_as_uint16(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=3, pix_fmt="yuv420p10le", color=PQ)
    (batch,) = decode(probe(clip.path), batch_size=8)
    assert batch.pixels.dtype == torch.uint16
    assert batch.pixels.is_contiguous(memory_format=torch.channels_last)
    assert stamps([batch]) == [0, 1, 2]
    assert int(batch.pixels.to(torch.int32).max()) > 50_000


@pytest.mark.parametrize("name", MATRICES)
def test_pictures_stand_upright(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=3, matrix=MATRICES[name])
    (batch,) = decode(probe(clip.path), batch_size=3)
    assert batch.pixels.shape == (3, 3, 96, 160)
    assert stamps([batch]) == [0, 1, 2]


def test_odd_sizes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=3, size=(161, 97), pix_fmt="yuv444p", color=BT709)
    assert stamps(list(decode(probe(clip.path), batch_size=2))) == [0, 1, 2]


def test_start_end_and_first_index(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=12, rate=Fraction(10))
    info = probe(clip.path)

    def indices(**selection: object) -> list[int]:
        batches = list(decode(info, batch_size=5, **selection))  # type: ignore[arg-type]
        assert stamps(batches) == joined(batches, "indices")
        return joined(batches, "indices")

    assert indices(start=Fraction(3, 10)) == list(range(3, 12))
    assert indices(end=Fraction(3, 10)) == [0, 1, 2]
    assert indices(start=Fraction(31, 100), end=Fraction(7, 10)) == [4, 5, 6]
    assert indices(first_index=7) == list(range(7, 12))
    assert indices(start=Fraction(2, 10), first_index=4, end=Fraction(6, 10)) == [4, 5]
    assert indices(start=Fraction(99)) == []
    with pytest.raises(ValueError, match="batch_size"):
        next(decode(info, batch_size=0))


def test_times_count_from_the_first_frame_of_the_file(tmp_path: Path) -> None:
    late = make_clip(tmp_path / "late.ts", frames=6, rate=Fraction(10), pts=range(14, 20))
    info = probe(late.path)
    assert (
        joined(list(decode(info, batch_size=2)), "pts")[0] > 90_000
    )  # 1.4 s, where transport streams usually start
    assert joined(list(decode(info, batch_size=2, start=Fraction(4, 10))), "indices") == [4, 5]


def _open_files(path: Path) -> int:
    links = Path("/proc/self/fd").iterdir()
    return sum(os.path.realpath(link) == str(path) for link in links)


def test_the_file_is_closed_in_every_ending(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=12)
    info = probe(clip.path)
    assert _open_files(clip.path) == 0
    batches = decode(info, batch_size=2)
    next(batches)
    assert _open_files(clip.path) == 1
    batches.close()
    assert _open_files(clip.path) == 0
    list(decode(info, batch_size=2))
    list(decode(info, batch_size=2, end=Fraction(1, 10)))
    assert _open_files(clip.path) == 0


def test_a_file_that_went_away(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "c.mp4")
    info = probe(clip.path)
    clip.path.unlink()
    with pytest.raises(InputError, match="no such file"):
        next(decode(info, batch_size=2))


def test_the_size_may_change_in_mid_stream(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "a.ts", frames=6, options={"bf": "0"})
    two = make_clip(tmp_path / "b.ts", size=(96, 64), pts=range(6, 10), options={"bf": "0"})
    both = tmp_path / "both.ts"
    both.write_bytes(one.path.read_bytes() + two.path.read_bytes())
    batches, damage = _decoded(both)
    assert stamps(batches) == [*range(6), *range(4)]
    assert [index for message, index in damage if "96x64" in message] == [6]


def test_glued_recordings_keep_increasing_times(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.ts", frames=12, options={"bf": "0"})
    glued = tmp_path / "glued.ts"
    glued.write_bytes(clip.path.read_bytes() * 2)
    batches, damage = _decoded(glued)
    assert stamps(batches) == [*range(12), *range(12)]
    pts = joined(batches, "pts")
    assert {b - a for a, b in pairwise(pts)} == {3750}
    assert [index for message, index in damage if "jumps back" in message] == [12]


def test_a_stream_without_times_gets_the_rate(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "raw.h264", container="h264", rate=Fraction(24), options={"bf": "2"})
    info = probe(clip.path)
    assert set(plain_pts(clip.path)) == {None}
    pts = joined(list(decode(info, batch_size=5)), "pts")
    assert len(pts) == 12
    assert {(b - a) * info.time_base for a, b in pairwise(pts)} == {Fraction(1, 24)}


@dataclass
class FakeFrame:
    pts: int | None
    dts: int | None = None
    duration: int = 0


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([0, 3, 1000, 1001], [0, 3, 1000, 1001]),
        ([-80, -40, 0], [-80, -40, 0]),
        ([0, 40, 30_000, 30_040], [0, 40, 30_000, 30_040]),
        ([0, 40, 30_000, 30_040, 30_080, 200, 240], [0, 40, 80, 120, 160, 200, 240]),
        ([0, 40, 40, 80], [0, 40, 41, 80]),
        ([0, 40, 40, 40, 120], [0, 40, 41, 42, 120]),
        ([None, None, None], [0, 40, 80]),
        ([0, None, None, 130], [0, 40, 80, 130]),
        ([0, 40, 0, 40, 80], [0, 40, 80, 120, 160]),
        ([500, 540, 0, 40], [500, 540, 580, 620]),
        ([0, 40, 80, 9_000_000, 160, 200], [0, 40, 80, 120, 160, 200]),
        ([1000, 1040, 3, 1120, 1160], [1000, 1040, 1080, 1120, 1160]),
    ],
)
def test_times_increase_whatever_the_file_says(
    tmp_path: Path, own: list[int | None], expected: list[int]
) -> None:
    info = replace(
        probe(make_clip(tmp_path / "c.mp4", frames=1).path), time_base=Fraction(1, 1000), rate=Fraction(25)
    )
    frames = [FakeFrame(pts) for pts in own]
    timed = module._timed(frames, 0, info, lambda message, index: None)  # type: ignore[arg-type]
    assert [pts for _, _, pts in timed] == expected


def _damaged(clip: Clip, *, flips: int, seed: int, tail: bool = False) -> Path:
    data = bytearray(clip.path.read_bytes())
    start = data.index(b"mdat") + 4
    end = start + int.from_bytes(data[start - 8 : start - 4], "big") - 8
    random = np.random.default_rng(seed)
    for place in random.integers(max(start + 800, end - 150) if tail else start + 800, end, flips):
        data[place] ^= int(random.integers(1, 256))
    path = clip.path.with_name(f"damaged-{seed}.mp4")
    path.write_bytes(data)
    return path


def _tolerant_count(path: Path) -> int:
    """Frames that one thread gets when it skips what cannot be decoded and keeps what was concealed."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        stream.codec_context.flags |= 0x8
        for packet in container.demux(stream):
            try:
                count += len(packet.decode())
            except av.FFmpegError:
                continue
    return count


@pytest.mark.parametrize("tail", [False, True])
def test_damaged_clips_give_what_can_be_had(tmp_path: Path, tail: bool) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=30, options={"bf": "2", "g": "12", "preset": "veryfast"})
    noticed = 0
    for seed in range(8):
        path = _damaged(clip, flips=15, seed=seed, tail=tail)
        batches, damage = _decoded(path)
        assert len(joined(batches, "indices")) == _tolerant_count(path)
        pts = joined(batches, "pts")
        assert all(a < b for a, b in pairwise(pts))
        noticed += bool(damage or any(joined(batches, "damaged")))
        assert all(0 <= index <= len(pts) for _, index in damage)
    assert noticed >= 6


def test_a_file_that_was_cut_off_says_so(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "c.mp4", frames=48, container_options={"movflags": "faststart"}, options={"bf": "0"}
    )
    data = clip.path.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 6 // 10])
    batches, damage = _decoded(cut)
    count = len(joined(batches, "indices"))
    assert 10 < count < 48
    assert stamps(batches)[:-1] == list(range(count - 1))
    assert any("ends early" in message and index == count for message, index in damage)


class _Unreadable:
    """A container whose reading fails at some packets, once or for ever."""

    def __init__(self, container: object, fail_at: int, for_ever: bool) -> None:
        self.container, self.fail_at, self.for_ever = container, fail_at, for_ever
        self.count = 0
        self.duration, self.start_time, self.streams = None, None, ()
        self.format, self.name = container.format, container.name

    def demux(self, stream: object) -> object:
        while self.count != self.fail_at:
            try:
                packet = next(self.packets)
            except StopIteration:
                return
            self.count += 1
            yield packet
        if not self.for_ever:
            self.fail_at = -1
        raise av.error.InvalidDataError(1, "torn")


@pytest.mark.parametrize(("for_ever", "expected"), [(False, 12), (True, 7)])
def test_reading_goes_on_behind_an_unreadable_place(tmp_path: Path, for_ever: bool, expected: int) -> None:
    clip = make_clip(tmp_path / "c.mp4", frames=12, options={"bf": "0"})
    told: list[str] = []
    with av.open(str(clip.path)) as container:
        stream = container.streams.video[0]
        torn = _Unreadable(container, 7, for_ever)
        torn.packets = container.demux(stream)
        tally = module.Tally(lambda message, index: told.append(message))
        frames = list(module.stream_frames(torn, stream, tally))  # type: ignore[arg-type]
    assert len(frames) == expected
    assert tally.damaged
    assert sum("cannot be read" in message for message in told) == 1


def test_the_video_need_not_be_the_first_stream(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "c.mp4", frames=9, sounds=[Sound()], options={"bf": "3", "preset": "veryfast"}
    )
    swapped = tmp_path / "swapped.mkv"
    with av.open(str(clip.path)) as source, av.open(str(swapped), "w") as out:
        sound, video = source.streams.audio[0], source.streams.video[0]
        copies = {s.index: out.add_stream_from_template(s) for s in (sound, video)}
        for packet in source.demux(sound, video):
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    with av.open(str(swapped)) as container:
        assert container.streams.video[0].index == 1
    assert stamps(list(decode(probe(swapped), batch_size=4))) == list(range(9))


def test_every_clip_as_pyav_decodes_it(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blank(frame: av.VideoFrame, info: VideoInfo, _: object) -> np.ndarray:
        return np.broadcast_to(np.uint8(0), (frame.height, frame.width, 3))

    monkeypatch.setattr(module, "to_rgb", blank)  # most of the time would be spent on pixels nobody looks at
    for path in sorted((shared / "data" / "video").iterdir()):
        info = probe(path)
        pts: list[int] = []
        for batch in decode(info, batch_size=6):
            assert batch.pixels.shape[1:] == (3, info.size[1], info.size[0])
            pts += batch.pts
        assert pts == plain_pts(path), path.name


def _hostile(shared: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_inputs", shared / "hostile" / "make_inputs.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def test_hostile_inputs(shared: Path, tmp_path: Path) -> None:
    groups = [
        "timing",
        "geometry",
        "damage",
        "cover_and_video",
        "data_stream_ts",
        "attachment_mkv",
        "alpha_prores",
    ]
    made = _hostile(shared)
    cases = made.build(str(tmp_path), only=groups)
    assert len(cases) >= 25
    for case in cases:
        if case["expect"] == "error":
            continue
        path = tmp_path / case["file"]
        info = probe(path)
        batches = list(decode(info, batch_size=4))
        count, checks = len(joined(batches, "indices")), case["checks"]
        assert count == checks.get("frames", count), case["name"]
        assert count >= 0.9 * made.probe(str(path))["skip"]["frames"], case["name"]
        pts = joined(batches, "pts")
        assert all(a < b for a, b in pairwise(pts)), case["name"]
        shown = checks.get("display") or checks.get("size")
        assert shown is None or info.size == tuple(shown), case["name"]


def test_pictures_are_not_read_ahead_where_time_goes_on(tmp_path: Path) -> None:
    info = replace(probe(make_clip(tmp_path / "a.mkv", frames=2).path), time_base=Fraction(1, 1000))
    read = 0

    def frames() -> Iterator[FakeFrame]:
        nonlocal read
        for time in range(0, 4000, 40):
            read += 1
            yield FakeFrame(time)

    for index, _, _ in module._timed(frames(), 0, info, lambda message, index: None):  # type: ignore[arg-type]
        assert read <= index + 2


PROBE_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from vidstyle.media.probe import probe
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (4 << 20),) * 2)
try:
    probe(Path(sys.argv[1]))
except MemoryError:
    sys.exit(42)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_lack_of_memory_is_not_taken_for_damage(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "large.mp4", frames=12, size=(1280, 720))
    command = [sys.executable, "-c", PROBE_WITH_LITTLE_MEMORY, str(clip.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 42, done.stderr
