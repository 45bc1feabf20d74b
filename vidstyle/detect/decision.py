"""From a frame and its reference to cues, a score and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from torch import Tensor

from vidstyle.detect.analysis import COLORS, TEXTURES
from vidstyle.detect.cells import LEAST_SUPPORT, pool, trusted_means
from vidstyle.detect.statistics import (
    Array,
    Mask,
    deviation,
    known_median,
    masked_mean,
    mean_difference,
    worst,
)
from vidstyle.detect.temporal import Reference

REASONS = (
    "flicker",
    "noise",
    "blur",
    "color",
    "texture",
    "blank",
    "duplicate",
    "invalid",
    "displaced",
    "blocks",
    "banding",
    "unpainted",
)
"""Everything that a verdict may give as a reason."""

GRID = (16, 9)
"""Cells of a landscape picture that faults are looked for in."""
FLOORS = np.array([1.2, 0.8, 0.8, 1.2, 1.2], np.float32)
"""Deviation of a cell, per channel, that is never worth mentioning."""
LEAST_CELLS = 3
ONE_SIDED_DOUBT = 2.0
LENIENCE = 0.25
"""Share of the doubt (as a power) that widens what is usual; the rest divides the evidence that is left."""
MOST_UNREST = 4.0
"""A restless source may hide a small fault, but not a gross one."""


@dataclass(frozen=True, slots=True)
class Cue:
    """How a measured number becomes evidence: its weight, and the spread it has in the calmest video."""

    floor: float
    weight: float
    typical: float
    """Its usual value, for the first frames of a video, which have no history."""
    texture: bool = False


CUES: Mapping[str, Cue] = {
    "color_worst": Cue(0.25, 1.7, 1.1),
    "texture_worst": Cue(0.25, 0.9, 1.1, texture=True),
    "color_shift": Cue(0.25, 1.4, 0.8),
    "texture_shift": Cue(0.2, 0.8, 0.8, texture=True),
    "color_mean": Cue(0.06, 1.5, 0.5),
    "texture_mean": Cue(0.05, 0.5, 0.5, texture=True),
    "level": Cue(0.4, 1.7, 0.2),
    "energy": Cue(0.25, 1.5, 0.2, texture=True),
    "color_outside": Cue(0.25, 0.65, 0.5),
    "texture_outside": Cue(0.25, 0.35, 0.5, texture=True),
    "color_outside_mean": Cue(0.05, 0.3, 0.2),
    "texture_outside_mean": Cue(0.05, 0.5, 0.2, texture=True),
    "features": Cue(0.1, 0.5, 1.2, texture=True),
    "standstill": Cue(0.35, 1.2, 0.0),
}
NAMES = tuple(CUES)
MAPS = 36
"""Planes that the fusion network sees: five channels of five measures, the trusted share, and what is unexpected."""

THRESHOLD = 4.5
"""Weighted robust standard scores; a score of 1 is this much."""
SUSPICION = 0.7
"""Frames above this score are no neighbours and no history for the final judgement of others."""
FLAT = 1.5
"""Deviation of the luma of a blank picture, in grey levels, at most."""
PALE = 4 * FLAT
"""Deviation of a source's luma, in grey levels, under which it shows nothing much, as a fade does at its end ..."""
PALE_DOUBT = 3.0
"""... of which a style makes what it likes: evidence is divided by this, and the fusion network, which learnt from
other pictures, is not asked."""
CONTRASTY = 12.0
"""Deviation of a source's luma, in grey levels, that no style paints blank."""
CERTAIN = 8.0
"""Score of a frame that is bad beyond doubt ..."""
EMPTY = 1000.0
"""... and of one that shows nothing: whatever a repair puts in its place is better."""
FROZEN = 1.8
"""Standstill (log ratio) of a picture that is held while the source moves. 8,849 good frames of the anomaly bench and
of another suite have at most 0.51, ..."""
HELD = 1 / 3
"""... but where more than this share of the frames are held the style is animated so."""
UNPAINTED = 2.0
"""How much nearer (log ratio) to its source than usual a picture is that was not painted. In four draws of the anomaly
bench those have 3.2 at least, 2,980 others 1.3 at most."""
LEAST_USUAL = 4
"""Pictures that must tell what is usual."""
DISTANCE_FLOOR = 0.2
"""Grey levels of the distance to the source that hardly count."""
NOTICEABLE = 0.7
"""Evidence of the strongest cue, in units of the threshold, under which nothing stands out in a frame."""
UNDECIDED = 0.2
"""Score from which the fusion network, that calls a frame good, gives way to plain evidence ..."""
OVERWHELMING = 2.5
"""... and how strong (see `combine`) that must be to flag the frame. In 15 draws of the anomaly bench and two of
another suite 7 of 368 bad frames that were missed are found, and 2 of 20,648 good ones are flagged."""
SOFTNESS = 4.0
NOTABLE = 1.5
"""Grey levels a whole frame must be off for a reason to be named after that."""
LOCAL = 0.5
"""A fault over less than this share of the picture is local."""

