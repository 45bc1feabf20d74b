"""A few frames from all over a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction

import av
import numpy as np
import torch
from av import VideoFrame
from av.container import InputContainer
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from torch import Tensor

from vidstyle.frames import VideoInfo
from vidstyle.media.colour import to_rgb
from vidstyle.media.decode import decode
from vidstyle.media.open import MAX_PIXELS, open_input, video_stream
from vidstyle.media.orientation import upright

FRAMES = 8
FROM_KEY_FRAME = 24
"""So many frames after a key frame are decoded to come nearer to the moment wanted."""
_DAMAGE = (av.FFmpegError, IndexError, AttributeError, ValueError)


def some_frames(info: VideoInfo, start: Fraction, end: Fraction | None) -> Iterator[Tensor]:
    """FRAMES pictures [3, H, W] (uint8 or uint16, RGB, upright) of the part from `start` to `end`, evenly spread.

    Near the moments wanted, not at them: sought by key frames. Where the file cannot be searched, its first frames.
    """
    found = [torch.from_numpy(np.ascontiguousarray(p)).permute(2, 0, 1) for p in _sought(info, start, end)]
    if found:
        yield from found
        return
    with closing(decode(info, batch_size=FRAMES, start=start or None, end=end)) as batches:
        for batch in batches:
            yield from batch.pixels
            return


def _sought(info: VideoInfo, start: Fraction, end: Fraction | None) -> list:  # type: ignore[type-arg]
    length = info.seconds_hint
    if length is None:
        return []
    last = min(length, float(end)) if end is not None else length
    moments = [float(start) + (last - float(start)) * (i + 0.5) / FRAMES for i in range(FRAMES)]
    reformatter = VideoReformatter()
    width, height = info.coded_size
    pictures = []
    try:
        with open_input(info.path) as container:
            stream = video_stream(container, max_pixels=max(MAX_PIXELS, width * height))
            stream.thread_type = "AUTO"
            for moment in moments:
                frame = _near(container, stream, moment)
                if frame is None or (frame.width, frame.height) != info.coded_size:
                    continue
                pictures.append(upright(to_rgb(frame, info, reformatter), info.display_matrix))
    except _DAMAGE:
        return pictures
    return pictures


def _near(container: InputContainer, stream: VideoStream, moment: float) -> VideoFrame | None:
    begin = stream.start_time or 0
    base = stream.time_base or Fraction(1)
    wanted = begin + round(moment / base)
    container.seek(wanted, stream=stream)
    frame = None
    for count, frame in enumerate(container.decode(stream)):
        if count >= FROM_KEY_FRAME or (frame.pts or 0) >= wanted:
            break
    return frame
