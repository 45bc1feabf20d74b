from pathlib import Path

import pytest
import torch

from tests.media_factory import Sound, make_clip
from vidstyle import pipeline
from vidstyle.device import DeviceChoice
from vidstyle.errors import InputError
from vidstyle.events import Event, FrameDone
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


@pytest.mark.parametrize("change", ["replaced", "grown", "gone", "touched"])
def test_pictures_of_one_file_never_get_the_sound_of_another(change: str, tmp_path: Path) -> None:
    source, other = tmp_path / "in.mp4", tmp_path / "other.mp4"
    make_clip(source, frames=6, size=(64, 48), sounds=[Sound()])
    make_clip(other, frames=3, size=(64, 48), sounds=[Sound(hertz=880)])

    def meddle(event: Event) -> None:
        if not isinstance(event, FrameDone) or event.index:
            return
        if change == "replaced":
            other.replace(source)
        elif change == "grown":
            source.write_bytes(source.read_bytes() + b"more")
        elif change == "gone":
            source.unlink()
        else:
            source.touch()

    if change == "touched":
        pipeline.stylize_video(source, listener=meddle)
        return
    with pytest.raises(InputError, match="while it was being read"):
        pipeline.stylize_video(source, listener=meddle)
    assert not (tmp_path / "in.oil.mp4").exists()
