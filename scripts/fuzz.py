#!/usr/bin/env python3
"""Changes and cuts bytes of many kinds of media file and paints what comes of it: nothing may crash or hang.

    python scripts/fuzz.py                      2,000 files
    python scripts/fuzz.py --files 200 --seed 7 --keep /tmp/bad

Each file goes through the real command (whole decoding, encoding and joining; with `--strength 0 --no-detect` so that
a thousand take minutes) in a process of its own. It has to end with a result or with one line, within ten seconds.
Exits with 1 where one did not; --keep names a folder for those files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
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
    """One changed file."""

    path: Path
    seed: Path
    ended: Ended

    @property
    def lost(self) -> str | None:
        """What is wrong with how it ended; None if nothing is."""
        words = self.ended.stdout + self.ended.stderr
        if self.ended.returncode == HUNG or self.ended.seconds > SECONDS:
            return f"took {self.ended.seconds:.0f} s"
        if self.ended.returncode < 0:
            return f"died of signal {-self.ended.returncode}"
        if "Traceback" in words:
            return "traceback"
        if self.ended.returncode not in ALLOWED:
            return f"exit {self.ended.returncode}: {self.ended.stderr.strip().splitlines()[:1]}"
        if self.ended.returncode and self.ended.stderr.count("vidstyle: error: ") != 1:
            return f"not one line: {self.ended.stderr!r}"
        return None


def changed(data: bytes, dice: random.Random, *, cut: bool) -> bytes:
    """1 to MOST_FLIPS bytes become others; half of the time near the beginning, where headers are."""
    result = bytearray(data)
    reach = len(result) if dice.random() < 0.5 else min(len(result), 2048)
    for _ in range(round(MOST_FLIPS ** dice.random())):
        result[dice.randrange(reach)] = dice.randrange(256)
    return bytes(result[: dice.randrange(1, len(result))] if cut else result)


def trials(files: int, seed: int, folder: Path) -> Iterator[Trial]:
    """Change and paint `files` files; each is gone when the next one comes."""
    sources = folder / "seeds"
    sources.mkdir()
    av.logging.set_level(None)
    seeds = [make(sources) for make in SEEDS]
    with Herd(folder) as herd:
        for number in range(files):
            dice = random.Random(f"{seed} {number}")
            source = seeds[number % len(seeds)]
            place = folder / "trial"
            place.mkdir()
            path = place / source.name
            path.write_bytes(changed(source.read_bytes(), dice, cut=number // len(seeds) % EVERY_CUT == 0))
            yield Trial(path, source, herd.run(path, *OPTIONS, limit=SECONDS + 5, cwd=place))
            shutil.rmtree(place)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the files that something was wrong with")
    arguments = parser.parse_args()
    started = time.monotonic()
    codes: Counter[int] = Counter()
    slowest, lost = 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number, trial in enumerate(trials(arguments.files, arguments.seed, Path(folder)), start=1):
            codes[trial.ended.returncode] += 1
            slowest = max(slowest, trial.ended.seconds)
            if trial.lost:
                lost += 1
                print(f"{number} {trial.seed.name}: {trial.lost}", flush=True)
                if arguments.keep:
                    arguments.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(trial.path, arguments.keep / f"{number}-{trial.seed.name}")
            if number % 100 == 0:
                print(f"{number} files, {lost} lost, {time.monotonic() - started:.0f} s", flush=True)
    ended = ", ".join(f"{count} with {code}" for code, count in sorted(codes.items()))
    print(f"{sum(codes.values())} files: {ended}; slowest {slowest:.1f} s; {lost} lost")
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
