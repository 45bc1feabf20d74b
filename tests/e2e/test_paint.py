"""The promise of the first page, through the real command."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.e2e.command import frame_lines, frames, paint, psnr, sound_packets, times, vidstyle
from tests.e2e.conftest import ROOT
from tests.media_factory import BT709, BT709_FULL, MATRICES, Clip, Sound, make_clip
from vidstyle.report import read_lines


@pytest.fixture(scope="session")
def painted(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample painted without loss, log beside it."""
    output = tmp_path_factory.mktemp("painted") / "out.mkv"
    paint(sample, "--style", "oil", "-o", output, "--codec", "ffv1")
    return output


def test_one_command_paints_beside_the_input(sample: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    source.write_bytes(sample.read_bytes())
    done = paint(source, "--style", "oil")
    output, log = tmp_path / "in.oil.mp4", tmp_path / "in.oil.anomalies.jsonl"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, output.name, log.name])
    assert source.read_bytes() == sample.read_bytes(), "the input is never touched"
    assert times(output) == times(source)
    assert sound_packets(output) == sound_packets(source) != []
    assert "in.oil.mp4" in done.stderr
    assert "\x1b" not in done.stderr, "no escape codes where there is no terminal"


def test_the_picture_is_plainly_painted_and_still_the_same_scene(sample: Path, painted: Path) -> None:
    for source, result in list(zip(frames(sample), frames(painted), strict=True))[::20]:
        assert source.shape == result.shape
        if source.std() < 12:  # the fade
            continue
        assert np.abs(source.astype(int) - result).mean() > 4, "hardly anything was painted"
        assert psnr(source, result) > 14, "the scene cannot be recognised"


def test_the_log_has_a_line_per_frame(sample: Path, painted: Path) -> None:
    lines = list(read_lines(painted.with_suffix(".anomalies.jsonl")))
    assert lines[0]["type"] == "header"
    assert lines[0]["style"] == "oil"
    assert len(lines[0]["weights_sha256"]) == 64
    logged = [line for line in lines if line["type"] == "frame"]
    assert [line["frame"] for line in logged] == list(range(len(times(sample))))
    assert [line["time"] for line in logged] == pytest.approx(
        [float(time) for time in times(sample)], abs=1e-5
    )
    assert lines[-1]["type"] == "summary"
    assert lines[-1]["frames"] == len(logged)
    assert logged[-1]["shot"] >= 1, "the sample has a cut"


def test_injected_faults_are_found_mended_and_logged(sample: Path, painted: Path, tmp_path: Path) -> None:
    faults = {14: "noise", 24: "blank", 33: "brightness"}
    hook = ("--inject-faults", ",".join(f"{kind}@{index}" for index, kind in faults.items()))
    mended, broken = tmp_path / "mended.mkv", tmp_path / "broken.mkv"
    paint(sample, "-o", mended, "--codec", "ffv1", *hook)
    paint(sample, "-o", broken, "--codec", "ffv1", "--no-correct", *hook)

    logged = frame_lines(mended.with_suffix(".anomalies.jsonl"))
    clean = frame_lines(painted.with_suffix(".anomalies.jsonl"))
    gains = []
    for index, (right, wrong, repaired) in enumerate(
        zip(frames(painted), frames(broken), frames(mended), strict=True)
    ):
        if index in faults:
            assert logged[index]["flagged"], f"{faults[index]} at {index} was not found"
            assert logged[index]["action"] in ("repaired", "restyled")
            assert logged[index]["reasons"]
            assert logged[index]["score_after"] < logged[index]["score"]  # type: ignore[operator]
            gains.append(psnr(repaired, right) - psnr(wrong, right))
        elif not logged[index]["flagged"] and not clean[index]["flagged"]:
            assert np.array_equal(repaired, right), f"frame {index} was not flagged but altered"
    assert np.mean(gains) >= 6, gains


def test_without_faults_hardly_a_frame_is_flagged(painted: Path) -> None:
    logged = frame_lines(painted.with_suffix(".anomalies.jsonl"))
    assert sum(bool(line["flagged"]) for line in logged) <= 0.03 * len(logged)


