"""Blockiness: seen where a codec's blocks show, whatever the depth; and none where there are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vidstyle.detect import detect
from vidstyle.detect.blocks import NOTABLE, blockiness

from .painted_clip import Picture, batches, paint, pan, tensor


def blocky(picture: Picture, quality: int = 9) -> Picture:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def test_blocks_are_seen_in_either_depth() -> None:
    clean = paint(pan(1)[0])
    measured = [blockiness(tensor(picture)) for picture in (clean, blocky(clean))]
    assert abs(measured[0]) < 0.1 and measured[1] > measured[0] + NOTABLE
    deep = torch.from_numpy(blocky(clean).astype(np.uint16) * 257).permute(2, 0, 1)
    assert blockiness(deep) == pytest.approx(measured[1], abs=0.02)


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 15), (16, 16), (1500, 17)])
def test_any_size_has_some(size: tuple[int, int]) -> None:
    assert np.isfinite(blockiness(torch.randint(0, 255, (3, *size), dtype=torch.uint8)))
    assert blockiness(torch.full((3, *size), 9, dtype=torch.uint8)) == 0


@pytest.mark.parametrize("also_in_the_source", [False, True])
def test_a_blocky_picture_is_flagged_unless_its_source_is_as_blocky(also_in_the_source: bool) -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    clean = styled[14]
    styled[14] = blocky(clean, quality=30)
    if also_in_the_source:
        sources[14] = blocky(sources[14], quality=30)
    frames = list(detect(batches(sources, styled)))
    told = {f.index: f.verdict.reasons for f in frames if "blocks" in f.verdict.reasons}
    assert list(told) == ([] if also_in_the_source else [14])
    if (judge := frames[14].judge) and not also_in_the_source:
        assert judge(tensor(clean)) < 1 < judge(tensor(styled[14])) == frames[14].verdict.score
