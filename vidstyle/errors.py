"""Everything vidstyle raises on purpose, and the exit code each kind of problem ends with.

VidstyleError             1  a bug in vidstyle (never raised itself; an unexpected exception ends the same way)
├── UsageError            2  wrong use of the command or of a setting
│   └── StyleError        2  a style that does not exist
├── InputError            3  the input cannot be used
├── OutputError           4  the output cannot be written
├── ResourceError         5  memory or device
│   └── WeightsError      5  weights missing, tampered with or foreign
├── DamagedError          6  finished, but the input was damaged or frames stay unrepaired (only under --strict)
└── Interrupted      128+n   stopped by signal n
"""

from __future__ import annotations

import errno


class VidstyleError(Exception):
    """Root of all errors a user can cause or mend.

    `reason` is one complete sentence; `hint`, if any, says what to do about it; `name` is what it is about
    (a file, an option).
    """

    exit_code = 1

    def __init__(self, reason: str, *, name: str | None = None, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.name else self.reason


class UsageError(VidstyleError):
    """The command or a setting is used wrongly."""

    exit_code = 2


class StyleError(UsageError):
    """The style asked for does not exist."""


class InputError(VidstyleError):
    """The input is missing, refused or unreadable."""

    exit_code = 3


class OutputError(VidstyleError):
    """The output cannot be written: it exists, the folder is read-only, the disk is full."""

    exit_code = 4


class ResourceError(VidstyleError):
    """Memory ran out, or the device asked for is not there."""

    exit_code = 5


class WeightsError(ResourceError):
    """A weights file is missing, foreign, or does not match its checksum."""


class DamagedError(VidstyleError):
    """The result is complete, but `--strict` asked to be told of damage."""

    exit_code = 6


class Interrupted(VidstyleError):
    """The run was stopped by a signal; finished segments are kept for --resume."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(
            "Stopped before the end.",
            hint="run the same command again: whole segments (240 frames each) are not painted twice",
        )
        self.exit_code = 128 + signal_number


_OUT_OF_MEMORY = (
    "can't allocate memory",
    "Cannot allocate memory",
    "out of memory",
    "Insufficient memory",
    "bad_alloc",
    "failed to map segment",
    "could not create a primitive",
    "error return without exception set",
    "can't start new thread",
)
"""What torch, OpenCV, FFmpeg, the C++ library, the loader of libraries, oneDNN and, of modules that had no memory left
to say so, Python tell in exceptions of their own."""


ROOM = 256 << 20
"""Bytes that a codec may well need for large pictures."""


def out_of_memory(error: BaseException) -> bool:
    """Whether this is somebody's way to say that memory ran out, that of a GPU or the computer's own."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in _OUT_OF_MEMORY):
        return True
    # the second is what a thread without room for its stack comes back with
    return isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EAGAIN)


def rule_out_shortage() -> None:
    """Raise MemoryError where little memory is left: codecs that lack it may say no more than "error" or "invalid"."""
    bytearray(ROOM)


def explain(error: BaseException, *, name: str | None = None) -> VidstyleError:
    """What a user is told of an exception that nobody caught: what has run out, or that it is a bug."""
    if out_of_memory(error):
        return ResourceError("Memory ran out.", name=name, hint="close other programs or use --tile 512")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError("Disk full: no space is left to write what is said.", name=name)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return ResourceError("Too many files are open.", name=name, hint="allow more with `ulimit -n`")
    return VidstyleError(
        f"This is a bug in vidstyle: {type(error).__name__}: {error}",
        name=name,
        hint="please report it with what `--debug` prints",
    )
