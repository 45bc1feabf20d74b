"""What is exported is what was trained: as a style for vidstyle, and as ONNX for everybody else."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from vidstyle.models.generator import Generator
from vidstyle.training.state import write_state

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "export.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("scripts_export", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILT = {
    "generator": (
        {"channels": 8, "blocks": 1, "edge_channels": 8, "guide_channels": 2},
        ["strokes", "paper"],
    ),
    "unet": ({"channels": 4, "depth": 3, "guide_channels": 0}, []),
    "resnet": ({"channels": 4, "blocks": 1, "guide_channels": 1}, ["strokes"]),
    "noise": ({"size": 8, "latent": 8, "channels": 4, "classes": 2}, None),
}


def run_of(script: ModuleType, kind: str, folder: Path) -> torch.nn.Module:
    """The state of a run that has trained nothing, and its averaged network."""
    settings, guides = BUILT[kind]
    torch.manual_seed(0)
    network = script.NETWORKS[kind](**settings).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    built = {"network": kind, "settings": settings} | ({} if guides is None else {"guides": guides})
    folder.mkdir(exist_ok=True)
    averages = {"one": network.state_dict()}
    write_state(folder / "state.pt", {"networks": averages, "averages": averages, "built": {"one": built}})
    return network


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    rough = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    cv2.imwrite(str(path), cv2.resize(rough, (90, 70)))
    return path


@pytest.mark.parametrize("kind", sorted(BUILT))
def test_the_exported_file_paints_what_the_run_paints(
    script: ModuleType, kind: str, tmp_path: Path, picture: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = run_of(script, kind, tmp_path / "run")
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    other = {"schema": 1, "styles": {}, "networks": {"features": {"file": "features.safetensors"}}}
    (folder / "manifest.json").write_text(json.dumps(other))
    frames = [] if kind == "noise" else ["--frames", str(picture)]
    command = [
        str(tmp_path / "run"),
        "--style",
        "mine",
        "--checkpoints",
        str(folder),
        "--title",
        "Mine",
        *frames,
    ]
    assert script.main(command) == 0
    assert '"float16_psnr"' in capsys.readouterr().out
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["networks"]["features"] == other["networks"]["features"]
    entry = manifest["styles" if kind == "generator" else "networks"]["mine"]
    assert (entry["network"], entry["settings"], entry["title"]) == (kind, BUILT[kind][0], "Mine")
    again = script.exported(entry, folder)
    for ours, theirs in zip(again.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    assert not list(folder.glob("*.part"))


def test_vidstyle_loads_an_exported_style(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidstyle.models.load import load
    from vidstyle.weights import read_manifest

    network = run_of(script, "generator", tmp_path / "run")
    assert (
        script.main([str(tmp_path / "run"), "--style", "mine", "--checkpoints", str(tmp_path / "made")]) == 0
    )
    monkeypatch.setenv("VIDSTYLE_CHECKPOINTS", str(tmp_path / "made"))
    entry = read_manifest()["styles"]["mine"]
    assert entry.guides == ("strokes", "paper")
    loaded = load(entry)
    assert isinstance(loaded, Generator)
    frames, guides = torch.rand(1, 3, 32, 32), torch.randn(1, 2, 32, 32)
    torch.testing.assert_close(loaded(frames, guides), network(frames, guides), atol=5e-3, rtol=0)


@pytest.mark.parametrize("kind", sorted(BUILT))
def test_onnx_paints_what_torch_paints(script: ModuleType, kind: str, tmp_path: Path, picture: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run_of(script, kind, tmp_path / "run")
    path = tmp_path / "mine.onnx"
    command = [str(tmp_path / "run"), "--style", "mine", "--checkpoints", str(tmp_path / "made")]
    assert script.main([*command, "--onnx", str(path), "--frames", str(picture)]) == 0
    entry = script.export(tmp_path / "run" / "state.pt", "mine", tmp_path / "made", {})
    shipped = script.exported(entry, tmp_path / "made")
    # Other sizes and batches than the one it was written with.
    if kind == "noise":
        given = (torch.randn(5, 8), torch.tensor([0, 1, 0, 1, 1]))
    else:
        given = (torch.rand(3, 3, 48, 32), torch.randn(3, entry["settings"]["guide_channels"], 48, 32))
    (found,) = script.run_onnx(path, [given])
    torch.testing.assert_close(found, shipped(*given), atol=1e-3, rtol=0)


def test_a_network_that_paints_differently_is_refused(script: ModuleType) -> None:
    with pytest.raises(script.ResourceError, match="paints differently"):
        script.compared("The file", [torch.rand(1, 3, 4, 4)], [torch.zeros(1, 3, 4, 4)])


def test_a_drawing_loses_its_colour_and_keeps_its_luma(script: ModuleType, tmp_path: Path) -> None:
    network = Generator(channels=8, blocks=1, edge_channels=8, mix_skip=True).requires_grad_(False)
    frames, guides = torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16)
    for values in network.out.parameters():
        values.add_(0.1 * torch.randn_like(values))
    before = network(frames, guides)
    script.take_colour(network)
    after = network(frames, guides)
    luma = torch.einsum("c,nchw->nhw", torch.tensor((0.299, 0.587, 0.114)), before)
    assert (before - before[:, :1]).abs().max() > 0.1
    assert torch.allclose(after, luma[:, None].expand_as(after), atol=1e-5)


def test_weights_that_are_no_numbers_are_not_shipped(script: ModuleType, tmp_path: Path) -> None:
    run_of(script, "unet", tmp_path / "run")
    state = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    next(iter(state["averages"]["one"].values())).fill_(1e6)  # infinite as float16
    write_state(tmp_path / "run" / "state.pt", state)
    assert script.main([str(tmp_path / "run"), "--style", "x", "--checkpoints", str(tmp_path / "made")]) == 3
    assert not (tmp_path / "made").exists()


def test_what_is_missing_is_said(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(tmp_path), "--style", "x", "--checkpoints", str(tmp_path / "made")]) == 3
    assert "no training state" in capsys.readouterr().err
    (tmp_path / "state.pt").write_bytes(b"PK\x03\x04 torn")
    assert script.main([str(tmp_path), "--style", "x", "--checkpoints", str(tmp_path / "made")]) == 3
    assert "damaged" in capsys.readouterr().err
    run_of(script, "unet", tmp_path)
    assert (
        script.main([str(tmp_path), "--style", "x", "--network", "y", "--checkpoints", str(tmp_path / "m")])
        == 2
    )
    assert "choose one of one" in capsys.readouterr().err
