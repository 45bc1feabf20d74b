"""The whole run: read this file first.

    decode ─▶ track motion ─▶ stylize ─▶ detect ─▶ correct ─▶ encode and log
    └──── thread ────────┘  └ thread ┘ └──── thread ──────┘  └ the caller's ┘

Each stage is a generator over the one before; threads sit at the seams only (`prefetch`), each a bounded number of
batches ahead. The last stage is `run.py`'s, shared with `check.py`. Frames are encoded in segments (see
`media/segments.py`); a run that was interrupted starts again after its last whole segment, from as many frames
earlier as the stages need to be in the very same state.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidstyle import styles
from vidstyle.correct import correct
from vidstyle.detect import TrainedFusion, detect
from vidstyle.device import DeviceChoice, automatic_batch_size, choose_device
from vidstyle.events import Listener, ignore
from vidstyle.faults import Fault, inject
from vidstyle.flow import to_8_bit, track_motion
from vidstyle.frames import Batch, FinishedFrame, StyledBatch, Verdict, VideoInfo
from vidstyle.guides import StrokeField
from vidstyle.media.decode import decode
from vidstyle.media.probe import probe
from vidstyle.media.sample import some_frames
from vidstyle.models.load import load_features, load_fusion
from vidstyle.painters import guides_of, painting_network
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
from vidstyle.stylize import Look, Painter, stylize
from vidstyle.suffixes import default_result
from vidstyle.weights import manifest

WARM_UP_FRAMES = StrokeField.CONTEXT_FRAMES + CHECKING_FRAMES
"""Frames before a resumed run's first that go through all stages again, so that their state is what it was."""


def stylize_video(
    source: Path | str,
    output: Path | str | None = None,
    *,
    settings: Settings | None = None,
    listener: Listener = ignore,
    preview: Preview = no_preview,
    faults: Mapping[int, Fault] | None = None,
) -> Report:
    """Paint a video, check and mend every frame, and write it with sound, times and tags as they were.

    output: default `NAME.STYLE.SUFFIX` beside the source. The name holds the old file or the whole new one at any
    moment. Raises the errors of `vidstyle.errors`.
    """
    run = Run(settings or Settings(), listener, preview)
    task = _task(run, Path(source), output and Path(output), faults or {})
    assert task.output
    run.check_names(task.output, task.log, task.source)
    use_threads_sparingly()
    for text in task.info.notes:
        run.note(text)
    return run.do(task)


def is_done(
    source: Path | str, output: Path | str | None = None, *, settings: Settings | None = None
) -> bool:
    """Whether an earlier run painted this very input with these settings to its end, and the result is there."""
    run = Run(settings or Settings())
    return run.is_done(_task(run, Path(source), output and Path(output), {}))


def _task(run: Run, source: Path, output: Path | str | None, faults: Mapping[int, Fault]) -> Task:
    settings = run.settings
    style = styles.wanted(settings.style.style)
    info = probe(source, max_pixels=settings.max_pixels)
    output = Path(output) if output else default_result(source, style.name)
    choice = choose_device(settings.style.device, settings.style.precision)
    painting = _Painting(run, style, info, choice, faults)
    return Task(
        source=source,
        output=output,
        log=settings.output.anomaly_log or default_log(output),
        info=info,
        style=style.name,
        device=choice.reason,
        header={"weights_sha256": style.sha256},
        facts=painting.facts(),
        stages=painting.stages,
    )


class _Painting:
    """The stages of a run that paints `info`."""

    def __init__(
        self,
        run: Run,
        style: styles.Style,
        info: VideoInfo,
        choice: DeviceChoice,
        faults: Mapping[int, Fault],
    ) -> None:
        self.run = run
        self.style = style
        self.info = info
        self.choice = choice
        self.faults = faults

    def stages(self, first_index: int) -> Generator[FinishedFrame, None, None]:
        """All stages but the last, chained. Closing the result closes each of them and ends their threads."""
        check, wanted = self.run.settings.check, self.run.settings.style
        batch_size = wanted.batch_size or automatic_batch_size(self.choice, *self.info.size)
        painter = self._painter()
        watch = self.run.watch.stage

        source: Generator[Batch, None, None] = watch(
            "decode", lambda _: self._decode(batch_size, first_index), ()
        )
        source = prefetch(watch("motion", track_motion, source), BATCHES_AHEAD, name="prefetch-source")
        painted: Generator[StyledBatch, None, None] = watch(
            "stylize", lambda batches: self._stylize(batches, painter), source
        )
        painted = prefetch(painted, BATCHES_AHEAD, name="prefetch-painted")
        if not check.detect:
            return watch("pass", unchecked, painted)
        judging = partial(
            detect,
            threshold=check.threshold,
            features=load_features().to(self.choice.device),
            fusion=TrainedFusion(
                load_fusion()
            ),  # one small picture at a time: a GPU would only be waited for
        )
        checked = watch("detect", judging, painted)
        finished = watch(
            "correct", lambda frames: correct(frames, restyle=painter.repaint, repair=check.correct), checked
        )
        return prefetch(finished, 2 * batch_size, name="prefetch-finished")

    def _decode(self, batch_size: int, first_index: int) -> Generator[Batch, None, None]:
        clip = self.run.settings.clip

        def keep(index: int, frame: object) -> None:
            if index not in self.faults:
                self.run.keep(index, frame)

        return decode(
            self.info,
            batch_size=batch_size,
            start=clip.start or None,
            end=clip.end,
            first_index=max(0, first_index - WARM_UP_FRAMES),
            pin_memory=self.choice.device.type == "cuda",
            on_damage=self.run.damage,
            keep=keep if self.run.settings.style.strength == 0 else None,
        )

    def _stylize(self, batches: Iterable[Batch], painter: Painter) -> Generator[StyledBatch, None, None]:
        for batch in stylize(batches, painter):
            yield inject(batch, self.faults) if self.faults else batch

    def _painter(self) -> Painter:
        wanted = self.run.settings.style
        return Painter(
            painting_network(self.style, self._some_frames),
            self.choice,
            self.info.size,
            guides=guides_of(self.style),
            look=Look(wanted.strength, wanted.preserve_color),
            tile=wanted.tile,
            note=self.run.note,
        )

    def _some_frames(self) -> list[NDArray[np.uint8]]:
        """What the video as a whole is judged by: the same for every frame and every run."""
        clip = self.run.settings.clip
        return [to_8_bit(picture) for picture in some_frames(self.info, clip.start, clip.end)]

    def facts(self) -> dict[str, object]:
        """What must be the same, beside the settings, for the segments of an interrupted run to be used."""
        return {
            "input": identity(self.info.path),
            "weights": [self.style.sha256, *(entry.sha256 for entry in manifest()["networks"].values())],
            "faults": {str(index): fault.__name__ for index, fault in self.faults.items()},
            "computed_in": [self.choice.device.type, str(self.choice.dtype)],
        }


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


__all__ = ["Report", "is_done", "stylize_video"]
