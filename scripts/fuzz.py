#!/usr/bin/env python3
"""Changes and cuts bytes of many kinds of media file and paints what comes of it: nothing may crash or hang.

    python scripts/fuzz.py                      2,000 files
    python scripts/fuzz.py --files 200 --seed 7 --keep /tmp/bad

Each file goes through the real command: whole decoding, encoding and joining, with `--strength 0 --no-detect` so that a
thousand take minutes. It has to end with a result or with one line, within ten seconds.
Exits with 1 where one did not; --keep names a folder for those files.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

os.environ.setdefault("SVT_LOG", "0")  # libsvtav1 prints past the log
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import av  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402

from tests.e2e.forked import HUNG, Ended, Herd  # noqa: E402
from tests.media_factory import MATRICES, Sound, make_clip, stamped  # noqa: E402

FILES = 2000
SECONDS = 10
"""Of processor time, the most that a run may take."""
HANGS = 60
"""Seconds after which a run that does not end is killed."""
SIZE = (64, 48)
OPTIONS = ("--strength", "0", "--no-detect", "--preset", "ultrafast")
ALLOWED = {0, 2, 3, 4}
"""Exit codes: done, wrong usage (no frame in it), input or output refused."""
MOST_FLIPS = 256
EVERY_CUT = 5


def _clip(name: str, **wanted: Any) -> Callable[[Path], Path]:
    settings = {"frames": 8, "size": SIZE, "rate": Fraction(25), **wanted}
    return lambda folder: make_clip(folder / name, **settings).path


def _picture(name: str, **save: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pages = [Image.fromarray(stamped(i, SIZE)) for i in range(3)]
        more = {"save_all": True, "append_images": pages[1:]} if save.pop("several", False) else {}
        pages[0].save(folder / name, **save, **more)
        return folder / name

    return make


def _sound_alone(folder: Path) -> Path:
    with av.open(str(folder / "sound.wav"), "w") as out:
        track = out.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4000), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
        out.mux(track.encode(frame))
        out.mux(track.encode())
    return folder / "sound.wav"


_TEXT = [(0, 100, "One"), (120, 200, "Two")]
SEEDS: tuple[Callable[[Path], Path], ...] = (
    _clip("h264.mp4", sounds=[Sound()], subtitles=_TEXT, chapters=["A"], tags={"title": "T"}),
    _clip("turned.mov", matrix=MATRICES["clockwise"], sounds=[Sound("pcm_s16le")]),
    _clip("live.mp4", container_options={"movflags": "frag_keyframe+empty_moov"}, options={"g": "3"}),
    _clip("hevc.mp4", codec="libx265", pix_fmt="yuv420p10le"),
    _clip("h264.mkv", sounds=[Sound("libopus")], subtitles=_TEXT, chapters=["A"]),
    _clip("ffv1.mkv", codec="ffv1", sounds=[Sound("flac")]),
    _clip("vp9.webm", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    _clip("vp8.webm", codec="libvpx", options={"deadline": "realtime"}, sounds=[Sound("libopus")]),
    _clip("av1.mkv", codec="libsvtav1", options={"preset": "12"}),
    _clip("mpeg4.avi", codec="mpeg4", sounds=[Sound("libmp3lame")]),
    _clip("mjpeg.avi", codec="mjpeg", pix_fmt="yuvj420p"),
    _clip("h264.ts", sounds=[Sound("mp2")]),
    _clip("mpeg2.mpg", codec="mpeg2video", sounds=[Sound("mp2")]),
    _clip("prores.mov", codec="prores_ks", pix_fmt="yuv422p10le"),
    _clip("sorenson.flv", codec="flv"),
    _clip("wmv2.wmv", codec="wmv2", container="asf"),
    _clip("mpeg2.mxf", codec="mpeg2video", sounds=[Sound("pcm_s16le")]),
    _clip("vp8.ogv", codec="libvpx", container="ogg", options={"deadline": "realtime"}),
    _clip("raw.nut", codec="rawvideo"),
    _clip("raw.y4m", codec="wrapped_avframe"),
    _clip("raw.h264", container="h264"),
    _clip("moving.gif", codec="gif", pix_fmt="bgr8"),
    _clip("moving.apng", codec="apng", pix_fmt="rgb24"),
    _picture("still.png"),
    _picture("still.jpg", quality=80),
    _picture("still.webp"),
    _picture("moving.webp", several=True),
    _picture("pages.tif", several=True, compression="tiff_lzw"),
    _picture("still.bmp"),
    _sound_alone,
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One changed file, or several painted by one run."""

    paths: tuple[Path, ...]
    ended: Ended

    @property
    def lost(self) -> str | None:
        """What is wrong with how it ended; None if nothing is."""
        ended = self.ended
        if ended.returncode == HUNG:
            return f"hung for {ended.seconds:.0f} s"
        if ended.processor_seconds > SECONDS:
            return f"took {ended.processor_seconds:.0f} s"
        if ended.returncode < 0:
            return f"died of signal {-ended.returncode}"
        if "Traceback" in ended.stdout + ended.stderr:
            return "traceback"
        bugs = [line for line in ended.stderr.splitlines() if "a bug in vidstyle" in line]
        if bugs or ended.returncode not in ALLOWED:
            return f"exit {ended.returncode}: {''.join(bugs[:1])}"
        if ended.stderr.count("vidstyle: error: ") != self.refused:
            return f"not one line: {ended.stderr!r}"
        return None

    @property
    def refused(self) -> int:
        """How many of the files gave no result."""
        if len(self.paths) == 1:
            return int(self.ended.returncode != 0)
        return len(self.paths) - sum(map(int, re.findall(r"(\d+) painted", self.ended.stderr)))


