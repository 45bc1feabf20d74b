"""Robust statistics of small stacks of pictures and short rows of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.uint16]
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


@cache
def median_network(count: int) -> tuple[tuple[int, int, bool, bool], ...]:
    """The comparisons that bring the middle one or two of `count` values to their sorted places.

    Batcher's odd-even merge sort (Batcher 1968, "Sorting networks and their applications") without the comparisons,
    and the halves of comparisons, that the middle does not need. Each is (i, j, minimum wanted at i, maximum
    wanted at j).
    """
    comparators = []
    p = 1
    while p < count:
        k = p
        while k >= 1:
            for j in range(k % p, count - k, 2 * k):
                for i in range(min(k, count - j - k)):
                    if (i + j) // (2 * p) == (i + j + k) // (2 * p):
                        comparators.append((i + j, i + j + k))
            k //= 2
        p *= 2
    wanted = {(count - 1) // 2, count // 2}
    kept = []
    for i, j in reversed(comparators):
        if i in wanted or j in wanted:
            kept.append((i, j, i in wanted, j in wanted))
            wanted |= {i, j}
    return tuple(reversed(kept))


def median(rows: Sequence[Array]) -> Array:
    """Of a few arrays of one shape, entry by entry (numpy's own takes five times as long)."""
    ordered = list(rows)
    for i, j, low, high in median_network(len(ordered)):
        first, second = ordered[i], ordered[j]
        if low:
            ordered[i] = np.minimum(first, second)
        if high:
            ordered[j] = np.maximum(first, second)
    middle: Array = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) * np.float32(0.5)
    return middle


def column_median(rows: Sequence[Array]) -> Array:
    """Of a few short rows of equal length, entry by entry."""
    ordered = np.sort(np.asarray(rows), axis=0)
    middle: Array = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) * np.float32(0.5)
    return middle


def deviation(plane: Array) -> float:
    """Standard deviation of [h, w] (numpy's own takes ten times as long)."""
    return float(cv2.meanStdDev(plane)[1][0, 0])


def mean_difference(first: Array, second: Array) -> float:
    """Mean absolute difference of two arrays [C, h, w]."""
    height, width = first.shape[0] * first.shape[1], first.shape[2]
    return cv2.norm(first.reshape(height, width), second.reshape(height, width), cv2.NORM_L1) / first.size


class MaskedMedian:
    """Medians over the first axis of stacks [N, C, h, w], of the entries where bool [N, h, w] is true.

    Made once for a mask, used for every stack that it is the mask of. Whole numbers, of half a float's size: that is
    twice as fast.
    """

    def __init__(self, valid: Mask) -> None:
        # Absent entries become the highest and the lowest number in turn, so the middle of all is the middle of the
        # valid ones: between the two middle rows if an even number is absent, in the lower one if one more is highest.
        absent = ~valid
        odd = np.zeros(valid.shape[1:], bool)
        high = np.empty_like(absent)
        for row, high_row in zip(absent, high, strict=True):
            odd = odd ^ row
            np.logical_and(row, odd, out=high_row)
        self.valid = _bits(valid)
        self.absent = _bits(absent)
        self._exile = [*_bits(high)]
        if len(high) % 2 == 1:  # one more absent row makes the number even
            self._exile.append(_bits(~odd))
            odd = ~odd
        self._odd, self._even = _bits(odd), _bits(~odd)
        self._something = np.bitwise_or.reduce(self.valid)

    valid: Numbers
    """[N, h, w]: all bits of what is valid are set ..."""
    absent: Numbers
    """... and all of what is not."""

    def __call__(self, stack: Sequence[Numbers], work: Numbers | None = None) -> Array:
        """N times uint16 [C, h, w] -> float32 [C, h, w]; 0 where nothing is valid. Entries are to be below 2^15.

        `work` is room for its work, two layers more than the stack has; fresh memory costs more than the comparisons.
        """
        spare, *rows = np.empty((len(stack) + 2, *stack[0].shape), np.uint16) if work is None else work
        rows = rows[: len(self._exile)]
        for row, layer, valid, exile in zip(rows, stack, self.valid, self._exile, strict=False):
            np.bitwise_or(np.bitwise_and(layer, valid, out=row), exile, out=row)
        for row in rows[len(stack) :]:
            row[...] = self._exile[-1]
        for i, j, low, high in median_network(len(rows)):
            if low and high:
                np.minimum(rows[i], rows[j], out=spare)
                np.maximum(rows[i], rows[j], out=rows[j])
                rows[i], spare = spare, rows[i]
            elif low:
                np.minimum(rows[i], rows[j], out=rows[i])
            else:
                np.maximum(rows[i], rows[j], out=rows[j])
        lower, upper = rows[len(rows) // 2 - 1], rows[len(rows) // 2]
        for row in (lower, upper):
            np.bitwise_and(row, self._something, out=row)
        np.bitwise_and(upper, self._even, out=upper)  # the lower one twice where it is the middle
        np.bitwise_or(upper, np.bitwise_and(lower, self._odd, out=spare), out=upper)
        np.add(lower, upper, out=spare)
        return spare * np.float32(0.5)

    def range(self, stack: Sequence[Numbers], work: Numbers) -> tuple[Numbers, Numbers]:
        """Minima and maxima [C, h, w] of the valid entries; the highest and the lowest number where there are none.

        They lie in `work`.
        """
        lowest, highest, spare = work[:3]
        np.bitwise_or(stack[0], self.absent[0], out=lowest)
        np.bitwise_and(stack[0], self.valid[0], out=highest)
        for layer, absent, valid in zip(stack[1:], self.absent[1:], self.valid[1:], strict=True):
            np.minimum(lowest, np.bitwise_or(layer, absent, out=spare), out=lowest)
            np.maximum(highest, np.bitwise_and(layer, valid, out=spare), out=highest)
        return lowest, highest


def _bits(mask: Mask) -> Numbers:
    return np.multiply(mask, 0xFFFF, dtype=np.uint16)


def masked_mean(fields: Array, weight: Array) -> Array:
    """Means [C] of [C, h, w] where float32 `weight` [h, w] is 1, and not 0; 0 if that is nowhere."""
    total: Array = fields.reshape(len(fields), -1) @ weight.ravel() / max(weight.sum(), np.float32(1))
    return total


def known_median(rows: Array) -> Array:
    """Median [C] of each column of [N, C], leaving out nan; nan where there is nothing else."""
    ordered = np.sort(rows, axis=0)  # nan last
    if not np.isnan(ordered[-1]).any():
        return 0.5 * (ordered[(len(rows) - 1) // 2] + ordered[len(rows) // 2])
    count = (~np.isnan(rows)).sum(0)
    columns = np.arange(rows.shape[1])
    return 0.5 * (ordered[np.maximum(count - 1, 0) // 2, columns] + ordered[count // 2 % len(rows), columns])


def worst(values: Array, count: int = 2) -> float:
    """Mean of the `count` largest values."""
    flat = values.ravel()
    return float(flat.mean()) if flat.size <= count else float(np.partition(flat, -count)[-count:].mean())
