"""The table of the detector's figures, from what the bench prints."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "scripts" / "evaluate_detector.py"
    spec = importlib.util.spec_from_file_location("scripts_evaluate_detector", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bench_says(script: ModuleType, **changes: Any) -> dict[str, Any]:
    repair = dict.fromkeys(script.REPAIR_FIGURES, 0.5) | {
        "warp_error_clean_faulty_repaired": [0.002, 0.05, 0.003],
        "clean_frames_altered": "3/1000",
    }
    return (
        dict.fromkeys(script.FIGURES, 0.9)
        | {
            "by_magnitude": {"4-8": "5/10", ">=16": "19/20"},
            "repair": repair,
        }
        | changes
    )


def test_every_figure_of_the_bench_has_its_column(script: ModuleType) -> None:
    table = script.figures(bench_says(script, ap=0.875))

    assert table["AP"] == 0.875
    assert table["rec >=16"] == 0.95
    assert table["warping"] == pytest.approx(1.5)
    assert table["altered"] == pytest.approx(0.003)
    assert set(script.FIGURES.values()) | set(script.REPAIR_FIGURES.values()) < set(table)


def test_a_draw_without_large_faults_has_no_share_of_them(script: ModuleType) -> None:
    table = script.figures(bench_says(script, by_magnitude={"4-8": "5/10"}))

    assert math.isnan(table["rec >=16"])
