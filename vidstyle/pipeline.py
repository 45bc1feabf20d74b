"""The whole run: read this file first.

    decode ─▶ track motion ─▶ stylize ─▶ detect ─▶ correct ─▶ encode and log
    └──── thread ────────┘  └ thread ┘ └──── thread ──────┘  └ the caller's ┘

Each stage is a generator over the one before; threads sit at the seams only (`prefetch`), each a bounded number of
batches ahead. Frames are encoded in segments (see `media/segments.py`); a run that was interrupted starts again
after its last whole segment, from as many frames earlier as the stages need to be in the very same state.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import torch

from vidstyle import __version__, styles
from vidstyle.correct import WINDOW_FRAMES, correct
from vidstyle.detect import CONTEXT_FRAMES, detect
from vidstyle.device import DeviceChoice, automatic_batch_size, choose_device, network_threads
from vidstyle.errors import DamagedError, InputError, OutputError, UsageError
from vidstyle.events import FrameDone, Listener, Note, RunFinished, RunStarted, StageTimes, ignore
from vidstyle.faults import Fault, inject
from vidstyle.flow import shrink, to_8_bit, track_motion
from vidstyle.frames import Batch, FinishedFrame, StyledBatch, Verdict, VideoInfo
from vidstyle.guides import StrokeField
from vidstyle.media.decode import decode
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.probe import probe
from vidstyle.media.segments import Output, check_output
from vidstyle.models.generator import Generator as PaintNetwork
from vidstyle.models.load import load, load_features
from vidstyle.prefetch import prefetch
from vidstyle.report import AnomalyLog, check_log, read_header, read_lines
from vidstyle.settings import Settings
from vidstyle.stopwatch import Stopwatch
from vidstyle.stylize import Look, Painter, stylize
from vidstyle.suffixes import result_suffix
from vidstyle.weights import Entry, manifest

WARM_UP_FRAMES = StrokeField.CONTEXT_FRAMES + CONTEXT_FRAMES + WINDOW_FRAMES
"""Frames before a resumed run's first that go through all stages again, so that their state is what it was."""
BATCHES_AHEAD = 2
EVENT_SECONDS = 0.5
HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    output: Path
    log: Path
    frames: int
    flagged: int
    repaired: int
    kept: int
    input_damage: int
    seconds: float
    stage_seconds: dict[str, float]
    notes: tuple[str, ...]


Preview = Callable[[], tuple[int, int] | None]
"""Width, height of the preview pictures wanted with the next frame; None when none is due."""


def stylize_video(
    source: Path | str,
    output: Path | str | None = None,
    *,
    settings: Settings | None = None,
    listener: Listener = ignore,
    preview: Preview = lambda: None,
    faults: dict[int, Fault] | None = None,
) -> Report:
    """Paint a video, check and mend every frame, and write it with sound, times and tags as they were.

    output: default `NAME.STYLE.SUFFIX` beside the source. The name holds the old file or the whole new one at any
    moment. Raises the errors of `vidstyle.errors`.
    """
    settings = settings or Settings()
    run = _Run(Path(source), output and Path(output), settings, listener, preview, faults or {})
    return run()


def default_output(source: Path, style: str) -> Path:
    """Where the result goes when nobody says: `in.mp4` -> `in.oil.mp4`."""
    return source.with_name(f"{source.stem}.{style}{result_suffix(source.suffix)}")


def default_log(output: Path) -> Path:
    """Where the log goes when nobody says: `in.oil.mp4` -> `in.oil.anomalies.jsonl`.

    Where that is the log of another result (`in.oil.mkv`), the whole name is kept: `in.oil.mp4.anomalies.jsonl`.
    """
    usual = output.with_suffix(".anomalies.jsonl")
    header = read_header(usual)
    if header is None or header.get("output") in (None, str(output)):
        return usual
    return output.with_name(f"{output.name}.anomalies.jsonl")


