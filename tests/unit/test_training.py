"""The training loop learns, stops, resumes to the bit, and survives bad files and bad numbers."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from vidstyle.models.generator import Generator
from vidstyle.training import data, losses
from vidstyle.training.data import Pair
from vidstyle.training.loop import Trainer, TrainingDiverged, TrainingSettings

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TINY = {"channels": 8, "blocks": 1, "edge_channels": 8}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    """Four pictures and a "style" that halves them."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(4):
        small = random.integers(0, 256, (9, 9, 3), dtype=np.uint8)
        source = cv2.resize(small, (72, 64), interpolation=cv2.INTER_CUBIC)
        field = np.clip(random.normal(128, 32, source.shape[:2]), 0, 255).astype(np.uint8)
        made.append(Pair(source, source // 2, field))
    return made


def settings(**changed: object) -> TrainingSettings:
    values: dict[str, object] = {
        "distil_steps": 12,
        "critic_steps": 3,
        "adversarial_steps": 5,
        "batch": 2,
        "crop": 48,
        "save_every": 6,
        "generator": TINY,
    }
    return TrainingSettings(**{**values, **changed})  # type: ignore[arg-type]


def test_it_learns(pairs: list[Pair], tmp_path: Path) -> None:
    trainer = Trainer(settings(distil_steps=60), pairs, [], tmp_path)
    first = trainer.advance()["distil"]
    last = [trainer.advance()["distil"] for _ in range(59)][-5:]
    assert np.mean(last) < 0.7 * first


def test_all_stages_run_and_leave_their_traces(pairs: list[Pair], tmp_path: Path) -> None:
    trainer = Trainer(settings(), pairs, pairs[:2], tmp_path)
    stages = [trainer.settings.stage(step) for step in range(trainer.settings.steps)]
    assert stages == ["distil"] * 12 + ["critic"] * 3 + ["both"] * 5
    before = {name: p.detach().clone() for name, p in trainer.critic.named_parameters()}
    trainer.run()
    assert trainer.step == 20
    assert any(not torch.equal(before[name], p) for name, p in trainer.critic.named_parameters())
    sheet = cv2.imread(str(tmp_path / "samples" / "000020.png"))
    assert sheet.shape == (128, 3 * 72, 3)
    assert not (tmp_path / "state.part").exists()


def test_a_resumed_run_is_the_undisturbed_run(pairs: list[Pair], tmp_path: Path) -> None:
    whole = Trainer(settings(), pairs, [], tmp_path / "whole")
    whole.run()
    broken = Trainer(settings(), pairs, [], tmp_path / "broken")
    for _ in range(14):  # in the middle of the critic's stage
        broken.advance()
    broken.save()
    again = Trainer(settings(seed=9), pairs, [], tmp_path / "broken")
    again.settings = broken.settings
    again.load(tmp_path / "broken" / "state.pt")
    assert again.step == 14
    again.run()
    for ours, theirs in zip(again.average.parameters(), whole.average.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-4)


def test_a_time_limit_saves(pairs: list[Pair], tmp_path: Path) -> None:
    Trainer(settings(), pairs, [], tmp_path).run(max_seconds=0)
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == 0


def test_divergence_stops_and_keeps_the_last_good_state(pairs: list[Pair], tmp_path: Path) -> None:
    trainer = Trainer(settings(), pairs, [], tmp_path)
    trainer.advance()
    trainer.save()
    with torch.no_grad():
        trainer.generator.stem.weight[0, 0, 0, 0] = math.nan
    with pytest.raises(TrainingDiverged):
        trainer.run()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["average"].values())
    assert "diverged" in (tmp_path / "log.jsonl").read_text()


def test_the_temporal_term_sees_the_same_scene(pairs: list[Pair], tmp_path: Path) -> None:
    """Of a network that does nothing but soften, only the noise of the second view is left."""
    trainer = Trainer(settings(), pairs, [], tmp_path)
    with torch.no_grad():
        trainer.generator.out.weight.zero_()
    assert trainer.advance()["temporal"] < 0.02


@pytest.mark.parametrize("crop", [0, 32, 50])
def test_crops_too_small_for_the_temporal_term_are_refused(crop: int) -> None:
    with pytest.raises(ValueError, match="crop"):
        settings(crop=crop)


def test_losses_in_numbers() -> None:
    a = torch.zeros(1, 3, 32, 32)
    assert losses.distillation(a, a) == 0
    assert losses.gradient_l1(a + 0.5, a) == 0
    assert losses.distillation(a + 0.5, a) == 0.5
    checker = (torch.arange(32)[:, None] + torch.arange(32)) % 2 - 0.5
    assert losses.low_frequency(a + checker, a) < 0.02
    logits = torch.zeros(1, 1, 4, 4)
    assert losses.telling_apart(logits, logits) == pytest.approx(2 * math.log(2))
    assert losses.fooling(logits + 3) < losses.fooling(logits - 3)


def test_r1_is_the_squared_slope() -> None:
    real = torch.zeros(2, 3, 8, 8, requires_grad=True)
    logits = (2 * real).sum((1, 2, 3), keepdim=True)
    assert losses.r1_penalty(logits, real) == pytest.approx(4 * 3 * 64)


def test_bad_files_are_counted_and_good_ones_painted_once(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 256, (160, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "good.png"), picture)
    (folder / "broken.jpg").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("left alone")
    files = data.find([folder])
    assert [f.name for f in files] == ["broken.jpg", "good.png"]
    calls = []

    def teacher(source: data.Array, field: data.Array) -> data.Array:
        calls.append(source.shape)
        return 1 - source

    pairs, unreadable = data.painted_pairs(files, teacher, tmp_path / "cache", 0, 32)
    assert unreadable == 1
    assert len(pairs) == len(calls) == 1
    assert pairs[0].field.shape == pairs[0].source.shape[:2]
    again, _ = data.painted_pairs(files, teacher, tmp_path / "cache", 0, 32)
    assert len(calls) == 1
    np.testing.assert_array_equal(again[0].painted, pairs[0].painted)
    assert data.painted_pairs(files, teacher, tmp_path / "cache", 0, 4000)[0] == []


def test_crops_are_cut_from_the_same_place(pairs: list[Pair]) -> None:
    batch = data.crops(pairs, 5, 32, np.random.default_rng(1))
    assert batch.source.shape == (5, 3, 32, 32)
    assert batch.guides.shape == (5, 1, 32, 32)
    torch.testing.assert_close(batch.painted, batch.source / 2, atol=0.003, rtol=0)


def test_export_and_manifest(pairs: list[Pair], tmp_path: Path) -> None:
    trainer = Trainer(settings(), pairs, [], tmp_path / "run")
    trainer.save()
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    other = {"schema": 1, "styles": {}, "networks": {"features": {"file": "features.safetensors"}}}
    (folder / "manifest.json").write_text(json.dumps(other))
    script("export").export(tmp_path / "run" / "state.pt", "oil", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["networks"] == other["networks"]
    entry = manifest["styles"]["oil"]
    network = Generator(**entry["settings"])
    network.load_state_dict({k: v.float() for k, v in load_file(folder / entry["file"]).items()})
    for ours, theirs in zip(network.parameters(), trainer.average.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_the_training_script_from_pictures_to_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(7):
        picture = cv2.resize(random.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120))
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    train = script("train")
    out = tmp_path / "run"
    command = ["train.py", "oil", "--data", str(folder), "--out", str(out), "--batch", "2", "--crop", "48"]
    monkeypatch.setattr(
        sys, "argv", [*command, "--distil-steps", "2", "--critic-steps", "1", "--adversarial-steps", "1"]
    )
    monkeypatch.setattr(data, "SCALES", (1.0, 1.0))
    assert train.main() == 0
    assert torch.load(out / "state.pt", weights_only=True)["step"] == 4
    assert json.loads(capsys.readouterr().out)["pairs"] == 7


def test_too_few_pictures_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "argv", ["train.py", "oil", "--data", str(tmp_path), "--out", str(tmp_path / "run")]
    )
    assert script("train").main() == 2
