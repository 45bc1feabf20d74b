"""The run that judges a video which some other tool has painted already, and mends it if asked.

    decode both, pair ─▶ track motion ─▶ detect ─▶ correct ─▶ encode and log
    └──── thread ────┘  └── thread ──┘  └──── thread ──────┘  └ the caller's ┘

As `pipeline.py`, but for the stylizer: in its place stands the file it wrote. `pairs.py` says which source frame
belongs to which stylised one. Stylised frames that have none pass unjudged and unchanged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from vidstyle.correct import correct
from vidstyle.detect import TrainedFusion, detect
from vidstyle.device import DeviceChoice, automatic_batch_size, cores
from vidstyle.errors import InputError, UsageError
from vidstyle.events import Listener, ignore
from vidstyle.flow import track_motion
from vidstyle.frames import Batch, FinishedFrame, StyledBatch, Verdict, VideoInfo
from vidstyle.media.decode import decode
from vidstyle.media.mux import BorrowedSound
from vidstyle.media.probe import probe
from vidstyle.media.times import frame_times
from vidstyle.models.load import load_features, load_fusion
from vidstyle.pairs import Follower, alike, fit, likeness, plan
from vidstyle.prefetch import prefetch
from vidstyle.run import (
    BATCHES_AHEAD,
    CHECKING_FRAMES,
    Preview,
    Report,
    Run,
    Task,
    default_log,
    identity,
    no_preview,
    use_threads_sparingly,
)
from vidstyle.settings import Settings
from vidstyle.suffixes import STILLS, is_file
from vidstyle.weights import manifest

LOG_ENDING = ".check.jsonl"
SPARE_FRAMES = 2
"""Source frames that are read before the one that the container's times promise: times may be rounded."""


def check_video(
    source: Path | str,
    stylised: Path | str,
    output: Path | str | None = None,
    *,
    settings: Settings | None = None,
    listener: Listener = ignore,
    preview: Preview = no_preview,
) -> Report:
    """Judge every frame of a stylised video by the motion of its source; mend the flagged ones into `output`.

    output: None writes the log only, default `NAME.check.jsonl` beside the stylised video. An output has the times,
    sound and tags of the stylised video; with a lossless encoder the frames that are not mended are those of the
    stylised video bit for bit. Where that is silent, the source's sound is taken if the times agree. Of the settings
    those of the style are not used; those of the clip count from the first frame of the stylised video. Raises the
    errors of `vidstyle.errors`.
    """
    settings = settings or Settings()
    if not settings.check.detect:
        raise UsageError("Nothing can be checked without the detector.", name="detect")
    source, stylised = Path(source), Path(stylised)
    output = Path(output) if output else None
    run = Run(settings, listener, preview)
    original, painted = (_probe(path, settings) for path in (source, stylised))
    if output:
        log = settings.output.anomaly_log or default_log(output)
    else:
        log = settings.output.anomaly_log or default_log(stylised, ending=LOG_ENDING, key="stylised")
    used = settings.what_shapes_pictures()
    del used["style"]
    ours = {
        "input": str(source),
        "stylised": str(stylised),
        "output": output and str(output),
        "settings": used,
    }
    use_threads_sparingly()
    original, notes = alike(original, painted)
    checking = _Checking(run, original, painted, writes=output is not None)
    run.check_names(output, log, source, stylised, ours=ours)
    for text in (*painted.notes, *notes, *checking.pairing.notes):
        run.note(text)
    if source.samefile(stylised):
        run.note("SOURCE and STYLISED are the same file.")
    return run.do(
        Task(
            source=source,
            stylised=stylised,
            output=output,
            log=log,
            info=checking.stylised,
            device=f"cpu ({cores()} cores)",
            header={"settings": used, "pairing": checking.pairing.by},
            facts={
                "inputs": [identity(source), identity(stylised)],
                "weights": [entry.sha256 for entry in manifest()["networks"].values()],
            },
            stages=checking.stages,
            sound=checking.sound() if output else None,
        )
    )


