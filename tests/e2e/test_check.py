"""`vidstyle check`: what any tool has stylised is judged by its source, and mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest
import torch

from tests.e2e.command import frame_lines, psnr, sound_packets, times, vidstyle
from tests.media_factory import MATRICES, Sound, make_clip
from tests.media_output import packets
from tests.unit.painted_clip import HEIGHT, WIDTH, Picture, paint, pan
from vidstyle.cli import _main
from vidstyle.faults import blank, noise
from vidstyle.report import read_lines

FRAMES = 18
BAD = {7: noise, 12: blank}
RATE = Fraction(25)
SOURCE = pan(FRAMES)
STYLED = [paint(picture) for picture in SOURCE]


def spoiled(pictures: Sequence[Picture] = STYLED) -> list[Picture]:
    result = list(pictures)
    for index, fault in BAD.items():
        unit = torch.from_numpy(result[index]).permute(2, 0, 1).float() / 255
        result[index] = (fault(unit, index).clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    return result


def clip(path: Path, pictures: Sequence[Picture], **how: object) -> Path:
    height, width = pictures[0].shape[:2]
    arguments = {"codec": "ffv1", "pix_fmt": "bgr0", "rate": RATE, "size": (width, height), **how}
    make_clip(path, frames=len(pictures), picture=lambda index, _: pictures[index], **arguments)  # type: ignore[arg-type]
    return path


class Ended(NamedTuple):
    code: int
    words: str


Check = Callable[..., Ended]


@pytest.fixture
def check(capfd: pytest.CaptureFixture[str]) -> Check:
    """`vidstyle check ARGUMENTS`, in this process: starting one takes longer than checking a clip."""

    def run(*arguments: str | Path) -> Ended:
        code = _main(["check", *map(str, arguments)], debug=False)
        return Ended(code, capfd.readouterr().err)

    return run


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return clip(tmp_path / "in.mkv", SOURCE, sounds=[Sound("flac")])


def flagged(log: Path) -> set[int]:
    return {int(line["frame"]) for line in frame_lines(log) if line["flagged"]}  # type: ignore[call-overload]


def samples(path: Path) -> list[tuple[np.ndarray, ...]]:
    """Every plane of every frame, without what pads its rows; RGB in one order."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.format.is_rgb and frame.format.name not in ("bgra", "rgb24"):
                frame = frame.reformat(format="rgb24")
            wide = 2 if frame.format.components[0].bits > 8 else 1
            packed = len(frame.planes) == 1 and len(frame.format.components) > 1
            planes = []
            for plane in frame.planes:
                rows: np.ndarray = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                pixel = len(frame.format.components) if packed else wide
                planes.append(rows[:, : plane.width * pixel].copy())
            found.append(tuple(planes))
    return found