def test_no_detect_paints_the_same_pictures(sample: Path, painted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    paint(sample, "-o", output, "--codec", "ffv1", "--no-detect")
    flagged = [line["flagged"] for line in frame_lines(painted.with_suffix(".anomalies.jsonl"))]
    pairs = zip(frames(painted), frames(output), flagged, strict=True)
    assert all(np.array_equal(one, other) for one, other, touched in pairs if not touched)


def test_batch_size_does_not_change_what_is_found(sample: Path, painted: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    paint(sample, "-o", output, "--codec", "ffv1", "--batch-size", "1")
    one, other = (
        [line["score"] for line in frame_lines(path.with_suffix(".anomalies.jsonl"))]
        for path in (painted, output)
    )
    assert one == pytest.approx(other, abs=0.05)


@pytest.mark.parametrize(
    "clip",
    [
        {"color": BT709},
        {"color": BT709_FULL, "pix_fmt": "yuvj420p"},
        {"size": (161, 97), "pix_fmt": "yuv444p"},
        {"pix_fmt": "yuv420p10le"},
        {"matrix": MATRICES["clockwise"]},
        {"matrix": MATRICES["mirrored"]},
    ],
    ids=["bt709", "full range", "odd size", "10 bits", "rotated", "mirrored"],
)
def test_strength_0_gives_back_the_source(clip: dict[str, object], tmp_path: Path) -> None:
    made: Clip = make_clip(tmp_path / "in.mp4", frames=9, **clip)  # type: ignore[arg-type]
    source = getattr(made, "path", tmp_path / "in.mp4")
    output = tmp_path / "out.mp4"
    paint(source, "-o", output, "--strength", "0", "--crf", "12")
    assert times(output) == times(source)
    for before, after in zip(frames(source), frames(output), strict=True):
        assert before.shape == after.shape, "as stored: the rotation is kept as it was"
        assert psnr(before, after) >= 40
    flags = [line["flagged"] for line in frame_lines(output.with_suffix(".anomalies.jsonl"))]
    assert not any(flags)


def test_a_fade_that_is_painted_well_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the clip that the first page paints. A frame of it was flagged for the fade alone."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    rng, size = np.random.default_rng(7), (640, 360)
    importlib.import_module("sample.valley").Valley(rng, size)  # the shot before it has drawn its numbers
    shore = importlib.import_module("sample.shore").Shore(rng, size)
    finish = importlib.import_module("make_sample").finish

    def picture(index: int, size: tuple[int, int]) -> np.ndarray:
        n = 35 + index
        return finish(shore.frame(n / 24, n / 65) * min(1.0, (64 - n) / 18.72))

    clip = make_clip(tmp_path / "in.mp4", frames=30, size=size, picture=picture)
    output = tmp_path / "out.mkv"
    paint(clip.path, "--style", "oil", "-o", output)
    assert not [
        line["frame"] for line in frame_lines(output.with_suffix(".anomalies.jsonl")) if line["flagged"]
    ]


def test_strength_0_keeps_luma_beyond_white(tmp_path: Path) -> None:
    """RGB has no room for luma over 235, so an unchanged picture may not go through it."""
    import av

    source, output = tmp_path / "in.mp4", tmp_path / "out.mkv"
    with av.open(str(source), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"crf": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(4):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), 250, np.uint8), format="yuv420p")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    paint(source, "-o", output, "--strength", "0", "--codec", "ffv1")
    for before, after in zip(frames(source, "yuv420p"), frames(output, "yuv420p"), strict=True):
        assert np.array_equal(before, after)


def test_start_and_end_select_frames_and_sound(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=48, sounds=[Sound()])
    output = tmp_path / "out.mp4"
    paint(tmp_path / "in.mp4", "-o", output, "--start", "0.5", "--duration", "1")
    logged = frame_lines(output.with_suffix(".anomalies.jsonl"))
    assert [line["frame"] for line in logged] == list(range(12, 36))
    assert len(times(output)) == 24
    assert times(output)[0] == 0
    assert len(sound_packets(output)) == 1


