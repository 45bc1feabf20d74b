import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from vidstyle.errors import OutputError, UsageError
from vidstyle.frames import FinishedFrame, Verdict
from vidstyle.report import AnomalyLog, check_log, finite, read_header, read_lines


def finished(index: int, *, flagged: bool = False, action: str = "none") -> FinishedFrame:
    picture = torch.zeros(3, 4, 4, dtype=torch.uint8)
    return FinishedFrame(
        index=index,
        pts=512 * index,
        duration=512,
        source=picture,
        picture=picture,
        damaged=False,
        shot=0,
        verdict=Verdict(score=0.1 + 2 * flagged, flagged=flagged, cues={"noise": float("nan")}),
        action=action,
    )


def write(path: Path, frames: int) -> None:
    with AnomalyLog(path, {"version": "x"}) as log:
        for index in range(frames):
            log.frame(finished(index), pts=512 * index, time_base=Fraction(1, 12800))


def test_every_line_is_there_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with AnomalyLog(path, {"version": "x"}) as log:
        log.frame(finished(0), pts=0, time_base=Fraction(1, 12800))
        log.frame(finished(1, flagged=True, action="repaired"), pts=512, time_base=Fraction(1, 12800))
        lines = list(read_lines(path))
        assert [line["type"] for line in lines] == ["header", "frame", "frame"]
        assert lines[0]["schema"] == 1
        assert lines[2]["time"] == pytest.approx(0.04)
        assert lines[2]["cues"] == {"noise": None}, "JSON knows no NaN"
        log.summary(notes=["a note"])
    last = list(read_lines(path))[-1]
    assert (last["frames"], last["flagged"], last["repaired"], last["kept"]) == (2, 1, 1, 0)


def test_a_cut_last_line_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 3)
    content = path.read_bytes()
    path.write_bytes(content[:-20])
    assert [line.get("frame") for line in read_lines(path)] == [None, 0, 1]


def test_resuming_keeps_the_lines_of_whole_segments_only(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write(path, 10)
    with AnomalyLog(path, {"version": "x"}, resume_frames=6) as log:
        assert log.counts.frames == 6
        log.frame(finished(6), pts=6 * 512, time_base=Fraction(1, 12800))
    assert [line["frame"] for line in read_lines(path) if line["type"] == "frame"] == list(range(7))


def test_input_damage_is_a_line_of_its_own(tmp_path: Path) -> None:
    with AnomalyLog(tmp_path / "log.jsonl", {}) as log:
        log.input_damage("a packet could not be decoded", 4)
        assert log.counts.input_damage == 1
    assert list(read_lines(tmp_path / "log.jsonl"))[1]["type"] == "input_damage"


def test_a_folder_that_is_missing_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="anomaly log"):
        AnomalyLog(tmp_path / "no" / "log.jsonl", {})


def test_finite_walks_into_containers() -> None:
    assert json.dumps(finite({"a": [float("inf"), (1.23456789, None)]}), allow_nan=False)


def test_the_run_that_wrote_a_log_is_known(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    assert read_header(path) is None
    AnomalyLog(path, {"run": "abc"}).close()
    header = read_header(path)
    assert header is not None
    assert header["run"] == "abc"


def test_a_log_replaces_only_logs(tmp_path: Path) -> None:
    film, log, words = tmp_path / "in.mp4", tmp_path / "log.jsonl", tmp_path / "words.txt"
    film.write_bytes(b"film")
    words.write_text("{}")
    AnomalyLog(log, {}).close()
    check_log(log, overwrite=False, others=[film])
    check_log(tmp_path / "new.jsonl", overwrite=False, others=[film])
    check_log(words, overwrite=True, others=[film])
    with pytest.raises(OutputError, match="no anomaly log"):
        check_log(words, overwrite=False, others=[film])
    with pytest.raises(UsageError, match="input or the output"):
        check_log(film, overwrite=True, others=[film])
    for special in (Path("/dev/null"), tmp_path):
        with pytest.raises(OutputError, match="regular"):
            check_log(special, overwrite=True, others=[film])
    with pytest.raises(OutputError, match="folder"):
        check_log(tmp_path / "no" / "log.jsonl", overwrite=True, others=[film])


@pytest.mark.parametrize(("frames", "left"), [(0, False), (1, True)])
def test_a_run_that_fails_before_its_first_frame_leaves_no_log(
    frames: int, left: bool, tmp_path: Path
) -> None:
    path = tmp_path / "log.jsonl"
    with pytest.raises(OutputError), AnomalyLog(path, {"version": "x"}) as log:
        for index in range(frames):
            log.frame(finished(index), pts=512 * index, time_base=Fraction(1, 12800))
        raise OutputError("Something broke.")
    assert path.exists() == left


def test_names_that_are_no_utf_8_are_read_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with AnomalyLog(path, {"input": "caf\udce9\udcff.mp4"}) as log:
        log.summary()
    path.read_bytes().decode("utf-8")
    header = read_header(path)
    assert header and header["input"] == "caf\udce9\udcff.mp4"