def equal(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_clean_pair_is_clean_and_nothing_but_the_log_is_written(
    check: Check, source: Path, tmp_path: Path
) -> None:
    stylised = clip(tmp_path / "in.anime.mkv", STYLED)
    before = [path.read_bytes() for path in (source, stylised)]
    done = check(source, stylised, "--strict")
    assert done.code == 0, done.words
    log = tmp_path / "in.anime.check.jsonl"
    assert sorted(tmp_path.iterdir()) == sorted([source, stylised, log])
    assert f"{FRAMES} frames checked" in done.words
    assert "none flagged" in done.words
    lines = list(read_lines(log))
    assert (lines[0]["input"], lines[0]["stylised"], lines[0]["output"]) == (str(source), str(stylised), None)
    assert "style" not in lines[0]["settings"]
    assert [line["frame"] for line in lines[1:-1]] == list(range(FRAMES))
    assert [line["time"] for line in lines[1:-1]] == pytest.approx([i / 25 for i in range(FRAMES)])
    assert lines[-1]["type"] == "summary"
    assert [path.read_bytes() for path in (source, stylised)] == before, "inputs are never touched"


@pytest.mark.parametrize(
    ("codec", "pix_fmt"),
    [
        ("ffv1", "bgr0"),
        ("libx264", "yuv420p"),
        ("libx264", "yuv444p"),
        ("libx264rgb", "rgb24"),
        ("libx264", "yuv420p10le"),
    ],
)
def test_faults_are_found_and_mended_and_all_else_stays_bit_by_bit(
    check: Check, source: Path, tmp_path: Path, codec: str, pix_fmt: str
) -> None:
    options = {"options": {"crf": "8"}} if codec.startswith("libx264") else {}
    stylised = clip(tmp_path / "sty.mkv", spoiled(), codec=codec, pix_fmt=pix_fmt, **options)
    fixed = tmp_path / "fixed.mkv"
    done = check(source, stylised, "-o", fixed, "--codec", "ffv1")
    assert done.code == 0, done.words
    logged = frame_lines(tmp_path / "fixed.anomalies.jsonl")
    hits = {int(line["frame"]) for line in logged if line["flagged"]}  # type: ignore[call-overload]
    assert hits >= set(BAD)
    assert len(hits) <= len(BAD) + 1
    assert all(logged[index]["action"] == "repaired" and logged[index]["reasons"] for index in BAD)
    assert f"frame {min(BAD)} at 0.280 s: " in done.words
    assert times(fixed) == times(stylised)
    pairs = zip(samples(stylised), samples(fixed), strict=True)
    differing = {index for index, (before, after) in enumerate(pairs) if not equal(before, after)}
    assert differing == {int(line["frame"]) for line in logged if line["action"] == "repaired"}  # type: ignore[call-overload]


def test_the_repair_is_better_and_other_tracks_are_those_of_the_stylised_video(
    check: Check, source: Path, tmp_path: Path
) -> None:
    stylised = clip(
        tmp_path / "sty.mkv", spoiled(), sounds=[Sound("flac", hertz=880)], tags={"title": "A painting"}
    )
    fixed = tmp_path / "fixed.mkv"
    assert check(source, stylised, "-o", fixed, "--codec", "ffv1").code == 0
    assert sound_packets(fixed) == sound_packets(stylised) != sound_packets(source)
    with av.open(str(fixed)) as container:
        assert container.metadata["title"] == "A painting"
        for index, frame in enumerate(container.decode(video=0)):
            if index in BAD:
                after = psnr(frame.to_ndarray(format="rgb24"), STYLED[index])
                assert after > psnr(spoiled()[index], STYLED[index]) + 4


def test_a_silent_video_gets_the_sound_of_its_source_in_time(check: Check, tmp_path: Path) -> None:
    h264 = {"codec": "libx264", "pix_fmt": "yuv420p"}
    late = {"pts": range(50, 50 + FRAMES), "sounds": [Sound(delay=2.0)]}
    source = clip(tmp_path / "in.mp4", SOURCE, **h264, **late)
    for name, how, tracks in (("sty", {}, 1), ("slow", {"rate": Fraction(20)}, 0)):
        stylised, fixed = clip(tmp_path / f"{name}.mp4", STYLED, **h264, **how), tmp_path / f"{name}.mkv"
        done = check(source, stylised, "-o", fixed)
        assert done.code == 0
        assert "STYLISED has no sound" in done.words
        found = packets(fixed, "audio")
        assert len(found) == tracks
        for track in found.values():
            assert track[0][0] == pytest.approx(0, abs=0.03)
            assert track[-1][0] == pytest.approx(FRAMES / 25, abs=0.05)


def test_strict_tells_of_flagged_frames_unless_they_are_mended(
    check: Check, source: Path, tmp_path: Path
) -> None:
    stylised = clip(tmp_path / "sty.mkv", spoiled())
    assert check(source, stylised, "--strict").code == 6
    assert check(source, stylised, "--strict", "-o", tmp_path / "fixed.mp4").code == 0


def scaled(pictures: Sequence[Picture], width: int, height: int) -> list[Picture]:
    import cv2

    return [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures]


MORE = pan(2 * FRAMES, step=0.75)
TRANSFORMED: dict[str, tuple[list[Picture], dict[str, object], list[Picture], dict[str, object], str]] = {
    "sides rounded to 32": (SOURCE, {}, scaled(spoiled(), WIDTH, HEIGHT // 32 * 32), {}, "scaled"),
    "twice the size": (SOURCE, {}, scaled(spoiled(), 2 * WIDTH, 2 * HEIGHT), {}, "scaled"),
    "half the frames": (
        MORE,
        {"rate": Fraction(50)},
        spoiled([paint(p) for p in MORE[::2]]),
        {},
        "25 frames per second",
    ),
    "another rate": (SOURCE, {}, spoiled(), {"rate": Fraction(30)}, "by number"),
    "a later start": (SOURCE, {}, spoiled(), {"pts": [50 + i for i in range(FRAMES)]}, "2.000 s later"),
    "the end lost": (SOURCE, {}, spoiled()[:-3], {}, "last 3 frame(s) of SOURCE"),
    "the end repeated": (SOURCE, {}, spoiled() + [STYLED[-1]] * 2, {}, "2 frame(s) of STYLISED"),
    "uneven times": (
        SOURCE,
        {"pts": [i * i for i in range(FRAMES)], "time_base": Fraction(1, 500)},
        spoiled(),
        {"pts": [i * i for i in range(FRAMES)], "time_base": Fraction(1, 500)},
        "",
    ),
    "a rotation lost": (
        [np.ascontiguousarray(np.rot90(p)) for p in SOURCE],
        {"matrix": MATRICES["counterclockwise"]},
        spoiled(),
        {},
        "rotation",
    ),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_what_tools_do_to_sizes_and_times_is_no_fault(check: Check, tmp_path: Path, name: str) -> None:
    originals, how, pictures, how_styled, words = TRANSFORMED[name]
    how = {**how, "codec": "libx264", "pix_fmt": "yuv420p"}
    source = clip(tmp_path / "in.mp4", originals, **how)
    stylised = clip(tmp_path / "sty.mp4", pictures, codec="libx264", pix_fmt="yuv420p", **how_styled)
    done = check(source, stylised)
    assert done.code == 0, done.words
    assert words in done.words
    if not words:
        assert "note:" not in done.words
    hits = flagged(tmp_path / "sty.check.jsonl")
    assert hits >= set(BAD)
    traces = {
        bad + k for bad in BAD for k in range(1, 4)
    }  # the encoder carries a bad frame into those after it
    assert len(hits - set(BAD) - traces) <= 1


def test_frames_without_a_counterpart_pass_unjudged_and_unchanged(
    check: Check, source: Path, tmp_path: Path
) -> None:
    stylised = clip(tmp_path / "sty.mkv", [*STYLED, np.zeros_like(STYLED[0]), STYLED[0]])
    fixed = tmp_path / "fixed.mkv"
    done = check(source, stylised, "-o", fixed, "--codec", "ffv1")
    assert f"{FRAMES} frames checked" in done.words
    logged = frame_lines(tmp_path / "fixed.anomalies.jsonl")
    assert [line["reference"] == "unpaired" for line in logged] == [False] * FRAMES + [True] * 2
    assert not any(line["flagged"] for line in logged)
    for before, after in zip(samples(stylised), samples(fixed), strict=True):
        assert equal(before, after)


def test_a_part_is_checked_alone(check: Check, source: Path, tmp_path: Path) -> None:
    stylised = clip(tmp_path / "sty.mkv", spoiled())
    done = check(source, stylised, "--start", "5f", "--end", "0.48", "-o", tmp_path / "part.mkv")
    assert done.code == 0, done.words
    logged = frame_lines(tmp_path / "part.anomalies.jsonl")
    assert [line["frame"] for line in logged] == list(range(5, 12))
    assert {int(line["frame"]) for line in logged if line["flagged"]} == {7}  # type: ignore[call-overload]
    assert len(times(tmp_path / "part.mkv")) == 7


def test_what_cannot_be_checked_is_one_line(check: Check, source: Path, tmp_path: Path) -> None:
    stylised = clip(tmp_path / "sty.mkv", STYLED)
    long = clip(tmp_path / "long.mkv", STYLED * 3)
    square = clip(tmp_path / "square.mkv", scaled(STYLED, 96, 96))
    words, picture = tmp_path / "words.mp4", tmp_path / "photo.png"
    words.write_text("no video")
    picture.write_bytes(b"whatever")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for arguments, code, said in [
        ((source, tmp_path / "nowhere.mp4"), 3, "nowhere.mp4"),
        ((tmp_path / "nowhere.mp4", stylised), 3, "nowhere.mp4"),
        ((source, long), 3, "cannot be compared"),
        ((source, square), 3, "another shape"),
        ((source, words), 3, "words.mp4"),
        ((source, picture), 3, "picture"),
        ((source, stylised, "-o", stylised, "-y"), 2, "input itself"),
        ((source, stylised, "-o", source, "-y"), 2, "input itself"),
        ((source, stylised, "-o", tmp_path / "x.gif"), 4, ".gif"),
        ((source, stylised, "--codec", "ffv1"), 2, "output"),
        ((source, stylised, "--anomaly-log", stylised, "-y"), 2, "log"),
        ((source,), 2, "STYLISED"),
    ]:
        done = check(*arguments)
        assert done.code == code, done.words
        lines = [line for line in done.words.splitlines() if not line.startswith("  hint: ")]
        assert len(lines) == 1, done.words
        assert lines[0].startswith("vidstyle: error: ")
        assert said in done.words
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_another_log_is_not_replaced_unasked(check: Check, source: Path, tmp_path: Path) -> None:
    stylised = clip(tmp_path / "sty.mkv", STYLED[:12])
    other = clip(tmp_path / "other.mkv", SOURCE[:12])
    log = tmp_path / "sty.check.jsonl"
    assert check(other, stylised).code == 0
    assert check(other, stylised).code == 0, "the same check once more"
    before = log.read_bytes()
    for arguments in ((stylised, stylised), (other, stylised, "--start", "5f")):
        done = check(*arguments)
        assert done.code == 4
        assert "log of another" in done.words
    assert log.read_bytes() == before
    twin = tmp_path / "sty.mp4"
    clip(twin, STYLED[:12], codec="libx264", pix_fmt="yuv420p")
    assert check(other, twin).code == 0
    assert (tmp_path / "sty.mp4.check.jsonl").exists()
    assert log.read_bytes() == before


def test_damage_is_logged_with_the_name_of_the_video(check: Check, tmp_path: Path) -> None:
    source = clip(tmp_path / "in.mkv", SOURCE)
    stylised = clip(tmp_path / "sty.mkv", STYLED)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 8 // 10])
    done = check(source, stylised, "--strict")
    assert done.code == 6
    damage = [line for line in read_lines(tmp_path / "sty.check.jsonl") if line["type"] == "input_damage"]
    assert damage
    assert all(line["message"].startswith("SOURCE: ") for line in damage)


def test_the_command_in_a_process_of_its_own(source: Path, tmp_path: Path) -> None:
    stylised = clip(tmp_path / "sty.mkv", spoiled())
    done = vidstyle("check", source, stylised, "--progress", "json", "--strict")
    assert done.returncode == 6
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    started, finished, error = lines[0], lines[-2], lines[-1]
    assert (started["input"], started["stylised"], started["output"]) == (str(source), str(stylised), None)
    assert {frame["frame"] for frame in finished["first_flagged"]} >= set(BAD)
    assert all(frame["reasons"] for frame in finished["first_flagged"])
    assert error["exit_code"] == 6
