"""Traits of single pictures: seen where they are, whatever the depth; none where there are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from vidstyle.detect import detect
from vidstyle.detect.traits import TRAITS, traits

from .painted_clip import Picture, batches, paint, pan, tensor


def blocky(picture: Picture, quality: int = 30) -> Picture:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def banded(picture: Picture) -> Picture:
    return picture // 16 * 16 + 8


def stretched(picture: Picture) -> Picture:
    return np.clip(1.5 * (picture.astype(np.float32) - 120) + 120, 0, 255).astype(np.uint8)


SPOILT = {"blocks": blocky, "banding": banded}


@pytest.mark.parametrize("number", range(len(TRAITS)))
def test_a_trait_is_seen_in_either_depth(number: int) -> None:
    trait = TRAITS[number]
    clean = paint(pan(1)[0])
    spoilt = SPOILT[trait.reason](clean)
    around = [traits(tensor(clean))[number]] * 3
    found = traits(tensor(spoilt))[number]
    assert trait.excess(found, around) > 1
    assert trait.excess(around[0], around) == 0
    deep = torch.from_numpy(spoilt.astype(np.uint16) * 257).permute(2, 0, 1)
    assert traits(deep)[number] == pytest.approx(found, abs=0.1)


@pytest.mark.parametrize("size", [(1, 1), (15, 200), (200, 15), (16, 16), (1500, 17), (70, 90)])
def test_any_size_has_some(size: tuple[int, int]) -> None:
    for found in traits(torch.randint(0, 255, (3, *size), dtype=torch.uint8)):
        assert np.isfinite(found).all()
    assert not traits(torch.full((3, *size), 9, dtype=torch.uint8))[0].any()


def test_blocks_in_a_small_part_are_seen_there_and_a_single_edge_is_not() -> None:
    clean = paint(pan(1)[0])
    part, edge = clean.copy(), clean.copy()
    part[56:, 96:144] = blocky(clean, quality=9)[56:, 96:144]
    edge[:, 128:] = 255 - edge[:, 128:]  # an edge where two blocks meet
    around = [traits(tensor(clean))[0]] * 3
    found = traits(tensor(part))[0]
    assert np.argmax((found - around[0])[:-1]) in (10, 14)
    assert TRAITS[0].excess(found, around) > 1 > TRAITS[0].excess(traits(tensor(edge))[0], around)


def test_a_stretched_histogram_is_seen_and_another_exposure_is_not() -> None:
    source = pan(1)[0]
    around = [traits(tensor(paint(source)))[1]] * 3
    brighter = np.clip(source.astype(np.float32) + 9, 0, 255).astype(np.uint8)
    assert TRAITS[1].excess(traits(tensor(stretched(paint(source))))[1], around) > 1
    assert TRAITS[1].excess(traits(tensor(paint(brighter)))[1], around) < 0.3


@pytest.mark.parametrize("reason", SPOILT)
@pytest.mark.parametrize("also_in_the_source", [False, True])
def test_a_spoilt_picture_is_flagged_unless_its_source_is_as_bad(
    reason: str, also_in_the_source: bool
) -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    clean = styled[14]
    styled[14] = SPOILT[reason](clean)
    if also_in_the_source:
        sources[14] = SPOILT[reason](sources[14])
    frames = list(detect(batches(sources, styled)))
    told = {f.index: f.verdict.reasons for f in frames if reason in f.verdict.reasons}
    assert list(told) == ([] if also_in_the_source else [14])
    if (judge := frames[14].judge) and not also_in_the_source:
        assert judge(tensor(clean)) < 1 < judge(tensor(styled[14])) == frames[14].verdict.score


def test_an_unpainted_film_is_as_blocky_as_it_is() -> None:
    sources = pan(20)
    sources[2] = blocky(sources[2], quality=12)
    frames = list(detect(batches(sources, sources)))
    assert not any(f.verdict.flagged for f in frames)
