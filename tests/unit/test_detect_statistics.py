"""The quick statistics of the detector give what numpy's slow ones give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vidstyle.detect.statistics import column_median, deviation, mean_difference

LEVELS = st.floats(-300, 300, width=32)


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=LEVELS))
def test_column_medians_are_numpys(rows: np.ndarray) -> None:
    assert column_median(list(rows)) == pytest.approx(np.median(rows, 0), abs=1e-4)


@given(arrays(np.float32, (2, 3, 6, 8), elements=LEVELS))
def test_differences_and_deviations_are_numpys(planes: np.ndarray) -> None:
    first, second = planes
    assert mean_difference(first, second) == pytest.approx(float(np.abs(first - second).mean()), abs=1e-3)
    assert deviation(first[0]) == pytest.approx(float(first[0].std()), abs=1e-3)