def _probe(path: Path, settings: Settings) -> VideoInfo:
    if path.suffix.lower() in STILLS and is_file(path):
        raise InputError("This is a picture; only videos can be checked.", name=str(path))
    return probe(path, max_pixels=settings.max_pixels)


class _Checking:
    """The stages of a run that checks `stylised` against `source`; `writes`: into an output, mended."""

    def __init__(self, run: Run, source: VideoInfo, stylised: VideoInfo, *, writes: bool) -> None:
        self.run = run
        self.source = source
        self.source_times = frame_times(source)
        self.stylised_times = frame_times(stylised)
        self.stylised = replace(stylised, frames_hint=len(self.stylised_times))
        self.pairing = plan(self.source_times, self.stylised_times, name=str(stylised.path))
        self.writes = writes
        self.index = 0
        """Of the stylised frame that is being paired."""

    def sound(self) -> BorrowedSound | None:
        """The source's sound, where the stylised video has none: most tools do not keep it."""
        wanted = self.run.settings.output.audio and not self.stylised.audio_streams
        if not wanted or not self.source.audio_streams:
            return None
        if self.pairing.by == "number":
            self.run.note(
                "STYLISED has no sound, and that of SOURCE does not fit its times: there will be none."
            )
            return None
        self.run.note("STYLISED has no sound: that of SOURCE is taken.")
        shift = self.stylised_times.start - self.source_times.start - self.pairing.offset
        return BorrowedSound(self.source.path, shift)

    def stages(self, first_index: int) -> Generator[FinishedFrame, None, None]:
        """All stages but the last, chained. Closing the result closes each of them and ends their threads."""
        cpu = DeviceChoice(torch.device("cpu"), torch.float32, "cpu")
        batch_size = automatic_batch_size(cpu, *self.stylised.size)
        pairs: Generator[StyledBatch | Batch, None, None] = self.run.watch.stage(
            "decode", lambda _: self._pairs(batch_size, first_index), ()
        )
        pairs = prefetch(pairs, BATCHES_AHEAD, name="prefetch-pairs")
        return prefetch(self._judged(pairs), 2 * batch_size, name="prefetch-finished")

    def _judged(
        self, pairs: Generator[StyledBatch | Batch, None, None]
    ) -> Generator[FinishedFrame, None, None]:
        """Pairs go through detector and corrector, frames without a counterpart past them."""
        threshold, watch = self.run.settings.check.threshold, self.run.watch.stage
        mend = self.writes and self.run.settings.check.correct
        judging = partial(
            detect, threshold=threshold, features=load_features(), fusion=TrainedFusion(load_fusion())
        )
        with closing(pairs):
            for paired, group in groupby(pairs, lambda item: isinstance(item, StyledBatch)):
                if not paired:
                    yield from self._passed(group)
                    continue
                moving = prefetch(watch("motion", with_motion, group), BATCHES_AHEAD, name="prefetch-motion")
                checked = watch("detect", judging, moving)
                yield from watch("correct", lambda frames: correct(frames, repair=mend), checked)

    def _passed(self, batches: Iterable[StyledBatch | Batch]) -> Generator[FinishedFrame, None, None]:
        """Stylised frames that have no counterpart, unjudged."""
        first, count = 0, 0
        for batch in batches:
            assert isinstance(batch, Batch)
            first = first if count else batch.indices[0]
            count += len(batch)
            for place, index in enumerate(batch.indices):
                picture = batch.pixels[place]
                yield FinishedFrame(
                    index=index,
                    pts=batch.pts[place],
                    duration=batch.durations[place],
                    source=picture,
                    picture=picture,
                    damaged=batch.damaged[place],
                    shot=0,
                    verdict=Verdict(score=0.0, flagged=False, reference="unpaired"),
                )
        self.run.note(
            f"{count} frame(s) of STYLISED from number {first} on have no counterpart in SOURCE: not checked."
        )

    def _pairs(self, batch_size: int, first_index: int) -> Generator[StyledBatch | Batch, None, None]:
        """Stylised frames with their source frames; those that have none as a bare `Batch`."""
        clip = self.run.settings.clip
        stylised = decode(
            self.stylised,
            batch_size=batch_size,
            start=clip.start or None,
            end=clip.end,
            first_index=max(0, first_index - CHECKING_FRAMES),
            on_damage=lambda message, index: self.run.damage(f"STYLISED: {message}", index),
            keep=self.run.keep if self.writes else None,
        )
        with closing(stylised), ExitStack() as stack:
            follower: Follower[SourceFrame, Tensor] | None = None
            for batch in stylised:
                if follower is None:
                    source = stack.enter_context(closing(self._source_frames(self._moment(batch, 0))))
                    follower = Follower(
                        source,
                        slack=self.pairing.slack,
                        reach=self.pairing.reach,
                        likeness=None if self.pairing.exact else _likeness,
                    )
                found = []
                for place, self.index in enumerate(batch.indices):
                    found.append(follower.at(self._moment(batch, place), batch.pixels[place]))
                yield from paired(batch, found)

    def _moment(self, batch: Batch, place: int) -> Fraction:
        """Where among the source frames a stylised frame belongs: seconds from the first one, or its number."""
        if self.pairing.by == "number":
            return Fraction(batch.indices[place])
        ticks = batch.pts[place] - self.stylised_times.first
        return ticks * self.stylised.time_base + self.pairing.offset

    def _source_frames(self, moment: Fraction) -> Generator[tuple[Fraction, SourceFrame], None, None]:
        """The source frames, each with its moment, from the one on that may be wanted for `moment`."""
        number = int(moment) if self.pairing.by == "number" else self._shown_at(moment)
        frames = decode(
            self.source,
            batch_size=1,
            first_index=max(0, number - SPARE_FRAMES),
            on_damage=lambda message, _: self.run.damage(f"SOURCE: {message}", self.index),
        )
        with closing(frames):
            for batch in frames:
                if self.pairing.by == "number":
                    own = Fraction(batch.indices[0])
                else:
                    own = (batch.pts[0] - self.source_times.first) * self.source.time_base
                yield own, SourceFrame(batch.pixels[0], batch.damaged[0])

    def _shown_at(self, moment: Fraction) -> int:
        return int(np.searchsorted(self.source_times.seconds, float(moment), side="right")) - 1


