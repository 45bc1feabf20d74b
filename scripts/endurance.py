#!/usr/bin/env python3
"""Paints a very long clip of small pictures and measures what grows with its length: memory, open files, log, state.

    python scripts/endurance.py                     20,000 frames of 64x48, everything on
    python scripts/endurance.py --frames 5000
    python scripts/endurance.py --hours 10          60 frames in ten hours, each at its own time

Exits with 1 where memory grows by more than 1 MB in 1,000 frames, where files stay open, or where frames or times are
not the source's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SIZE = (64, 48)
MOST_GROWTH = 1.0
"""Megabytes in 1,000 frames."""
SETTLED = 0.2
"""Part of the run in which every window and cache fills."""
ENOUGH = 2000
"""Frames of which a slope can be told."""
SECONDS_APART = 0.5
FRAMES_IN_HOURS = 60


@dataclass(frozen=True, slots=True)
class Sample:
    """The running command at one moment."""

    frames: int
    megabytes: float
    open_files: int


def write_clip(path: Path, times: list[int], time_base: Fraction) -> None:
    """A scene that slides, with a cut every 500 frames, shown at `times`."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = time_base
        for index, pts in enumerate(times):
            frame = av.VideoFrame.from_ndarray(_picture(index), format="rgb24")
            frame.pts, frame.time_base = pts, time_base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def _picture(index: int) -> np.ndarray:
    x, y = np.meshgrid(np.arange(SIZE[0]) + index % 500, np.arange(SIZE[1]))
    shot = index // 500
    waves = [np.sin(x / (7 + shot % 5) + y / 17), np.cos(x / 23 - y / 11), np.sin((x + y) / (13 + shot % 3))]
    return (127 + 90 * np.stack(waves, -1)).astype(np.uint8)


def frames_of(path: Path) -> list[Fraction]:
    """The time of every frame."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        base = stream.time_base or Fraction(0)
        return [frame.pts * base for frame in container.decode(stream) if frame.pts is not None]


def watched(command: list[str], log: Path) -> Iterator[Sample]:
    """Samples of a command while it runs. Raises CalledProcessError where it fails."""
    with subprocess.Popen(command) as process:
        seen, place = 0, 0
        while process.poll() is None:
            time.sleep(SECONDS_APART)
            if log.exists():
                with log.open("rb") as file:
                    file.seek(place)
                    new = file.read()
                place += len(new)
                seen += new.count(b'"type": "frame"')
            folder = Path(f"/proc/{process.pid}")
            try:
                status = (folder / "status").read_text()
                files = len(list((folder / "fd").iterdir()))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
            memory = next((line for line in status.splitlines() if line.startswith("VmRSS")), None)
            if memory:
                yield Sample(seen, int(memory.split()[1]) / 1024, files)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)


def growth(samples: list[Sample]) -> float:
    """Megabytes in 1,000 frames: the slope of a line through the samples after things have settled."""
    frames, megabytes = (
        np.array([getattr(s, name) for s in samples], float) for name in ("frames", "megabytes")
    )
    return float(np.polyfit(frames, megabytes, 1)[0] * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--hours", type=float, help="a clip of so many hours with few frames")
    parser.add_argument("options", nargs="*", help="options of vidstyle, after --")
    arguments = parser.parse_args()
    if arguments.hours:
        step = round(arguments.hours * 3_600_000 / FRAMES_IN_HOURS)
        times, time_base = [i * step for i in range(FRAMES_IN_HOURS)], Fraction(1, 1000)
    else:
        times, time_base = list(range(arguments.frames)), Fraction(1, 25)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / "in.mp4", Path(folder) / "out.mp4"
        write_clip(source, times, time_base)
        log = output.with_suffix(".anomalies.jsonl")
        command = [sys.executable, "-m", "vidstyle", str(source), "-o", str(output), "-q", *arguments.options]
        started = time.monotonic()
        samples = []
        for sample in watched(command, log):
            samples.append(sample)
            if len(samples) % 120 == 0:
                print(
                    f"{sample.frames} frames, {sample.megabytes:.0f} MB, {sample.open_files} files",
                    flush=True,
                )
        same = frames_of(output) == [pts * time_base for pts in times]
        print(
            f"{len(times)} frames in {time.monotonic() - started:.0f} s; times {'kept' if same else 'NOT kept'}"
        )
        print(
            f"log {log.stat().st_size / len(times):.0f} bytes a frame, peak {max(s.megabytes for s in samples):.0f} MB"
        )
        wrong = not same
        settled = [s for s in samples if SETTLED * len(times) <= s.frames < len(times)]
        if len(settled) > 10 and len(times) >= ENOUGH:
            files = {s.open_files for s in settled}
            wrong |= growth(settled) > MOST_GROWTH or max(files) - min(files) > 2
            print(
                f"memory grows {growth(settled):+.3f} MB in 1,000 frames; {min(files)} to {max(files)} open files"
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
