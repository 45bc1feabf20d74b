"""The corrector: what it leaves alone, what it mends and with what, and when it declines."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.correct import WINDOW_FRAMES, correct, stage
from vidstyle.correct.candidates import (
    Candidate,
    candidates,
    fused,
    gain_undone,
    mended_locally,
    offset_undone,
    unmixed,
)
from vidstyle.correct.donors import Blend, Carried, blend, calibrated, carry, to_levels, to_picture
from vidstyle.correct.pyramid import collapse, pyramid
from vidstyle.detect import detect
from vidstyle.frames import CheckedFrame, Judge, Verdict

from .painted_clip import FAULTS, batches, paint, pan, tensor

ORDER = ["exchange", "gain", "unmix", "offset", "local", "fuse", "warp"]
METHODS = set(ORDER)


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
    assert mended.method in METHODS
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


def test_a_repair_that_changes_nothing_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judged anew among neighbours that are mended, the same picture may have a better score."""
    frames = [frame(t, flagged=t == 5) for t in range(10)]
    same = to_levels(frames[5].styled)
    made = [Candidate("keep", same, 9.0), Candidate("unmix", same + 0.2, 1.0)]
    monkeypatch.setattr(stage, "repairs", lambda *_: ((4, 6), 1.0, made))
    kept = list(correct(frames))[5]
    assert kept.action == "kept" and kept.picture is frames[5].styled and kept.score_after is None


def test_a_frame_that_cannot_be_judged_is_kept() -> None:
    frames = [frame(t) for t in range(5)]
    frames[2] = replace(frame(2, flagged=True), judge=None)
    assert list(correct(frames, restyle=lambda f: f.styled + 1))[2].action == "kept"


