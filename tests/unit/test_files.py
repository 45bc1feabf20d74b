"""Atomic files, locks, and the words for what goes wrong."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import av
import pytest

from vidstyle.errors import OutputError
from vidstyle.media.files import FolderLock, output_errors, replace_file, size_in_words, write_file


def test_write_file_replaces_the_whole_content(tmp_path: Path) -> None:
    target = tmp_path / "state.json"
    write_file(target, b"a long first content")
    write_file(target, b"second")
    assert target.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "state.json"
    write_file(target, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_replace_file_keeps_an_open_reader_on_the_old_file(tmp_path: Path) -> None:
    target, part = tmp_path / "out.mp4", tmp_path / "part"
    target.write_bytes(b"old")
    part.write_bytes(b"new")
    with target.open("rb") as reader:
        replace_file(part, target)
        assert reader.read() == b"old"
    assert target.read_bytes() == b"new"
    assert not part.exists()


def test_a_lock_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "work"), FolderLock(tmp_path / "work")
    assert first.acquire()
    assert not second.acquire()
    first.release()
    assert second.acquire()
    second.release()


def test_a_lock_goes_on_when_its_last_owner_removed_the_folder(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path / "work"), FolderLock(tmp_path / "work")
    assert first.acquire()
    first.remove()
    assert not (tmp_path / "work").exists()
    assert second.acquire()
    assert not first.acquire()
    second.remove()


def test_a_killed_owner_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from vidstyle.media.files import FolderLock;"
        "lock = FolderLock(Path(sys.argv[1])); assert lock.acquire(); sys.stdout.write('locked\\n');"
        "sys.stdout.flush(); time.sleep(60)"
    )
    folder = tmp_path / "work"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        lock = FolderLock(folder)
        assert not lock.acquire()
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert lock.acquire()
        lock.release()


def test_clear_keeps_the_lock_and_what_it_is_told_to(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path / "work")
    assert lock.acquire()
    for name in ("a", "b", "joined.mp4"):
        (lock.folder / name).write_bytes(b"x")
    (lock.folder / "folder").mkdir()
    lock.clear(keep={"a"})
    assert {entry.name for entry in lock.folder.iterdir()} == {"a", "lock"}
    lock.release()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x"), "Disk full"),
        (OSError(errno.EFBIG, "x"), "Disk full"),
        (OSError(errno.EROFS, "x"), "may not be written"),
        (PermissionError(errno.EACCES, "x"), "may not be written"),
        (FileNotFoundError(errno.ENOENT, "x"), "vanished"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (av.error.OSError(errno.ENOSPC, "x"), "Disk full"),
        (av.error.InvalidDataError(1094995529, "Invalid data"), "Invalid data"),
    ],
)
def test_errors_are_told_in_a_users_words(tmp_path: Path, error: Exception, words: str) -> None:
    output = tmp_path / "out.mp4"
    with pytest.raises(OutputError, match=words) as caught, output_errors(output):
        raise error
    assert caught.value.name == str(output)
    assert caught.value.reason.endswith(".")


def test_a_full_disk_is_told_with_the_space_needed(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"are free, 2\.5 GB are needed"),
        output_errors(tmp_path / "out.mp4", needed=2_500_000_000),
    ):
        raise OSError(errno.ENOSPC, "x")


def test_other_exceptions_pass(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), output_errors(tmp_path):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("count", "words"), [(999, "999 bytes"), (1000, "1 kB"), (12_345_678, "12 MB"), (3_200_000_000, "3.2 GB")]
)
def test_sizes_are_readable(count: int, words: str) -> None:
    assert size_in_words(count) == words
