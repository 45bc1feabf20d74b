"""What vidstyle knows about the kinds of file it writes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import av
from av.container import OutputContainer

from vidstyle.errors import OutputError


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file, and what it can hold."""

    name: str
    """How people call it."""
    format: str
    """FFmpeg's name of the muxer."""
    video_codec: str = "libx264"
    """Encoder used unless the user names one."""
    audio_codec: str = "aac"
    """Encoder for sound that cannot be copied."""
    subtitle_codec: str | None = None
    """Encoder for text subtitles that cannot be copied."""
    cover: str | None = None
    """How cover art is kept: as a "track", as an "attachment", or not at all."""
    attachments: bool = False
    chapters: bool = True
    display_matrix: bool = True
    """Whether a rotation is kept; pictures are written upright where not."""
    global_header: bool = True
    """Whether what all video packets share is kept once, apart from them."""
    fixed_rate: bool = False
    """The container counts frames instead of timing them, and knows no reordering."""


_MP4 = Container("MP4", "mp4", subtitle_codec="mov_text", cover="track")
_CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("QuickTime", "mov", subtitle_codec="mov_text"),
    ".mkv": Container("Matroska", "matroska", subtitle_codec="subrip", cover="attachment", attachments=True),
    ".webm": Container("WebM", "webm", "libvpx-vp9", "libopus", "webvtt"),
    ".avi": Container(
        "AVI",
        "avi",
        audio_codec="libmp3lame",
        chapters=False,
        display_matrix=False,
        global_header=False,
        fixed_rate=True,
    ),
}


def container_for(output: Path) -> Container:
    """The container that the output's name asks for. Raises OutputError for unknown suffixes."""
    container = _CONTAINERS.get(output.suffix.lower())
    if container is None:
        kind = (
            f"'{output.suffix}' is no kind of video"
            if output.suffix
            else "A name without a suffix is no video"
        )
        raise OutputError(
            f"{kind} that vidstyle writes.", name=str(output), hint=f"it writes {', '.join(_CONTAINERS)}"
        )
    return container


def open_output(path: Path, container: Container, **options: str) -> OutputContainer:
    """Open `path` for writing; `options` are the muxer's. The caller closes it."""
    arguments: dict[str, Any] = {"container_options": options}
    if int(av.__version__.split(".")[0]) < 19:  # the default from 19 on, without the argument
        arguments["metadata_errors"] = "surrogateescape"
    # An absolute name behind "file:" cannot be taken for a protocol or a pattern.
    name = "file:" + os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links
    return cast(OutputContainer, av.open(name, "w", format=container.format, **arguments))