class SourceFrame(NamedTuple):
    """What is used of a source frame."""

    picture: Tensor
    damaged: bool


def _likeness(frame: SourceFrame, stylised: Tensor) -> float:
    return likeness(frame.picture, stylised)


def paired(batch: Batch, found: Sequence[SourceFrame | None]) -> Iterator[StyledBatch | Batch]:
    """Stylised frames put together with the source frames found for them, in order; the others as a bare `Batch`."""
    for none, places in groupby(range(len(batch)), lambda place: found[place] is None):
        first, *rest = places
        part = _part(batch, slice(first, first + 1 + len(rest)))
        if none:
            yield part
            continue
        frames = [frame for frame in found[first : first + len(part)] if frame is not None]
        height, width = part.pixels.shape[2:]
        memory = torch.empty((len(part), height, width, 3), dtype=part.pixels.dtype)
        for frame, into in zip(frames, memory.numpy(), strict=True):
            fit(frame.picture, into)
        damaged = tuple(own or frame.damaged for own, frame in zip(part.damaged, frames, strict=True))
        source = replace(part, pixels=memory.permute(0, 3, 1, 2), damaged=damaged)
        yield StyledBatch(source, part.pixels, (None,) * len(part))


def _part(batch: Batch, places: slice) -> Batch:
    return Batch(
        indices=batch.indices[places],
        pts=batch.pts[places],
        durations=batch.durations[places],
        pixels=batch.pixels[places],
        damaged=batch.damaged[places],
    )


def with_motion(batches: Iterable[StyledBatch | Batch]) -> Generator[StyledBatch, None, None]:
    """`track_motion` for batches that have their stylised pictures already."""
    waiting: deque[StyledBatch] = deque()

    def sources() -> Iterator[Batch]:
        for batch in batches:
            assert isinstance(batch, StyledBatch)
            waiting.append(batch)
            yield batch.source

    for source in track_motion(sources()):
        yield replace(waiting.popleft(), source=source)