class _Run:
    def __init__(
        self,
        source: Path,
        output: Path | str | None,
        settings: Settings,
        listener: Listener,
        preview: Preview,
        faults: dict[int, Fault],
    ) -> None:
        self.source = source
        self.output = Path(output) if output else default_output(source, settings.style.style)
        self.log_path = settings.output.anomaly_log or default_log(self.output)
        self.settings = settings
        self.tell = listener
        self.preview = preview
        self.faults = faults
        self.watch = Stopwatch()
        self.notes: list[str] = []
        self.damage: list[tuple[str, int]] = []
        self.originals: dict[int, Any] = {}
        """Decoded frames on their way, where nothing is painted: what comes out is then what went in."""

    def note(self, text: str) -> None:
        self.notes.append(text)
        self.tell(Note(text))

    def __call__(self) -> Report:
        started = time.perf_counter()
        style = styles.find(self.settings.style.style)
        info = probe(self.source, max_pixels=self.settings.max_pixels)
        overwrite = self.settings.output.overwrite
        check_output(self.output, self.source, overwrite)
        check_log(self.log_path, overwrite=overwrite, others=(self.source, self.output))
        choice = choose_device(self.settings.style.device, self.settings.style.precision)
        _use_threads_sparingly()
        for text in info.notes:
            self.note(text)
        clip = self.settings.clip
        fingerprint = self._fingerprint(style, choice)
        with ExitStack() as stack:
            result = stack.enter_context(
                Output(
                    self.output,
                    info,
                    _encode_settings(self.settings),
                    fingerprint=fingerprint,
                    resume=self.settings.output.resume and read_header(self.log_path) is not None,
                    clip=None if clip.whole else (clip.start, clip.end),
                    note=self.note,
                )
            )
            resume = _resume_point(self.log_path, result.resume_frames)
            header = {**self._header(style, choice), "run": fingerprint}
            log = stack.enter_context(AnomalyLog(self.log_path, header, resume_frames=result.resume_frames))
            self.tell(self._started(info, choice, result.resume_frames))
            painter = self._painter(style, choice, info)
            frames = stack.enter_context(closing(self._stages(painter, choice, info, resume.index)))
            self._write(frames, result, log, info, resume)
            if not log.counts.frames:
                self._refuse_empty()
            self._note_damage(log)
            finishing = time.perf_counter()
            result.finish()
            self.watch.add("encode", time.perf_counter() - finishing)
            log.summary(stage_seconds=dict(self.watch.seconds), notes=self.notes)
        return self._finish(log, time.perf_counter() - started)

    def _stages(
        self, painter: Painter, choice: DeviceChoice, info: VideoInfo, first_index: int
    ) -> Generator[FinishedFrame, None, None]:
        """All stages but the last, chained. Closing the result closes each of them and ends their threads."""
        check = self.settings.check
        batch_size = self.settings.style.batch_size or automatic_batch_size(choice, *info.size)
        features = load_features() if check.detect else None
        watch = self.watch.stage

        source: Generator[Batch, None, None] = watch(
            "decode", lambda _: self._decode(info, choice, batch_size, first_index), ()
        )
        source = prefetch(watch("motion", track_motion, source), BATCHES_AHEAD, name="prefetch-source")
        painted: Generator[StyledBatch, None, None] = watch(
            "stylize", lambda batches: self._stylize(batches, painter), source
        )
        painted = prefetch(painted, BATCHES_AHEAD, name="prefetch-painted")
        if not check.detect:
            return watch("pass", unchecked, painted)
        checked = watch(
            "detect", lambda batches: detect(batches, threshold=check.threshold, features=features), painted
        )
        finished = watch(
            "correct", lambda frames: correct(frames, restyle=painter.repaint, repair=check.correct), checked
        )
        return prefetch(finished, 2 * batch_size, name="prefetch-finished")

    def _decode(
        self, info: VideoInfo, choice: DeviceChoice, batch_size: int, first_index: int
    ) -> Generator[Batch, None, None]:
        clip = self.settings.clip

        def on_damage(message: str, index: int) -> None:
            if index >= first_index:  # the run before has logged the rest
                self.damage.append((message, index))

        return decode(
            info,
            batch_size=batch_size,
            start=clip.start or None,
            end=clip.end,
            first_index=max(0, first_index - WARM_UP_FRAMES),
            pin_memory=choice.device.type == "cuda",
            on_damage=on_damage,
            keep=self.originals.__setitem__ if self.settings.style.strength == 0 else None,
        )

    def _stylize(self, batches: Iterable[Batch], painter: Painter) -> Generator[StyledBatch, None, None]:
        for batch in stylize(batches, painter):
            yield inject(batch, self.faults) if self.faults else batch

    def _write(
        self,
        frames: Iterable[FinishedFrame],
        result: Output,
        log: AnomalyLog,
        info: VideoInfo,
        resume: ResumePoint,
    ) -> None:
        """The last stage: encode, log and tell."""
        shots = 0
        next_event = 0.0
        for frame in frames:
            original = self.originals.pop(frame.index, None)
            if frame.index < resume.index:  # the warm-up of a resumed run
                shots = resume.shot - frame.shot
                continue
            started = time.perf_counter()
            frame = replace(frame, shot=frame.shot + shots)
            self._log_damage(log, frame.index)
            log.frame(frame, pts=frame.pts, time_base=info.time_base)  # before its segment can be complete
            unchanged = frame.picture.data_ptr() == frame.source.data_ptr()
            result.write(frame.pts, frame.duration, frame.picture, original if unchanged else None)
            now = time.perf_counter()
            self.watch.add("encode", now - started)
            self.tell(_frame_done(frame, info.time_base, self.preview()))
            if now >= next_event:
                self.tell(StageTimes(dict(self.watch.seconds)))
                next_event = now + EVENT_SECONDS
        self._log_damage(log, None)

    def _log_damage(self, log: AnomalyLog, up_to: int | None) -> None:
        """Log what the decoder complained about, in its place among the frames."""
        while self.damage and (up_to is None or self.damage[0][1] <= up_to):
            log.input_damage(*self.damage.pop(0))

    def _refuse_empty(self) -> NoReturn:
        self.log_path.unlink(missing_ok=True)
        if self.settings.clip.whole:
            raise InputError("No frame of this video can be decoded.", name=str(self.source))
        raise UsageError(
            "There is no frame in this part of the video.",
            name=str(self.source),
            hint="mind its length with --start, --end and --duration",
        )

    def _note_damage(self, log: AnomalyLog) -> None:
        if places := log.counts.input_damage:
            first = next(line for line in read_lines(self.log_path) if line["type"] == "input_damage")
            self.note(
                f"The input is damaged in {places} place(s); what could be decoded was painted. The first, before "
                f"frame {first['frame']}: {first['message']}"
            )

    def _painter(self, style: Entry, choice: DeviceChoice, info: VideoInfo) -> Painter:
        network = load(style)
        assert isinstance(network, PaintNetwork)
        wanted = self.settings.style
        return Painter(
            network,
            choice,
            info.size,
            look=Look(wanted.strength, wanted.preserve_color),
            tile=wanted.tile,
            note=self.note,
        )

    def _fingerprint(self, style: Entry, choice: DeviceChoice) -> str:
        """What must be the same for the segments of an interrupted run to be used."""
        facts = {
            "input": identity(self.source),
            "weights": [style.sha256, *(entry.sha256 for entry in manifest()["networks"].values())],
            "settings": self.settings.what_shapes_pictures(),
            "faults": {str(index): fault.__name__ for index, fault in self.faults.items()},
            "log": str(self.log_path.absolute()),
            "computed_in": [choice.device.type, str(choice.dtype)],
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _header(self, style: Entry, choice: DeviceChoice) -> dict[str, object]:
        return {
            "version": __version__,
            "input": str(self.source),
            "output": str(self.output),
            "style": style.name,
            "weights_sha256": style.sha256,
            "settings": self.settings.what_shapes_pictures(),
            "device": choice.reason,
        }

    def _started(self, info: VideoInfo, choice: DeviceChoice, resumed_at: int) -> RunStarted:
        clip = self.settings.clip
        frames, seconds = info.frames_hint, info.seconds_hint
        if seconds is not None:
            end = seconds if clip.end is None else min(seconds, float(clip.end))
            length = max(0.0, end - float(clip.start))
            if not clip.whole:
                frames = round(length * float(info.rate) + 0.25)  # half frames are meant to be whole ones
            seconds = length
        return RunStarted(
            input=str(self.source),
            output=str(self.output),
            style=self.settings.style.style,
            device=choice.reason,
            size=info.size,
            frames_hint=frames,
            seconds_hint=seconds,
            resumed_at=resumed_at,
        )

    def _finish(self, log: AnomalyLog, seconds: float) -> Report:
        counts = log.counts
        report = Report(
            output=self.output,
            log=self.log_path,
            frames=counts.frames,
            flagged=counts.flagged,
            repaired=counts.repaired,
            kept=counts.kept,
            input_damage=counts.input_damage,
            seconds=seconds,
            stage_seconds=dict(self.watch.seconds),
            notes=tuple(self.notes),
        )
        self.tell(
            RunFinished(
                output=str(report.output),
                frames=report.frames,
                flagged=report.flagged,
                repaired=report.repaired,
                kept=report.kept,
                seconds=seconds,
                log=str(report.log),
                checked=self.settings.check.detect,
                stage_seconds=report.stage_seconds,
            )
        )
        if self.settings.strict and (report.input_damage or report.kept):
            raise DamagedError(
                f"Finished, but the input was damaged in {report.input_damage} place(s) and "
                f"{report.kept} flagged frame(s) could not be mended.",
                name=str(report.output),
                hint=f"see {report.log}",
            )
        return report


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run goes on: the first frame to be written, and the shot of the one before it."""

    index: int = 0
    shot: int = 0


def _resume_point(log_path: Path, frames: int) -> ResumePoint:
    """From the log of the interrupted run, of which `frames` frames are in whole segments."""
    if not frames:
        return ResumePoint()
    lines = (line for line in read_lines(log_path) if line.get("type") == "frame")
    for count, line in enumerate(lines, start=1):
        if count == frames:
            return ResumePoint(index=line["frame"] + 1, shot=line["shot"])
    raise OutputError(
        "The log of the interrupted run is not the one this run would go on with.",
        name=str(log_path),
        hint="start again with --no-resume",
    )


def unchecked(batches: Iterable[StyledBatch]) -> Generator[FinishedFrame, None, None]:
    """In place of detector and corrector under --no-detect: frame by frame, nothing judged."""
    for batch in batches:
        source = batch.source
        for place, index in enumerate(source.indices):
            yield FinishedFrame(
                index=index,
                pts=source.pts[place],
                duration=source.durations[place],
                source=source.pixels[place],
                picture=batch.pictures[place],
                damaged=source.damaged[place],
                shot=source.motion[place].shot,
                verdict=Verdict(score=0.0, flagged=False),
            )


def identity(path: Path) -> list[object]:
    """What tells one input from another: size, time of change, and a hash of its first and last megabyte."""
    status = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(HASHED_BYTES))
        file.seek(max(0, status.st_size - HASHED_BYTES))
        digest.update(file.read(HASHED_BYTES))
    return [status.st_size, status.st_mtime_ns, digest.hexdigest()]


def _encode_settings(settings: Settings) -> EncodeSettings:
    output = settings.output
    return EncodeSettings(
        codec=output.codec,
        crf=output.crf,
        preset=output.preset,
        pix_fmt=output.pix_fmt,
        options=output.options,
        audio=output.audio,
        subtitles=output.subtitles,
        threads=network_threads(),
    )


def _use_threads_sparingly() -> None:
    """The stages run side by side already; threads inside OpenCV would only get in their way."""
    torch.set_num_threads(network_threads())
    cv2.setNumThreads(1)


def _frame_done(frame: FinishedFrame, time_base: Fraction, preview: tuple[int, int] | None) -> FrameDone:
    def small(picture: torch.Tensor) -> np.ndarray | None:
        return shrink(to_8_bit(picture), preview) if preview else None

    return FrameDone(
        index=frame.index,
        seconds=float(frame.pts * time_base),
        score=frame.verdict.score,
        flagged=frame.verdict.flagged,
        action=frame.action,
        source=small(frame.source),
        picture=small(frame.picture),
    )


__all__ = ["Report", "default_output", "stylize_video"]
