"""Which frames wait for which, what is tried on a bad one, and what is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.correct.candidates import Candidate, candidates
from vidstyle.correct.donors import blend, calibrated, carry, to_levels, to_picture
from vidstyle.correct.pyramid import Array
from vidstyle.frames import CheckedFrame, FinishedFrame, Judge

WINDOW_FRAMES = 8
"""How far away, in frames, a good neighbour may be; so many finished frames, and frames to come, are held."""
WITNESSES = 2
"""Good frames wanted on either side: one to repair from, and one more to see how good such repairs are."""
MARGIN = 0.65
"""A repair must bring the frame's score below this share of what it was."""
LEAST_CONFIDENCE = 0.05
"""A neighbour that can be trusted in less than this share of the picture is no help."""
BLIND_CONFIDENCE = 0.5
"""The same where nothing but the repair itself can tell how the frame should look."""
DISPLACED = "displaced"
"""The detector's word for a frame that came in a neighbour's place."""
ELSEWHERE = {DISPLACED, "duplicate"}
"""Its words for pictures of another moment ..."""
SLIGHT = {"blocks", "banding"}
"""Its words for faults that may be plain to it, and yet slight: a frame without another is mended only if it is farther
from what its neighbours would make of it than that from the truth."""
UNDONE = ("gain", "unmix", "offset")
"""... which nothing makes right that only undoes a fault of the frame itself."""

SMALL = 0.25
"""Share of the picture under which it is tried to repair nothing but the region of a fault."""
AROUND = 1 / 16
"""How far a repair may reach beyond the region of a fault, as a share of the picture's long side."""
ERROR_FLOOR = 0.2
SCORE_FLOOR = 0.1
"""Below these, smaller is not better."""
PREFERENCES = {
    "keep": 0.7,
    "exchange": 0.1,
    "gain": 0.6,
    "unmix": 0.25,
    "offset": 0.7,
    "fuse": 1.6,
    "local": 1.3,
    "warp": 1.2,
}
"""Factors on the expected errors, tuned on the anomaly bench: few parameters that explain much are seldom mistaken."""
SCORE_WEIGHT = 0.35
"""The power of the score in the comparison: it is that of a logit, and steep where nothing is wrong."""

Restyle = Callable[[CheckedFrame], Tensor | None]


def correct(
    frames: Iterable[CheckedFrame], *, restyle: Restyle | None = None, repair: bool = True
) -> Generator[FinishedFrame, None, None]:
    """Yields every frame once, in order; frames that are not flagged with the very tensor they came with.

    `restyle` paints a frame again by itself (in float32) and returns [3, H, W] of the same dtype, or None. With
    `repair` False nothing is changed. At most `WINDOW_FRAMES` frames are held on either side of a flagged one.
    """
    if not repair:
        yield from (_finish(frame) for frame in frames)
        return
    past: deque[CheckedFrame] = deque(maxlen=WINDOW_FRAMES)
    waiting: deque[CheckedFrame] = deque()

    def mended(ended: bool) -> Iterator[FinishedFrame]:
        while waiting and (ended or _ready(waiting)):
            frame = waiting.popleft()
            yield _mend(frame, past, waiting, restyle) if frame.verdict.flagged else _finish(frame)
            past.append(frame)

    for frame in frames:
        waiting.append(frame)
        yield from mended(ended=False)
    yield from mended(ended=True)


def _finish(frame: CheckedFrame) -> FinishedFrame:
    return FinishedFrame(
        index=frame.index,
        pts=frame.pts,
        duration=frame.duration,
        source=frame.source,
        picture=frame.styled,
        damaged=frame.damaged,
        shot=frame.shot,
        verdict=frame.verdict,
    )


def _ready(waiting: deque[CheckedFrame]) -> bool:
    """Whether the first waiting frame has seen the good neighbours after it, or need not wait for them."""
    first = waiting[0]
    if not first.verdict.flagged or len(waiting) > WINDOW_FRAMES or waiting[-1].shot != first.shot:
        return True
    return len(_good(first, waiting)) >= WITNESSES


def _good(frame: CheckedFrame, side: Iterable[CheckedFrame]) -> list[CheckedFrame]:
    """The nearest good frames of the same shot on one side, nearest first."""
    near = (f for f in side if f.shot == frame.shot and not f.verdict.flagged)
    near = (f for f in near if abs(f.index - frame.index) <= WINDOW_FRAMES)
    return sorted(near, key=lambda f: abs(f.index - frame.index))[:WITNESSES]


