"""The feature network, how it is distilled, and what the detector makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from vidstyle.detect import detect
from vidstyle.detect.features import LEAST_NEIGHBOURS, Looks, describe, estrangement
from vidstyle.models.features import STRIDES, FeatureNetwork
from vidstyle.models.load import load_features
from vidstyle.weights import manifest

from .painted_clip import FAULTS, batches, paint, pan


@pytest.fixture(scope="module")
def network() -> FeatureNetwork:
    return load_features()


def test_the_shipped_network_is_small_and_its_maps_are_where_they_should_be(network: FeatureNetwork) -> None:
    assert manifest()["networks"]["features"].path.stat().st_size <= 2e6
    maps = network.describe(torch.rand(2, 3, 96, 160))
    assert [tuple(m.shape[2:]) for m in maps] == [(96 // s, 160 // s) for s in STRIDES]
    for m in maps:
        lengths = m.norm(dim=1)
        assert ((lengths - 1).abs() < 1e-3).all()


def test_a_spoilt_picture_looks_farther_than_the_next_frame(network: FeatureNetwork) -> None:
    styled = [paint(s) for s in pan(4)]
    looks = describe(styled, network)
    for spoil, _ in (FAULTS[k] for k in ("strong noise", "blurred", "black")):
        (spoilt,) = describe([spoil(styled[1])], network)
        for tap in range(len(STRIDES)):
            near = np.linalg.norm(looks[0][tap] - looks[1][tap])
            assert np.linalg.norm(spoilt[tap] - looks[1][tap]) > 2 * near


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_sees_what_the_cpu_sees(network: FeatureNetwork) -> None:
    styled = [paint(s) for s in pan(4)]
    for here, there in zip(describe(styled, network), describe(styled, load_features().cuda()), strict=True):
        assert all(np.allclose(a, b, atol=1e-2) for a, b in zip(here, there, strict=True))


def test_a_frame_is_strange_if_it_moved_more_than_its_source() -> None:
    def look(value: float) -> tuple[np.ndarray, ...]:
        return (np.array([value, 0], np.float32),)

    neighbours = [Looks(look(0.01 * t), look(0.02 * t)) for t in range(6)]
    usual = estrangement(look(0.02), look(0.04), neighbours)
    assert estrangement(look(0.02), look(0.9), neighbours) > 10 * usual
    assert estrangement(look(0.9), look(0.9), neighbours) < 2 * usual + 1  # the source has moved as far
    assert np.isnan(estrangement(look(0), look(0), neighbours[: LEAST_NEIGHBOURS - 1]))


def test_the_detector_logs_the_cue_only_with_a_network_and_finds_faults_with_it(
    network: FeatureNetwork,
) -> None:
    sources = pan(20)
    styled = [paint(s) for s in sources]
    styled[12] = FAULTS["strong noise"][0](styled[12])
    with_features = list(detect(batches(sources, styled), features=network))
    without = list(detect(batches(sources, styled)))
    assert [f.index for f in with_features if f.verdict.flagged] == [12]
    assert with_features[12].verdict.cues["features"] > 0.5
    assert all(f.verdict.cues["features"] == -1 for f in without)
    judge = with_features[12].judge
    assert judge is not None and judge(with_features[12].styled) == with_features[12].verdict.score


def test_distilling_gives_a_network_the_detector_can_load(shared: Path) -> None:
    from vidstyle.training.feature_distillation import SIDE, SqueezeNetTaps, distil

    torch.manual_seed(0)
    teacher = SqueezeNetTaps(shared / "data" / "features" / "squeezenet1_1_imagenet.safetensors")
    small = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8).float()
    pictures = torch.nn.functional.interpolate(small, size=SIDE, mode="bilinear").to(torch.uint8)
    losses: list[float] = []
    student = distil(
        pictures, teacher, max_seconds=0.5, batch_size=2, on_step=lambda _, loss: losses.append(loss)
    )
    assert losses and np.isfinite(losses).all()
    assert not student.training
    fresh = FeatureNetwork().state_dict()
    learnt = student.state_dict()
    assert learnt.keys() == fresh.keys()
    assert all(torch.isfinite(p).all() for p in learnt.values())


def test_a_spoilt_copy_differs_and_stays_a_picture() -> None:
    from vidstyle.training.feature_distillation import FAULTS as SPOILERS

    torch.manual_seed(0)
    pictures = torch.rand(2, 3, 48, 48)
    for spoiler in SPOILERS:
        spoilt = spoiler(pictures.clone()).clamp(0, 1)
        assert spoilt.shape == pictures.shape
        assert (spoilt - pictures).abs().mean() > 1e-3
