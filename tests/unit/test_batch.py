"""Many inputs: found, named, painted one after the other whatever becomes of each, and summed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidstyle.batch import SHOWN_FAILURES, Batch, Job, Jobs, Outcome, find_jobs
from vidstyle.errors import DamagedError, InputError, Interrupted, OutputError, UsageError, VidstyleError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).touch()


def sources(jobs: Jobs) -> list[str]:
    return [job.source.name for job in jobs.jobs]


def test_a_folder_gives_its_videos_and_pictures_but_no_results(tmp_path: Path) -> None:
    touch(
        tmp_path, "b.MOV", "a.mp4", "a.oil.mp4", "a.oil.anomalies.jsonl", "p.jpg", "p.sketch.jpg", "notes.txt"
    )
    (tmp_path / "deeper.mp4").mkdir()
    found = find_jobs([tmp_path], None, style="oil", styles=["sketch"])
    assert sources(found) == ["a.mp4", "b.MOV", "p.jpg"]
    assert found.several
    assert found.ignored == ("notes.txt", "deeper.mp4/")


def test_what_only_looks_like_a_result_is_named(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "a.oil.mp4", "a.oil.mov", "b.vob", "without")
    found = find_jobs([tmp_path], None, style="oil")
    assert (sources(found), found.ignored) == (["a.mp4", "b.vob"], ("a.oil.mov", "without"))


def test_results_under_shortened_names_are_known_as_well(tmp_path: Path) -> None:
    from vidstyle.suffixes import default_result

    source = tmp_path / ("é" * 120 + ".mp4")
    source.touch()
    default_result(source, "oil").touch()
    assert sources(find_jobs([tmp_path], None, style="oil")) == [source.name]


def test_an_output_folder_is_made_and_gets_the_inputs_own_names(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "b.avi", "p.jpg")
    found = find_jobs([tmp_path], tmp_path / "out", style="oil")
    assert [job.output for job in found.jobs] == [
        tmp_path / "out" / name for name in ("a.mp4", "b.mkv", "p.jpg")
    ]
    with pytest.raises(UsageError, match="folder"):
        find_jobs([tmp_path], tmp_path / "all.mp4", style="oil")
    with pytest.raises(OutputError):
        find_jobs([tmp_path], tmp_path / "a.mp4" / "x", style="oil")


def test_one_file_is_not_several(tmp_path: Path) -> None:
    found = find_jobs([tmp_path / "a.mp4"], tmp_path / "b.mp4", style="oil")
    assert (found.jobs, found.several) == ((Job(tmp_path / "a.mp4", tmp_path / "b.mp4"),), False)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        find_jobs([tmp_path], None, style="oil")


def test_an_empty_folder_among_others_stops_none_of_them(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    jobs = find_jobs([tmp_path / "empty", tmp_path / "in.mp4"], tmp_path / "out", style="oil")
    assert [(job.source.name, job.refused is None) for job in jobs.jobs] == [
        ("empty", False),
        ("in.mp4", True),
    ]
    complaints: list[VidstyleError] = []
    painted: list[Path] = []

    def paint(job: Job) -> Outcome:
        painted.append(job.source)
        return "painted"

    code = Batch(jobs, style="oil", say=lambda _: None, complain=complaints.append).run(paint)
    assert painted == [tmp_path / "in.mp4"]
    assert [error.exit_code for error in complaints] == [code] == [3]


class Night:
    """A batch whose files end as they are told, and what it says."""

    def __init__(
        self, *ends: str | BaseException, names: list[str] | None = None, ignored: tuple[str, ...] = ()
    ) -> None:
        names = names or [f"{i}.mp4" for i in range(len(ends))]
        self.ends = dict(zip(names, ends, strict=True))
        self.said: list[str] = []
        self.complaints: list[VidstyleError] = []
        self.painted: list[str] = []
        jobs = Jobs(tuple(Job(Path(name), None) for name in names), True, ignored)
        self.batch = Batch(jobs, style="oil", say=self.said.append, complain=self.complaints.append)

    def run(self) -> int:
        return self.batch.run(self._paint)

    def _paint(self, job: Job) -> Outcome:
        end = self.ends[str(job.source)]
        if isinstance(end, BaseException):
            raise end
        self.painted.append(str(job.source))
        return end  # type: ignore[return-value]


def test_a_failure_stops_none_of_the_others_and_decides_the_exit_code() -> None:
    night = Night("painted", InputError("No."), "skipped", ZeroDivisionError(), MemoryError(), "painted")
    assert night.run() == InputError.exit_code
    assert night.painted == ["0.mp4", "2.mp4", "5.mp4"]
    assert night.said[0] == "6 files: 2 painted, 3 failed, 1 skipped"
    assert [error.exit_code for error in night.complaints] == [3, 1, 5]
    assert "1.mp4: No." in night.said[1]


def test_without_failures_all_is_well() -> None:
    night = Night("painted", "skipped", ignored=("a", "b", "c/"))
    assert night.run() == 0
    assert night.said[0] == "2 files: 1 painted, 1 skipped"
    assert night.said[1].startswith("3 left alone") and night.said[1].endswith(": a, b, c/")


def test_a_damaged_input_counts_as_painted_and_is_told() -> None:
    night = Night(DamagedError("Damaged."), "painted")
    assert night.run() == DamagedError.exit_code
    assert night.said[0] == "2 files: 2 painted"


def test_the_summary_of_a_long_night_stays_short() -> None:
    night = Night(*[InputError("No.") for _ in range(500)])
    night.run()
    assert len(night.said) == SHOWN_FAILURES + 2
    assert night.said[-1].strip() == f"and {500 - SHOWN_FAILURES} more"


def test_a_signal_ends_the_batch_after_its_summary() -> None:
    night = Night("painted", Interrupted(2), "painted", "painted")
    with pytest.raises(Interrupted):
        night.run()
    assert night.said == ["4 files: 1 painted, 3 not reached"]


def test_two_inputs_never_share_a_result() -> None:
    night = Night("painted", "painted", "painted", names=["a.avi", "a.ts", "b.ts"])
    assert night.run() == OutputError.exit_code
    assert night.painted == ["a.avi", "b.ts"]
    assert "a.avi" in night.complaints[0].reason