FLOOR, WEIGHT, TYPICAL = np.array([(c.floor, c.weight, c.typical) for c in CUES.values()], np.float32).T
PRIOR = TYPICAL + np.array([[-1], [0], [1]], np.float32) * (FLOOR + 0.1 * TYPICAL)
"""A history for the first frames of a video: three frames of the calmest."""
STANDSTILL = NAMES.index("standstill")


@dataclass(slots=True)
class Finding:
    """What was measured in one frame: the cues in the order of NAMES (nan: cannot be told), and where."""

    cues: Array
    maps: Callable[[], Array] | None
    """Makes what the fusion network sees, [MAPS, rows, columns] over the fine grid; None without a reference."""
    deviation: Array | None
    """Largest deviation in units of what is usual there, per cell [rows, columns]."""
    level: Array
    """Mean signed shift of the frame per channel, [5]."""
    doubt: float = 1.0
    """By which the evidence is to be divided, at least 1."""
    seen: Tensor | None = None
    """What the fusion network made of the maps, once it has looked at them."""


@dataclass(frozen=True, slots=True)
class Calm:
    """What has lately been usual, per channel [5]."""

    contrast: Array
    """Deviation of the styled picture over that of the source."""
    spread: Array
    """How far a frame's neighbours are apart."""
    change: Array
    """How far the source is from its neighbours."""


def grid_size(planes: Array) -> tuple[int, int]:
    """Columns and rows of the fine grid over analysis planes [5, h, w]."""
    columns, rows = GRID[::-1] if planes.shape[1] > planes.shape[2] else GRID
    return 2 * columns, 2 * rows


def measure(
    styled: Array, reference: Reference | None, unexpected: Callable[[], Array], calm: Calm, **apart: float
) -> Finding:
    """Compares a styled analysis picture [5, h, w] with its reference.

    unexpected  tells how far its cells are from what the source leads to expect, [10, rows, columns] of the fine grid
    apart       cues measured elsewhere, by name
    """
    values, doubt = dict(apart), 1.0
    maps, deviation, level = None, None, np.zeros(len(styled), np.float32)
    if reference is not None:
        compared = _compare(styled, reference, calm)
        if compared.coarse.known.sum() >= LEAST_CELLS:
            doubt = _doubt(reference, calm)
            lenience, doubt = doubt**LENIENCE, doubt ** (1 - LENIENCE)
            values |= _deviation_cues(compared, reference, calm, lenience) | _outside_cues(compared, lenience)
            maps = partial(_maps, compared.fine, compared.share, unexpected)
            deviation, level = compared.coarse.deviating.max(0), compared.level
    cues = np.array([values.get(name, np.nan) for name in NAMES], np.float32)
    return Finding(cues, maps, deviation, level, doubt)


