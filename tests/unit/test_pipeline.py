from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.media_factory import make_clip
from vidstyle import pipeline
from vidstyle.device import DeviceChoice
from vidstyle.events import ignore
from vidstyle.media.probe import probe
from vidstyle.settings import Settings

CPU = DeviceChoice(torch.device("cpu"), torch.float32, "cpu (test)")


def test_a_resumed_run_does_not_log_again_the_damage_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.mp4"
    make_clip(source, frames=3)
    given: dict[str, Any] = {}
    monkeypatch.setattr(pipeline, "decode", lambda info, **arguments: given.update(arguments))
    run = pipeline._Run(source, None, Settings(), ignore, lambda: None, {})
    run._decode(probe(source), CPU, 1, first_index=240)
    tell: Callable[[str, int], None] = given["on_damage"]
    tell("in the warm-up", 200)
    tell("after it", 240)
    assert run.damage == [("after it", 240)]


def test_the_fingerprint_knows_input_settings_and_every_weights_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "in.mp4"
    make_clip(source, frames=3)
    style = pipeline.styles.find("oil")

    def fingerprint() -> str:
        run = pipeline._Run(source, tmp_path / "out.mp4", Settings(), ignore, lambda: None, {})
        return run._fingerprint(style, CPU)

    first = fingerprint()
    assert fingerprint() == first
    monkeypatch.setattr(pipeline, "manifest", lambda: {"networks": {}})
    assert fingerprint() != first
    monkeypatch.undo()
    source.write_bytes(source.read_bytes() + b"more")
    assert fingerprint() != first
