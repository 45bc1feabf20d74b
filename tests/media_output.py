"""What the tests of the writing side share: pass a clip through unchanged, and read files back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from torch import Tensor

from vidstyle.frames import VideoInfo
from vidstyle.media.decode import decode
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.probe import probe
from vidstyle.media.segments import Output

FAST = EncodeSettings(crf=12, preset="ultrafast", threads=1)


@dataclass
class Passed:
    """A run that changed nothing."""

    output: Path
    resumed: int
    written: int
    notes: list[str] = field(default_factory=list)


def frames_of(
    info: VideoInfo, *, start: Fraction | None = None, end: Fraction | None = None, first: int = 0
) -> Iterator[tuple[int, int, Tensor]]:
    """(pts, duration, picture) of each frame from `first` on."""
    with closing(decode(info, batch_size=4, start=start, end=end, first_index=first)) as batches:
        for batch in batches:
            yield from zip(batch.pts, batch.durations, batch.pixels, strict=True)


def pass_through(
    source: Path,
    output: Path,
    settings: EncodeSettings = FAST,
    *,
    resume: bool = True,
    fingerprint: str = "same",
    clip: tuple[Fraction, Fraction | None] | None = None,
    stop_after: int | None = None,
    info: VideoInfo | None = None,
    alter: Callable[[Tensor], Tensor] = lambda picture: picture,
) -> Passed:
    """Write every frame of `source` to `output`; `stop_after` frames, the run ends as if it were interrupted."""
    info = info or probe(source)
    start, end = clip or (None, None)
    notes: list[str] = []
    with Output(
        output, info, settings, fingerprint=fingerprint, resume=resume, clip=clip, note=notes.append
    ) as out:
        passed = Passed(output, out.resume_frames, 0, notes)
        for number, (pts, duration, picture) in enumerate(frames_of(info, start=start, end=end)):
            if number < out.resume_frames:
                continue
            if stop_after is not None and passed.written >= stop_after:
                return passed
            out.write(pts, duration, alter(picture))
            passed.written += 1
        out.finish()
    return passed


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    info = probe(path)
    return [pts * info.time_base for pts, _, _ in frames_of(info)]


def pictures(path: Path) -> np.ndarray:
    """All frames, [T, 3, H, W]."""
    return np.stack([picture.numpy() for _, _, picture in frames_of(probe(path))])


def packets(path: Path, kind: str) -> dict[int, list[tuple[Fraction, bytes]]]:
    """(time in seconds, content) of the packets of each track of a kind, by its place among these tracks."""
    with av.open(str(path)) as container:
        tracks = [s for s in container.streams if s.type == kind]
        found: dict[int, list[tuple[Fraction, bytes]]] = {i: [] for i in range(len(tracks))}
        place = {stream.index: i for i, stream in enumerate(tracks)}
        for packet in container.demux(tracks) if tracks else ():
            if packet.size:
                assert packet.pts is not None
                found[place[packet.stream.index]].append((packet.pts * packet.time_base, bytes(packet)))
    return found


def contents(path: Path, kind: str) -> dict[int, list[bytes]]:
    """The packets of each track without their times."""
    return {track: [data for _, data in found] for track, found in packets(path, kind).items()}


def stream_facts(path: Path, kind: str) -> list[dict[str, Any]]:
    """Codec, tags and the like of each track of a kind."""
    with av.open(str(path)) as container:
        return [
            {
                "codec": stream.name,
                "language": stream.language,
                "title": stream.metadata.get("title"),
                "disposition": stream.disposition,
            }
            for stream in container.streams
            if stream.type == kind
        ]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Peak signal to noise ratio of 8-bit pictures, in dB."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
