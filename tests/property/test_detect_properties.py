"""Properties of the detector's statistics, for any values."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vidstyle.detect import TrainedFusion
from vidstyle.detect.cells import cell_means, pool, trusted_means
from vidstyle.detect.decision import NAMES, THRESHOLD, combine, evidence
from vidstyle.detect.statistics import MaskedMedian, known_median, median_network, worst


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 14), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_masked_median_is_the_median_of_what_is_valid(count: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    stack = rng.normal(16000, 50, (count, 2, 5, 6)).astype(np.uint16)  # ties happen
    valid = rng.random((count, 5, 6)) < share
    before = stack.copy()
    median = MaskedMedian(valid)
    result = median(stack)
    assert np.array_equal(stack, before)
    assert np.array_equal(median(stack), result)
    lowest, highest = median.range(stack, np.empty((3, 2, 5, 6), np.uint16))
    for i, j in np.ndindex(5, 6):
        chosen = stack[valid[:, i, j], :, i, j]
        expected = np.median(chosen, 0) if len(chosen) else np.zeros(2)
        np.testing.assert_array_equal(result[:, i, j], expected)
        if len(chosen):
            np.testing.assert_array_equal(lowest[:, i, j], chosen.min(0))
            np.testing.assert_array_equal(highest[:, i, j], chosen.max(0))
        else:
            assert (lowest[:, i, j] > highest[:, i, j]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_the_known_median_leaves_out_what_is_not_known(rows: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(0, 5, (rows, 4)).astype(np.float32)
    table[rng.random(table.shape) < share] = np.nan
    for column, found in zip(table.T, known_median(table), strict=True):
        known = column[~np.isnan(column)]
        expected = np.median(known) if len(known) else np.nan
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 40), st.integers(8, 40), st.integers(0, 2**32 - 1))
def test_cells_average_areas_and_trusted_pixels_only(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 5, (3, height, width)).astype(np.float32)
    whole = cell_means(field, (8, 4))
    np.testing.assert_allclose(whole.mean((1, 2)), field.mean((1, 2)), rtol=1e-3, atol=1e-3)
    trusted = rng.random((height, width)) < 0.7
    spoilt = np.where(trusted, field, 1e4).astype(np.float32)
    means, share = trusted_means(spoilt, trusted, (8, 4))
    assert (means < 1e3).all()
    np.testing.assert_allclose(share.mean(), trusted.mean(), atol=1e-4)
    coarse, coarse_share = pool(means, share)
    direct, direct_share = trusted_means(spoilt, trusted, (4, 2))
    np.testing.assert_allclose(coarse_share, direct_share, atol=1e-5)
    np.testing.assert_allclose(coarse, direct, rtol=1e-3, atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.integers(4, 50), st.integers(4, 50), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_cells_of_one_plane_know_nothing_of_the_others(
    height: int, width: int, count: int, seed: int
) -> None:
    """However small the planes are."""
    field = np.random.default_rng(seed).normal(0, 100, (count, height, width)).astype(np.float32)
    for size in ((32, 18), (16, 9)):
        alone = np.concatenate([cell_means(plane[None], size) for plane in field])
        np.testing.assert_allclose(cell_means(field, size), alone, atol=1e-2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-60, 60, width=32), min_size=2, max_size=8))
def test_the_score_grows_with_the_logit_and_is_one_at_zero(logits: list[float]) -> None:
    scores = [TrainedFusion.score(logit) for logit in sorted(logits)]
    assert scores == sorted(scores) and scores[0] > 0
    assert abs(TrainedFusion.score(0.0) - 1) < 1e-9


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 16), st.integers(0, 2**32 - 1))
def test_the_network_puts_the_middle_in_its_place(count: int, seed: int) -> None:
    values = np.random.default_rng(seed).permutation(count).tolist()
    for i, j, low, high in median_network(count):
        a, b = min(values[i], values[j]), max(values[i], values[j])
        values[i] = a if low else None
        values[j] = b if high else None
    middle = {(count - 1) // 2, count // 2}
    assert all(values[m] == m for m in middle)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20), st.integers(1, 4))
def test_worst_is_the_mean_of_the_largest(values: list[float], count: int) -> None:
    expected = np.sort(np.array(values, np.float32))[-count:].mean()
    np.testing.assert_allclose(worst(np.array(values, np.float32), count), expected, rtol=1e-4, atol=1e-4)


scores = st.lists(st.floats(-50, 1e4, width=32), min_size=len(NAMES), max_size=len(NAMES)).map(
    lambda x: np.array(x, np.float32)
)


@settings(max_examples=50, deadline=None)
@given(scores, st.integers(0, len(NAMES) - 1), st.floats(0.5, 100, width=32))
def test_more_evidence_never_lowers_the_score(values: np.ndarray, which: int, more: float) -> None:
    stronger = values.copy()
    stronger[which] += more
    low, high = combine(values), combine(stronger)
    assert 0 <= low <= high and np.isfinite(high)
    assert abs(combine(np.full(len(NAMES), THRESHOLD, np.float32)) - 1) < 1e-6


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_evidence_is_finite_whatever_the_history(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    history = rng.gamma(2, 1, (rows, len(NAMES))).astype(np.float32)
    history[rng.random(history.shape) < 0.3] = np.nan
    cues = rng.gamma(2, 1, len(NAMES)).astype(np.float32)
    cues[rng.random(len(NAMES)) < 0.3] = np.nan
    found = evidence(cues, history)
    assert np.isfinite(found).all()
    assert (found[np.isnan(cues)] <= 0).all()