@dataclass(frozen=True, slots=True)
class _Grid:
    """Deviations per channel and cell [5, rows, columns], in units of what is usual there; 0 where unknown."""

    known: Mask
    """[rows, columns]"""
    deviating: Array
    """Of the pixels, absolute."""
    shifted: Array
    """Of the cell's mean, signed."""
    outside: Array
    """Beyond the range of the neighbours: next to nothing, even where they differ widely."""
    usual: Array
    change: Array
    """Of the source, signed, in grey levels."""

    def mean(self, values: Array) -> float:
        """Mean of [C, rows, columns], which are 0 where unknown, over the known cells."""
        return float(values.sum()) / (len(values) * np.count_nonzero(self.known))


@dataclass(frozen=True, slots=True)
class _Comparison:
    coarse: _Grid
    fine: _Grid
    share: Array
    """Of the pixels of each fine cell, how many are trusted, [1, rows, columns]."""
    level: Array


def _compare(styled: Array, reference: Reference, calm: Calm) -> _Comparison:
    """How far the frame is from the middle of its neighbours, and how far outside of their range."""
    difference = styled - reference.styled
    outside = np.maximum(np.maximum(styled - reference.highest, reference.lowest - styled), 0)
    change = reference.source_change
    fields = (np.abs(difference), difference, outside, reference.spread, np.abs(change), change)
    fine, share = trusted_means(fields, reference.supported, grid_size(styled))
    coarse, coarse_share = pool(fine, share)
    known = coarse_share[0] > LEAST_SUPPORT
    _, shift, *_, source_shift = np.split(coarse, len(fields))
    slope = explain(shift, source_shift, known)
    grids = [
        _grid(np.split(means, len(fields)), part[0] > LEAST_SUPPORT, calm, slope)
        for means, part in ((coarse, coarse_share), (fine, share))
    ]
    weight = reference.supported.astype(np.float32)
    usual_level = masked_mean(_explained(source_shift, slope), known.astype(np.float32))
    level = masked_mean(difference, weight) - usual_level
    return _Comparison(grids[0], grids[1], share, level)


def _grid(means: Sequence[Array], known: Mask, calm: Calm, slope: Array) -> _Grid:
    absolute, shift, outside, spread, change, source_shift = means
    explained = _explained(source_shift, slope)
    contrast, floors = _planes(calm.contrast), _planes(FLOORS)
    usual = (
        1.2 * np.maximum(spread, 0.5 * _planes(calm.spread))
        + 0.8 * contrast * change
        + np.abs(explained)
        + floors
    )
    return _Grid(
        known=known,
        deviating=np.where(known, absolute / usual, 0),
        shifted=np.where(known, (shift - explained) / usual, 0),
        outside=np.where(known, outside / (0.4 * spread + 0.4 * contrast * change + 0.5 * floors), 0),
        usual=usual,
        change=np.where(known, source_shift, 0),
    )


def _maps(grid: _Grid, share: Array, unexpected: Callable[[], Array]) -> Array:
    """What the fusion network sees of a fine grid, in a range of some units: [MAPS, rows, columns]."""
    signed = np.concatenate((grid.deviating, grid.outside, grid.shifted, grid.change))
    usual = np.log(grid.usual / _planes(FLOORS)) * grid.known
    maps: Array = np.concatenate((compress(signed), usual, share, compress(unexpected()))).astype(np.float32)
    return maps


def compress(values: Array) -> Array:
    """Signed logarithm: linear near 0, and nothing is huge."""
    # log1p takes four times as long
    result: Array = np.copysign(np.log(np.abs(values) + np.float32(1)), values)
    return result


def _planes(values: Array) -> Array:
    """One value per channel [5], as planes [5, 1, 1]."""
    return values[:, None, None]


def _doubt(reference: Reference, calm: Calm) -> float:
    """How much less a deviation means where neighbours are on one side only, and while the source is restless."""
    unrest = float(np.max((reference.mean_change + FLOORS) / (calm.change + FLOORS)))
    return min(max(1.0, unrest), MOST_UNREST) * (1.0 if reference.both_sides else ONE_SIDED_DOUBT)


