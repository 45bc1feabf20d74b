"""The training loop learns, stops, resumes to the bit, and survives bad files and bad numbers."""

from __future__ import annotations

import importlib.util
import json
import math
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from vidstyle import styles
from vidstyle.errors import UsageError
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.training import data
from vidstyle.training.data import Pair
from vidstyle.training.datasets import PaintedPairs
from vidstyle.training.loop import Trainer, TrainingDiverged
from vidstyle.training.recipes.distillation import Distillation, DistillationSettings, begin_with
from vidstyle.training.teachers import Teacher

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
        field = np.clip(random.normal(128, 32, (*source.shape[:2], 1)), 0, 255).astype(np.uint8)
        made.append(Pair(source, source // 2, field))
    return made


def trainer(pairs: list[Pair], folder: Path, *, held: int = 0, **changed: object) -> Trainer:
    values: dict[str, object] = {
        "distil_steps": 12,
        "critic_steps": 3,
        "adversarial_steps": 5,
        "batch": 2,
        "crop": 48,
        "save_every": 6,
        "generator": TINY,
    }
    settings = DistillationSettings(**{**values, **changed})  # type: ignore[arg-type]
    return Trainer(Distillation(settings, PaintedPairs(pairs, held)), folder)


def test_it_learns(pairs: list[Pair], tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path, distil_steps=60)
    first = run.advance()["distil"]
    last = [run.advance()["distil"] for _ in range(59)][-5:]
    assert np.mean(last) < 0.7 * first


def test_all_stages_run_and_leave_their_traces(pairs: list[Pair], tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path, held=2)
    stages = [run.recipe.stage(step) for step in range(run.recipe.steps)]
    assert stages == ["distil"] * 12 + ["critic"] * 3 + ["both"] * 5
    critic = run.engine.modules["critic"]
    before = {name: p.detach().clone() for name, p in critic.named_parameters()}
    told = []
    run.run(tick=lambda step, stage, figures: told.append((step, stage)))
    assert told == list(zip(range(1, 21), stages, strict=True))
    assert any(not torch.equal(before[name], p) for name, p in critic.named_parameters())
    sheet = cv2.imread(str(tmp_path / "samples" / "000020.png"))
    assert sheet.shape == (128, 3 * 72, 3)
    assert not (tmp_path / "state.part").exists()


def test_a_resumed_run_is_the_undisturbed_run(pairs: list[Pair], tmp_path: Path) -> None:
    whole = trainer(pairs, tmp_path / "whole")
    whole.run()
    broken = trainer(pairs, tmp_path / "broken")
    for _ in range(14):  # in the middle of the critic's stage
        broken.advance()
    broken.save()
    again = trainer(pairs, tmp_path / "broken")
    again.load(tmp_path / "broken" / "state.pt")
    assert again.step == 14
    again.run()
    for ours, theirs in zip(parameters(again), parameters(whole), strict=True):
        assert torch.equal(ours, theirs)


def parameters(run: Trainer) -> list[torch.Tensor]:
    return list(run.engine.averages["generator"].parameters())


def test_other_settings_at_a_resume_are_told(
    pairs: list[Pair], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer(pairs, tmp_path).save()
    trainer(pairs, tmp_path, adversarial_steps=9).load(tmp_path / "state.pt")
    assert [record.getMessage() for record in caplog.records] == [
        "the run began with adversarial_steps 5 and goes on with 9"
    ]


def test_a_run_may_start_from_the_networks_of_another(pairs: list[Pair], tmp_path: Path) -> None:
    first = trainer(pairs, tmp_path)
    first.advance()
    first.save()
    second = trainer(pairs, tmp_path / "second", seed=7)
    second.load(tmp_path, networks_only=True)
    assert second.step == 0
    assert all(map(torch.equal, parameters(second), parameters(first)))


def test_a_style_begins_with_what_another_knows() -> None:
    entry = styles.find("watercolor")
    theirs = load(entry)
    assert isinstance(theirs, Generator)
    wanted = ["lines", "hatch", "paper"]
    torch.manual_seed(0)
    mine = Generator(**{**entry.settings, "guide_channels": len(wanted), "mix_skip": True})
    fresh = mine.stem.weight[:, 4].clone()
    begin_with(mine, wanted, "watercolor")
    assert torch.equal(mine.out.weight, theirs.out.weight)
    assert torch.equal(mine.stem.weight[:, :4], theirs.stem.weight[:, :4])
    assert torch.equal(mine.stem.weight[:, 4], fresh)
    assert torch.equal(mine.stem.weight[:, 5], theirs.stem.weight[:, 3 + entry.guides.index("paper")])


def test_a_style_of_another_size_cannot_be_begun_with() -> None:
    with pytest.raises(UsageError, match="size"):
        begin_with(Generator(channels=16), ["strokes"], "watercolor")


@pytest.mark.parametrize("end", ["time", "stop"])
def test_a_limit_or_a_stop_saves(pairs: list[Pair], tmp_path: Path, end: str) -> None:
    run = trainer(pairs, tmp_path)
    if end == "time":
        run.run(max_seconds=0)
    else:
        run.run(tick=lambda step, *_: run.stop() if step == 2 else None)
    # The flag is read after a step, so that a state is never half a step.
    assert torch.load(tmp_path / "state.pt", weights_only=True)["step"] == (0 if end == "time" else 3)


def test_divergence_stops_and_keeps_the_last_good_state(pairs: list[Pair], tmp_path: Path) -> None:
    run = trainer(pairs, tmp_path)
    run.advance()
    run.save()
    with torch.no_grad():
        run.engine.modules["generator"].stem.weight[0, 0, 0, 0] = math.nan  # type: ignore[index, union-attr]
    with pytest.raises(TrainingDiverged):
        run.run()
    with pytest.raises(TrainingDiverged):
        run.save()
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["averages"]["generator"].values())
    assert "diverged" in (tmp_path / "log.jsonl").read_text()


def test_a_failing_draw_ends_the_run_with_its_error(
    pairs: list[Pair], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = trainer(pairs, tmp_path)
    monkeypatch.setattr(run.recipe, "draw", lambda draw: [][0])
    with pytest.raises(IndexError):
        run.run()
    assert not (tmp_path / "state.pt").exists()


def test_the_temporal_term_sees_the_same_scene(pairs: list[Pair], tmp_path: Path) -> None:
    """Of a network that does nothing but soften, only the noise of the second view is left."""
    run = trainer(pairs, tmp_path)
    with torch.no_grad():
        run.engine.modules["generator"].out.weight.zero_()  # type: ignore[union-attr]
    assert run.advance()["temporal"] < 0.02


@pytest.mark.parametrize("crop", [0, 32, 50])
def test_crops_too_small_for_the_temporal_term_are_refused(crop: int) -> None:
    with pytest.raises(ValueError, match="crop"):
        DistillationSettings(crop=crop)


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

    def negative(source: data.Array, guides: data.Array) -> data.Array:
        calls.append(guides.shape)
        return 1 - source

    teacher = Teacher(negative, ("strokes",))
    pairs, unreadable = data.painted_pairs(files, teacher, tmp_path / "cache", 0, 32)
    assert unreadable == 1
    assert len(pairs) == len(calls) == 1
    assert pairs[0].guides.shape == (*pairs[0].source.shape[:2], 1)
    again, _ = data.painted_pairs(files, teacher, tmp_path / "cache", 0, 32)
    assert len(calls) == 1
    np.testing.assert_array_equal(again[0].painted, pairs[0].painted)
    assert data.painted_pairs(files, teacher, tmp_path / "cache", 0, 4000)[0] == []


def test_crops_are_cut_from_the_same_place(pairs: list[Pair]) -> None:
    batch = data.crops(pairs, 5, 32, np.random.default_rng(1))
    assert batch.source.shape == (5, 3, 32, 32)
    assert batch.guides.shape == (5, 1, 32, 32)
    torch.testing.assert_close(batch.painted, batch.source / 2, atol=0.003, rtol=0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Seven pictures, and a file that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for i in range(7):
        picture = cv2.resize(random.integers(0, 256, (6, 8, 3), dtype=np.uint8), (160, 120))
        cv2.imwrite(str(folder / f"{i}.png"), picture)
    (folder / "broken.jpg").write_bytes(b"not a picture")
    return folder


@pytest.mark.parametrize(
    ("style", "options", "steps"),
    [
        ("oil", "--batch 2 --crop 48 --distil-steps 2 --critic-steps 1 --adversarial-steps 1", 4),
        ("pix2pix", "--teacher oil --batch 2 --crop 64 --channels 4 --critic-channels 4 --steps 2", 2),
        ("cyclegan", "--art {} --batch 1 --crop 64 --channels 4 --critic-channels 4 --blocks 1 --steps 2", 2),
        ("perceptual", "--art {} --batch 2 --crop 64 --channels 4 --critic-channels 4 --steps 2", 2),
        ("gan", "--batch 2 --size 16 --channels 4 --critic-channels 4 --steps 2", 2),
    ],
)
def test_the_training_script_from_pictures_to_state(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    style: str,
    options: str,
    steps: int,
) -> None:
    monkeypatch.setattr(data, "SCALES", (1.0, 1.0))
    out = tmp_path / "run"
    command = [style, "--data", str(folder), "--out", str(out), *options.replace("{}", str(folder)).split()]
    assert script("train").main(command) == 0
    assert json.loads(capsys.readouterr().out)["unreadable"] > 0
    assert torch.load(out / "state.pt", weights_only=True)["step"] == steps
    assert len(list((out / "samples").iterdir())) == 1
    assert script("train").main([*command, "--resume"]) == 0  # nothing is left to do


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("oil --data {}/none", "too few"),
        ("gan --cifar10 {}", "no local copy of CIFAR-10"),
        ("gan", "nothing to learn from"),
        ("pix2pix --teacher oil --crop 65 --data {}", "multiple of 64"),
        ("oil --crop 5 --data {}", "crop must be"),
        ("perceptual --data {} --art {} --features vgg19 --feature-weights {}/vgg", "not there"),
        ("cyclegan --data {} --art {}", "no picture"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, words: str
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    arguments = [*command.replace("{}", str(empty)).split(), "--out", str(tmp_path / "run")]
    assert script("train").main(arguments) in (2, 3, 5)
    assert words in capsys.readouterr().err
