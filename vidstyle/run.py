"""What painting and checking share: names, notes, the log, encoding, going on after an interruption, the report.

A `Task` says what is to be done and brings the stages that do it, as one generator of finished frames; a `Run` takes
these frames to their output and log and tells the listener.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
import torch

from vidstyle import __version__
from vidstyle.correct import WINDOW_FRAMES
from vidstyle.detect import CONTEXT_FRAMES
from vidstyle.device import network_threads
from vidstyle.errors import DamagedError, InputError, OutputError, UsageError
from vidstyle.events import FrameDone, Listener, Note, RunFinished, RunStarted, StageTimes, ignore
from vidstyle.flow import shrink, to_8_bit
from vidstyle.frames import FinishedFrame, VideoInfo
from vidstyle.media.encode import EncodeSettings
from vidstyle.media.mux import BorrowedSound
from vidstyle.media.segments import Output, check_output
from vidstyle.report import AnomalyLog, check_log, read_header, read_lines
from vidstyle.settings import Settings
from vidstyle.stopwatch import Stopwatch
from vidstyle.suffixes import fitting_name, is_file

CHECKING_FRAMES = CONTEXT_FRAMES + WINDOW_FRAMES
"""Frames before one that decide what detector and corrector make of it."""
BATCHES_AHEAD = 2
EVENT_SECONDS = 0.5
HASHED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did."""

    output: Path | None
    """None where a video was only checked."""
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


def no_preview() -> None:
    """The preview of those who want none."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one run does."""

    source: Path
    output: Path | None
    """None: write nothing but the log."""
    log: Path
    info: VideoInfo
    """The video whose frames are numbered and timed as the output's, and whose sound and tags the output gets."""
    device: str
    """What computes, in words."""
    facts: Mapping[str, object]
    """What must be the same, beside the settings, for the segments of an interrupted run to be used."""
    stages: Callable[[int], Generator[FinishedFrame, None, None]]
    """All stages but the last, for a run whose first frame has this index; earlier frames may come out as well."""
    header: Mapping[str, object]
    """What the log's first line tells of this kind of run."""
    style: str | None = None
    stylised: Path | None = None
    """The video that is checked."""
    sound: BorrowedSound | None = None


