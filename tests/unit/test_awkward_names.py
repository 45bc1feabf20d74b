"""Names that lead nowhere, too far, or to something that waits: one clear error, and nothing behind them touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vidstyle import styles
from vidstyle.batch import find_jobs
from vidstyle.errors import OutputError, StyleError, explain
from vidstyle.media.files import FolderLock, write_file
from vidstyle.media.store import SegmentStore
from vidstyle.new_file import create
from vidstyle.report import AnomalyLog, check_log, read_header
from vidstyle.run import default_log
from vidstyle.stills import stylize_image
from vidstyle.suffixes import is_file, is_folder

TOO_LONG = Path("a" * 300)


def something(folder: Path) -> Path:
    path = folder / "precious.txt"
    path.write_text("precious")
    return path


def test_what_lies_at_a_name_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    precious = something(tmp_path)
    for number, lay in enumerate((os.symlink, os.link)):
        path = tmp_path / f"new{number}"
        lay(precious, path)
        with create(path) as file:
            file.write(b"ours")
        assert path.read_bytes() == b"ours"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    create(pipe).close()
    assert pipe.is_file()
    assert precious.read_text() == "precious"


def test_a_picture_under_the_name_of_its_unfinished_painting_stays_whole(tmp_path: Path) -> None:
    source = tmp_path / "p.png"
    Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).save(source)
    before = source.read_bytes()
    (tmp_path / ".p.oil.partial.png").symlink_to(source)
    result = stylize_image(source)
    assert source.read_bytes() == before
    assert not result.is_symlink()


def test_a_log_and_a_state_are_not_written_through_links(tmp_path: Path) -> None:
    precious = something(tmp_path)
    (tmp_path / ".log.jsonl.partial").symlink_to(precious)
    with AnomalyLog(tmp_path / "log.jsonl", {}):
        pass
    (tmp_path / "state.json.part").symlink_to(precious)
    write_file(tmp_path / "state.json", b"{}")
    assert precious.read_text() == "precious"


def test_a_link_in_place_of_the_work_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    precious = something(tmp_path / "theirs")
    (tmp_path / "work").symlink_to(tmp_path / "theirs")
    with pytest.raises(OSError, match="link"):
        FolderLock(tmp_path / "work").acquire()
    assert precious.exists()


@pytest.mark.timeout(20)
def test_a_pipe_at_the_name_of_a_log_or_state_is_not_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "in.oil.anomalies.jsonl"
    os.mkfifo(log)
    assert read_header(log) is None
    assert default_log(tmp_path / "in.oil.mp4") == log
    with pytest.raises(OutputError, match="regular file"):
        check_log(log, overwrite=True, others=())
    work = tmp_path / "work"
    work.mkdir()
    os.mkfifo(work / "state.json")
    store = SegmentStore(work)
    assert store.open("any", b"", resume=True) is None
    store.close()


def test_names_that_are_too_long_are_no_bugs(tmp_path: Path) -> None:
    assert not is_file(TOO_LONG) and not is_folder(TOO_LONG)
    assert find_jobs([TOO_LONG], TOO_LONG, style="oil").jobs[0].source == TOO_LONG
    with pytest.raises(OutputError, match="too long"):
        check_log(tmp_path / TOO_LONG, overwrite=False, others=(tmp_path,))
    for text in (str(TOO_LONG), f"oil:0.5,{TOO_LONG}:0.5"):
        with pytest.raises(StyleError):
            styles.wanted(text)


def test_a_full_disk_behind_standard_output_is_no_bug() -> None:
    assert explain(OSError(errno.ENOSPC, "No space left on device")).exit_code == OutputError.exit_code
