"""The network that weighs the evidence: what it learns from, how it learns, and what the detector makes of it."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vidstyle.detect import TrainedFusion, detect
from vidstyle.detect.decision import MAPS, NAMES, THRESHOLD, Finding
from vidstyle.detect.fusion import AROUND, NUMBERS, PLAIN, QUIET, Circumstances
from vidstyle.detect.statistics import Array
from vidstyle.models.features import FeatureNetwork
from vidstyle.models.fusion import FusionNetwork, SideBySide
from vidstyle.models.load import load_features, load_fusion
from vidstyle.training.fusion import Table, load_tables, logits, set_threshold, train
from vidstyle.training.fusion_data import examples, label, make_clip
from vidstyle.training.spoilt_clips import (
    EVENTS,
    FAULTS,
    STYLES,
    Picture,
    draw_run,
    draw_runs,
    filmed_photo,
    magnitude,
)

from .painted_clip import FAULTS as SPOILERS
from .painted_clip import batches, paint, pan

SIZE = (96, 64)
INSIDE = Circumstances(
    frame=9,
    around=[0.0] * len(AROUND),
    before=6,
    after=6,
    asked=6,
    history=9,
    noise=1.0,
    screening=False,
    near_end=False,
    kin=12,
    unfounded=0,
    light=0,
)
"""Of a frame in the middle of a calm shot."""


def photo(seed: int) -> Picture:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (12, 18, 3)).astype(np.uint8)
    return np.kron(small, np.ones((12, 12, 1), np.uint8))


@pytest.fixture(scope="module")
def scene() -> list[Picture]:
    return filmed_photo(photo(0), [photo(1)], SIZE, 40, np.random.default_rng(0))


def test_a_filmed_photo_moves(scene: list[Picture]) -> None:
    assert len(scene) == 40 and {f.shape for f in scene} == {(64, 96, 3)}
    assert magnitude(scene[0], scene[20]) > 2


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_keeps_length_and_shape_and_is_repeatable(name: str, scene: list[Picture]) -> None:
    other = scene[::-1]
    first, again = (EVENTS[name](list(scene), np.random.default_rng(3), 10, other) for _ in range(2))
    assert len(first) == len(scene) and all(f.shape == (64, 96, 3) and f.dtype == np.uint8 for f in first)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, scene, strict=True))


@pytest.mark.parametrize("name", STYLES)
def test_a_style_is_a_function_of_the_picture(name: str, scene: list[Picture]) -> None:
    style = STYLES[name](np.random.default_rng(1))
    painted = style(scene[5])
    assert painted.shape == scene[5].shape and painted.dtype == np.uint8
    assert np.array_equal(painted, style(scene[5]))
    assert magnitude(painted, scene[5]) > 1


@pytest.mark.parametrize("kind", FAULTS)
def test_a_gross_fault_can_be_seen_and_its_mask_holds_it(kind: str, scene: list[Picture]) -> None:
    random = np.random.default_rng(2)
    run = draw_run(random, 20, SIZE[::-1], [kind], 1)
    spoilt = run.apply(scene, scene, 20)
    assert spoilt.shape == scene[20].shape and spoilt.dtype == np.uint8
    assert np.array_equal(spoilt, run.apply(scene, scene, 20))
    if run.mask is not None:
        outside = run.mask[..., 0] == 0
        assert np.array_equal(spoilt[outside], scene[20][outside])
    gross = max(
        magnitude(draw_run(random, 20, SIZE[::-1], [kind], 1).apply(scene, scene[::-1], 20), scene[20])
        for _ in range(6)
    )
    assert gross > 1.5


def test_runs_keep_apart() -> None:
    runs = draw_runs(np.random.default_rng(0), 96, 9, (64, 96), list(FAULTS))
    assert len(runs) >= 4
    spans = sorted((run.start, run.start + run.length) for run in runs)
    assert all(b - a >= 5 for (_, a), (b, _) in itertools.pairwise(spans))


def test_labels_leave_out_what_nobody_sees(scene: list[Picture]) -> None:
    assert label(scene[0], scene[0]) == 0
    assert label(np.clip(scene[0].astype(int) + 1, 0, 255).astype(np.uint8), scene[0]) == -1
    assert label(255 - scene[0], scene[0]) == 1


class Silent:
    def __call__(self, finding: Finding, scores: Array, here: Circumstances) -> float:
        return 0.1


def test_examples_are_what_the_detector_measures_and_are_repeatable(
    scene: list[Picture], tmp_path: Path
) -> None:
    features = load_features()

    def once() -> tuple[Array, Array, np.ndarray]:
        random = np.random.default_rng(4)
        found = examples(
            make_clip(scene, scene[::-1], ["noise", "blank"], random), features, Silent(), ["blank"], random
        )
        return found.maps, found.numbers, found.labels

    maps, numbers, labels = once()
    assert (
        maps.shape[1] == MAPS
        and numbers.shape[1] == NUMBERS
        and len(maps) == len(numbers) == len(labels) > 40
    )
    assert set(np.unique(labels)) == {0, 1}
    assert np.isfinite(maps.astype(np.float32)).all() and np.isfinite(numbers).all()
    assert all(np.array_equal(a, b) for a, b in zip(once(), (maps, numbers, labels), strict=True))
    np.savez(tmp_path / "0.npz", maps=maps, numbers=numbers, labels=labels)
    np.savez(tmp_path / "1.npz", maps=maps.swapaxes(2, 3), numbers=numbers, labels=labels)
    table = load_tables([tmp_path / "0.npz", tmp_path / "1.npz"])
    assert len(table) == 2 * len(labels)
    assert torch.equal(table.maps[: len(labels)], table.maps[len(labels) :])


def test_training_learns_and_is_repeatable_and_the_threshold_is_where_it_was_asked_for() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(300, generator=generator) < 0.5).float()
    maps = torch.rand(300, MAPS, 6, 8, generator=generator) * 0.2
    maps[:, 0, 3, 4] += 2 * labels  # one cell of one map gives it away
    table = Table(maps.half(), torch.zeros(300, NUMBERS), labels)
    network, again = (train(table, epochs=12, members=1, batch=32) for _ in range(2))
    assert torch.equal(logits(network, table), logits(again, table))
    recall = set_threshold(network, table, 0.02)
    answers = logits(network, table)
    assert recall > 0.95
    assert float((answers[labels == 0] > 0).float().mean()) == pytest.approx(0.02, abs=0.01)


def test_learning_on_ends_halfway_to_what_was_learnt() -> None:
    table = Table(torch.rand(64, MAPS, 6, 8).half(), torch.zeros(64, NUMBERS), torch.ones(64))
    begin = train(table, epochs=1, batch=32)
    before = begin.state_dict()
    same, other = (train(table, epochs=4, batch=32, rate=rate, begin=begin) for rate in (0.0, 1e-2))
    assert all(torch.allclose(before[name], weight) for name, weight in same.state_dict().items())
    assert logits(other, table).mean() > logits(begin, table).mean()
    assert all(torch.equal(before[name], weight) for name, weight in begin.state_dict().items())


def test_the_ends_of_a_shot_and_restless_styles_are_given_the_benefit_of_the_doubt(
    networks: tuple[FeatureNetwork, TrainedFusion],
) -> None:
    finding = Finding(
        cues=np.full(len(NAMES), QUIET * THRESHOLD, np.float32),
        maps=lambda: np.random.default_rng(0).normal(0, 1, (MAPS, 18, 32)).astype(np.float32),
        deviation=None,
        level=np.zeros(5, np.float32),
    )
    score = networks[1](finding, finding.cues, INSIDE)
    assert networks[1](finding, finding.cues, replace(INSIDE, unfounded=0.05)) == score
    assert networks[1](finding, finding.cues, replace(INSIDE, unfounded=0.5)) < score
    assert networks[1](finding, finding.cues, replace(INSIDE, near_end=True)) < score
    plain = np.full(len(NAMES), 1.1 * PLAIN * THRESHOLD, np.float32)
    ends = [networks[1](finding, plain, replace(INSIDE, near_end=near)) for near in (False, True)]
    assert ends[0] == ends[1], "where a cue speaks plainly the end of a shot is no reason to doubt"
    short = networks[1](finding, plain, replace(INSIDE, near_end=True, kin=4))
    assert short < ends[1], "unless the shot is so short that nothing is plain"


def test_the_network_is_doubted_where_it_stands_alone() -> None:
    undecided = FusionNetwork(MAPS, NUMBERS)
    for parameter in undecided.parameters():
        torch.nn.init.zeros_(parameter)

    def score(strongest: float, here: Circumstances) -> float:
        """Exactly 1 where the network is believed."""
        cues = np.full(len(NAMES), strongest * THRESHOLD, np.float32)
        finding = Finding(cues, lambda: np.zeros((MAPS, 18, 32), np.float32), None, np.zeros(5, np.float32))
        return TrainedFusion(undecided)(finding, cues, here)

    fading = replace(INSIDE, light=2.0)
    assert score(0.3, INSIDE) == score(0.3, fading) == score(0.6, fading) < 0.2
    assert score(0.4, INSIDE) == score(0.8, fading) == pytest.approx(1)
    assert score(0.3, replace(INSIDE, screening=True)) == pytest.approx(1), (
        "that it is alone is not known yet"
    )


def test_the_network_is_not_asked_about_a_frame_in_which_all_is_quiet(
    networks: tuple[FeatureNetwork, TrainedFusion],
) -> None:
    def never() -> np.ndarray:
        raise AssertionError("nobody is to look at these maps")

    def score(strongest: float) -> float:
        cues = np.full(len(NAMES), strongest * THRESHOLD, np.float32)
        return networks[1](Finding(cues, never, None, np.zeros(5, np.float32)), cues, INSIDE)

    assert 0 < score(-1) < score(0) < score(0.9 * QUIET) < 0.01
    with pytest.raises(AssertionError, match="nobody"):
        score(QUIET)


@pytest.fixture(scope="module")
def networks() -> tuple[FeatureNetwork, TrainedFusion]:
    return load_features(), TrainedFusion(load_fusion())


def test_the_shipped_network_is_small(networks: tuple[FeatureNetwork, TrainedFusion]) -> None:
    shipped = load_fusion()
    assert sum(p.numel() for p in shipped.parameters()) < 60_000
    maps, numbers = torch.rand(3, MAPS, 18, 32), torch.rand(3, NUMBERS)
    apart = [member(maps, numbers) for member in shipped.members]
    assert len(apart) == 2 and torch.allclose(shipped(maps, numbers), (apart[0] + apart[1]) / 2, atol=1e-5)


@torch.inference_mode()
def test_members_side_by_side_answer_the_same() -> None:
    network = FusionNetwork(MAPS, NUMBERS, members=3)
    maps, numbers = torch.rand(MAPS, 18, 32), torch.rand(NUMBERS)
    joined = SideBySide(network)
    assert joined.judge(joined.see(maps), numbers) == pytest.approx(
        float(network(maps[None], numbers[None])), abs=1e-5
    )


@pytest.mark.parametrize("kind", SPOILERS)
def test_the_shipped_network_finds_faults_of_every_reason(
    kind: str, networks: tuple[FeatureNetwork, TrainedFusion]
) -> None:
    features, fusion = networks
    spoil: Callable[[Picture], Picture] = SPOILERS[kind][0]
    sources = pan(30)
    styled = [paint(s) for s in sources]
    clean, styled[18] = styled[18], spoil(styled[18])
    frames = list(detect(batches(sources, styled), features=features, fusion=fusion))
    assert [f.index for f in frames if f.verdict.flagged] == [18]
    judge = frames[18].judge
    assert judge is not None
    assert judge(torch.from_numpy(clean).permute(2, 0, 1)) < 1 < frames[18].verdict.score


def test_the_network_is_told_only_of_frames_it_can_know(
    networks: tuple[FeatureNetwork, TrainedFusion],
) -> None:
    """At the screening nothing of later frames; all of AROUND at the judgement."""
    seen: list[Circumstances] = []

    def spy(finding: Finding, scores: Array, here: Circumstances) -> float:
        seen.append(here)
        return 0.1

    sources = pan(24)
    list(detect(batches(sources, [paint(s) for s in sources]), features=networks[0], fusion=spy))
    later = [k > 0 for k in AROUND]
    for here in seen:
        known = [score > 0 for score in here.around]
        there = [0 <= here.frame + k < 24 for k in AROUND]
        expected = [t and not (here.screening and k) for t, k in zip(there, later, strict=True)]
        assert known == expected
        assert here.near_end == (min(here.frame, 23 - here.frame) < 2)
        assert here.kin == min(here.frame, 6) + min(23 - here.frame, 6)
    assert {here.screening for here in seen} == {True, False}


def test_unease_without_a_reason_is_counted(networks: tuple[FeatureNetwork, TrainedFusion]) -> None:
    seen: list[Circumstances] = []

    def spy(finding: Finding, scores: Array, here: Circumstances) -> float:
        seen.append(here)
        return 0.1 if here.frame >= 12 else 0.0

    sources = pan(24)
    list(detect(batches(sources, [paint(s) for s in sources]), features=networks[0], fusion=spy))
    shares = {here.frame: here.unfounded for here in seen if not here.screening}
    assert {here.unfounded for here in seen if here.screening} == {0.0}
    assert shares[5] == 0.0 < shares[8] < shares[23] < 0.6


def test_a_run_of_unease_does_not_count_for_itself(networks: tuple[FeatureNetwork, TrainedFusion]) -> None:
    seen: list[Circumstances] = []

    def spy(finding: Finding, scores: Array, here: Circumstances) -> float:
        seen.append(here)
        return 0.1 if here.frame in (5, 12, 13, 14) else 0.0

    sources = pan(24)
    list(detect(batches(sources, [paint(s) for s in sources]), features=networks[0], fusion=spy))
    shares = {here.frame: here.unfounded for here in seen if not here.screening}
    assert shares[13] == pytest.approx(1 / 17), "frame 5 of 0 to 19, without the run"
    assert shares[16] == pytest.approx(4 / 22)


def test_the_script_trains_on_what_was_stored_and_enters_the_result(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("0", "1"):
        labels = np.arange(32, dtype=np.int8) % 2
        maps = random.normal(labels[:, None, None, None], 0.1, (32, MAPS, 9, 16)).astype(np.float16)
        numbers = random.normal(0, 1, (32, NUMBERS)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", maps=maps, numbers=numbers, labels=labels)
    script = Path(__file__).parents[2] / "scripts" / "train_fusion.py"
    out = tmp_path / "weights"
    command = [
        sys.executable,
        script,
        "train",
        tmp_path,
        "--out",
        out,
        "--epochs",
        "2",
        "--false-alarms",
        "0.1",
    ]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["examples"] == 32, "every twelfth file, the first, is held back"
    entry = json.loads((out / "manifest.json").read_text())["networks"]["fusion"]
    assert entry["settings"] == {"maps": MAPS, "numbers": NUMBERS, "members": 2}
    assert entry["sha256"] == hashlib.sha256((out / "fusion.safetensors").read_bytes()).hexdigest()
