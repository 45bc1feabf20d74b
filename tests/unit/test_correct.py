"""The corrector: what it leaves alone, what it mends and with what, and when it declines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.correct import WINDOW_FRAMES, candidates, carry, correct
from vidstyle.detect import detect
from vidstyle.frames import CheckedFrame, Verdict

from .painted_clip import FAULTS, batches, paint, pan, tensor


def psnr(a: Tensor, b: Tensor) -> float:
    return float(10 * torch.log10(255**2 / ((a.float() - b.float()) ** 2).mean().clamp_min(0.065)))


def spoilt_clip(
    kind: str, at: tuple[int, ...] = (15,), count: int = 30
) -> tuple[list[CheckedFrame], list[Tensor]]:
    sources = pan(count)
    styled = [paint(s) for s in sources]
    clean = [tensor(y) for y in styled]
    for t in at:
        styled[t] = FAULTS[kind][0](styled[t])
    return list(detect(batches(sources, styled))), clean


def frame(index: int, flagged: bool = False, shot: int = 0, score: float | None = None) -> CheckedFrame:
    source = tensor(pan(index + 1, step=1)[index])
    return CheckedFrame(
        index=index,
        pts=index,
        duration=1,
        source=source,
        styled=source.clone(),
        damaged=False,
        shot=shot,
        verdict=Verdict(score=3.0 if flagged else 0.2, flagged=flagged, reference="both"),
        judge=(lambda _: 0.1 if score is None else score) if flagged else None,
    )


@pytest.mark.parametrize("kind", FAULTS)
def test_a_spoilt_frame_is_mended_and_all_others_are_the_very_same_tensors(kind: str) -> None:
    frames, clean = spoilt_clip(kind)
    finished = list(correct(frames))
    for f, g in zip(frames, finished, strict=True):
        assert (g.index, g.pts, g.duration, g.verdict) == (f.index, f.pts, f.duration, f.verdict)
        if f.index != 15:
            assert g.picture is f.styled and g.action == "none" and g.method is None and g.donors == ()
    mended = finished[15]
    assert mended.action == "repaired"
    assert mended.method in {"gain", "offset", "pixel", "local", "warp"}
    assert mended.donors == (14, 16)
    assert mended.score_after is not None and mended.score_after < 1
    assert mended.picture.dtype == torch.uint8
    assert psnr(mended.picture, clean[15]) > psnr(frames[15].styled, clean[15]) + 3


def test_a_run_is_mended_from_the_good_frames_around_it() -> None:
    frames, clean = spoilt_clip("black", at=(14, 15, 16))
    finished = list(correct(frames))
    for t in (14, 15, 16):
        assert finished[t].action == "repaired" and finished[t].donors == (13, 17)
        assert psnr(finished[t].picture, clean[t]) > 25


def test_nothing_is_changed_when_told_not_to_repair() -> None:
    frames, _ = spoilt_clip("black")
    for f, g in zip(frames, correct(frames, repair=False), strict=True):
        assert g.picture is f.styled and g.action == "none"


def test_painting_again_comes_first() -> None:
    frames, clean = spoilt_clip("strong noise")
    asked = []

    def restyle(f: CheckedFrame) -> Tensor:
        asked.append(f.index)
        return clean[f.index]

    finished = list(correct(frames, restyle=restyle))
    assert asked == [15]
    assert (finished[15].action, finished[15].method) == ("restyled", "restyle")
    assert finished[15].picture is clean[15] and finished[15].donors == ()
    assert finished[15].score_after == frames[15].judge(clean[15])  # type: ignore[misc]


@pytest.mark.parametrize("again", ["the same", "nothing", "no better"])
def test_where_painting_again_does_not_help_the_neighbours_do(again: str) -> None:
    frames, clean = spoilt_clip("strong noise")
    other = FAULTS["darker"][0](frames[15].styled.permute(1, 2, 0).numpy())
    answer = {"the same": frames[15].styled.clone(), "nothing": None, "no better": tensor(other)}[again]
    finished = list(correct(frames, restyle=lambda _: answer))
    assert finished[15].action == "repaired"
    assert psnr(finished[15].picture, clean[15]) > psnr(frames[15].styled, clean[15]) + 3


def test_a_repair_that_is_not_clearly_better_is_not_taken() -> None:
    frames = [frame(t, flagged=t == 5, score=2.9) for t in range(10)]
    kept = list(correct(frames))[5]
    assert kept.action == "kept" and kept.picture is frames[5].styled
    assert kept.method is None and kept.score_after is None and kept.donors == ()


def test_a_frame_that_cannot_be_judged_is_kept() -> None:
    frames = [frame(t) for t in range(5)]
    frames[2] = replace(frame(2, flagged=True), judge=None)
    assert list(correct(frames, restyle=lambda f: f.styled + 1))[2].action == "kept"


def test_neighbours_of_other_shots_or_too_far_away_are_no_donors() -> None:
    frames = [frame(t, flagged=t == 5, shot=int(t >= 5) + int(t >= 6)) for t in range(10)]
    assert list(correct(frames))[5].action == "kept"
    far = [frame(t, flagged=t > 0) for t in range(WINDOW_FRAMES + 3)]
    finished = list(correct(far))
    assert finished[WINDOW_FRAMES].donors == (0,)
    assert finished[WINDOW_FRAMES + 1].action == "kept"


def test_frames_leave_in_order_and_no_more_than_the_window_is_held() -> None:
    read = 0
    flags = [t % 12 in (3, 4, 5, 9) or 40 <= t < 60 for t in range(70)]
    template = frame(0)

    def counted() -> object:
        nonlocal read
        for t, flag in enumerate(flags):
            read += 1
            yield replace(template, index=t, verdict=replace(template.verdict, flagged=flag))

    for given, f in enumerate(correct(counted())):  # type: ignore[arg-type]
        assert f.index == given
        assert read <= given + 1 + WINDOW_FRAMES


def test_a_neighbour_of_a_frozen_source_is_taken_as_it_is() -> None:
    a, b = frame(3), replace(frame(3), index=4, styled=frame(9).styled)
    carried = carry(a, b)
    assert np.array_equal(carried.picture, b.styled.permute(1, 2, 0).numpy())
    assert (carried.confidence == 1).all() and carried.distance == 1


def test_what_is_hidden_is_not_trusted() -> None:
    here, there = frame(2), frame(3)
    covered = there.source.clone()
    covered[:, 30:70, 60:120] = 255
    confidence = carry(here, replace(there, source=covered)).confidence
    assert confidence[40:60, 75:105].mean() < 0.1 < 0.6 < confidence[:, :40].mean()


def test_a_brightness_fault_keeps_the_frames_own_texture() -> None:
    frames, clean = spoilt_clip("brighter")
    styled = frames[15].styled.permute(1, 2, 0).numpy().astype(np.float32)
    made = candidates(styled, [carry(frames[15], frames[t]) for t in (14, 16)], None)
    truth = clean[15].permute(1, 2, 0).numpy()
    error = {name: float(np.abs(np.clip(c, 0, 255) - truth).mean()) for name, c in made.items()}
    assert min(error["gain"], error["offset"]) < 0.3 * float(np.abs(styled - truth).mean())


def test_ten_bit_frames_stay_ten_bit() -> None:
    frames, clean = spoilt_clip("black")

    def widen(picture: Tensor) -> Tensor:
        return torch.from_numpy(picture.permute(1, 2, 0).numpy().astype(np.uint16) * 257).permute(2, 0, 1)

    wide = [replace(f, source=widen(f.source), styled=widen(f.styled)) for f in frames]
    picture = list(correct(wide))[15].picture
    assert picture.dtype == torch.uint16
    assert psnr(picture.to(torch.int32) // 257, clean[15]) > 25
