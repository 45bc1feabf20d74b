"""Open a media file safely: only this one local file, only media formats, never a picture too large to hold."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from vidstyle.errors import InputError
from vidstyle.media.index_bomb import lists_too_much

MAX_PIXELS = 8192 * 4320
"""Larger pictures are refused before decoding: a file of 60 bytes can ask for gigabytes."""

_DECODER_MARGIN = 64 * 16384
"""FFmpeg's decoders count with the width rounded up to 64, so their own limit has to be a little larger."""

# Demuxers that read nothing but the file itself. The list is the guard: FFmpeg follows playlists and scripts by
# their content, whatever the file's name, and a list of allowed protocols alone does not stop that.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv,asf,gif,apng,yuv4mpegpipe,nut,mxf,mxf_opatom,ogg,ivf,"
    "h264,hevc,mpegvideo,mjpeg,dv,wav,mp3,aac,flac,"
    "png_pipe,jpeg_pipe,jpegls_pipe,webp_pipe,bmp_pipe,tiff_pipe,ppm_pipe,pgm_pipe"
)


_FAR_AHEAD = {"analyzeduration": "600000000", "probesize": "100000000"}
"""Microseconds and bytes that are read, at most, to find out what a track is."""


def open_input(path: Path, *, far_ahead: bool = False) -> InputContainer:
    """Open `path` for reading; the caller closes the container.

    far_ahead: read on until every track has begun (some kinds of file describe tracks nowhere else), within limits.

    Raises InputError with one sentence for everything that can be wrong with it: missing, not a regular file, empty,
    a playlist, another kind of file, no permission.
    """
    check_file(path)
    with suppress(OSError):  # told below
        if lists_too_much(path):
            raise InputError("The index of this file lists more than the file can hold.", name=str(path))
    # An absolute name behind "file:" cannot be taken for another protocol, an option or a pattern.
    name = "file:" + os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links and change the name
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": _FORMATS,
        **(_FAR_AHEAD if far_ahead else {}),
    }
    try:
        container: InputContainer = av.open(name, options=options, **_metadata_arguments())
        return container
    except av.FFmpegError as error:
        raise _refusal(path, error) from error
    except (ValueError, IndexError, AttributeError) as error:  # what PyAV itself raises on some broken files
        raise InputError("This file is damaged beyond reading.", name=str(path)) from error


def video_stream(container: InputContainer, *, max_pixels: int | None = None) -> VideoStream:
    """The video to paint: the default one, else the first; cover art is no video.

    Its decoder is told to refuse pictures of more than `max_pixels` (None: MAX_PIXELS). Raises InputError where
    there is no video, or where the file itself says that it is larger.
    """
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    name = str(local_path(container))
    videos = real_videos(container)
    if not videos:
        sound = " (it holds sound only)" if container.streams.audio else ""
        raise InputError(f"There is no video in this file{sound}.", name=name)
    stream = next((s for s in videos if s.disposition & Disposition.default), videos[0])
    check_size(stream.width, stream.height, limit, name)
    context = stream.codec_context
    context.options = {**context.options, "max_pixels": str(limit + _DECODER_MARGIN)}
    return stream


def check_size(width: int, height: int, limit: int, name: str) -> None:
    """Raise InputError where a picture has more than `limit` pixels."""
    if width * height > limit:
        raise InputError(
            f"The picture is {width}x{height} pixels, more than the limit of {limit}.", name=name
        )


def real_videos(container: InputContainer) -> list[VideoStream]:
    """All video streams that can be decoded and are no cover art."""
    # codec_context is None in some damaged files and for codecs that this FFmpeg cannot decode.
    return [
        s
        for s in container.streams.video
        if s.codec_context is not None and not s.disposition & Disposition.attached_pic
    ]


def _metadata_arguments() -> dict[str, Any]:
    # Tags need not be UTF-8. From PyAV 19 on this is the default and the argument is gone.
    return {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}


def check_file(path: Path, kind: str = "video") -> None:
    """Raise InputError unless `path` is a regular file with something in it: pipes and devices may never end."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = "only local files can be read, no addresses" if ":/" in str(path) else None
        raise InputError("There is no such file.", name=str(path), hint=hint) from error
    except PermissionError as error:
        raise InputError("This file may not be read.", name=str(path)) from error
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise InputError(f"This name leads to no file ({reason}).", name=str(path)) from error
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"This is a folder, not a {kind}.", name=str(path))
    if not stat.S_ISREG(status.st_mode):
        raise InputError(
            "This is not a regular file.",
            name=str(path),
            hint="save what a pipe or device gives as a file first",
        )
    if status.st_size == 0:
        raise InputError("This file is empty.", name=str(path))


def _refusal(path: Path, error: av.FFmpegError) -> InputError:
    hint = None
    if isinstance(error, PermissionError):
        reason = "This file may not be read."
    elif error.errno == errno.EINVAL:
        reason = "This is not a kind of video file that vidstyle opens."
        hint = "playlists, scripts and image sequences are refused: they lead to other files"
    elif isinstance(error, av.error.InvalidDataError):
        reason = "This is not a video, or it is damaged beyond reading."
        with path.open("rb") as file:
            if file.read(8).endswith(b"ftyp"):
                hint = "an MP4 whose recording was cut off lacks its index and cannot be read without repair"
    else:
        # FFmpeg has no code of its own for much of what a hostile header can ask for, so its words mislead.
        reason = "This file cannot be opened as a video."
    return InputError(reason, name=str(path), hint=hint)


def local_path(container: InputContainer) -> Path:
    """The file that `open_input` opened."""
    return Path(str(container.name).removeprefix("file:"))
