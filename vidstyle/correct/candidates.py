"""Pictures that may be better than a bad frame, with the error to be expected of each.

Some undo what may have been done to the frame: that costs none of its own strokes. Others replace what deviates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vidstyle.correct.donors import Blend
from vidstyle.correct.pyramid import FINE_SURROUNDINGS, Array, collapse, energies, pyramid

DOUBTED, DISBELIEVED = 1.5, 3.0
"""Squared deviation from the blend, over that to be expected of a good frame, from which a place
is doubted, and is not believed."""
MOST_LOSS = 3.0
"""Factor by which a place's texture may have less energy than that of the blend before it counts as lost."""
LOSS_WEIGHT = 2.0
GROSS_WEIGHT = 0.1
"""What lost texture, and the squared error on coarser scales, count for beside the deviation on a scale itself."""
MOST_LOCAL = 0.6
"""A fault over more than this share of the picture is not local."""
SAMPLES = 96
"""Pixels along the long side of the pictures from which the parameters of a fault are fitted."""
LEAST_SAMPLES = 50
UNCLIPPED = (6, 249)
"""Grey levels between which nothing was lost to clipping."""
MEDIAN_REACH = 10
"""Pixels, in a picture of 384, within which a shift of colour counts as constant."""
NOTICEABLE = 1.2
"""Grey levels of such a shift that may be chance."""
AROUND = 1 / 24
"""How far away, of the long side, places without trusted neighbours take theirs from ..."""
LEAST_WEIGHT = 0.02
"""... and how little trust there is in a place where nothing is shifted."""


@dataclass(frozen=True, slots=True)
class Candidate:
    method: str
    picture: Array
    """[H, W, 3], around 0..255."""
    error: float
    """Squared error to be expected."""
    borrowed: float = 0.0
    """That of what was taken of the blend alone."""


def candidates(styled: Array, source: Array, blend: Blend, others: list[Array]) -> Iterator[Candidate]:
    """Repairs of a frame; the first, `keep`, is the frame itself. All pictures are [H, W, 3] in 0..255.

    exchange  one of `others`, which came in another frame's place
    gain      one gain and offset per channel undone
    unmix     a share of the unpainted source taken out again
    offset    a shift of colour undone that is constant over places with sharp edges
    fuse      as much of the best of these, at each place and scale, as it deserves, and the neighbours' blend
    local     the frame, with the blend in the places that deviate
    warp      the blend
    """
    frame = Candidate("keep", styled, _excess(styled, blend))
    undone = [("exchange", other) for other in others]
    undone += [
        ("gain", gain_undone(styled, blend)),
        ("unmix", unmixed(styled, source, blend)),
        ("offset", offset_undone(styled, blend)),
    ]
    whole = [frame, *(Candidate(method, picture, _excess(picture, blend)) for method, picture in undone)]
    yield from whole
    local = mended_locally(styled, blend)
    if local is not None:
        yield local
    best = min([*whole, *([local] if local else [])], key=lambda c: c.error)
    yield fused(best, blend)
    yield Candidate("warp", blend.picture, blend.error)


def _excess(picture: Array, blend: Blend) -> float:
    """Squared error of a picture that owes nothing to the blend: its deviation from it beyond the blend's own error."""
    return sum(
        float(np.maximum(energy - variance, 0).mean())
        for energy, variance in zip(energies(pyramid(picture - blend.picture)), blend.variance, strict=True)
    )


# ---- the frame with what deviates replaced


def fused(base: Candidate, blend: Blend) -> Candidate:
    """A candidate mixed with the blend, on each scale and at each place by their errors (after Wiener).

    Where it deviates no more than a good frame would, it stays. But a place that is grossly wrong on coarse
    scales is not believed on finer ones, and one that lacks texture is blurred, not right: the least squared error
    alone would leave smears and the outlines of what was there.
    """
    error = base.borrowed
    kept: list[Array] = []
    gross = np.zeros((1, 1), np.float32)
    levels, wanted = pyramid(base.picture - blend.picture), pyramid(blend.picture)
    texture = energies([level + other for level, other in zip(levels, wanted, strict=True)])
    scales = zip(levels, energies(levels), energies(wanted), texture, blend.variance, strict=True)
    for level, energy, due, there, variance in reversed(list(scales)):
        gross = cv2.resize(gross, (level.shape[1], level.shape[0]))
        lost = np.maximum(due - MOST_LOSS * there, 0) if kept else np.zeros_like(due)  # the coarsest is tone
        against = energy + LOSS_WEIGHT * lost + GROSS_WEIGHT * gross[..., None]
        ratio = (against / variance).max(2, keepdims=True)  # a fault in one channel is one in all
        doubt = np.clip((ratio - DOUBTED) / (DISBELIEVED - DOUBTED), 0, 1)
        share = 1 - doubt * (1 - 1 / np.maximum(ratio, 1) ** 2)
        fault = np.maximum(energy - variance, 0)
        gross = gross + fault.sum(2)
        error += float((share**2 * fault + (1 - share) ** 2 * variance).mean())
        kept.append(level * share)
    return Candidate("fuse", blend.picture + collapse(kept[::-1]), error)


