"""What is told where native libraries end the process, or would.

libgomp calls C's `exit` when no thread can be started: memory ran out. The destructors that then run under threads
still at work end in aborts. Here the error and its exit code come first, and no destructor runs.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
from collections.abc import Callable

from vidstyle.errors import ResourceError

LEAST_ADDRESS_SPACE = round(3.5 * 2**30)
"""Bytes, measured with torch 2.15 for CUDA: under a limit (`ulimit -v`) below it, libraries crash while they load."""

_installed: list[object] = []
"""Keeps the callback alive until the process has gone."""


def tell_before_libraries_end_the_process(tell: Callable[[], int]) -> None:
    """Have `tell`, which gives the exit code, called where a library ends the process. To be called after they load.

    Handlers run last one first: this one before those of the libraries that are already loaded. Python's own end
    registers one more, which leaves at once with the code that it has. Only glibc has `on_exit`; elsewhere nothing
    is done.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if _installed or not hasattr(libc, "on_exit"):
        return
    assert libc is not None

    def ended(_status: int, _argument: object) -> None:
        os._exit(tell())

    callback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)(ended)
    _installed.append(callback)
    libc.on_exit(callback, None)
    atexit.register(libc.on_exit, libc._exit, None)


def check_address_space() -> None:
    """Raise ResourceError where a limit leaves less than the libraries need to be loaded."""
    if sys.platform == "win32":
        return
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < LEAST_ADDRESS_SPACE:
        raise ResourceError(
            f"A limit leaves {limit / 2**30:.1f} GB of address space, "
            f"and {LEAST_ADDRESS_SPACE / 2**30:.1f} GB are needed.",
            hint="raise it with `ulimit -v`",
        )