def _deviation_cues(
    compared: _Comparison, reference: Reference, calm: Calm, lenience: float
) -> dict[str, float]:
    grid = compared.coarse
    deviating, shifted = grid.deviating / lenience, np.abs(grid.shifted) / lenience
    source_level = calm.contrast * np.abs(reference.source_level)
    excess = np.maximum(np.abs(compared.level) - 1.5 * source_level, 0) / lenience
    return {
        "color_worst": worst(deviating[COLORS].max(0)),
        "texture_worst": worst(deviating[TEXTURES].max(0)),
        "color_shift": worst(shifted[COLORS].max(0)),
        "texture_shift": worst(shifted[TEXTURES].max(0)),
        "color_mean": grid.mean(deviating[COLORS]),
        "texture_mean": grid.mean(deviating[TEXTURES]),
        "level": float(excess[COLORS].max()),
        "energy": float(excess[TEXTURES].max()),
    }


def _outside_cues(compared: _Comparison, lenience: float) -> dict[str, float]:
    grid = compared.fine
    beyond = grid.outside / lenience
    return {
        "color_outside": worst(beyond[COLORS].max(0), 3),
        "texture_outside": worst(beyond[TEXTURES].max(0), 3),
        "color_outside_mean": grid.mean(beyond[COLORS]),
        "texture_outside_mean": grid.mean(beyond[TEXTURES]),
    }


CAUSES = [0, 3, 4]


def explain(shift: Array, source_shift: Array, known: Mask) -> Array:
    """How the styled cells' shifts [5, rows, columns] follow from the source's own, where `known` [rows, columns].

    Slopes [3, 5] of a ridge regression. A style may turn a slight change of the source's sharpness into another tone,
    everywhere alike.
    """
    causes = (source_shift[CAUSES] * known).reshape(len(CAUSES), -1)
    ridge = max(1, int(known.sum())) * np.eye(len(CAUSES), dtype=np.float32)
    result: Array = np.linalg.solve(causes @ causes.T + ridge, causes @ shift.reshape(len(shift), -1).T)
    return result


def _explained(source_shift: Array, slope: Array) -> Array:
    """What of the styled shifts [5, rows, columns] follows from the source's."""
    causes = source_shift[CAUSES].reshape(len(CAUSES), -1)
    result: Array = (slope.T @ causes).reshape(source_shift.shape)
    return result


def evidence(cues: Array, history: Array, doubt: float = 1.0) -> Array:
    """Weighted robust standard scores of cues [C] within their history [N, C], divided by the doubt.

    -THRESHOLD where nothing can be told.
    """
    known = np.concatenate([history.reshape(-1, len(NAMES)), PRIOR])
    middle = known_median(known)
    spread = 1.4826 * known_median(np.abs(known - middle)) + FLOOR + 0.1 * np.abs(middle)
    scores = WEIGHT * (cues - middle) / (spread * np.float32(doubt))
    if not cues[STANDSTILL] > np.log(4):
        scores[STANDSTILL] = np.nan
    return np.where(np.isnan(scores), -THRESHOLD, scores).astype(np.float32)


def combine(scores: Array) -> float:
    """One score >= 0 from all the evidence: the strongest, supported by the second. 1 where both are THRESHOLD."""
    second, first = np.sort(scores)[-2:]
    total = float(0.7 * first + 0.3 * second) / THRESHOLD
    # a soft corner at 0: below the threshold, too, a better picture gets a lower score
    return float(np.logaddexp(0, SOFTNESS * total) / np.logaddexp(0, SOFTNESS))


def stands_out(scores: Array) -> bool:
    """Whether any cue of the evidence is worth noticing."""
    return bool(scores.max() >= NOTICEABLE * THRESHOLD)


