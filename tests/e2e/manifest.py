"""Hold a run of the command against what a manifest of odd and hostile inputs promises about one of them."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideDataType
from PIL import Image, ImageOps

from tests.e2e.forked import HUNG, Ended, Herd
from vidstyle.media.orientation import upright

SECONDS = 60
SOURCE_COLORS = {"range": "color_range", "prim": "color_primaries", "trc": "color_trc", "space": "colorspace"}
CONCEAL = 0x8
"""FFmpeg's codec flag that has concealed frames delivered."""


class Case:
    """One input in a folder of its own, and what the manifest says about it."""

    def __init__(self, folder: Path, entry: dict[str, Any]) -> None:
        self.entry = entry
        self.name: str = entry["name"]
        self.literal = bool(entry.get("literal"))
        self.input = Path(entry["file"]) if self.literal else folder / entry["file"]
        self.folder = folder / self.name
        self.before = _content(self.folder)

    def run(self, herd: Herd, *options: str) -> tuple[Ended, list[str]]:
        """Paint it with the default names; how that ended, and all that is not as promised."""
        argument = self.entry["file"] if self.literal else self.input
        ended = herd.run(argument, *options, limit=SECONDS, cwd=self.folder)
        return ended, list(self._deviations(ended))

    def _deviations(self, ended: Ended) -> Iterator[str]:
        expect = self.entry["expect"]
        yield from bad_ending(ended)
        after = _content(self.folder)
        if any(after.get(path) != digest for path, digest in self.before.items()):
            yield "an input was changed"
        new = sorted(path for path in after if path not in self.before)
        if ended.returncode:
            if expect == "ok":
                yield f"refused: {ended.stderr.strip()}"
            if new:
                yield f"left over: {new}"
            if ended.returncode not in (2, 3, 4):
                yield f"exit {ended.returncode}"
            if self.entry.get("bomb") and ended.megabytes > 900:
                yield f"took {ended.megabytes:.0f} MB"
            return
        if expect == "error":
            yield "accepted"
            return
        if self.entry.get("still"):
            yield from self._still_deviations(new)
        else:
            yield from self._video_deviations(new)

    def _still_deviations(self, new: list[Path]) -> Iterator[str]:
        if len(new) != 1:
            yield f"{len(new)} new files: {new}"
            return
        with Image.open(self.input) as source, Image.open(new[0]) as result:
            wanted, got = ImageOps.exif_transpose(source), ImageOps.exif_transpose(result)
            if wanted.size != got.size:
                yield f"size {got.size}, not {wanted.size}"
            if _unlike(np.asarray(wanted.convert("RGB")), np.asarray(got.convert("RGB"))):
                yield "another picture, or turned"

    def _video_deviations(self, new: list[Path]) -> Iterator[str]:
        logs = [path for path in new if path.suffix == ".jsonl"]
        results = [path for path in new if path.suffix != ".jsonl"]
        if len(logs) != 1 or len(results) != 1:
            yield f"files: {new}"
            return
        lines = [json.loads(line) for line in logs[0].read_text(encoding="utf-8").splitlines()]
        source, result = Seen(self.input), Seen(results[0])
        yield from self._log_deviations(lines, result)
        yield from self._frame_deviations(lines, source, result)
        yield from self._shape_deviations(source, result)
        yield from self._track_deviations(result)

    def _log_deviations(self, lines: list[dict[str, Any]], result: Seen) -> Iterator[str]:
        kinds = [line["type"] for line in lines]
        if kinds[0] != "header" or kinds[-1] != "summary":
            yield "the log is not whole"
        if kinds.count("frame") != len(result.times):
            yield f"{kinds.count('frame')} lines for {len(result.times)} frames"
        flagged = [line["frame"] for line in lines if line.get("flagged") is True]
        if self.entry.get("no_anomaly") and flagged:
            yield f"clean frames flagged: {flagged}"
        if "input_damage" in kinds and not self.entry.keys() & {"damaged", "size_change", "nonmono"}:
            yield "damage logged where there is none"

    def _frame_deviations(self, lines: list[dict[str, Any]], source: Seen, result: Seen) -> Iterator[str]:
        count = self.entry["checks"].get("frames")
        frames = len(result.times)
        if count is not None and frames != count:
            yield f"{frames} frames of {count}"
        most = self.entry["checks"].get("frames_max")
        if most is not None and frames > most:
            yield f"{frames} frames were invented of {most}"
        if self.entry.get("damaged"):
            if frames < 0.9 * len(source.times):
                yield f"{frames} frames, a tolerant decoder gets {len(source.times)}"
            if most is not None and frames < most and not any(x["type"] == "input_damage" for x in lines):
                yield f"{most - frames} frames are missing and the log does not say so"
        elif not (self.entry.get("no_pts") or self.entry.get("nonmono")) and len(source.times) == frames:
            shift = min(source.times[0], 0) if source.times else 0
            worst = max(
                (abs(a - shift - b) for a, b in zip(source.times, result.times, strict=True)), default=0
            )
            if worst > Fraction(12, 10_000) and not self._same_spacing(source, result):
                yield f"times are off by {float(worst):.4f} s"
        if offset := self.entry.get("av_offset"):
            got = result.times[0] - result.first_sound
            if abs(float(got) - offset) > 0.05:
                yield f"sound is {float(got):.3f} s before the picture, not {offset}"

    def _same_spacing(self, source: Seen, result: Seen) -> bool:
        """Transport streams begin at 1.4 s: where all tracks move together nothing is lost."""
        pairs = zip(source.times, result.times, strict=True)
        return all(
            abs((a - source.times[0]) - (b - result.times[0])) <= Fraction(12, 10_000) for a, b in pairs
        )

    def _shape_deviations(self, source: Seen, result: Seen) -> Iterator[str]:
        if not source.times or not result.times:
            return
        checks, tolerance = self.entry["checks"], self.entry.get("size_tol", 0)
        size = checks.get("display", checks.get("size"))
        if size and max(abs(a - b) for a, b in zip(size, result.shown_size, strict=True)) > tolerance:
            yield f"shown as {result.shown_size}, not {size}"
        if self.entry.get("dar") and abs(result.shape / source.shape - 1) > 0.01:
            yield f"shown shape {result.shape:.3f}, not {source.shape:.3f}"
        if not self.entry.get("damaged") and _unlike(source.first, result.first):
            yield "the first frame shows something else, or is turned"
        for key, value in (self.entry.get("color") or {}).items():
            if result.color[key] != value:
                yield f"colour tag {key} is {result.color[key]}, not {value}"

    def _track_deviations(self, result: Seen) -> Iterator[str]:
        for key, got in (
            ("audio_n", result.sounds),
            ("subs_n", result.subtitles),
            ("chapters_n", result.chapters),
        ):
            if key in self.entry and self.entry[key] != got:
                yield f"{key} is {got}, not {self.entry[key]}"
        if "langs" in self.entry and self.entry["langs"] != result.languages:
            yield f"languages {result.languages}"
        for name, value in (self.entry.get("tags") or {}).items():
            if result.tags.get(name) != value:
                yield f"tag {name} is {result.tags.get(name)!r}"