def test_preserve_color_and_strength_work_together(sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    paint(
        sample, "-o", output, "--codec", "ffv1", "--preserve-color", "--strength", "0.7", "--duration", "12f"
    )
    source, result = next(frames(sample)).astype(float), next(frames(output)).astype(float)
    difference = np.abs((result - source) - (result - source).mean(2, keepdims=True))
    assert np.median(difference) < 4, "chroma is the source's"


def test_json_progress_is_for_programs(sample: Path, tmp_path: Path) -> None:
    done = paint(sample, "-o", tmp_path / "out.mp4", "--progress", "json", "--duration", "12f")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[0]["type"] == "started"
    assert lines[-1]["type"] == "finished"
    assert lines[-1]["frames"] == 12


def test_quiet_says_nothing(sample: Path, tmp_path: Path) -> None:
    done = paint(sample, "-o", tmp_path / "out.mp4", "-q", "--duration", "6f")
    assert (done.stdout, done.stderr) == ("", "")


def test_an_existing_output_is_refused_unless_told(sample: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"precious")
    done = vidstyle(sample, "-o", output, "--duration", "6f")
    assert done.returncode == 4
    assert output.read_bytes() == b"precious"
    paint(sample, "-o", output, "--duration", "6f", "-y")
    assert len(times(output)) == 6


def test_the_output_may_not_be_the_input(sample: Path) -> None:
    before = sample.read_bytes()
    assert vidstyle(sample, "-o", sample, "-y").returncode == 2
    assert sample.read_bytes() == before


def test_a_folder_paints_everything_in_it_and_survives_a_bad_file(sample: Path, tmp_path: Path) -> None:
    folder, results = tmp_path / "clips", tmp_path / "painted"
    folder.mkdir()
    make_clip(folder / "a.mp4", frames=5)
    make_clip(folder / "b.mkv", frames=5)
    (folder / "broken.mp4").write_text("no video")
    done = vidstyle(folder, "-o", results)
    assert done.returncode == 3
    assert len(times(results / "a.mp4")) == len(times(results / "b.mkv")) == 5
    assert "broken.mp4" in done.stderr
    assert "3 files: 2 painted, 1 failed" in done.stderr


def test_a_folder_painted_again_is_not_painted_twice(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", frames=3)
    paint(tmp_path)
    paint(tmp_path, "-y")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "a.oil.anomalies.jsonl", "a.oil.mp4"]


def test_two_results_of_one_name_have_logs_of_their_own(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    paint(tmp_path / "in.mp4", "-o", tmp_path / "x.mkv")
    paint(tmp_path / "in.mp4", "-o", tmp_path / "x.mp4")
    for log in ("x.anomalies.jsonl", "x.mp4.anomalies.jsonl"):
        assert len(frame_lines(tmp_path / log)) == 3


def test_the_log_may_not_replace_the_input(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    before = (tmp_path / "in.mp4").read_bytes()
    done = vidstyle(tmp_path / "in.mp4", "--anomaly-log", tmp_path / "in.mp4", "-y")
    assert done.returncode == 2
    assert (tmp_path / "in.mp4").read_bytes() == before


def test_a_part_without_frames_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    done = vidstyle(tmp_path / "in.mp4", "--start", "100")
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_cut_off_input_is_painted_as_far_as_it_goes_and_said_so(sample: Path, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    make_clip(source, frames=60, size=(320, 180))
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 6 // 10])
    done = paint(source)
    assert "note: The input is damaged" in done.stderr
    lines = list(read_lines(tmp_path / "in.oil.anomalies.jsonl"))
    assert any(line["type"] == "input_damage" for line in lines)
    assert vidstyle(source, "-y", "--strict", "--no-detect").returncode == 6


def test_closed_standard_streams_do_not_matter(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    command = f"'{sys.executable}' -m vidstyle '{tmp_path / 'in.mp4'}' --no-detect >&- 2>&- <&-"
    assert subprocess.run(command, shell=True, check=False).returncode == 0
    assert len(times(tmp_path / "in.oil.mp4")) == 3


def test_a_still_is_painted(sample: Path, tmp_path: Path) -> None:

    picture = next(frames(sample))
    Image.fromarray(picture).save(tmp_path / "photo.png")
    paint(tmp_path / "photo.png", "--style", "oil")
    result = np.asarray(Image.open(tmp_path / "photo.oil.png"))
    assert result.shape == picture.shape
    assert np.abs(result.astype(int) - picture).mean() > 3


def test_styles_lists_oil() -> None:
    assert "oil" in paint("styles").stdout


def test_doctor_verifies_the_weights() -> None:
    done = vidstyle("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("torch", "oil.safetensors", "libx264"):
        assert word in done.stdout