def changed(data: bytes, dice: random.Random, *, cut: bool) -> bytes:
    """1 to MOST_FLIPS bytes become others; half of the time near the beginning, where headers are."""
    result = bytearray(data)
    reach = len(result) if dice.random() < 0.5 else min(len(result), 2048)
    for _ in range(round(MOST_FLIPS ** dice.random())):
        result[dice.randrange(reach)] = dice.randrange(256)
    return bytes(result[: dice.randrange(1, len(result))] if cut else result)


def trials(files: int, seed: int, folder: Path) -> Iterator[Trial]:
    """Change and paint `files` files; they are gone when the next trial comes.

    One of each kind go through one run, which is how a thousand take minutes; where something is wrong with that run,
    each of them goes through one of its own.
    """
    sources = folder / "seeds"
    sources.mkdir()
    av.logging.set_level(None)
    seeds = [make(sources) for make in SEEDS]
    with Herd(folder) as herd:
        for first in range(0, files, len(seeds)):
            place = folder / f"{first:06d}"
            place.mkdir()
            numbers = range(first, min(first + len(seeds), files))
            paths = [_change(seeds[number % len(seeds)], seed, number, place) for number in numbers]
            together = Trial(tuple(paths), herd.run(*paths, *OPTIONS, "-y", limit=HANGS, cwd=place))
            if not together.lost:
                yield together
            else:
                for path in paths:
                    yield Trial((path,), herd.run(path, *OPTIONS, "-y", limit=HANGS, cwd=place))
            shutil.rmtree(place)


def _change(source: Path, seed: int, number: int, folder: Path) -> Path:
    dice = random.Random(f"{seed} {number}")
    path = folder / f"{number:06d}-{source.name}"
    path.write_bytes(changed(source.read_bytes(), dice, cut=number // len(SEEDS) % EVERY_CUT == 0))
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that something was wrong with")
    arguments = parser.parse_args()
    started = time.monotonic()
    done = refused = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        for trial in trials(arguments.files, arguments.seed, Path(folder)):
            done += len(trial.paths)
            refused += trial.refused
            if trial.lost:
                lost += 1
                print(f"{trial.paths[0].name}: {trial.lost}")
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(trial.paths[0], arguments.keep)
            print(f"{done} files, {lost} lost, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{done} files: {done - refused} painted, {refused} refused in one line, {lost} lost")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