class Run:
    """One run: `check_names`, then `do`. `note`, `damage`, `keep` and `watch` are for the task's stages."""

    def __init__(
        self, settings: Settings, listener: Listener = ignore, preview: Preview = no_preview
    ) -> None:
        self.settings = settings
        self.tell = listener
        self.preview = preview
        self.watch = Stopwatch()
        self.notes: list[str] = []
        self.damaged: list[tuple[str, int]] = []
        self.originals: dict[int, Any] = {}
        """Decoded frames on their way: where nothing is done to a picture, what comes out is what went in."""

    def note(self, text: str) -> None:
        """Tell the user something, in a sentence, and remember it for the report."""
        self.notes.append(text)
        self.tell(Note(text))

    def damage(self, message: str, index: int) -> None:
        """Take down what was wrong with the input before the frame with this index."""
        self.damaged.append((message, index))

    def keep(self, index: int, frame: Any) -> None:
        """Encode this decoded frame in place of its picture, unless that is mended."""
        self.originals[index] = frame

    def check_names(
        self, output: Path | None, log: Path, *inputs: Path, ours: Mapping[str, object] | None = None
    ) -> None:
        """Find out before any work whether output and log can be written. Raises OutputError, UsageError.

        ours: see `check_log`.
        """
        overwrite = self.settings.output.overwrite
        if output:
            for path in inputs:
                check_output(output, path, overwrite)
        others = (*inputs, output) if output else inputs
        check_log(log, overwrite=overwrite, others=others, ours=ours)

    def do(self, task: Task) -> Report:
        """Run the task to its end. Raises the errors of `vidstyle.errors`."""
        started = time.perf_counter()
        fingerprint = self._fingerprint(task)
        inputs = {path: _content(path) for path in (task.source, task.stylised) if path}
        with ExitStack() as stack:
            result = self._output(task, fingerprint)
            done = stack.enter_context(result).resume_frames if result else 0
            resume = resume_point(task.log, done)
            log = stack.enter_context(
                AnomalyLog(task.log, {**self._header(task), "run": fingerprint}, resume_frames=done)
            )
            self.tell(self._started(task, done))
            frames = stack.enter_context(closing(task.stages(resume.index)))
            self._write(frames, result, log, task.info, resume)
            if not log.counts.frames:
                self._refuse_empty(task)
            self._note_damage(log)
            _check_unchanged(inputs)
            if result:
                finishing = time.perf_counter()
                result.finish()
                self.watch.add("encode", time.perf_counter() - finishing)
            log.summary(stage_seconds=dict(self.watch.seconds), notes=self.notes)
        return self._finish(task, log, time.perf_counter() - started)

    def is_done(self, task: Task) -> bool:
        """Whether this very task came to its end before: its log says so, and the output is there."""
        header = read_header(task.log)
        if header is None or header.get("run") != self._fingerprint(task):
            return False
        return any(line.get("type") == "summary" for line in read_lines(task.log)) and (
            task.output is None or is_file(task.output)
        )

    def _output(self, task: Task, fingerprint: str) -> Output | None:
        if task.output is None:
            return None
        clip = self.settings.clip
        return Output(
            task.output,
            task.info,
            _encode_settings(self.settings),
            fingerprint=fingerprint,
            resume=self.settings.output.resume and read_header(task.log) is not None,
            clip=None if clip.whole else (clip.start, clip.end),
            sound=task.sound,
            note=self.note,
        )

    def _write(
        self,
        frames: Iterable[FinishedFrame],
        result: Output | None,
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
            self._log_damage(log, frame.index, resume.index)
            log.frame(frame, pts=frame.pts, time_base=info.time_base)  # before its segment can be complete
            if result:
                result.write(frame.pts, frame.duration, frame.picture, None if frame.mended else original)
            now = time.perf_counter()
            self.watch.add("encode", now - started)
            self.tell(_frame_done(frame, info.time_base, self.preview()))
            if now >= next_event:
                self.tell(StageTimes(dict(self.watch.seconds)))
                next_event = now + EVENT_SECONDS
        self._log_damage(log, None, resume.index)

    def _log_damage(self, log: AnomalyLog, up_to: int | None, first: int) -> None:
        """Log what the decoder complained about, in its place among the frames."""
        while self.damaged and (up_to is None or self.damaged[0][1] <= up_to):
            message, index = self.damaged.pop(0)
            if index >= first:  # the run before has logged the rest
                log.input_damage(message, index)

    def _refuse_empty(self, task: Task) -> NoReturn:
        task.log.unlink(missing_ok=True)
        if self.settings.clip.whole:
            raise InputError("No frame of this video can be decoded.", name=str(task.info.path))
        raise UsageError(
            "There is no frame in this part of the video.",
            name=str(task.info.path),
            hint="mind its length with --start, --end and --duration",
        )

    def _note_damage(self, log: AnomalyLog) -> None:
        if places := log.counts.input_damage:
            first = next(line for line in read_lines(log.path) if line["type"] == "input_damage")
            self.note(
                f"The input is damaged in {places} place(s); what could be decoded was used. The first, before "
                f"frame {first['frame']}: {first['message']}"
            )

    def _fingerprint(self, task: Task) -> str:
        facts = {
            **task.facts,
            "settings": self.settings.what_shapes_pictures(),
            "log": str(task.log.absolute()),
            "version": __version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _header(self, task: Task) -> dict[str, object]:
        return {
            "version": __version__,
            "input": str(task.source),
            "stylised": _name(task.stylised),
            "output": _name(task.output),
            "style": task.style,
            "settings": self.settings.what_shapes_pictures(),
            **task.header,
            "device": task.device,
        }

    def _started(self, task: Task, resumed_at: int) -> RunStarted:
        clip, info = self.settings.clip, task.info
        frames, seconds = info.frames_hint, info.seconds_hint
        if seconds is not None:
            end = seconds if clip.end is None else min(seconds, float(clip.end))
            length = max(0.0, end - float(clip.start))
            if not clip.whole:
                frames = round(length * float(info.rate) + 0.25)  # half frames are meant to be whole ones
            seconds = length
        return RunStarted(
            input=str(task.source),
            output=_name(task.output),
            style=task.style,
            device=task.device,
            size=info.size,
            frames_hint=frames,
            seconds_hint=seconds,
            resumed_at=resumed_at,
            stylised=_name(task.stylised),
        )

    def _finish(self, task: Task, log: AnomalyLog, seconds: float) -> Report:
        counts = log.counts
        report = Report(
            output=task.output,
            log=task.log,
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
                output=_name(task.output),
                frames=report.frames,
                flagged=report.flagged,
                repaired=report.repaired,
                kept=report.kept,
                seconds=seconds,
                log=str(report.log),
                checked=self.settings.check.detect,
                stage_seconds=report.stage_seconds,
                first_flagged=tuple(log.first_flagged),
                unpaired=counts.unpaired,
                stylised=_name(task.stylised),
            )
        )
        unmended = report.flagged - report.repaired
        if self.settings.strict and (report.input_damage or unmended):
            raise DamagedError(
                f"Finished, but the input was damaged in {report.input_damage} place(s) and "
                f"{unmended} flagged frame(s) are not mended.",
                name=str(report.output or task.stylised),
                hint=f"see {report.log}",
            )
        return report


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run goes on: the first frame to be written, and the shot of the one before it."""

    index: int = 0
    shot: int = 0


def resume_point(log: Path, frames: int) -> ResumePoint:
    """From the log of the interrupted run, of which `frames` frames are in whole segments."""
    if not frames:
        return ResumePoint()
    lines = (line for line in read_lines(log) if line.get("type") == "frame")
    for count, line in enumerate(lines, start=1):
        if count == frames:
            return ResumePoint(index=line["frame"] + 1, shot=line["shot"])
    raise OutputError(
        "The log of the interrupted run is not the one this run would go on with.",
        name=str(log),
        hint="start again with --no-resume",
    )


def default_log(video: Path, *, ending: str = ".anomalies.jsonl", key: str = "output") -> Path:
    """Where the log goes when nobody says: `in.oil.mp4` -> `in.oil.anomalies.jsonl`.

    Where that is the log of another video (`in.oil.mkv`), the whole name is kept: `in.oil.mp4.anomalies.jsonl`.
    key: where a log's header names its video.
    """
    usual = video.with_name(fitting_name(video.stem, ending))
    header = read_header(usual)
    if header is None or header.get(key, str(video)) == str(video):
        return usual
    return video.with_name(fitting_name(video.name, ending))


def identity(path: Path) -> list[object]:
    """What tells one input from another: size, time of change, and a hash of its first and last megabyte."""
    status = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(HASHED_BYTES))
        file.seek(max(0, status.st_size - HASHED_BYTES))
        digest.update(file.read(HASHED_BYTES))
    return [status.st_size, status.st_mtime_ns, digest.hexdigest()]


def _content(path: Path) -> list[object]:
    """As `identity`, but for the time of change."""
    size, _, digest = identity(path)
    return [size, digest]


def _check_unchanged(inputs: Mapping[Path, list[object]]) -> None:
    """Raise InputError where one is not what it was: pictures of the one file must not get the sound of another."""
    for path, before in inputs.items():
        try:
            changed = _content(path) != before
        except OSError as error:
            raise InputError("This file vanished while it was being read.", name=str(path)) from error
        if changed:
            raise InputError(
                "This file changed while it was being read.",
                name=str(path),
                hint="run the same command again when it is whole",
            )


def _name(path: Path | None) -> str | None:
    return None if path is None else str(path)


def use_threads_sparingly() -> None:
    """The stages run side by side already; threads inside OpenCV would only get in their way."""
    torch.set_num_threads(network_threads())
    cv2.setNumThreads(1)


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
