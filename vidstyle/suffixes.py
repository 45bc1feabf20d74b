"""File name endings: what a folder's videos and pictures are, and what a result is called."""

from __future__ import annotations

STILLS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
"""Pictures with these endings are painted as stills."""
VIDEOS = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".mkv",
        ".webm",
        ".avi",
        ".ts",
        ".m2ts",
        ".mts",
        ".mpg",
        ".mpeg",
        ".wmv",
        ".flv",
        ".3gp",
        ".ogv",
        ".gif",
        ".mxf",
        ".nut",
        ".y4m",
    }
)
KEPT = frozenset({".mp4", ".m4v", ".mov", ".mkv"})


def result_suffix(source_suffix: str) -> str:
    """The ending of a result: the source's own where any codec fits in, else Matroska, which holds any sound."""
    ending = source_suffix.lower()
    return source_suffix if ending in STILLS | KEPT else ".mkv"
