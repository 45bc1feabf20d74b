"""Files of our own making, under names that somebody else may have taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


def create(path: Path) -> BinaryIO:
    """A new, empty file for writing, unbuffered; whatever had this name has it no longer.

    Nothing is written through a link, and nothing waits at a pipe that lies there. Raises OSError, for a folder too.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    return os.fdopen(descriptor, "wb", buffering=0)
