"""Whether a file ends where its own header says, or was cut off on its way."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.container import InputContainer
from av.video.stream import VideoStream

_SYNC = 0x47
_TRANSPORT_SIZES = (188, 192, 204)
"""Plain, with a time stamp before (m2ts), with error correction behind."""
_SYNCS_IN_A_ROW = 4
_TIMECODE = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")


def promised_end(container: InputContainer, stream: VideoStream) -> Fraction:
    """The end of the last frame in seconds after the file's header; 0 where it does not say."""
    tag = _TIMECODE.fullmatch(stream.metadata.get("DURATION", ""))
    if "matroska" in container.format.name and tag:
        hours, minutes, seconds = tag.groups()
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    alone = len(container.streams) == 1  # else the length could be the sound's
    if stream.duration and stream.time_base and (alone or "matroska" not in container.format.name):
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    if container.duration and alone:
        return Fraction((container.start_time or 0) + container.duration, 1_000_000)
    return Fraction(0)


def is_cut_off(path: Path, format_name: str) -> bool:
    """Whether the end of a file is missing, by the sizes written in it. `format_name` is FFmpeg's.

    False where the format keeps no sizes and where the file cannot be read.
    """
    check = _CHECKS.get(format_name)
    if check is None:
        return False
    try:
        with path.open("rb") as file:
            return check(file, os.fstat(file.fileno()).st_size)
    except (OSError, struct.error):
        return False


def _boxes_cut(file: BinaryIO, size: int) -> bool:
    """MP4 and QuickTime: boxes, each with its size before it."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if not kind.isalnum() or length == 0:  # rubbish behind the end; or a box that ends with the file
            return False
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8:
            return False
        place += length
    return place > size


def _segment_cut(file: BinaryIO, size: int) -> bool:
    """Matroska and WebM: a header, then one segment that holds everything."""
    end = 0
    for _ in range(2):
        file.seek(end + 4)
        first = file.read(1)[0] if end + 5 <= size else 0
        if not first:
            return False
        extra = 8 - first.bit_length()
        length = int.from_bytes(bytes([first & ((1 << (7 - extra)) - 1)]) + file.read(extra))
        if length == (1 << (7 * (extra + 1))) - 1:  # all ones: not known when the writing began
            return False
        end += 5 + extra + length
    return end > size


def _riff_cut(file: BinaryIO, size: int) -> bool:
    """AVI: one or several RIFF chunks. A size of 0 was never filled in."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length == 0:
            return False
        place += 8 + length + length % 2
    return place > size + 1  # the padding of the last may be left out


def _transport_cut(file: BinaryIO, size: int) -> bool:
    """Transport streams: packets of one size, each begun by the same byte."""
    file.seek(max(0, size - _TRANSPORT_SIZES[-1] * (_SYNCS_IN_A_ROW + 1)))
    tail = file.read()
    whole, cut = False, False
    for length in _TRANSPORT_SIZES:
        for left in range(1, length + 1):
            places = [left + length * count for count in range(_SYNCS_IN_A_ROW)]
            if places[-1] <= len(tail) and all(tail[-place] == _SYNC for place in places):
                whole |= left in (188, length)
                cut |= left < 188
    return cut and not whole


def _gif_cut(file: BinaryIO, size: int) -> bool:
    """GIF: a semicolon ends it; some programs write zeros behind."""
    file.seek(max(0, size - 64))
    return not file.read().rstrip(b"\0").endswith(b";")


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes_cut,
    "matroska,webm": _segment_cut,
    "avi": _riff_cut,
    "mpegts": _transport_cut,
    "gif": _gif_cut,
}
