"""The stage that mends bad frames, from the stylizer once more or from good neighbours, and touches no other frame.

A flagged frame is first painted again. If that does not help, its good neighbours are carried along the source's
motion, and several pictures are made of them and of the frame itself. The detector's own judgement picks one, and only
if it is clearly better than the frame was.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vidstyle.flow import direct_flow, resize_flow, warp
from vidstyle.frames import CheckedFrame, FinishedFrame

Array = NDArray[np.float32]

WINDOW_FRAMES = 8
"""How far away, in frames, a good neighbour may be; so many finished frames, and frames to come, are held."""
MARGIN = 0.8
"""A repair must bring the frame's score below this share of what it was."""
LEAST_CONFIDENCE = 0.05
"""A neighbour that can be trusted in less than this share of the picture is no help."""
BLIND_CONFIDENCE = 0.5
"""The same where nothing but the repair itself can tell how the frame should look."""
LONE_DOUBT = 6.0
"""Error of a single carried neighbour, in grey levels; two neighbours tell themselves by how they disagree."""

PREFERENCES = {"gain": 1.0, "offset": 0.95, "pixel": 0.97, "local": 1.0, "warp": 1.05}
"""Methods, and the factors on their scores by which they are compared: the more of the frame is lost, the higher."""


def correct(
    frames: Iterable[CheckedFrame],
    *,
    restyle: Callable[[CheckedFrame], Tensor | None] | None = None,
    repair: bool = True,
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
            yield (
                _mend(frame, _donors(frame, past, waiting), restyle)
                if frame.verdict.flagged
                else _finish(frame)
            )
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
    """Whether the first waiting frame has seen the good neighbour after it, or need not wait for one."""
    first = waiting[0]
    if not first.verdict.flagged:
        return True
    later = list(waiting)[1:]
    return len(later) >= WINDOW_FRAMES or any(f.shot != first.shot or not f.verdict.flagged for f in later)


def _donors(
    frame: CheckedFrame, past: Iterable[CheckedFrame], future: Iterable[CheckedFrame]
) -> list[CheckedFrame]:
    """The nearest good frames of the same shot, at most one on either side."""
    found = []
    for side in (past, future):
        good = [f for f in side if f.shot == frame.shot and not f.verdict.flagged]
        found += sorted(good, key=lambda f: abs(f.index - frame.index))[:1]
    return [f for f in found if abs(f.index - frame.index) <= WINDOW_FRAMES]


def _mend(
    frame: CheckedFrame,
    donors: list[CheckedFrame],
    restyle: Callable[[CheckedFrame], Tensor | None] | None,
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

    enough = LEAST_CONFIDENCE if frame.verdict.reference != "none" else BLIND_CONFIDENCE
    carried = [c for c in (carry(frame, donor) for donor in donors) if c.confidence.mean() >= enough]
    if not carried:
        return kept
    pictures = {
        method: _to_picture(levels, frame.styled)
        for method, levels in candidates(_to_levels(frame.styled), carried, frame.verdict.region).items()
    }
    scores = {method: judge(picture) for method, picture in pictures.items()}
    best = min(scores, key=lambda method: scores[method] * PREFERENCES[method])
    if scores[best] >= MARGIN * frame.verdict.score:
        return kept
    return replace(
        kept,
        picture=pictures[best],
        action="repaired",
        method=best,
        donors=tuple(c.index for c in carried),
        score_after=scores[best],
    )


def _to_levels(picture: Tensor) -> Array:
    """A picture tensor [3, H, W] as float32 [H, W, 3] in 0..255."""
    levels = picture.permute(1, 2, 0).numpy().astype(np.float32)
    return levels / np.float32(257) if picture.dtype == torch.uint16 else levels


def _to_picture(levels: Array, like: Tensor) -> Tensor:
    """The reverse of `_to_levels`, in the dtype and memory order of `like`."""
    if like.dtype == torch.uint16:
        whole = np.rint(np.clip(levels, 0, 255) * 257).astype(np.uint16)
    else:
        whole = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
    return torch.from_numpy(whole).permute(2, 0, 1)


# ---- good neighbours, carried along the source's motion


@dataclass(frozen=True, slots=True)
class Carried:
    """A good neighbour's styled picture where it belongs in the frame that is to be mended."""

    index: int
    picture: Array
    """[H, W, 3] in 0..255."""
    confidence: Array
    """[H, W] in 0..1: how well the source itself agrees there."""
    distance: int
    """In frames."""


def carry(frame: CheckedFrame, donor: CheckedFrame) -> Carried:
    """Fetches a neighbour along the flow between the two source frames."""
    height, width = frame.source.shape[1:]
    distance = abs(frame.index - donor.index)
    picture = _to_levels(donor.styled)
    if torch.equal(frame.source, donor.source):
        return Carried(donor.index, picture, np.ones((height, width), np.float32), distance)
    there, back = direct_flow(frame.source, donor.source), direct_flow(donor.source, frame.source)
    size = (there.shape[1], there.shape[0])
    here = cv2.resize(_to_levels(frame.source), size, interpolation=cv2.INTER_AREA)
    fetched = warp(cv2.resize(_to_levels(donor.source), size, interpolation=cv2.INTER_AREA), there)
    confidence = cv2.resize(_confidence(here, fetched, there, back), (width, height))
    carried = warp(picture, resize_flow(there, (width, height)), cv2.INTER_CUBIC)
    return Carried(donor.index, carried, confidence, distance)


def _confidence(here: Array, fetched: Array, there: Array, back: Array) -> Array:
    """How far to trust the flow [h, w]: where the source matches, and the way there and back ends where it began.

    The mismatch allowed is that of Sundaram, Brox and Keutzer 2010, "Dense point trajectories by GPU-accelerated
    large displacement optical flow".
    """
    error = cv2.GaussianBlur(np.abs(fetched - here).max(2), (0, 0), 1.2)
    scale = max(10.0, 2.5 * float(np.median(error)))
    returned = warp(back, there)
    mismatch = ((there + returned) ** 2).sum(2)
    allowed = 0.01 * ((there**2).sum(2) + (returned**2).sum(2)) + 0.5
    height, width = there.shape[:2]
    columns = np.arange(width, dtype=np.float32) + there[..., 0]
    rows = np.arange(height, dtype=np.float32)[:, None] + there[..., 1]
    inside = (columns > -1) & (rows > -1) & (columns < width) & (rows < height)
    trust = np.exp(-((error / scale) ** 2)) * np.exp(-np.maximum(mismatch / allowed - 1, 0)) * inside
    return trust.astype(np.float32)


# ---- pictures that may be better than the frame


def candidates(
    styled: Array, carried: list[Carried], region: tuple[int, int, int, int] | None
) -> dict[str, Array]:
    """Repairs by method, float32 [H, W, 3] in 0..255 like `styled`.

    offset, gain  the frame itself, its coarse colours (and contrasts) brought to those of its neighbours
    warp          the neighbours; where they cannot be trusted, `offset`
    pixel, local  the frame, with `warp` where single pixels, or whole places, deviate
    """
    weights = np.stack([c.confidence / c.distance for c in carried])
    shares = (weights + 1e-4) ** 4  # nearly a choice: averaging would blur
    shares /= shares.sum(0)
    blend = np.einsum("nhw,nhwc->hwc", shares, np.stack([c.picture for c in carried]))
    trust = np.clip(2 * weights.sum(0), 0, 1)
    deviation = np.abs(styled - blend).max(2)
    offset, gain = _matched(styled, blend, trust)
    trust = np.maximum(trust, _dead(styled, deviation))
    full = offset + trust[..., None] * (blend - offset)

    if len(carried) == 2:
        doubt = cv2.GaussianBlur(np.abs(carried[0].picture - carried[1].picture).max(2), (0, 0), 2.5)
    else:
        doubt = np.full(deviation.shape, LONE_DOUBT, np.float32)
    result = {"offset": offset, "gain": gain}
    pixel = _pixel_mask(deviation, doubt) * trust
    result["pixel"] = styled + pixel[..., None] * (full - styled)
    local = _local_mask(deviation, doubt, region)
    if local is not None:
        result["local"] = styled + local[..., None] * (full - styled)
    if 0.55 * doubt.mean() <= 0.7 * deviation.mean():  # or else the neighbours are no better than the frame
        result["warp"] = full
    return result


def _matched(styled: Array, blend: Array, trust: Array) -> tuple[Array, Array]:
    """`styled` with the coarse mean, and with the coarse mean and deviation, of `blend`, where that is trusted."""
    height, width = trust.shape
    cell = max(1.0, max(height, width) / 64)
    size = (max(1, round(width / cell)), max(1, round(height / cell)))
    weight = trust + 1e-3

    def coarse(values: Array) -> Array:
        small = cv2.resize(
            values * (weight[..., None] if values.ndim == 3 else weight), size, interpolation=cv2.INTER_AREA
        )
        return cv2.GaussianBlur(small, (0, 0), max(size) / 14, borderType=cv2.BORDER_REFLECT)

    share = coarse(np.ones_like(weight))[..., None]
    mean, wanted = coarse(styled) / share, coarse(blend) / share
    variance = np.maximum(coarse(styled**2) / share - mean**2, 0)
    variance_wanted = np.maximum(coarse(blend**2) / share - wanted**2, 0)
    gain = np.clip(np.sqrt((variance_wanted + 4) / (variance + 4)), 0.5, 2)
    mean, wanted, gain = (cv2.resize(x, (width, height)) for x in (mean, wanted, gain))
    return np.clip(styled - mean + wanted, 0, 255), np.clip((styled - mean) * gain + wanted, 0, 255)


def _dead(styled: Array, deviation: Array) -> Array:
    """Soft mask [H, W] of flat areas that are far off: even an uncertain neighbour is better than a black hole."""
    luma = cv2.cvtColor(styled, cv2.COLOR_RGB2GRAY)
    around = np.ones((7, 7))
    flat = cv2.dilate(luma, around) - cv2.erode(luma, around) < 3
    dead = cv2.dilate((flat & (deviation > 40)).astype(np.float32), np.ones((9, 9)))
    return cv2.GaussianBlur(dead, (0, 0), 1.0)


def _pixel_mask(deviation: Array, doubt: Array) -> Array:
    """Soft mask [H, W] of the pixels that deviate more than the neighbours do from each other."""
    calm = np.maximum(cv2.GaussianBlur(deviation, (0, 0), 1.2), 0.6 * deviation)
    mask = np.clip((calm - (1.2 * doubt + 3)) / 4, 0, 1)
    return cv2.GaussianBlur(cv2.dilate(mask, np.ones((3, 3))), (0, 0), 0.8)


def _local_mask(deviation: Array, doubt: Array, region: tuple[int, int, int, int] | None) -> Array | None:
    """Feathered mask [H, W] of the places that deviate, and of `region`; None if that is most of the picture."""
    height, width = deviation.shape
    scale = min(1.0, 128 / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small, limit = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (deviation, doubt))
    bad = cv2.GaussianBlur((small > 1.2 * limit + 3).astype(np.float32), (0, 0), 1.5)
    bad = (cv2.dilate(bad, np.ones((5, 5))) > 0.35).astype(np.float32)
    if region:
        x, y, w, h = region
        bad[int(y * scale) : int((y + h) * scale) + 1, int(x * scale) : int((x + w) * scale) + 1] = 1
    if bad.mean() > 0.7:
        return None
    return np.clip(cv2.resize(cv2.GaussianBlur(bad, (0, 0), 1.0), (width, height)), 0, 1)
