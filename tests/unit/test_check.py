from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import pytest

from tests.media_factory import make_clip, read_stamp
from vidstyle import check
from vidstyle.check import check_video
from vidstyle.events import Event, FrameDone, RunStarted
from vidstyle.frames import Batch, StyledBatch
from vidstyle.media import segments
from vidstyle.media.probe import probe
from vidstyle.report import read_lines
from vidstyle.run import Run
from vidstyle.settings import CheckSettings, Clip, OutputSettings, Settings

GOP = {"options": {"g": "8", "bf": "2"}}
UNEVEN = [i * i for i in range(40)]


def stamps(
    source: Path, stylised: Path, *, first: int = 0, settings: Settings | None = None
) -> Iterator[tuple[int, int | None, int]]:
    """Index, source frame and stylised frame of each pair, read from the pictures; None where there is none."""
    checking = check._Checking(Run(settings or Settings()), probe(source), probe(stylised), writes=False)
    with closing(checking._pairs(3, first)) as items:
        for item in items:
            batch = item.source if isinstance(item, StyledBatch) else item
            pictures = item.pictures if isinstance(item, StyledBatch) else item.pixels
            for place, index in enumerate(batch.indices):
                own = read_stamp(pictures[place].permute(1, 2, 0).numpy())
                found = (
                    None
                    if isinstance(item, Batch)
                    else read_stamp(batch.pixels[place].permute(1, 2, 0).numpy())
                )
                yield index, found, own


@pytest.fixture(autouse=True)
def no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "CHECKING_FRAMES", 0)


@pytest.mark.parametrize("first", [0, 21])
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"pts": UNEVEN, "time_base": Fraction(1, 600)},
        {"pts": [90 + i for i in range(40)], "time_base": Fraction(1, 24)},
        {"rate": Fraction(10)},  # by number
        {"size": (320, 192)},
    ],
    ids=["same", "uneven", "later", "other rate", "larger"],
)
def test_each_frame_finds_its_own_from_wherever_the_run_starts(
    tmp_path: Path, how: dict[str, object], first: int
) -> None:
    uneven = how if how.get("pts") == UNEVEN else {}
    make_clip(tmp_path / "in.mp4", frames=40, **{**GOP, **uneven})  # type: ignore[arg-type]
    make_clip(tmp_path / "sty.mkv", frames=40, **{**GOP, **how})  # type: ignore[arg-type]
    found = list(stamps(tmp_path / "in.mp4", tmp_path / "sty.mkv", first=first))
    assert found == [(i, i, i) for i in range(first, 40)]


def test_half_the_rate_finds_every_second_frame_and_what_hangs_over_finds_none(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=40, rate=Fraction(50))
    make_clip(tmp_path / "sty.mp4", frames=23, rate=Fraction(25))
    found = list(stamps(tmp_path / "in.mp4", tmp_path / "sty.mp4"))
    assert found == [(i, 2 * i if i < 20 else None, i) for i in range(23)]


def test_frames_that_were_lost_at_the_beginning_shift_nothing(tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=30)
    make_clip(tmp_path / "sty.mp4", pts=range(5, 30), time_base=Fraction(1, 24))
    assert [source - own for _, source, own in stamps(tmp_path / "in.mp4", tmp_path / "sty.mp4")] == [5] * 25


def test_a_clip_counts_from_the_first_stylised_frame(tmp_path: Path) -> None:
    for name in ("in.mp4", "sty.mp4"):
        make_clip(tmp_path / name, frames=40, **GOP)  # type: ignore[arg-type]
    part = Settings(clip=Clip(Fraction(1), Fraction(3, 2)))
    found = list(stamps(tmp_path / "in.mp4", tmp_path / "sty.mp4", settings=part))
    assert found == [(i, i, i) for i in range(24, 36)]


class Stop(Exception):
    pass


def test_an_interrupted_check_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(segments, "SEGMENT_FRAMES", 5)
    source, stylised = tmp_path / "in.mp4", tmp_path / "sty.mp4"
    for path in (source, stylised):
        make_clip(path, frames=16)
    lossless = Settings(check=CheckSettings(threshold=0.01), output=OutputSettings(codec="ffv1"))
    whole, output = tmp_path / "whole.mkv", tmp_path / "out.mkv"
    check_video(source, stylised, whole, settings=lossless)

    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 12:
            raise Stop

    with pytest.raises(Stop):
        check_video(source, stylised, output, settings=lossless, listener=stop)
    assert not output.exists()
    events: list[Event] = []
    report = check_video(source, stylised, output, settings=lossless, listener=events.append)
    assert [event.resumed_at for event in events if isinstance(event, RunStarted)] == [10]
    assert sum(isinstance(event, FrameDone) for event in events) == 6
    assert report.frames == 16
    logs = [
        [line for line in read_lines(path.with_suffix(".anomalies.jsonl")) if line["type"] == "frame"]
        for path in (whole, output)
    ]
    assert logs[0] == logs[1]
    assert whole.stat().st_size == pytest.approx(output.stat().st_size, abs=64)


def test_both_inputs_decide_whether_an_interrupted_check_goes_on(tmp_path: Path) -> None:
    first = tmp_path / "in.mp4"
    make_clip(first, frames=3)
    headers = []
    same = Settings(output=OutputSettings(overwrite=True, anomaly_log=tmp_path / "log.jsonl"))
    for other in ("a.mp4", "b.mp4"):
        make_clip(tmp_path / other, frames=3, tags={"title": other})
        for pair in ((first, tmp_path / other), (tmp_path / other, first)):
            report = check_video(*pair, settings=same)
            headers.append(next(read_lines(report.log))["run"])
    assert len(set(headers)) == 4
