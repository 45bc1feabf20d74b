"""Every recipe and every objective trains, resumes to the bit, and does in two processes what it does in one."""

from __future__ import annotations

import copy
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vidstyle.models.features import FeatureNetwork
from vidstyle.training.data import Pair
from vidstyle.training.datasets import Draw, FramePairs, LabelledPictures, PaintedPairs, Pictures, to_tensor
from vidstyle.training.engine import Engine, frozen
from vidstyle.training.loop import Trainer
from vidstyle.training.objectives import OBJECTIVES
from vidstyle.training.recipes.base import Recipe
from vidstyle.training.recipes.cyclegan import CycleGAN, CycleGANSettings
from vidstyle.training.recipes.noise import NoiseGAN, NoiseSettings
from vidstyle.training.recipes.paired import Pix2Pix, Pix2PixSettings
from vidstyle.training.recipes.perceptual import Perceptual, PerceptualSettings


class Squares(Pictures):
    """Noise of one tint, without files."""

    def __init__(self, tint: float, count: int = 6) -> None:
        random = np.random.default_rng(int(10 * tint))
        self.least, self.unreadable = 0.5, 0
        self._pictures = [
            (tint * random.integers(0, 256, (72, 80, 3), dtype=np.uint8)).astype(np.uint8)
            for _ in range(count)
        ]


class Labelled(LabelledPictures):
    def __init__(self) -> None:
        self.names = ["light", "dark"]
        self._folders = [Squares(1.0), Squares(0.3)]


class Moving(FramePairs):
    """Two frames that differ by a shift of a pixel."""

    def __init__(self) -> None:
        self.unreadable = 0

    def draw(self, draw: Draw, side: int) -> dict[str, torch.Tensor]:
        wide = to_tensor([r.integers(0, 256, (side, side + 1, 3), dtype=np.uint8) for r in draw.generators()])
        flow = torch.zeros(len(wide), 2, side, side)
        flow[:, 0] = 1
        visible = torch.ones(len(wide), 1, side, side)
        return {"before": wide[..., :-1], "after": wide[..., 1:], "flow": flow, "visible": visible}


def pairs() -> PaintedPairs:
    random = np.random.default_rng(0)
    made = []
    for _ in range(4):
        source = random.integers(0, 256, (64, 72, 3), dtype=np.uint8)
        guides = random.integers(100, 156, (64, 72, 1), dtype=np.uint8)
        made.append(Pair(source, 255 - source, guides))
    return PaintedPairs(made, held=1)


SMALL = {"batch": 2, "steps": 4, "crop": 32, "channels": 4, "critic_channels": 4, "critic_layers": 2}


def pix2pix(**changed: object) -> Recipe:
    values = {**SMALL, "blocks": 3, **changed}
    return Pix2Pix(Pix2PixSettings(**values), pairs())  # type: ignore[arg-type]


def cyclegan(**changed: object) -> Recipe:
    values = {**SMALL, "blocks": 1, "pool": 3, **changed}
    return CycleGAN(CycleGANSettings(**values), Squares(1.0), Squares(0.4))  # type: ignore[arg-type]


def perceptual(**changed: object) -> Recipe:
    values = {**SMALL, "blocks": 1, "channels": 8, **changed}
    torch.manual_seed(0)
    features = FeatureNetwork((4, 4, 4, 4)).requires_grad_(False)
    settings = PerceptualSettings(**values)  # type: ignore[arg-type]
    return Perceptual(settings, Squares(1.0), Squares(0.4), features, Moving())


def noise(**changed: object) -> Recipe:
    values = {
        "batch": 4,
        "steps": 4,
        "size": 8,
        "channels": 4,
        "critic_channels": 4,
        "latent": 8,
        "critic_steps": 2,
        "labels": True,
    }
    return NoiseGAN(NoiseSettings(**{**values, **changed}), Labelled())  # type: ignore[arg-type]


