import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from vidstyle import styles, weights
from vidstyle.errors import StyleError, WeightsError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    save_file({"a": torch.arange(4.0)}, tmp_path / "toy.safetensors")
    write_manifest(tmp_path, "toy.safetensors")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def write_manifest(folder: Path, file: str, **changes: object) -> None:
    digest = (
        hashlib.sha256((folder / file).read_bytes()).hexdigest() if (folder / file).exists() else "0" * 64
    )
    entry = {"file": file, "sha256": digest, "network": "generator", "settings": {}, **changes}
    (folder / "manifest.json").write_text(json.dumps({"schema": 1, "styles": {"toy": entry}, "networks": {}}))


def test_tensors_of_a_whole_file_are_read(folder: Path) -> None:
    tensors = weights.load_tensors(weights.read_manifest()["styles"]["toy"])
    assert torch.equal(tensors["a"], torch.arange(4.0))


def test_one_changed_byte_is_refused(folder: Path) -> None:
    path = folder / "toy.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum"):
        weights.load_tensors(weights.read_manifest()["styles"]["toy"])
    assert ("toy.safetensors", False) in [(name, whole) for name, whole, _ in weights.verify_all()]


def test_a_network_that_every_run_needs_is_missed(folder: Path) -> None:
    assert [name for name, whole, _ in weights.verify_all() if not whole] == [
        "features (network)",
        "fusion (network)",
    ]


def test_a_pickle_is_never_run_even_with_the_right_checksum(folder: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (Path(folder / "exploded"),))  # type: ignore[return-value]

    (folder / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    write_manifest(folder, "bomb.safetensors")
    with pytest.raises(WeightsError, match="safetensors"):
        weights.load_tensors(weights.read_manifest()["styles"]["toy"])
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize("file", ["../toy.safetensors", "/etc/passwd"])
def test_a_manifest_cannot_name_files_elsewhere(folder: Path, file: str) -> None:
    write_manifest(folder, file)
    with pytest.raises(WeightsError, match="manifest"):
        weights.read_manifest()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": 99}'])
def test_a_foreign_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / "manifest.json").write_text(content)
    with pytest.raises(WeightsError):
        weights.read_manifest()


def test_an_unknown_style_names_the_known_ones(folder: Path) -> None:
    with pytest.raises(StyleError) as caught:
        styles.find("cubism")
    assert "toy" in (caught.value.hint or "")


def test_a_folder_without_manifest_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(WeightsError, match="manifest"):
        weights.checkpoints_folder()
