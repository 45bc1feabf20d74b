"""A few frames from all over a video, as the eye sees them."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from media_factory import MATRICES, make_clip

from vidstyle.media.decode import decode
from vidstyle.media.probe import probe
from vidstyle.media.sample import FRAMES, some_frames


@pytest.mark.parametrize("way", MATRICES)
def test_the_frames_are_upright_and_from_all_over(way: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", frames=40, matrix=MATRICES[way], options={"g": "4"})
    info = probe(clip.path)
    found = list(some_frames(info, Fraction(0), None))
    assert len(found) == FRAMES
    whole = torch.cat([batch.pixels for batch in decode(info, batch_size=8)]).float()
    nearest = [int((whole - picture.float()).abs().mean((1, 2, 3)).argmin()) for picture in found]
    assert all(
        (whole[i] - picture.float()).abs().mean() < 1 for i, picture in zip(nearest, found, strict=True)
    )
    assert nearest == sorted(nearest)
    assert nearest[0] < 10
    assert nearest[-1] > 30
