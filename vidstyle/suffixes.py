"""File names: what a folder's videos and pictures end with, and what a result is called."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

STILLS = frozenset({".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""Pictures with these endings are painted as stills."""
_VIDEO_ENDINGS = (
    "mp4 m4v f4v mov qt 3gp 3g2 mkv webm avi divx ts m2ts mts m2t mpg mpeg mpe m1v m2v vob wmv asf flv ogv ogm "
    "gif apng mxf nut y4m ivf dv mjpeg mjpg h264 h265 hevc"
)
VIDEOS = frozenset(f".{ending}" for ending in _VIDEO_ENDINGS.split())
"""What a folder is searched for."""
KEPT = frozenset({".mp4", ".m4v", ".mov", ".mkv"})


def result_suffix(source_suffix: str) -> str:
    """The ending of a result: the source's own where any codec fits in, else Matroska, which holds any sound."""
    ending = source_suffix.lower()
    return source_suffix if ending in STILLS | KEPT else ".mkv"


def default_result(source: Path, style: str) -> Path:
    """Where a result goes when nobody says: `in.mp4` -> `in.oil.mp4`, `photo.jpg` -> `photo.oil.jpg`."""
    return source.with_name(fitting_name(source.stem, f".{style}{result_suffix(source.suffix)}"))


def is_file(path: Path) -> bool:
    """Whether `path` leads to a regular file; False also for names that are too long or may not be followed."""
    return os.path.isfile(path)  # noqa: PTH113 - Path's own raises for those


def is_folder(path: Path) -> bool:
    """Whether `path` leads to a folder; False also for names that are too long or may not be followed."""
    return os.path.isdir(path)  # noqa: PTH112


LONGEST_NAME = 231
"""Bytes in a name we make up: file systems take 255, and a log or an unfinished file beside it needs some more."""


def fitting_name(stem: str, ending: str) -> str:
    """`stem` and `ending`; where that is too long, the stem is cut and told from others by a hash of itself."""
    whole = os.fsencode(stem)
    room = LONGEST_NAME - len(os.fsencode(ending))
    if len(whole) <= room:
        return stem + ending
    mark = f"~{hashlib.sha256(whole).hexdigest()[:8]}"
    return whole[: room - len(mark)].decode(errors="ignore") + mark + ending