def corroborated(score: float, scores: Array) -> float:
    """The fusion network's score, more where the evidence overwhelms."""
    return max(score, combine(scores) / OVERWHELMING) if score > UNDECIDED else score


def pale(picture: Array) -> bool:
    """Whether a picture, [5, h, w], shows next to nothing."""
    return deviation(picture[0]) < PALE


def flat(picture: Array) -> bool:
    """Whether a picture, [5, h, w], is blank."""
    return deviation(picture[0]) < FLAT


def certain(
    source: Array,
    styled: Array,
    reference: Reference | None,
    invalid: str | None,
    *,
    cues: Array,
    history: Array,
) -> str | None:
    """The reason why a frame is bad beyond doubt, if it is: "invalid", "blank" or "duplicate".

    source, styled  analysis planes [5, h, w]
    cues, history   [C] of the frame, and [N, C] of those around it, good and bad
    """
    if invalid is not None:
        return "blank" if invalid == "blank" else "invalid"
    if not flat(styled) or pale(source):  # a style may well paint a pale picture white
        return "duplicate" if frozen(cues, history) else None
    if deviation(source[0]) > CONTRASTY:
        return "blank"
    painted = reference is not None and reference.styled[0][reference.supported].std() > PALE
    return "blank" if painted else None


def certainty(reason: str | None) -> float:
    """The least score, in units of the threshold, of a frame with that certain reason (see `certain`)."""
    return 0.0 if reason is None else EMPTY if reason == "blank" else CERTAIN


def frozen(cues: Array, history: Array) -> bool:
    """Whether a picture stands still against the source's motion, in a film whose pictures do not; see `evidence`."""
    held = np.count_nonzero(history[:, STANDSTILL] > FROZEN)
    return bool(cues[STANDSTILL] > FROZEN and held <= HELD * len(history))


def unpainted(source: Array, styled: Array, usual: Sequence[float]) -> bool:
    """Whether a picture, [5, h, w], is next to its source.

    usual  `mean_difference` of the pictures around it to their sources
    """
    if len(usual) < LEAST_USUAL or pale(source):
        return False
    distance = mean_difference(styled, source) + DISTANCE_FLOOR
    return median(usual) + DISTANCE_FLOOR > np.exp(UNPAINTED) * distance


def reasons(scores: Array, finding: Finding, sure: Sequence[str | None]) -> tuple[str, ...]:
    """Names of what is wrong, the strongest first, from what is sure and the evidence of a flagged frame."""
    found = [reason for reason in sure if reason]
    for i in np.argsort(-scores):
        if scores[i] > 0.75 * THRESHOLD or (not found and i == int(np.argmax(scores))):
            found.append(_reason(NAMES[i], finding.level))
    return tuple(dict.fromkeys(found))


def _reason(cue: str, level: Array) -> str:
    if cue == "standstill":
        return "duplicate"
    if CUES[cue].texture:
        strongest = level[TEXTURES][np.argmax(np.abs(level[TEXTURES]))]
        return "texture" if abs(strongest) < NOTABLE else "noise" if strongest > 0 else "blur"
    chroma = float(np.abs(level[1:3]).max())
    return "flicker" if abs(float(level[0])) > max(NOTABLE, chroma) else "color"


def region(finding: Finding, picture: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """x, y, width, height in a picture of (width, height) pixels around the deviating cells; None if they are many."""
    if finding.deviation is None:
        return None
    bad = finding.deviation > max(2.0, 0.5 * float(finding.deviation.max()))
    rows, columns = np.flatnonzero(bad.any(1)), np.flatnonzero(bad.any(0))
    if not len(rows):
        return None
    cells = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    if (cells[2] - cells[0]) * (cells[3] - cells[1]) > LOCAL * bad.size:
        return None
    scale = (picture[0] / bad.shape[1], picture[1] / bad.shape[0]) * 2
    x0, y0, x1, y1 = (round(float(c * k)) for c, k in zip(cells, scale, strict=True))
    return x0, y0, x1 - x0, y1 - y0