RECIPES: dict[str, Callable[..., Recipe]] = {
    "pix2pix": pix2pix,
    "cyclegan": cyclegan,
    "perceptual": perceptual,
    "noise": noise,
}
VARIANTS = [
    *(("noise", {"objective": name}) for name in OBJECTIVES),
    *(("pix2pix", {"objective": name}) for name in OBJECTIVES),
    ("noise", {"objective": "hinge", "spectral": True}),
    ("pix2pix", {"critic": "multiscale", "spectral": True, "precision": "fp32"}),
    ("pix2pix", {"generator": "generator", "blocks": 1, "channels": 8}),
    ("pix2pix", {"generator": "resnet", "blocks": 1}),
    ("cyclegan", {}),
    ("cyclegan", {"objective": "wgan-gp", "critic": "multiscale", "critic_layers": 1}),
    ("perceptual", {}),
    ("perceptual", {"objective": "hinge"}),
]


def weights(networks: dict[str, nn.Module]) -> dict[str, torch.Tensor]:
    return {f"{name} {key}": t for name, net in networks.items() for key, t in net.state_dict().items()}


@pytest.mark.parametrize(("name", "changed"), VARIANTS, ids=lambda value: str(value))
def test_it_trains_and_resumes_to_the_bit(name: str, changed: dict[str, object], tmp_path: Path) -> None:
    whole = Trainer(RECIPES[name](**changed), tmp_path / "whole")
    start = copy.deepcopy(weights(whole.engine.modules))
    for _ in range(4):
        figures = whole.advance()
        assert all(map(math.isfinite, figures.values())), figures
    moved = weights(whole.engine.modules)
    for network in whole.engine.modules:
        assert any(not torch.equal(moved[k], start[k]) for k in moved if k.startswith(network)), network

    broken = Trainer(RECIPES[name](**changed), tmp_path)
    for _ in range(2):
        broken.advance()
    broken.save()
    resumed = Trainer(RECIPES[name](**changed), tmp_path)
    resumed.load(tmp_path / "state.pt")
    assert resumed.step == 2
    resumed.run()
    for ours, theirs in (
        (weights(resumed.engine.modules), moved),
        (weights(resumed.engine.averages), weights(whole.engine.averages)),
    ):
        assert [key for key in theirs if not torch.equal(ours[key], theirs[key])] == []
    assert (tmp_path / "samples" / "000004.png").exists()
    assert set(whole.recipe.built()) == set(whole.recipe.averaged)


def test_pools_are_part_of_the_state(tmp_path: Path) -> None:
    run = Trainer(cyclegan(), tmp_path)
    run.advance()
    run.save()
    again = Trainer(cyclegan(), tmp_path)
    again.load(tmp_path / "state.pt")
    ours, theirs = again.recipe.state(), run.recipe.state()
    assert len(ours["art"]) == 2
    assert all(torch.equal(ours[name], theirs[name]) for name in ("art", "photo"))


def test_pix2pix_learns_the_target(tmp_path: Path) -> None:
    run = Trainer(pix2pix(steps=200, rate=2e-3, generator="generator", blocks=1, channels=16), tmp_path)
    first = run.advance()["l1"]
    assert np.mean([run.advance()["l1"] for _ in range(60)][-5:]) < 0.85 * first


def test_the_mean_of_the_weights_lags_behind(tmp_path: Path) -> None:
    run = Trainer(pix2pix(), tmp_path)
    start = copy.deepcopy(weights(run.engine.averages))
    run.advance()
    key = "generator out.1.weight"
    now, mean = weights(run.engine.modules)[key], weights(run.engine.averages)[key]
    torch.testing.assert_close(mean, start[key] + (now - start[key]) * 0.9)


def test_frozen_networks_pass_gradients_on() -> None:
    network, x = nn.Linear(2, 1), torch.ones(1, 2, requires_grad=True)
    with frozen(network):
        loss = network(x).sum()
    loss.backward()
    assert x.grad is not None
    assert network.weight.grad is None
    assert network.weight.requires_grad


def engine(**changed: object) -> tuple[Engine, nn.Linear]:
    network = nn.Linear(1, 1, bias=False)
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    return Engine({"one": network}, {"one": optimizer}, {"one": "one"}, **changed), network  # type: ignore[arg-type]


