"""Files that are either whole or not there: atomic replacement, locks, and errors in a user's words."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from vidstyle.errors import OutputError, UsageError
from vidstyle.new_file import create
from vidstyle.suffixes import is_file, is_folder

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def output_errors(output: Path, *, needed: int | None = None) -> Iterator[None]:
    """Turn what the system and FFmpeg raise while `output` is written into OutputError.

    `needed` is the number of bytes the step needs in all, if known: told when the disk is full.
    """
    try:
        yield
    except (OSError, av.FFmpegError) as error:  # most of FFmpeg's errors are OSErrors or ValueErrors as well
        raise OutputError(_reason(error, output, needed), name=str(output), hint=_hint(error)) from error


def check_target(output: Path, input: Path, overwrite: bool) -> None:
    """Find out before any work whether a file can get the name `output`.

    Raises UsageError where it is the input itself, OutputError for everything else in the way.
    """
    name = str(output)
    try:
        status = output.stat()
    except (FileNotFoundError, NotADirectoryError):
        status = None
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise OutputError(
            f"This name cannot be used ({reason}).", name=name, hint="give another name with --output"
        ) from error
    if status is not None:
        _check_existing(output, status, input, overwrite)
    folder = real_path(output).parent
    if not is_folder(folder):
        raise OutputError("There is no such folder.", name=str(output.parent), hint="make it first")
    if not (os.access(folder, os.W_OK | os.X_OK) and _takes_files(folder)):
        raise OutputError(
            "This folder may not be written.", name=str(folder), hint="choose another place with --output"
        )


def _check_existing(output: Path, status: os.stat_result, input: Path, overwrite: bool) -> None:
    name = str(output)
    if stat.S_ISDIR(status.st_mode):
        raise OutputError("This is a folder.", name=name, hint="give a file name with --output")
    if is_file(input) and os.path.samestat(status, input.stat()):
        raise UsageError("The output is the input itself.", name=name, hint="give another name with --output")
    if not stat.S_ISREG(status.st_mode):
        raise OutputError("This is not a regular file.", name=name)
    if not overwrite:
        raise OutputError("This file exists already.", name=name, hint="give --overwrite to replace it")


def _takes_files(folder: Path) -> bool:
    """Whether files can be made there; root may write everywhere but not, for example, in /proc."""
    try:
        descriptor, name = tempfile.mkstemp(prefix=".vidstyle-", dir=folder)
    except OSError as error:
        return error.errno in _FULL  # told later, with the space that is needed
    os.close(descriptor)
    os.unlink(name)  # noqa: PTH108 - a name as the system gave it
    return True


def real_path(output: Path) -> Path:
    """The file itself where `output` is a link: the link stays one."""
    return Path(os.path.realpath(output))


def free_bytes(path: Path) -> int | None:
    """Bytes left for a user on the disk that holds `path`; None where the system does not say."""
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return None


def size_in_words(count: int) -> str:
    """A number of bytes as people read it: "1.3 GB"."""
    size = float(count)
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def fsync_file(path: Path) -> None:
    """Wait until the file's content is on the disk."""
    _fsync(path, os.O_RDONLY)


def fsync_folder(path: Path) -> None:
    """Wait until names made or changed in this folder are on the disk."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def replace_file(part: Path, target: Path) -> None:
    """Give the finished file `part` the name `target`: whoever looks sees the old file or the whole new one."""
    fsync_file(part)
    part.replace(target)
    fsync_folder(target.parent)


def write_file(target: Path, content: bytes) -> None:
    """Replace the content of `target` at once."""
    part = target.with_name(target.name + ".part")
    try:
        with create(part) as file:
            file.write(content)
        replace_file(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


class FolderLock:
    """A folder that one process at a time may use; the system frees it when that process ends in any way."""

    _NAME = "lock"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._descriptor: int | None = None

    def acquire(self) -> bool:
        """Make the folder and lock it; False while another process (or another lock in this one) holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        while True:
            self.folder.mkdir(exist_ok=True)
            if self.folder.is_symlink():  # it is going to be cleared
                raise OSError(
                    errno.ELOOP, "a link has the name of the folder for unfinished work", str(self.folder)
                )
            try:
                descriptor = os.open(self.folder / self._NAME, flags, 0o600)
            except FileNotFoundError:  # its last owner removed the folder just now
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            except OSError:  # a file system without locks: working unguarded is better than not at all
                pass
            if self._is_current(descriptor):
                self._descriptor = descriptor
                return True
            os.close(descriptor)

    def release(self) -> None:
        """Give the folder free; without effect where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def clear(self, keep: set[str]) -> None:
        """Remove everything in the folder but the lock and the names in `keep`."""
        for entry in self.folder.iterdir():
            if entry.name not in keep | {self._NAME}:
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder with all it holds, then release it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.release()

    def _is_current(self, descriptor: int) -> bool:
        # Between open and lock the owner before us may have removed the folder: then we locked a file without a name.
        try:
            named = (self.folder / self._NAME).stat()
        except OSError:
            return False
        return os.path.samestat(os.fstat(descriptor), named)


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot
            raise
    finally:
        os.close(descriptor)


def _reason(error: OSError | av.FFmpegError, output: Path, needed: int | None) -> str:
    code = error.errno
    if code == errno.EFBIG:
        return "Disk full: a file may not grow any larger here."
    if code in _FULL:
        free = free_bytes(output.parent)
        free_words = f"{size_in_words(free)} are free" if free is not None else "no space is left"
        return f"Disk full: {free_words}" + (f", {size_in_words(needed)} are needed." if needed else ".")
    if code in _FORBIDDEN:
        return "This file may not be written."
    if code == errno.ENOENT:
        return "The folder with the unfinished work vanished while it was being written."
    return f"This file cannot be written ({error.strerror or error})."


def _hint(error: OSError | av.FFmpegError) -> str | None:
    if error.errno in _FULL:
        return "make room, or choose another place with --output"
    if error.errno in _FORBIDDEN:
        return "choose another place with --output"
    return None
