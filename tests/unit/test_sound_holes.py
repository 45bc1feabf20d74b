"""Sound that pauses, begins late or is longer than its pictures stays with them, whatever the container."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_factory import Sound, make_clip
from tests.media_output import FAST, contents, pass_through, times
from vidstyle.media.encode import EncodeSettings

BIN = Fraction(1, 20)
"""Seconds."""
HOLE = (0.5, 1.3)
LATE = (0.0, 1.2)


def without(source: Path, target: Path, missing: tuple[float, float], *, later: float = 0.0) -> Path:
    """Copy a clip without the sound of a stretch; what follows it comes `later`."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        tracks = {s.index: new.add_stream_from_template(s) for s in old.streams}
        for packet in old.demux():
            if not packet.size:
                continue
            if packet.stream.type == "audio":
                assert packet.pts is not None
                time = packet.pts * packet.time_base
                if missing[0] <= time < missing[1]:
                    continue
                if time >= missing[1]:
                    packet.pts += round(later / packet.time_base)
                    packet.dts = packet.pts
            packet.stream = tracks[packet.stream.index]
            new.mux(packet)
    return target


def loud(path: Path) -> set[int]:
    """The stretches of BIN seconds in which there is sound, by the clock of the pictures."""
    begin = float(times(path)[0])
    energy: dict[int, list[float]] = {}
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=stream.rate)
        for frame in container.decode(stream):
            assert frame.pts is not None and frame.time_base is not None
            start = float(frame.pts * frame.time_base) - begin
            for piece in resampler.resample(frame):
                wave = piece.to_ndarray()[0]
                for number, value in enumerate(wave[::48]):
                    energy.setdefault(int((start + number * 48 / stream.rate) / BIN), []).append(value)
    return {place for place, values in energy.items() if np.std(values) > 0.05}


@pytest.mark.parametrize("missing", [HOLE, LATE])
@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("aac", ".avi"),
        ("libmp3lame", ".avi"),
        ("pcm_s16le", ".avi"),
        ("pcm_s16le", ".mov"),
        ("pcm_s16le", ".mp4"),
        ("pcm_s16le", ".mkv"),
        ("wavpack", ".mp4"),
        ("libopus", ".mov"),
        ("aac", ".webm"),
        ("aac", ".mp4"),
    ],
)
def test_a_pause_in_the_sound_stays_where_it_is(
    codec: str, suffix: str, missing: tuple[float, float], tmp_path: Path
) -> None:
    whole = make_clip(
        tmp_path / "whole.mkv", frames=60, rate=Fraction(25), size=(64, 48), sounds=[Sound(codec)]
    )
    source = without(whole.path, tmp_path / "in.mkv", missing)
    settings = EncodeSettings(codec="libvpx-vp9", preset=None, threads=1) if suffix == ".webm" else FAST
    passed = pass_through(source, tmp_path / f"out{suffix}", settings)
    expected = loud(source)
    assert len(expected ^ loud(passed.output)) <= 4, passed.notes


def test_sound_that_is_encoded_anew_for_its_pauses_is_named(tmp_path: Path) -> None:
    whole = make_clip(
        tmp_path / "whole.mkv", frames=60, rate=Fraction(25), size=(64, 48), sounds=[Sound("libmp3lame")]
    )
    passed = pass_through(without(whole.path, tmp_path / "in.mkv", HOLE), tmp_path / "out.avi")
    (note,) = [note for note in passed.notes if "sound" in note]
    assert "libmp3lame" in note and "AVI" in note and "pauses" in note


def test_samples_around_a_pause_stay_the_same(tmp_path: Path) -> None:
    sound = Sound("pcm_s16le")
    whole = make_clip(tmp_path / "whole.mkv", frames=60, rate=Fraction(25), size=(64, 48), sounds=[sound])
    source = without(whole.path, tmp_path / "in.mkv", HOLE)
    passed = pass_through(source, tmp_path / "out.mov")
    (before,), (after,) = (contents(path, "audio").values() for path in (source, passed.output))
    spoken = b"".join(before)
    heard = b"".join(after)
    assert len(heard) > len(spoken)
    silence = len(heard) - len(spoken)
    start = heard.find(bytes(silence))
    assert start > 0 and heard[:start] + heard[start + silence :] == spoken


def test_a_pause_longer_than_the_pictures_is_not_filled(tmp_path: Path) -> None:
    whole = make_clip(
        tmp_path / "whole.mkv", frames=30, rate=Fraction(25), size=(64, 48), sounds=[Sound("pcm_s16le")]
    )
    source = without(whole.path, tmp_path / "in.mkv", (0.5, 0.6), later=36_000)
    passed = pass_through(source, tmp_path / "out.avi")
    assert passed.output.stat().st_size < 1_000_000


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm", ".avi"])  # copied, and encoded anew
@pytest.mark.parametrize(("frames", "seconds", "parts"), [(30, 0.6, 3), (30, 1.8, 3), (10, 0.3, 8)])
def test_sound_shorter_or_longer_than_glued_pictures_stays_with_them(
    frames: int, seconds: float, parts: int, suffix: str, tmp_path: Path
) -> None:
    sound = Sound("libmp3lame", seconds=seconds)
    make_clip(tmp_path / "once.ts", frames=frames, rate=Fraction(25), size=(64, 48), sounds=[sound])
    glued = tmp_path / "glued.ts"
    glued.write_bytes((tmp_path / "once.ts").read_bytes() * parts)
    settings = EncodeSettings(codec="libvpx-vp9", preset=None, threads=1) if suffix == ".webm" else FAST
    passed = pass_through(glued, tmp_path / f"out{suffix}", settings)
    begin, bins = Fraction(frames, 25), range(int(seconds * 100))
    expected = {int((begin * part + Fraction(time, 100)) / BIN) for part in range(parts) for time in bins}
    assert len(expected ^ loud(passed.output)) <= 8 * parts // 3, passed.notes


def test_sound_that_begins_late_in_a_transport_stream_is_kept(tmp_path: Path) -> None:
    sound = Sound("libmp3lame", seconds=1.0, delay=8.0)
    source = make_clip(tmp_path / "in.ts", frames=90, rate=Fraction(10), size=(64, 48), sounds=[sound]).path
    passed = pass_through(source, tmp_path / "out.mkv")
    assert not passed.notes
    assert len(loud(passed.output) ^ set(range(160, 180))) <= 6
