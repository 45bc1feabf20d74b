import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.flow import analysis_size, direct_flow, is_cut, resize_flow, track_motion, warp
from vidstyle.frames import Batch


def texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 4)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    return (smooth * 255).astype(np.uint8)


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).permute(2, 0, 1)


def batches(pictures: list[np.ndarray], size: int = 1) -> list[Batch]:
    return [
        Batch(
            indices=tuple(range(first, min(first + size, len(pictures)))),
            pts=tuple(range(first, min(first + size, len(pictures)))),
            durations=(1,) * len(pictures[first : first + size]),
            pixels=torch.stack([tensor(picture) for picture in pictures[first : first + size]]),
            damaged=(False,) * len(pictures[first : first + size]),
        )
        for first in range(0, len(pictures), size)
    ]


def test_a_known_shift_is_found_both_ways() -> None:
    wide = texture(180, 400)
    pictures = [wide[:, 10 + 4 * step : 310 + 4 * step] for step in range(2)]
    motion = list(track_motion(batches(pictures)))[1].motion[0]
    inside = np.s_[20:-20, 20:-20]
    assert np.median(motion.back[inside][..., 0]) == pytest.approx(4, abs=0.3)
    assert np.median(motion.forth[inside][..., 0]) == pytest.approx(-4, abs=0.3)
    assert not motion.cut


def test_warping_along_back_brings_the_frame_before_here() -> None:
    wide = texture(180, 400)
    before, now = wide[:, :300], wide[:, 4:304]
    motion = list(track_motion(batches([before, now])))[1].motion[0]
    error = np.abs(warp(before, motion.back).astype(float) - now)[20:-20, 20:-20].mean()
    assert error < 0.3 * np.abs(before.astype(float) - now)[20:-20, 20:-20].mean()


def test_batch_size_changes_nothing() -> None:
    wide = texture(120, 400)
    pictures = [wide[:, 3 * step : 200 + 3 * step] for step in range(7)]
    alone = [batch.motion[0] for batch in track_motion(batches(pictures, 1))]
    together = [motion for batch in track_motion(batches(pictures, 3)) for motion in batch.motion]
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.back, other.back)
        assert np.array_equal(one.forth, other.forth)


def test_cuts_count_shots_but_flashes_and_fades_do_not() -> None:
    first, second = texture(120, 200, 1), texture(120, 200, 2)
    flash = np.clip(first.astype(int) + 70, 0, 255).astype(np.uint8)
    fades = [(first * share).astype(np.uint8) for share in (0.8, 0.5, 0.2)]
    shots = [b.motion[0].shot for b in track_motion(batches([first, first, flash, first, *fades]))]
    assert shots == [0] * 7
    cuts = [b.motion[0].cut for b in track_motion(batches([first, first, second, second]), first_shot=5)]
    assert cuts == [True, False, True, False]


def test_a_frozen_picture_has_no_motion() -> None:
    picture = texture(90, 160)
    motion = list(track_motion(batches([picture, picture])))[1].motion[0]
    assert not motion.back.any()


@pytest.mark.parametrize("size", [(1280, 100), (300, 16), (640, 31)])
def test_the_motion_of_low_banners_is_found(size: tuple[int, int]) -> None:
    """OpenCV alone ends the process."""
    width, height = size
    wide = texture(height, width + 4)
    (_, later) = track_motion(batches([wide[:, 4:], wide[:, :-4]]))
    back = resize_flow(later.motion[0].back, size)
    assert np.median(back[..., 0]) == pytest.approx(-4, abs=0.5)
    assert np.median(resize_flow(direct_flow(tensor(wide[:, 4:]), tensor(wide[:, :-4])), size)[..., 0]) > 2


@pytest.mark.parametrize("size", [(16, 16), (18, 10), (2, 2), (1000, 8), (7, 333), (14, 640), (300, 15)])
def test_tiny_and_odd_pictures_do_not_fail(size: tuple[int, int]) -> None:
    width, height = size
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(3)]
    assert len(list(track_motion(batches(pictures)))) == 3


def test_direct_flow_spans_several_frames() -> None:
    wide = texture(240, 500)
    flow = resize_flow(direct_flow(tensor(wide[:, 12:412]), tensor(wide[:, :400])), (400, 240))
    assert np.median(flow[20:-20, 20:-20, 0]) == pytest.approx(12, abs=1)


def test_resized_flow_keeps_its_meaning() -> None:
    flow = np.full((90, 160, 2), (2.0, 1.0), np.float32)
    assert resize_flow(flow, (320, 180))[50, 50] == pytest.approx((4, 2))


def test_analysis_size_keeps_proportions_and_never_enlarges() -> None:
    assert analysis_size(1920, 1080) == (320, 180)
    assert analysis_size(176, 144) == (176, 144)


def test_flat_pictures_are_no_cut() -> None:
    black, grey = np.zeros((90, 160), np.uint8), np.full((90, 160), 128, np.uint8)
    assert not is_cut(black, grey)