def _mend(
    frame: CheckedFrame, past: Iterable[CheckedFrame], future: Iterable[CheckedFrame], restyle: Restyle | None
) -> FinishedFrame:
    """A flagged frame, painted again, repaired, or kept."""
    kept = replace(_finish(frame), action="kept")
    judge = frame.judge
    if judge is None:
        return kept
    again = restyle(frame) if restyle else None
    if again is not None and not torch.equal(again, frame.styled):
        score = judge(again)
        if score < min(1.0, MARGIN * frame.verdict.score):
            return replace(kept, picture=again, action="restyled", method="restyle", score_after=score)

    donors, of_blend, made = repairs(frame, past, future)
    slight = set(frame.verdict.reasons) <= SLIGHT
    best, least = kept, 0.0
    mask = _surroundings(frame)
    elsewhere = bool(set(frame.verdict.reasons[:1]) & ELSEWHERE)
    for candidate in made:
        if candidate.method == "keep":
            if slight and candidate.error < of_blend:
                return kept
            least = _cost(candidate, frame.verdict.score)
            continue
        if elsewhere and candidate.method in UNDONE:
            continue
        picture, score = _tried(frame, judge, candidate, mask)
        if score >= MARGIN * frame.verdict.score or torch.equal(picture, frame.styled):
            continue
        cost = _cost(candidate, score)
        if cost < least:
            least = cost
            best = replace(
                kept,
                picture=picture,
                action="repaired",
                method=candidate.method,
                donors=donors,
                score_after=score,
            )
    return best


def _tried(
    frame: CheckedFrame, judge: Judge, candidate: Candidate, mask: Array | None
) -> tuple[Tensor, float]:
    """A repair and its score: only around a small fault if nothing is wrong then, else of the whole frame.

    Of a frame that came in another's place all is wrong, however little of it shows.
    """
    if mask is not None and candidate.method != "exchange":
        styled = to_levels(frame.styled)
        picture = to_picture(styled + mask * (candidate.picture - styled), frame.styled)
        if (score := judge(picture)) < 1:
            return picture, score
    picture = to_picture(candidate.picture, frame.styled)
    return picture, judge(picture)


def _surroundings(frame: CheckedFrame) -> Array | None:
    """[H, W, 1], 1 at a fault and a little around it, feathered; None unless the fault is small."""
    x, y, columns, rows = frame.verdict.region or (0, 0, 0, 0)
    height, width = frame.styled.shape[1:]
    if not 0 < columns * rows < SMALL * height * width:
        return None
    around = max(1, round(AROUND * max(height, width)))
    mask = np.zeros((height, width), np.float32)
    mask[max(0, y - around) : y + rows + around, max(0, x - around) : x + columns + around] = 1
    return cv2.GaussianBlur(mask, (0, 0), around / 3)[..., None]


def _cost(candidate: Candidate, score: float) -> float:
    """By which repairs are compared: what the neighbours, pixel by pixel, and the detector say of them.

    Either alone is a worse judge: the detector knows little of fine texture and prefers whatever is nearest to its
    reference; the expected error knows nothing of what is usual in this video.
    """
    expected = PREFERENCES[candidate.method] * (candidate.error + ERROR_FLOOR)
    return expected * max(score, SCORE_FLOOR) ** SCORE_WEIGHT


def repairs(
    frame: CheckedFrame, past: Iterable[CheckedFrame], future: Iterable[CheckedFrame]
) -> tuple[tuple[int, ...], float, Iterator[Candidate]]:
    """What can be made of a frame and the good neighbours that can be used.

    Their indices, the squared error to be expected of what they alone make of it, and the candidates, made one by one.
    """
    before, after = _good(frame, past), _good(frame, future)
    least = LEAST_CONFIDENCE if frame.verdict.reference != "none" else BLIND_CONFIDENCE
    donors = [*before[:1], *after[:1]] if before and after else before or after
    carried = [c for c in (carry(frame, donor) for donor in donors) if c.confidence.mean() >= least]
    if not carried:
        return (), 0.0, iter(())
    source = to_levels(frame.source)
    made = calibrated(blend(source, carried), before, after)
    others = [
        to_levels(f.styled)
        for f in (*past, *future)
        if abs(f.index - frame.index) == 1
        and DISPLACED in f.verdict.reasons
        and DISPLACED in frame.verdict.reasons
    ]
    return (
        tuple(c.index for c in carried),
        made.error,
        candidates(to_levels(frame.styled), source, made, others),
    )