def test_gradients_are_clipped_and_bad_ones_move_nothing() -> None:
    one, network = engine(clip=0.5)
    before = network.weight.detach().clone()
    norm = one.update("one", 3 * network.weight.sum())
    assert float(norm) == pytest.approx(3)
    torch.testing.assert_close(network.weight.detach(), before - 0.5)
    one.update("one", network.weight.sum() * math.inf)
    torch.testing.assert_close(network.weight.detach(), before - 0.5)
    assert one.is_finite


@pytest.mark.parametrize(("fast", "dtype"), [(True, torch.bfloat16), (False, None)])
def test_a_cpu_computes_in_bfloat16_only_if_made_for_it(
    fast: bool, dtype: torch.dtype | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidstyle.training.engine.has_fast_bfloat16", lambda: fast)
    assert engine()[0].dtype is dtype
    assert engine(precision="bf16")[0].dtype is torch.bfloat16


def test_fp16_is_refused_without_cuda() -> None:
    with pytest.raises(ValueError, match="CUDA"):
        engine(precision="fp16")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", sorted(RECIPES))
def test_it_trains_in_mixed_precision(name: str, precision: str, tmp_path: Path) -> None:
    run = Trainer(RECIPES[name](precision=precision), tmp_path, "cuda")
    run.run()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["step"] == 4
    assert bool(state["scaler"]) == (precision == "fp16")


# ---- several processes


PROGRAM = """
import sys, torch
torch.set_num_threads(1)
from pathlib import Path
from tests.unit import test_recipes as t
from vidstyle.training.engine import process_group
from vidstyle.training.loop import Trainer
name, out = sys.argv[1], Path(sys.argv[2])
with process_group("cpu") as device:
    run = Trainer(t.RECIPES[name](**t.PRECISE[name]), out, device)
    run.run()
    torch.save(t.trained(run), out / f"rank{run.engine.rank}.pt")
"""
PRECISE: dict[str, dict[str, object]] = {
    # No normalisation, whose idle biases would follow the noise of rounding; nothing that a process draws for itself.
    "pix2pix": {"generator": "generator", "blocks": 1, "channels": 8, "objective": "bce-r1"},
    "cyclegan": {"pool": 2},
    "noise": {"objective": "wgan-gp"},
}
for _options in PRECISE.values():
    _options |= {"precision": "fp32", "batch": 4, "steps": 2}


def trained(run: Trainer) -> torch.Tensor:
    """All that optimisers moved, in one vector."""
    return torch.cat(
        [p.detach().flatten() for network in run.engine.modules.values() for p in network.parameters()]
    )


def in_two_processes(name: str, out: Path) -> list[torch.Tensor]:
    """What each of two processes has trained, started as `torchrun` starts them."""
    root = Path(__file__).resolve().parents[2]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": "1"}
    path = os.pathsep.join((str(root), str(root / "tests")))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, name, str(out)],
            env={**os.environ, **place, "RANK": rank, "LOCAL_RANK": rank, "PYTHONPATH": path},
        )
        for rank in ("0", "1")
    ]
    try:
        assert [process.wait(240) for process in running] == [0, 0]
    finally:
        for process in running:
            process.kill()
    return [torch.load(out / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_two_processes_are_one_with_the_joint_batch(tmp_path: Path) -> None:
    first, second = in_two_processes("pix2pix", tmp_path)
    assert torch.equal(first, second)
    run = Trainer(pix2pix(**PRECISE["pix2pix"]), tmp_path / "one")
    start = trained(run)
    run.run()
    assert (trained(run) - start).abs().max() > 2e-4
    torch.testing.assert_close(first, trained(run), atol=1e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cyclegan", "noise"])
def test_processes_stay_together(name: str, tmp_path: Path) -> None:
    """Several networks under one optimiser; pools, noise and penalties drawn by each process for itself."""
    first, second = in_two_processes(name, tmp_path)
    assert torch.equal(first, second)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert len(state["recipe"]) == 2


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = pix2pix(batch=3)
    run = Trainer(recipe, tmp_path)
    monkeypatch.setattr("vidstyle.training.engine.processes", lambda: (0, 2))
    monkeypatch.setattr("vidstyle.training.engine.DistributedDataParallel", lambda network, **_: network)
    assert run.engine.world == 1
    with pytest.raises(ValueError, match="shared"):
        Trainer(recipe, tmp_path)