def test_neighbours_of_other_shots_or_too_far_away_are_no_donors() -> None:
    frames = [frame(t, flagged=t == 5, shot=int(t >= 5) + int(t >= 6)) for t in range(10)]
    assert list(correct(frames))[5].action == "kept"
    far = [frame(t, flagged=t > 0) for t in range(WINDOW_FRAMES + 3)]
    far[1:] = [replace(bad, styled=bad.styled // 2) for bad in far[1:]]
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
    assert np.array_equal(carried.styled, b.styled.permute(1, 2, 0).numpy())
    assert (carried.confidence == 1).all() and carried.offset == 1


def test_what_is_hidden_is_not_trusted() -> None:
    here, there = frame(2), frame(3)
    covered = there.source.clone()
    covered[:, 30:70, 60:120] = 255
    confidence = carry(here, replace(there, source=covered)).confidence
    assert confidence[40:60, 75:105].mean() < 0.1 < 0.6 < confidence[:, :40].mean()


def test_a_pyramid_can_be_put_together_again() -> None:
    for height, width in ((108, 192), (37, 21), (9, 200), (5, 5)):
        picture = np.random.default_rng(1).uniform(-50, 50, (height, width, 3)).astype(np.float32)
        assert np.allclose(collapse(pyramid(picture)), picture, atol=1e-3)


@pytest.fixture(scope="module")
def neighbourhood() -> tuple[np.ndarray, np.ndarray, Blend]:
    """Source and clean styled picture of one frame, as levels, and what its neighbours make of it."""
    sources = pan(5)
    frames = [replace(frame(t), source=tensor(s), styled=tensor(paint(s))) for t, s in enumerate(sources)]
    source, clean = to_levels(frames[2].source), to_levels(frames[2].styled)
    made = blend(source, [carry(frames[2], frames[t]) for t in (1, 3)])
    return source, clean, calibrated(made, [frames[1], frames[0]], [frames[3], frames[4]])


def test_of_two_neighbours_that_flicker_one_is_chosen_for_a_mean_would_be_blurred() -> None:
    generator = np.random.default_rng(0)
    source = np.full((40, 60, 3), 128, np.float32)
    before, after = (generator.normal(128, 40, source.shape).astype(np.float32) for _ in range(2))
    trust = np.full(source.shape[:2], 0.9, np.float32)
    for better, worse in ((before, after), (after, before)):
        carried = [Carried(4, -1, better, source, trust), Carried(6, 1, worse, source, trust * 0.7)]
        picture = blend(source, carried).picture
        assert picture.std() > 0.85 * better.std()
        assert np.abs(picture - better).mean() < 0.25 * np.abs(picture - worse).mean()


def made_of_neighbours(sources: list[np.ndarray], styled: list[np.ndarray]) -> tuple[Blend, Blend]:
    """What the neighbours make of the middle one of five frames, before and after good frames were asked."""
    frames = [
        replace(frame(t), source=tensor(s), styled=tensor(p))
        for t, (s, p) in enumerate(zip(sources, styled, strict=True))
    ]
    raw = blend(to_levels(frames[2].source), [carry(frames[2], frames[t]) for t in (1, 3)])
    return raw, calibrated(raw, [frames[1], frames[0]], [frames[3], frames[4]])


def test_light_that_only_the_frames_own_source_shows_is_painted_as_the_style_paints_light() -> None:
    gains = (1.0, 1.06, 0.94, 1.05, 0.98)
    sources = [np.clip(s * g, 0, 255).astype(np.uint8) for s, g in zip(pan(5), gains, strict=True)]
    styled = [paint(s) for s in sources]
    raw, made = made_of_neighbours(sources, styled)
    assert error(made.picture, styled[2]) < 0.2 * error(raw.picture, styled[2])


def test_grain_is_not_painted_by_a_style_that_ignores_it() -> None:
    generator = np.random.default_rng(0)
    styled = [paint(s) for s in pan(5)]
    grainy = [np.clip(s + generator.normal(0, 12, s.shape), 0, 255).astype(np.uint8) for s in pan(5)]
    raw, made = made_of_neighbours(grainy, styled)
    assert error(raw.picture + collapse(raw.response), styled[2]) > 1.5 * error(raw.picture, styled[2])
    assert error(made.picture, styled[2]) < 1.02 * error(raw.picture, styled[2])


def kept(picture: np.ndarray) -> Candidate:
    return Candidate("keep", picture, 0.0)


def error(picture: np.ndarray, clean: np.ndarray) -> float:
    return float(((np.clip(picture, 0, 255) - clean) ** 2).mean())


def gained(before: np.ndarray, after: np.ndarray, clean: np.ndarray) -> float:
    """In dB."""
    return float(10 * np.log10(error(before, clean) / max(error(after, clean), 0.065)))


def test_the_error_expected_of_the_neighbours_is_about_the_true_one(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    _, clean, made = neighbourhood
    assert 0.4 < made.error / error(made.picture, clean) < 2.5


def test_what_can_be_undone_is_undone(neighbourhood: tuple[np.ndarray, np.ndarray, Blend]) -> None:
    source, clean, made = neighbourhood
    contrast = np.rint((clean - 128) * 0.8 + 120)
    assert gained(contrast, gain_undone(contrast, made), clean) > 20
    mixed = np.rint(0.6 * clean + 0.4 * source)
    assert gained(mixed, unmixed(mixed, source, made), clean) > 12
    patch = clean.copy()
    patch[30:80, 40:120] += [12, 0, -9]
    assert gained(patch, offset_undone(patch, made), clean) > 8
    assert error(offset_undone(patch, made)[:20], clean[:20]) < 0.5


def test_a_caption_that_only_the_neighbours_have_leaves_no_shadow(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    _, clean, made = neighbourhood
    bar = np.s_[40:70, 30:130]
    picture, trust = made.picture.copy(), made.trust.copy()
    picture[bar] -= 60
    trust[bar] = 0
    caption = replace(made, picture=picture, trust=trust)
    assert np.abs(offset_undone(clean, caption) - clean)[bar].max() < 2
    darker = clean - np.float32([8, 0, 8])
    assert gained(darker, offset_undone(darker, caption), clean) > 8


def test_what_cannot_be_undone_is_replaced_and_the_rest_kept(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    _, clean, made = neighbourhood
    hole = clean.copy()
    hole[30:60, 100:140] = 0
    local = mended_locally(hole, made)
    assert local is not None and fused(local, made).error >= local.borrowed > 0
    for mended in (local, fused(kept(hole), made)):
        assert gained(hole, mended.picture, clean) > 15
        assert np.abs(mended.picture[90:, :60] - clean[90:, :60]).mean() < 0.1
    noisy = clean + np.random.default_rng(2).normal(0, 12, clean.shape)
    assert gained(noisy, fused(kept(noisy.astype(np.float32)), made).picture, clean) > 6


def test_what_is_left_of_a_ruined_frame_is_not_mixed_in(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    """Not even where the neighbours are so unsure that the least squared error would be that of a smear."""
    _, clean, made = neighbourhood
    unsure = replace(made, variance=[50 * v for v in made.variance])
    sharpness = [np.abs(cv2.Laplacian(x, cv2.CV_32F)).mean() for x in (made.picture, clean)]
    for ruined in (np.full_like(clean, 255), cv2.GaussianBlur(clean, (0, 0), 6)):
        assert mended_locally(ruined, made) is None
        mended = fused(kept(ruined), unsure).picture
        assert np.abs(cv2.Laplacian(mended, cv2.CV_32F)).mean() > 0.8 * min(sharpness)


def test_a_good_frame_is_expected_to_be_better_as_it_is(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    source, clean, made = neighbourhood
    errors = {c.method: c.error for c in candidates(clean, source, made, [])}
    assert errors["keep"] < 0.5 * errors["warp"]
    assert error(fused(kept(clean), made).picture, clean) < 0.2 * error(made.picture, clean)


def test_every_method_is_a_candidate_with_a_finite_error(
    neighbourhood: tuple[np.ndarray, np.ndarray, Blend],
) -> None:
    source, clean, made = neighbourhood
    hole = clean.copy()
    hole[30:60, 100:140] = 0
    found: list[Candidate] = list(candidates(hole, source, made, [clean]))
    assert [c.method for c in found] == ["keep", *ORDER]
    for c in found:
        assert c.picture.shape == clean.shape and np.isfinite(c.picture).all() and c.error >= 0


@pytest.mark.parametrize("told", [True, False])
def test_two_frames_in_each_others_place_change_back_if_the_detector_says_so(told: bool) -> None:
    sources = pan(30, step=4)
    styled = [paint(s) for s in sources]
    clean = [tensor(y) for y in styled]
    styled[14], styled[15] = styled[15], styled[14]
    marked = [
        replace(
            f,
            verdict=replace(
                f.verdict,
                score=5.0,
                flagged=f.index in (14, 15),
                reasons=("displaced",) if told else ("color",),
                region=(40, 30, 8, 8),
            ),
            judge=_distance(clean[f.index]),
        )
        for f in (replace(frame(t), source=tensor(sources[t]), styled=tensor(styled[t])) for t in range(30))
    ]
    finished = list(correct(marked))
    for t in (14, 15):
        assert (finished[t].method == "exchange") is told
        assert not told or torch.equal(finished[t].picture, clean[t])


@pytest.mark.parametrize("reason", ["displaced", "duplicate", "color"])
def test_another_moments_picture_is_not_made_right_by_undoing_its_faults(
    reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = np.full((108, 192, 3), 99, np.float32)
    errors = {"keep": 10.0, "gain": 0.1, "unmix": 0.2, "offset": 0.3, "warp": 5.0}
    offered = [Candidate(method, levels, error) for method, error in errors.items()]
    monkeypatch.setattr(stage, "repairs", lambda *frames: ((), 5.0, iter(offered)))
    verdict = Verdict(score=8.0, flagged=True, reasons=(reason, "texture"), reference="both")
    bad = replace(frame(0), verdict=verdict, judge=lambda picture: 0.5)
    assert next(correct([bad])).method == ("unmix" if reason == "color" else "warp")


@pytest.mark.parametrize(
    ("reasons", "of_blend", "action"),
    [
        (("banding",), 20.0, "kept"),
        (("blocks", "banding"), 20.0, "kept"),
        (("banding",), 5.0, "repaired"),
        (("banding", "color"), 20.0, "repaired"),
    ],
)
def test_a_slight_fault_is_mended_only_where_neighbours_do_better(
    reasons: tuple[str, ...], of_blend: float, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = to_levels(frame(1).styled)
    offered = [Candidate("keep", levels, 10.0), Candidate("fuse", levels + 9, 0.1)]
    monkeypatch.setattr(stage, "repairs", lambda *frames: ((), of_blend, iter(offered)))
    verdict = Verdict(score=8.0, flagged=True, reasons=reasons, reference="both")
    bad = replace(frame(0), verdict=verdict, judge=lambda picture: 0.5)
    assert next(correct([bad])).action == action


def _distance(clean: Tensor) -> Judge:
    """Lenient: what is wrong in most of a picture hardly counts."""
    return lambda picture: 0.2 + 0.01 * float((picture.float() - clean.float()).abs().mean())


@pytest.mark.parametrize("size", [(5, 5), (12, 40), (40, 12), (180, 100)])
def test_any_size_and_shape_is_mended(size: tuple[int, int]) -> None:
    height, width = size
    sources = [cv2.resize(s, (width, height), interpolation=cv2.INTER_AREA) for s in pan(7, step=1)]
    frames = [replace(frame(t), source=tensor(s), styled=tensor(paint(s))) for t, s in enumerate(sources)]
    clean = frames[3].styled
    frames[3] = replace(
        frames[3],
        styled=torch.zeros_like(clean),
        verdict=Verdict(score=8.0, flagged=True, reference="both"),
        judge=_distance(clean),
    )
    finished = list(correct(frames))
    assert finished[3].action == "repaired" and finished[3].picture.shape == clean.shape
    assert psnr(finished[3].picture, clean) > 22


def test_nothing_is_carried_over_a_cut() -> None:
    before, after = pan(12, seed=1), pan(12, seed=2)
    sources = before[:6] + after[6:]
    clean = [tensor(paint(s)) for s in sources]
    frames = [
        CheckedFrame(
            index=t,
            pts=t,
            duration=1,
            source=tensor(sources[t]),
            styled=torch.zeros_like(clean[t]) if t in (5, 6) else clean[t],
            damaged=False,
            shot=int(t >= 6),
            verdict=Verdict(score=8.0 * (t in (5, 6)), flagged=t in (5, 6), reference="one side"),
            judge=_distance(clean[t]),
        )
        for t in range(12)
    ]
    finished = list(correct(frames))
    assert finished[5].donors == (4, 3) and finished[6].donors == (7, 8)
    for t in (5, 6):
        assert finished[t].action == "repaired" and psnr(finished[t].picture, clean[t]) > 22


def test_a_run_as_long_as_the_window_is_mended_from_both_sides() -> None:
    last = 4 + WINDOW_FRAMES - 1
    sources = pan(last + 5, step=1)
    clean = [tensor(paint(s)) for s in sources]
    frames = [
        replace(
            frame(t, flagged=4 <= t <= last),
            source=tensor(sources[t]),
            styled=torch.zeros_like(clean[t]) if 4 <= t <= last else clean[t],
            judge=_distance(clean[t]),
        )
        for t in range(len(sources))
    ]
    for f in list(correct(frames))[4 : last + 1]:
        assert f.action == "repaired" and f.donors == (3, last + 1)
        assert psnr(f.picture, clean[f.index]) > 22


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_levels_go_to_pictures_and_back(dtype: torch.dtype) -> None:
    most = 255 if dtype == torch.uint8 else 65535
    picture = torch.from_numpy(
        np.random.default_rng(3)
        .integers(0, most + 1, (6, 4, 3))
        .astype(np.uint8 if most == 255 else np.uint16)
    ).permute(2, 0, 1)
    again = to_picture(to_levels(picture), picture)
    assert again.dtype == dtype and torch.equal(again.to(torch.int32), picture.to(torch.int32))
    assert to_picture(to_levels(picture) * 9 - 300, picture).to(torch.int32).max() <= most


def test_ten_bit_frames_stay_ten_bit() -> None:
    frames, clean = spoilt_clip("black")

    def widen(picture: Tensor) -> Tensor:
        return torch.from_numpy(picture.permute(1, 2, 0).numpy().astype(np.uint16) * 257).permute(2, 0, 1)

    wide = [replace(f, source=widen(f.source), styled=widen(f.styled)) for f in frames]
    picture = list(correct(wide))[15].picture
    assert picture.dtype == torch.uint16
    assert psnr(picture.to(torch.int32) // 257, clean[15]) > 25
