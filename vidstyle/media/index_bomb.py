"""MP4 and QuickTime files whose index lists more than the file can hold: 2 kB can ask for gigabytes of memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FIRST = {b"ftyp", b"moov", b"mdat", b"styp", b"free", b"skip", b"wide", b"pnot", b"moof"}
_PARENTS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
_DEEPEST = 6
_MOST_BOXES = 200_000
"""Longer files of many fragments are believed from there on."""
_MANY = 1_000_000
"""Samples that cost little memory, however wrong they are ..."""
_CUT_OFF = 20
"""... and how many times larger than the file they may be: it may have been cut off."""


def lists_too_much(path: Path) -> bool:
    """Whether the samples that an index declares without a size each could not lie in this file. Reads boxes only.

    False for other kinds of file. Raises OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(8)[4:] not in _FIRST:
            return False
        size = os.fstat(file.fileno()).st_size
        for _, (count, declared) in zip(range(_MOST_BOXES), _samples(file, 0, size, _DEEPEST), strict=False):
            if count > _MANY and declared > _CUT_OFF * size:
                return True
    return False


def _samples(file: BinaryIO, place: int, end: int, depth: int) -> Iterator[tuple[int, int]]:
    """For each box how many samples it declares, and the bytes they have at least; 0 where it tells nothing."""
    while place + 8 <= end:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if length == 1:
            head, length = 16, int.from_bytes(file.read(8))
        if length == 0:
            length = end - place
        if length < head:
            return
        size, count = 0, 0
        if kind in _PARENTS and depth:
            yield from _samples(file, place + head, min(end, place + length), depth - 1)
        elif kind == b"stsz":  # version and flags, one size for all, count
            size, count = struct.unpack(">4xII", file.read(12).ljust(12, b"\0"))
        elif kind == b"trun":  # version and flags, count; none is smaller than a byte
            size, count = 1, int.from_bytes(file.read(8)[4:])
        yield count, size * count
        place += length
