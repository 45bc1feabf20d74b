from pathlib import Path

import pytest
import torch

from tests.media_factory import make_clip
from vidstyle import pipeline
from vidstyle.device import DeviceChoice
from vidstyle.media.probe import probe
from vidstyle.run import Run
from vidstyle.settings import Settings

CPU = DeviceChoice(torch.device("cpu"), torch.float32, "cpu (test)")


def test_a_painting_knows_its_input_and_every_weights_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.mp4"
    make_clip(source, frames=3)
    style = pipeline.styles.find("oil")

    def facts() -> dict[str, object]:
        return pipeline._Painting(Run(Settings()), style, probe(source), CPU, {}).facts()

    first = facts()
    assert facts() == first
    monkeypatch.setattr(pipeline, "manifest", lambda: {"networks": {}})
    assert facts() != first
    monkeypatch.undo()
    source.write_bytes(source.read_bytes() + b"more")
    assert facts() != first
