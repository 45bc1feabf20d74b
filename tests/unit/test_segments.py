"""The output of a run: complete or not there, resumed from whole segments, never in the way of the old file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media_factory import MATRICES, Clip, Sound, make_clip, read_stamp, stamped
from tests.media_output import FAST, contents, frames_of, pass_through, pictures, psnr, times
from vidstyle.errors import OutputError, UsageError
from vidstyle.media import segments
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.probe import probe
from vidstyle.media.segments import Output, check_output
from vidstyle.media.store import EncodedPacket, SegmentStore, SegmentWriter

SEGMENT = 5


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SEGMENT_FRAMES", SEGMENT)


@pytest.fixture
def clip(tmp_path: Path) -> Clip:
    return make_clip(tmp_path / "in.mp4", frames=23, sounds=[Sound()])


def work_folders(folder: Path) -> list[Path]:
    return list(folder.glob(".vidstyle-*"))


def stamps(path: Path) -> list[int]:
    return [read_stamp(picture.permute(1, 2, 0).numpy()) for _, _, picture in frames_of(probe(path))]


# What is written is what was given


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_every_frame_is_there_in_order_across_segments(clip: Clip, tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"out{suffix}"
    passed = pass_through(clip.path, output, EncodeSettings(crf=12, threads=1))
    assert stamps(output) == list(range(23))
    tolerance = Fraction(1, 2000) if suffix == ".mkv" else 0
    assert max(abs(a - b) for a, b in zip(times(output), times(clip.path), strict=True)) <= tolerance
    assert contents(output, "audio") == contents(clip.path, "audio")
    assert passed.notes == []
    assert psnr(pictures(output), pictures(clip.path)) > 40
    assert not work_folders(tmp_path)


def test_a_longer_run_than_a_segment(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=251, size=(96, 64))
    pass_through(source.path, tmp_path / "out.mp4", EncodeSettings(threads=1))
    assert stamps(tmp_path / "out.mp4") == list(range(251))
    assert times(tmp_path / "out.mp4") == times(source.path)


@pytest.mark.parametrize("size", [(161, 97), (160, 97), (33, 64)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=4, size=size, pix_fmt="yuv444p")
    pass_through(source.path, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").size == size
    assert psnr(pictures(tmp_path / "out.mp4"), pictures(source.path)) > 40


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=4, pix_fmt="yuv420p10le")
    pass_through(source.path, tmp_path / "out.mkv")
    info = probe(tmp_path / "out.mkv")
    assert (info.pix_fmt, info.depth) == ("yuv420p10le", 16)
    error = pictures(tmp_path / "out.mkv").astype(float) - pictures(source.path)
    assert np.abs(error).mean() < 257


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".avi"])
@pytest.mark.parametrize("name", ["clockwise", "half turn", "mirrored", "transposed"])
def test_turned_pictures_stay_upright(tmp_path: Path, suffix: str, name: str) -> None:
    source = make_clip(
        tmp_path / "in.mp4", frames=2, matrix=MATRICES[name], sample_aspect_ratio=Fraction(4, 3)
    )
    before = probe(source.path)
    output = tmp_path / f"out{suffix}"
    notes = pass_through(source.path, output, EncodeSettings(crf=12, threads=1)).notes
    after = probe(output)
    assert after.size == before.size
    picture = next(frames_of(after))[2].permute(1, 2, 0).numpy()
    assert read_stamp(picture) == 0
    assert np.abs(picture.astype(int) - stamped(0)).mean() < 8
    if suffix == ".avi":
        swapped = name in ("clockwise", "transposed")
        assert after.display_matrix is None
        assert after.sample_aspect_ratio == (Fraction(3, 4) if swapped else Fraction(4, 3))
    else:
        assert after.display_matrix == before.display_matrix
        assert after.sample_aspect_ratio == Fraction(4, 3) or (
            suffix == ".webm" and notes == ["The shape of the pixels (4:3) could not be kept."]
        )


@pytest.mark.parametrize(
    "codec", ["libx265", "libsvtav1", "libvpx-vp9", "libvpx", "ffv1", "prores_ks", "mpeg4"]
)
@pytest.mark.usefixtures("short_segments")
def test_other_encoders(tmp_path: Path, codec: str) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=12)
    pass_through(source.path, tmp_path / "out.mkv", EncodeSettings(codec=codec, threads=1))
    assert stamps(tmp_path / "out.mkv") == list(range(12))
    assert times(tmp_path / "out.mkv") == times(source.path)


@pytest.mark.parametrize("codec", ["utvideo", "libvpx"])
def test_a_codec_that_the_container_cannot_hold(tmp_path: Path, clip: Clip, codec: str) -> None:
    with pytest.raises(OutputError, match="MP4 cannot hold") as caught:
        pass_through(clip.path, tmp_path / "out.mp4", EncodeSettings(codec=codec))
    assert caught.value.hint is not None and ".mkv" in caught.value.hint
    assert not work_folders(tmp_path)


def test_an_encoder_that_loses_frames_is_not_trusted(clip: Clip, tmp_path: Path) -> None:
    def lossy(self: SegmentWriter, packet: EncodedPacket) -> None:
        if packet.pts % 2:
            original(self, packet)

    original = SegmentWriter.add
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(OutputError, match="one packet for each frame"),
    ):
        patch.setattr(SegmentWriter, "add", lossy)
        pass_through(clip.path, tmp_path / "out.mp4")
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


# Resume


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("stop_after", [0, 1, 4, 5, 9, 10, 20, 22, 23])
def test_a_run_goes_on_after_its_last_whole_segment(clip: Clip, tmp_path: Path, stop_after: int) -> None:
    undisturbed, output = tmp_path / "undisturbed.mp4", tmp_path / "out.mp4"
    pass_through(clip.path, undisturbed)
    first = pass_through(clip.path, output, stop_after=stop_after)
    if first.written == 23:
        output.unlink()  # the whole clip fitted: nothing was interrupted
    kept = 0 if first.written == 23 else stop_after // SEGMENT * SEGMENT
    assert not output.exists()
    assert len(work_folders(tmp_path)) == (1 if kept else 0)
    second = pass_through(clip.path, output)
    assert (second.resumed, second.written) == (kept, 23 - kept)
    assert contents(output, "video") == contents(undisturbed, "video")
    assert np.array_equal(pictures(output), pictures(undisturbed))
    assert times(output) == times(undisturbed)
    assert not work_folders(tmp_path)


@pytest.mark.usefixtures("short_segments")
def test_several_stops_in_a_row(clip: Clip, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    resumed = [pass_through(clip.path, output, stop_after=7).resumed for _ in range(5)]
    assert resumed == [0, 5, 10, 15, 20]
    assert stamps(output) == list(range(23))


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fingerprint": "other"}, "a setting changed"),
        ({"resume": False}, "not to be resumed"),
        ({"settings": EncodeSettings(crf=13, preset="ultrafast", threads=1)}, "a setting changed"),
    ],
)
def test_segments_of_another_run_are_thrown_away_with_a_word(
    clip: Clip, tmp_path: Path, change: dict[str, object], words: str
) -> None:
    output = tmp_path / "out.mp4"
    pass_through(clip.path, output, stop_after=12)
    second = pass_through(clip.path, output, **change)  # type: ignore[arg-type]
    assert second.resumed == 0
    assert len(second.notes) == 1 and words in second.notes[0]
    assert stamps(output) == list(range(23))


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize("damage", ["missing", "cut", "state", "empty state", "first missing"])
def test_damaged_segments_are_done_again(clip: Clip, tmp_path: Path, damage: str) -> None:
    output = tmp_path / "out.mp4"
    pass_through(clip.path, output, stop_after=17)
    (folder,) = work_folders(tmp_path)
    files = sorted(folder.glob("*.packets"))
    assert len(files) == 3
    expected = 0
    if damage == "missing":
        files[1].unlink()
        expected = 5
    elif damage == "cut":
        os.truncate(files[2], files[2].stat().st_size - 1)
        expected = 10
    elif damage == "state":
        (folder / "state.json").write_text(json.dumps({"schema": 1, "segments": 3}))
    elif damage == "empty state":
        (folder / "state.json").write_bytes(b"")
    else:
        files[0].unlink()
    second = pass_through(clip.path, output)
    assert second.resumed == expected
    assert stamps(output) == list(range(23))


def test_a_killed_run_is_resumed(clip: Clip, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    code = (
        "import os, sys; from pathlib import Path; from tests.media_output import pass_through;"
        "from vidstyle.media import segments; segments.SEGMENT_FRAMES = 5; seen = []\n"
        "def alter(picture):\n"
        "    seen.append(1)\n"
        "    if len(seen) == 13: os.kill(os.getpid(), 9)\n"
        "    return picture\n"
        "pass_through(Path(sys.argv[1]), Path(sys.argv[2]), alter=alter)"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run(
        [sys.executable, "-c", code, str(clip.path), str(output)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
    )
    assert killed.returncode == -9
    assert not output.exists()
    (folder,) = work_folders(tmp_path)
    assert [p.name for p in sorted(folder.glob("*.part"))] == ["000002.packets.part"]
    passed = pass_through(clip.path, output)
    assert passed.resumed == 10
    assert stamps(output) == list(range(23))
    assert not work_folders(tmp_path)


# The old file and the neighbours


@pytest.mark.usefixtures("short_segments")
def test_the_old_file_stays_until_the_new_one_is_complete(clip: Clip, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    pass_through(clip.path, output, stop_after=12)
    assert output.read_bytes() == b"old"
    pass_through(clip.path, output)
    assert stamps(output) == list(range(23))


def test_an_error_leaves_neither_file_nor_folder(clip: Clip, tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        pass_through(clip.path, tmp_path / "out.mp4", alter=stop)  # type: ignore[arg-type]
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


def test_a_second_run_on_the_same_output_is_refused(clip: Clip, tmp_path: Path) -> None:
    info, output = probe(clip.path), tmp_path / "out.mp4"

    def run() -> Output:
        return Output(output, info, FAST, fingerprint="same", resume=True, note=pytest.fail)

    with run():
        with pytest.raises(OutputError, match="Another run is writing this output"), run():
            pass
        assert len(work_folders(tmp_path)) == 1
    with run():
        pass


def test_a_link_stays_a_link(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "out.mp4", tmp_path / "elsewhere" / "real.mp4"
    link.symlink_to(target)
    pass_through(clip.path, link)
    assert link.is_symlink()
    assert stamps(target) == list(range(23))


@pytest.mark.parametrize(
    "name", ["x" * 250 + ".mp4", "-y %03d \n:.mp4", "ü" * 120 + ".mp4", os.fsdecode(b"\xff\xfe.mp4")]
)
def test_unusual_names(clip: Clip, tmp_path: Path, name: str) -> None:
    output = tmp_path / name
    pass_through(clip.path, output)
    assert output.stat().st_size > 1000
    assert len(list(tmp_path.iterdir())) == 2


def test_no_frames_no_file(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no frame"):
        pass_through(clip.path, tmp_path / "out.mp4", clip=(Fraction(100), None))
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


@pytest.mark.usefixtures("short_segments")
def test_a_vanished_folder_is_told(clip: Clip, tmp_path: Path) -> None:
    output, written = tmp_path / "out.mp4", 0

    def vanish(picture: object) -> object:
        nonlocal written
        written += 1
        if written == 8:
            (folder,) = work_folders(tmp_path)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        return picture

    with pytest.raises(OutputError, match="vanished"):
        pass_through(clip.path, output, alter=vanish)  # type: ignore[arg-type]
    assert not output.exists()


@pytest.mark.parametrize("limit", [1_000, 12_000, 60_000])
def test_a_full_disk_is_told_and_leaves_nothing_half_done(tmp_path: Path, limit: int) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=40, size=(320, 192), sounds=[Sound(codec="pcm_s16le")])
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    code = (
        "import resource, sys; from pathlib import Path; from tests.media_output import pass_through;"
        "from vidstyle.errors import OutputError; from vidstyle.media import segments\n"
        "segments.SEGMENT_FRAMES = 5\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "try: pass_through(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except OutputError as error: sys.exit(4 if 'Disk full' in error.reason else str(error))"
    )
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", code, str(source.path), str(output)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (4, "")
    assert output.read_bytes() == b"old"
    for folder in work_folders(tmp_path):
        assert all(p.suffix in (".packets", ".json") or p.name == "lock" for p in folder.iterdir())
    pass_through(source.path, output)
    assert stamps(output) == list(range(40))
    assert not work_folders(tmp_path)


@pytest.mark.usefixtures("short_segments")
def test_too_little_room_to_join_is_told_before_joining(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "free_bytes", lambda _: 10)
    with pytest.raises(OutputError, match=r"10 bytes are free, .* are needed"):
        pass_through(clip.path, tmp_path / "out.mp4")
    monkeypatch.undo()
    assert pass_through(clip.path, tmp_path / "out.mp4").resumed == 23


def test_times_must_rise(clip: Clip, tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="must rise"),
        Output(
            tmp_path / "out.mp4", probe(clip.path), FAST, fingerprint="", resume=True, note=pytest.fail
        ) as out,
    ):
        for pts, duration, picture in frames_of(probe(clip.path)):
            out.write(pts, duration, picture)
            out.write(pts, duration, picture)


# Before the work


def test_a_free_name_is_fine(clip: Clip, tmp_path: Path) -> None:
    check_output(tmp_path / "out.mp4", clip.path, overwrite=False)
    assert {path.name for path in tmp_path.iterdir()} == {"in.mp4"}


def test_an_existing_file_is_kept_unless_told(clip: Clip, tmp_path: Path) -> None:
    output = tmp_path / "out.mp4"
    output.touch()
    with pytest.raises(OutputError, match="exists already") as caught:
        check_output(output, clip.path, overwrite=False)
    assert caught.value.hint is not None and "--overwrite" in caught.value.hint
    check_output(output, clip.path, overwrite=True)


@pytest.mark.parametrize("kind", ["same", "symbolic", "hard", "dotted"])
def test_the_input_is_never_the_output(clip: Clip, tmp_path: Path, kind: str) -> None:
    output = tmp_path / "out.mp4"
    if kind == "same":
        output = clip.path
    elif kind == "symbolic":
        output.symlink_to(clip.path)
    elif kind == "hard":
        os.link(clip.path, output)
    else:
        (tmp_path / "sub").mkdir()
        output = tmp_path / "sub" / ".." / "in.mp4"
    with pytest.raises(UsageError, match="input itself"):
        check_output(output, clip.path, overwrite=True)


def test_a_folder_is_no_output(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(OutputError, match="This is a folder"):
        check_output(tmp_path / "out.mp4", clip.path, overwrite=True)


def test_a_pipe_is_no_output(clip: Clip, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "out.mp4")
    with pytest.raises(OutputError, match="not a regular file"):
        check_output(tmp_path / "out.mp4", clip.path, overwrite=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/out.mp4", "no such folder"),
        ("in.mp4/out.mp4", "cannot be used|no such folder"),
        ("x" * 300 + ".mp4", "cannot be used"),
        ("out.txt", "no kind of video"),
        ("out", "without a suffix"),
    ],
)
def test_names_that_cannot_be_written(clip: Clip, tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(OutputError, match=words):
        check_output(tmp_path / name, clip.path, overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(clip: Clip, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(OutputError, match="may not be written"):
        check_output(tmp_path / "closed" / "out.mp4", clip.path, overwrite=False)


def test_what_one_run_threw_away_the_next_does_not_miss(tmp_path: Path) -> None:
    """Whole segments, a run with other settings that is killed before its first segment, and a third run."""

    def killed(fingerprint: str, segments: int = 0) -> str | None:
        store = SegmentStore(tmp_path / "work")
        reason = store.open(fingerprint, b"", resume=True)
        for index in range(segments):
            writer = store.begin(b"")
            writer.add(EncodedPacket(index, 1, True, b"data"))
            store.complete(writer)
        store._lock.release()  # as the system does for the dead
        return reason

    assert killed("one", segments=2) is None
    assert "changed" in (killed("two") or "")
    assert killed("one") is None
    assert killed("three") is None