def mended_locally(styled: Array, blend: Blend) -> Candidate | None:
    """The frame, with the blend, feathered, in the places that deviate; None if they are most.

    What is left of a frame that is bad nearly everywhere would be islands of blur or noise in a good picture.
    """
    height, width = styled.shape[:2]
    deviation = ((styled - blend.picture) ** 2).mean(2)
    deviation = cv2.GaussianBlur(deviation, (0, 0), FINE_SURROUNDINGS, borderType=cv2.BORDER_REFLECT)
    variance = np.zeros((1, 1), np.float32)
    for level in reversed(blend.variance):
        variance = cv2.resize(variance, (level.shape[1], level.shape[0])) + level.mean(2)
    fault = np.maximum(deviation - variance, 0)
    feather = max(1.0, max(height, width) / 128)
    around = np.ones((2 * round(2 * feather) + 1,) * 2)
    bad = cv2.morphologyEx((fault > DOUBTED * variance).astype(np.float32), cv2.MORPH_CLOSE, around)
    bad = cv2.dilate(bad, np.ones((3, 3)))
    if bad.mean() > MOST_LOCAL:
        return None
    mask = np.clip(2 * cv2.GaussianBlur(bad, (0, 0), feather), 0, 1)
    borrowed = float((mask**2 * variance).mean())
    error = borrowed + float(((1 - mask) ** 2 * fault).mean())
    return Candidate("local", styled + mask[..., None] * (blend.picture - styled), error, borrowed)


# ---- faults undone


def gain_undone(styled: Array, blend: Blend) -> Array:
    """The frame without the gain and offset of each channel that set it apart from the blend."""
    frame, wanted, usable = _samples(styled, blend.picture, blend.trust)
    if usable.sum() < LEAST_SAMPLES:
        return styled
    result = np.empty_like(styled)
    for channel in range(3):
        level = wanted[usable, channel]
        gain, rest = _fit(np.stack([level, np.ones_like(level)], 1), frame[usable, channel])
        result[..., channel] = (styled[..., channel] - rest) / np.clip(gain, 0.3, 3)
    return result


def unmixed(styled: Array, source: Array, blend: Blend) -> Array:
    """The frame without the share of the unpainted source that is in it."""
    frame, wanted, usable = _samples(styled, blend.picture, blend.trust)
    if usable.sum() < LEAST_SAMPLES:
        return styled
    bare = _samples(source, blend.picture, blend.trust)[0]
    share = _fit((bare - wanted)[usable].reshape(-1, 1), (frame - wanted)[usable].ravel())
    taken = np.float32(np.clip(share[0], 0, 0.8))
    return ((styled - taken * source) / (1 - taken)).astype(np.float32)


def offset_undone(styled: Array, blend: Blend) -> Array:
    """The frame without the median of its difference to the blend around each pixel, which keeps edges.

    Where no neighbour is trusted (something vanished, a caption), the difference is that of the places around.
    """
    height, width = styled.shape[:2]
    scale = min(1.0, 640 / max(height, width))  # a median over many pixels is slow
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    difference = cv2.resize(styled - blend.picture, size, interpolation=cv2.INTER_AREA)
    trust = cv2.resize(blend.trust, size, interpolation=cv2.INTER_AREA)[..., None]
    difference = difference * trust + (1 - trust) * _around(difference, trust, max(size) * AROUND)
    reach = max(1, round(max(size) / 384 * MEDIAN_REACH))
    half_levels = np.rint(np.clip(2 * difference + 128, 0, 255)).astype(np.uint8)
    shift = (cv2.medianBlur(half_levels, 2 * reach + 1).astype(np.float32) - 128) / 2
    shift *= np.abs(shift).max(2, keepdims=True) > NOTICEABLE
    return styled - cv2.resize(shift, (width, height))


def _around(values: Array, weight: Array, sigma: float) -> Array:
    """The weighted mean of values [h, w, 3] around each pixel."""
    known = cv2.GaussianBlur(values * weight, (0, 0), sigma)
    share = cv2.GaussianBlur(weight, (0, 0), sigma)[..., None]
    return np.asarray(known / (share + np.float32(LEAST_WEIGHT)))


def _samples(picture: Array, wanted: Array, trust: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Both pictures made small, and where they can be compared."""
    height, width = trust.shape
    step = max(1, max(height, width) // SAMPLES)
    size = (max(1, width // step), max(1, height // step))
    here, there, sure = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (picture, wanted, trust))
    return here, there, (sure > 0.5) & (here.min(2) > UNCLIPPED[0]) & (here.max(2) < UNCLIPPED[1])


def _fit(causes: Array, effect: Array, rounds: int = 10) -> Array:
    """Coefficients [C] of a linear regression of [N] on [N, C] that outliers hardly move (Cauchy weights)."""
    weights = np.ones_like(effect)
    for _ in range(rounds):
        weighted = (causes * weights[:, None]).T
        result = np.linalg.solve(weighted @ causes + 1e-3 * np.eye(causes.shape[1]), weighted @ effect)
        residual = np.abs(effect - causes @ result)
        scale = max(1.0, 1.5 * float(np.median(residual)))
        weights = (1 / (1 + (residual / scale) ** 2)).astype(np.float32)
    return result.astype(np.float32)
