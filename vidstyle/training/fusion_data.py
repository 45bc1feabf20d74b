"""Examples for the fusion network: what the detector measures on clips that were spoilt on purpose."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.detect import detect
from vidstyle.detect.decision import MAPS, Finding
from vidstyle.detect.fusion import NUMBERS, Circumstances, Fusion, numbers
from vidstyle.detect.statistics import Array
from vidstyle.flow import track_motion
from vidstyle.frames import Batch, StyledBatch
from vidstyle.models.features import FeatureNetwork
from vidstyle.training.spoilt_clips import (
    EVENTS,
    VISIBLE,
    Picture,
    Random,
    Run,
    draw_run,
    draw_runs,
    draw_style,
    magnitude,
)

BATCH = 8
WHAT_IFS = 0.7
"""Faults tried on each frame in addition to those in the clip, on average."""
SCREENED = 0.5
"""Share of the frames that are kept as they were screened, too."""
FLAG_ALL = 1e-9
"""A threshold under which every frame is flagged, and so can be judged again."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A source, its painted version, and that spoilt by some runs of faults; all of the same length."""

    sources: list[Picture]
    clean: list[Picture]
    styled: list[Picture]


Paint = Callable[[list[Picture]], list[Picture]]
"""Paints the frames of a clip."""


def make_clip(
    scene: list[Picture],
    other: list[Picture],
    kinds: Sequence[str],
    random: Random,
    paint: Paint | None = None,
) -> Clip:
    """Lets things happen in a scene, paints it (without `paint`: in a style that is drawn), and spoils some frames."""
    sources, moments = list(scene), []
    for _ in range(random.choice([0, 1, 2, 3], p=[0.25, 0.4, 0.25, 0.1])):
        event = EVENTS[str(random.choice(list(EVENTS)))]
        moments.append(int(random.integers(6, len(sources) - 20)))
        sources = event(sources, random, moments[-1], other)
    clean = paint(sources) if paint else list(map(draw_style(random), sources))
    styled = list(clean)
    count = 0 if random.random() < 0.25 else int(random.integers(5, 10))
    for run in draw_runs(random, len(clean), count, clean[0].shape[:2], kinds, moments):
        for t in range(run.start, min(run.start + run.length, len(clean))):
            styled[t] = run.apply(clean, sources, t)
    return Clip(sources, clean, styled)


def label(spoilt: Picture, clean: Picture) -> int:
    """1: bad, 0: good, -1: spoilt, but nobody can see it."""
    if np.array_equal(spoilt, clean):
        return 0
    return 1 if magnitude(spoilt, clean) >= VISIBLE else -1


class Recorder:
    """A fusion that keeps what it is given, and leaves the score to another."""

    def __init__(self, fusion: Fusion) -> None:
        self._fusion = fusion
        self.screened: dict[int, tuple[Array, Array]] = {}
        """Maps and numbers of each frame at its screening."""
        self.judged: tuple[Array, Array] | None = None
        """The same of the last judgement."""

    def __call__(self, finding: Finding, scores: Array, here: Circumstances) -> float:
        assert finding.maps is not None
        given = finding.maps(), numbers(scores, finding, here)
        if here.screening:
            self.screened[here.frame] = given
        else:
            self.judged = given
        return self._fusion(finding, scores, here)


@dataclass(frozen=True, slots=True)
class Examples:
    """Maps [N, MAPS, rows, columns], float32 numbers [N, NUMBERS], int8 labels [N]: 1 bad, 0 good."""

    maps: NDArray[np.float16]
    numbers: Array
    labels: NDArray[np.int8]


def examples(
    clip: Clip, features: FeatureNetwork, fusion: Fusion, kinds: Sequence[str], random: Random
) -> Examples:
    """Every frame of a clip as it is screened and as it is judged, and some again with another fault in their place.

    `fusion` tells which frames are suspect.
    """
    recorder = Recorder(fusion)
    rows: list[tuple[Array, Array, int]] = []

    def keep(given: tuple[Array, Array] | None, truth: int) -> None:
        if given is not None and truth >= 0:
            rows.append((*given, truth))

    stream = _styled(track_motion(batches(clip.sources)), clip)
    for t, frame in enumerate(detect(stream, threshold=FLAG_ALL, features=features, fusion=recorder)):
        truth = label(clip.styled[t], clip.clean[t])
        keep(recorder.judged, truth)
        if random.random() < SCREENED:
            keep(recorder.screened.pop(t, None), truth)
        for _ in range(random.poisson(WHAT_IFS)):
            assert frame.judge is not None
            run: Run = draw_run(random, t, clip.clean[t].shape[:2], kinds, 1)
            spoilt = run.apply(clip.clean, clip.sources, t)
            recorder.judged = None
            frame.judge(_tensor([spoilt])[0])
            keep(recorder.judged, label(spoilt, clip.clean[t]))
        recorder.judged = None
    if not rows:
        return Examples(
            np.empty((0, MAPS, 1, 1), np.float16), np.empty((0, NUMBERS), np.float32), np.empty(0, np.int8)
        )
    maps, told, truths = zip(*rows, strict=True)
    return Examples(np.stack(maps).astype(np.float16), np.stack(told), np.array(truths, np.int8))


def _tensor(pictures: Sequence[Picture]) -> Tensor:
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)


def batches(sources: Sequence[Picture]) -> Iterator[Batch]:
    """A clip as the stages get it."""
    for first in range(0, len(sources), BATCH):
        pixels = _tensor(sources[first : first + BATCH])
        indices = tuple(range(first, first + len(pixels)))
        yield Batch(indices, indices, (1,) * len(pixels), pixels, (False,) * len(pixels))


def _styled(batches: Iterator[Batch], clip: Clip) -> Iterator[StyledBatch]:
    for batch in batches:
        pictures = _tensor(clip.styled[batch.indices[0] : batch.indices[-1] + 1])
        yield StyledBatch(batch, pictures, (None,) * len(batch))