class Seen:
    """What a tolerant reader sees in a video file, found out with PyAV alone."""

    def __init__(self, path: Path) -> None:
        self.times: list[Fraction] = []
        self.first: np.ndarray = np.zeros((1, 1, 3), np.uint8)
        self.shown_size = (0, 0)
        self.shape = 0.0
        self.color: dict[str, int] = {}
        with av.open("file:" + os.path.abspath(path), metadata_errors="surrogateescape") as container:  # noqa: PTH100
            video = next(s for s in container.streams.video if not int(s.disposition) & 0x400)
            video.codec_context.flags |= CONCEAL
            video.codec_context.thread_count = 1
            self.sounds = len(container.streams.audio)
            self.subtitles = len(container.streams.subtitles)
            self.chapters = len(container.chapters())
            self.languages = [s.language for s in container.streams.audio]
            self.tags = dict(container.metadata)
            self._decode(container, video)
        self.first_sound = self._first_sound(path) if self.sounds else Fraction(0)

    def _decode(self, container: Any, video: Any) -> None:
        packets = container.demux(video)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:
                continue
            with suppress(av.FFmpegError):
                for frame in packet.decode():
                    if not self.times and self.shape == 0:
                        self._look_at(frame, video)
                    self.times.append(Fraction(0) if frame.pts is None else frame.pts * frame.time_base)

    def _look_at(self, frame: Any, video: Any) -> None:
        matrix = None
        with suppress(ValueError):
            data = frame.side_data.get(SideDataType.DISPLAYMATRIX)
            matrix = tuple(np.frombuffer(bytes(data)[:36], "<i4").tolist()) if data is not None else None
        self.first = upright(frame.to_ndarray(format="rgb24"), matrix)
        self.shown_size = self.first.shape[1], self.first.shape[0]
        pixel = video.sample_aspect_ratio or Fraction(1)
        self.shape = float(pixel * frame.width / frame.height)
        self.color = {key: int(getattr(frame, name)) for key, name in SOURCE_COLORS.items()}

    @staticmethod
    def _first_sound(path: Path) -> Fraction:
        with av.open("file:" + os.path.abspath(path), metadata_errors="surrogateescape") as container:  # noqa: PTH100
            for packet in container.demux(container.streams.audio[0]):
                if packet.pts is not None:
                    return packet.pts * packet.time_base
        return Fraction(0)


def bad_ending(ended: Ended, *, bugs: bool = False) -> Iterator[str]:
    """What is wrong with how a run ended, whatever it was asked to do; `bugs` may have been made on purpose."""
    if ended.returncode == HUNG:
        yield f"hung for {ended.seconds:.0f} s"
    elif ended.returncode < 0:
        yield f"died of signal {-ended.returncode}"
    elif ended.returncode in (1, 120) and not bugs:
        yield f"a bug: {ended.stderr.strip()}"
    if "Traceback" in ended.stdout + ended.stderr:
        yield "traceback"
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" for c in ended.stderr):
        yield "invisible characters on the terminal"
    if ended.returncode and not _one_line_and_a_hint(ended.stderr):
        yield f"not one line: {ended.stderr!r}"


def _one_line_and_a_hint(text: str) -> bool:
    """Progress and notes may come before; the error is the last line but its hint."""
    lines = [line for line in text.splitlines() if not line.startswith("  hint: ")]
    errors = [line for line in lines if line.startswith("vidstyle: error: ")]
    return len(errors) == 1 and lines[-1] == errors[0]


def _content(folder: Path) -> dict[Path, str]:
    """Digest of every regular file in a folder, and the names of all else."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        regular = path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 30
        found[path] = hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
    return found


def _unlike(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures differ in where they are bright, seen from far away."""
    small = [
        np.asarray(Image.fromarray(p).convert("L").resize((8, 8), Image.Resampling.BOX), float)
        for p in (one, other)
    ]
    if small[0].std() < 12:  # nothing to be seen
        return False
    return float(np.corrcoef(small[0].ravel(), small[1].ravel())[0, 1]) < 0.8
