"""The detector on whole clips: what it flags, what it leaves alone, and what its scores may not depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch

from vidstyle.correct.stage import MARGIN
from vidstyle.detect import CONTEXT_FRAMES, LOOK_AHEAD, REASONS, TrainedFusion, detect
from vidstyle.detect.analysis import analyse
from vidstyle.detect.decision import NAMES, STANDSTILL, THRESHOLD, Calm, corroborated, frozen, measure
from vidstyle.detect.displaced import answer, exchanged
from vidstyle.detect.temporal import Reference, Sight, look
from vidstyle.frames import Batch, CheckedFrame, Motion, StyledBatch
from vidstyle.models.load import load_features, load_fusion

from .painted_clip import FAULTS, batches, paint, pan, tensor


def check(sources: list, styled: list, **how: object) -> list[CheckedFrame]:
    return list(detect(batches(sources, styled, **how)))  # type: ignore[arg-type]


def flagged(frames: list[CheckedFrame]) -> list[int]:
    return [f.index for f in frames if f.verdict.flagged]


def test_a_clean_clip_passes_whole_in_order_and_unflagged() -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    frames = check(sources, styled)
    assert [f.index for f in frames] == list(range(30))
    assert [f.pts for f in frames] == [40 * i for i in range(30)]
    assert all(torch.equal(f.styled, tensor(y)) for f, y in zip(frames, styled, strict=True))
    assert flagged(frames) == []
    assert all(f.judge is None and f.verdict.reasons == () for f in frames)
    assert {f.verdict.reference for f in frames[4:-4]} == {"both"}
    assert frames[0].verdict.reference == frames[-1].verdict.reference == "one side"


@pytest.mark.parametrize("kind", FAULTS)
def test_a_spoilt_frame_is_flagged_for_the_right_reason_and_no_other_frame_is(kind: str) -> None:
    spoil, reason = FAULTS[kind]
    sources = pan(30)
    styled = [paint(s) for s in sources]
    clean, styled[20] = styled[20], spoil(styled[20])
    frames = check(sources, styled)
    assert flagged(frames) == [20]
    verdict, judge = frames[20].verdict, frames[20].judge
    assert reason in verdict.reasons
    assert set(verdict.reasons) <= set(REASONS)
    assert judge is not None
    assert judge(tensor(clean)) < 1 < verdict.score
    assert judge(frames[20].styled) == verdict.score


@pytest.mark.parametrize("at", [0, 1, 22, 23])
def test_faults_at_the_ends_of_a_clip_are_found(at: int) -> None:
    sources = pan(24)
    styled = [paint(s) for s in sources]
    styled[at] = FAULTS["strong noise"][0](styled[at])
    assert flagged(check(sources, styled)) == [at]


def test_a_run_of_bad_frames_is_found_and_its_neighbours_are_not_blamed() -> None:
    sources = pan(40)
    styled = [paint(s) for s in sources]
    for t in (18, 19, 20):
        styled[t] = FAULTS["darker"][0](styled[t])
    assert flagged(check(sources, styled)) == [18, 19, 20]


def test_good_frames_between_the_beginning_and_a_gross_run_are_not_blamed() -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    for t in range(3, 8):
        styled[t] = np.zeros_like(styled[t])
    assert flagged(check(sources, styled)) == [3, 4, 5, 6, 7]


@pytest.mark.parametrize("kind", ["darker", "blurred"])
@pytest.mark.parametrize("step", [0.4, 3])
@pytest.mark.parametrize("run", [range(14, 21), range(14, 22), range(25, 33)])
def test_a_long_run_of_one_fault_is_found_whole_and_alone(run: range, step: float, kind: str) -> None:
    sources = pan(36, step=step)
    styled = [paint(s) for s in sources]
    for t in run:
        styled[t] = FAULTS[kind][0](styled[t])
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    found = flagged(list(detect(batches(sources, styled), **networks)))  # type: ignore[arg-type]
    assert found == list(run)


@pytest.mark.parametrize("step", [0.4, 6])
def test_the_middle_of_a_run_is_found_where_it_looks_like_most_of_its_neighbours(step: float) -> None:
    sources = pan(32, step=step)
    styled = [paint(s) for s in sources]
    for t in range(14, 19):
        styled[t][20:80, 60:140] = cv2.GaussianBlur(styled[t], (0, 0), 1)[20:80, 60:140]
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    found = flagged(list(detect(batches(sources, styled), **networks)))  # type: ignore[arg-type]
    assert found == [14, 15, 16, 17, 18]


@pytest.mark.parametrize("step", [0.4, 3])
@pytest.mark.parametrize("run", [range(0), range(20, 27), range(24, 32)])
def test_a_long_run_in_a_dissolve_is_found_though_no_good_frame_shows_what_its_middle_does(
    run: range, step: float
) -> None:
    first, second = pan(46, seed=3, step=step), pan(46, seed=4, step=step)
    shares = np.clip((np.arange(46) - 17) / 16, 0, 1)
    sources = [
        np.rint((1 - share) * before.astype(float) + share * after).astype(np.uint8)
        for share, before, after in zip(shares, first, second, strict=True)
    ]
    styled = [paint(s) for s in sources]
    for t in run:
        styled[t] = FAULTS["darker"][0](styled[t])
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    assert flagged(list(detect(batches(sources, styled), **networks))) == list(run)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["darker", "blurred", "strong noise"])
@pytest.mark.parametrize("run", [range(26, 30), range(25, 30), range(30, 34), range(42, 46)])
def test_a_fault_that_lasts_to_the_end_of_a_shot_is_found_and_not_the_frames_before_it(
    kind: str, run: range
) -> None:
    sources = pan(30, seed=3, step=6) + pan(16, seed=4)
    styled = [paint(s) for s in sources]
    for t in run:
        styled[t] = FAULTS[kind][0](styled[t])
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    frames = list(detect(batches(sources, styled), **networks))  # type: ignore[arg-type]
    assert frames[29].shot != frames[30].shot
    assert flagged(frames) == list(run)


def test_trusted_pixels_too_scattered_for_any_cell_tell_nothing() -> None:
    planes = np.random.default_rng(0).normal(100, 9, (5, 54, 96)).astype(np.float32)
    supported = np.zeros((54, 96), bool)
    supported[::2, ::3] = True  # a sixth of every cell
    zeros, means = np.zeros_like(planes), np.zeros(5, np.float32)
    reference = Reference(planes, zeros, planes, planes, zeros, supported, 4, 4, 4, means, means, means)
    calm = Calm(contrast=np.ones(5, np.float32), spread=means, change=means)
    finding = measure(planes + 9, reference, lambda: np.zeros((10, 18, 32), np.float32), calm)
    assert np.isnan(finding.cues).all()
    assert finding.maps is None


def test_a_local_fault_has_its_place() -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    styled[15] = FAULTS["black square"][0](styled[15])
    region = check(sources, styled)[15].verdict.region
    assert region is not None
    x, y, w, h = region
    assert x <= 110 and y <= 40 and x + w >= 130 and y + h >= 50  # it covers the square ...
    assert w * h < 0.3 * 192 * 108  # ... and little else


def test_a_picture_shown_twice_over_a_moving_source_is_a_duplicate() -> None:
    sources = pan(30, step=3)
    styled = [paint(s) for s in sources]
    styled[20] = styled[19]
    frames = check(sources, styled)
    assert flagged(frames) == [20]
    assert "duplicate" in frames[20].verdict.reasons


def test_a_picture_held_through_a_dissolve_is_a_duplicate() -> None:
    sources = hard_clips()["dissolve"]
    styled = [paint(s) for s in sources]
    moving = [t for t in range(1, len(sources)) if np.abs(sources[t] - sources[t - 1]).mean() > 0.5]
    middle = moving[len(moving) // 2]
    styled[middle + 1 : middle + 4] = [styled[middle]] * 3
    assert flagged(check(sources, styled)) == [middle + 1, middle + 2, middle + 3]


def test_anything_is_better_than_a_blank_picture() -> None:
    sources = pan(30, step=3)
    styled = [paint(s) for s in sources]
    for t in (14, 15, 16):
        styled[t] = np.full_like(styled[t], 255)
    frames = check(sources, styled)
    assert flagged(frames) == [14, 15, 16]
    for frame in frames[14:17]:
        assert frame.judge is not None and frame.verdict.reasons[0] == "blank"
        wrong = 255 - styled[3]
        assert 1 < frame.judge(tensor(wrong)) < MARGIN * frame.verdict.score


def restless(count: int, step: float = 0.3) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A clip in a style that flickers so much that an older picture deviates no more than a good one."""
    sources = pan(count, step=step)
    chance = np.random.default_rng(5)
    shades = [cv2.resize(chance.normal(0, 12, (9, 16, 1)).astype(np.float32), (192, 108)) for _ in sources]
    styled = [paint(s) + shade[..., None] for s, shade in zip(sources, shades, strict=True)]
    return sources, [np.clip(y, 0, 255).astype(np.uint8) for y in styled]


def test_a_picture_that_was_not_painted_is_found_where_nothing_can_be_compared() -> None:
    sources, styled = restless(30)
    sources[14] = np.clip(sources[14] * 0.4 + 150, 0, 255).astype(np.uint8)  # a flash
    styled[14] = np.clip(styled[14] * 0.4 + 150, 0, 255).astype(np.uint8)
    assert flagged(check(sources, styled)) == []
    styled[14] = sources[14]
    frames = check(sources, styled)
    assert flagged(frames) == [14]
    assert frames[14].verdict.reference == "none" and frames[14].verdict.reasons[0] == "unpainted"


def test_a_style_that_paints_next_to_nothing_is_not_unpainted() -> None:
    sources = pan(30)
    assert flagged(check(sources, sources)) == []


def test_a_doubtful_frame_between_two_bad_ones_is_bad() -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    for t, shade in ((14, 14), (15, 4), (16, 14)):
        styled[t] = np.clip(styled[t].astype(int) - shade, 0, 255).astype(np.uint8)
    alone = [*styled]
    alone[14], alone[16] = (paint(sources[t]) for t in (14, 16))
    single, run = (check(sources, pictures)[15].verdict.score for pictures in (alone, styled))
    assert 0 < single < run
    frames = check(sources, styled)
    judge = frames[15].judge
    assert judge is None or judge(frames[15].styled) == frames[15].verdict.score


def test_a_part_of_an_older_picture_is_a_duplicate_however_the_style_flickers() -> None:
    sources, styled = restless(40)
    assert flagged(check(sources, styled)) == []
    clean = styled[20].copy()
    styled[20][60:] = styled[17][60:]
    frames = check(sources, styled)
    assert flagged(frames) == [20]
    verdict, judge = frames[20].verdict, frames[20].judge
    assert verdict.reasons[0] == "duplicate"
    assert verdict.region is not None and judge is not None
    assert verdict.region[0] == 0 and verdict.region[2] == 192
    assert abs(verdict.region[1] - 60) <= 12 and sum(verdict.region[1::2]) == 108
    assert judge(tensor(styled[20])) == verdict.score
    assert judge(tensor(clean)) < 1


def test_a_run_of_frames_with_a_part_of_an_older_picture_is_found_from_its_first_on() -> None:
    sources, styled = restless(40)
    for t in range(20, 24):
        styled[t][60:] = styled[19][60:]
    assert flagged(check(sources, styled)) == [20, 21, 22, 23]


def test_a_part_that_came_too_early_is_not_held_against_the_one_whose_it_is() -> None:
    sources = pan(40, step=4)
    styled = [paint(s) for s in sources]
    styled[20][60:] = styled[21][60:]
    assert flagged(check(sources, styled)) == [20]


def test_a_style_that_shows_every_picture_twice_is_animated_so() -> None:
    sources, styled = restless(40)
    twice = [styled[t - t % 2] for t in range(40)]
    assert not any("duplicate" in frame.verdict.reasons for frame in check(sources, twice))


def test_where_every_other_picture_is_held_that_alone_is_no_fault() -> None:
    moving, held = np.zeros(len(NAMES), np.float32), np.zeros(len(NAMES), np.float32)
    held[STANDSTILL] = 3
    assert frozen(held, np.stack([moving] * 9 + [held]))
    assert not frozen(held, np.stack([moving, held] * 5))
    assert not frozen(moving, np.stack([moving] * 9))


def test_two_pictures_in_each_others_place_are_displaced() -> None:
    sources = pan(30, step=1)
    styled = [paint(s) for s in sources]
    styled[14], styled[15] = styled[15], styled[14]
    frames = check(sources, styled)
    assert flagged(frames) == [14, 15]
    assert all("displaced" in frames[t].verdict.reasons for t in (14, 15))
    for t, other in ((14, 15), (15, 14)):
        judge = frames[t].judge
        assert judge is not None
        assert judge(tensor(styled[other])) < 1, "the same picture beside it is to be mended, too"


def test_two_pictures_of_a_restless_style_in_each_others_place_are_displaced() -> None:
    chance = np.random.default_rng(3)
    sources = [np.clip(s + chance.normal(0, 3, s.shape), 0, 255).astype(np.uint8) for s in pan(30, step=0)]
    styled = [np.clip(128 + 4.0 * (s - cv2.blur(s, (9, 9)).astype(np.float32)), 0, 255) for s in sources]
    styled = [y.astype(np.uint8) for y in styled]
    assert flagged(check(sources, styled)) == []
    styled[14], styled[15] = styled[15], styled[14]
    frames = check(sources, styled)
    assert flagged(frames) == [14, 15]
    assert all(frames[t].verdict.reasons[0] == "displaced" for t in (14, 15))


@pytest.mark.parametrize("kind", FAULTS)
def test_a_good_frame_was_not_exchanged_with_a_spoilt_one(kind: str) -> None:
    sources = pan(30, step=2)
    styled = [paint(s) for s in sources]
    styled[14] = FAULTS[kind][0](styled[14])
    assert not any("displaced" in frame.verdict.reasons for frame in check(sources, styled))


def test_pictures_cannot_be_called_exchanged_where_little_is_known() -> None:
    sources = pan(8)
    seen: list[Sight] = []
    for s in sources:
        still = np.zeros((108, 192, 2), np.float32)
        planes = (analyse(tensor(picture)).planes for picture in (s, paint(s)))
        seen.append(look(*planes, Motion(still, still, cut=False, shot=0), seen[-1] if seen else None))
    swapped = [replace(seen[t], styled=seen[other].styled) for t, other in ((3, 4), (4, 3))]
    usual = [answer(*seen[t : t + 2]) for t in (0, 1, 5, 6)]
    right, wrong = (answer(*pair) for pair in (seen[3:5], swapped))
    assert exchanged(*swapped, seen[2], seen[5], found=wrong, usual=usual)
    assert exchanged(*swapped, None, seen[5], found=wrong, usual=usual)
    assert exchanged(*swapped, seen[2], None, found=wrong, usual=usual)
    assert not exchanged(*seen[3:5], seen[2], seen[5], found=right, usual=usual)
    assert not exchanged(*swapped, None, None, found=wrong, usual=usual)
    assert not exchanged(*swapped, seen[2], seen[5], found=wrong, usual=usual[:3])
    unlike = [a * s for a, s in zip(usual, (1, -1, 1, -1), strict=True)]
    assert not exchanged(*swapped, seen[2], seen[5], found=wrong, usual=unlike)


def hard_clips() -> dict[str, list]:
    moving = pan(40)
    flash = [
        np.clip(f * 1.7 + 45.0, 0, 255).astype(np.uint8) if 18 <= t < 20 else f for t, f in enumerate(moving)
    ]
    strobe = [
        np.clip(f * 1.3 + 18.0, 0, 255).astype(np.uint8) if t % 3 == 0 else f for t, f in enumerate(moving)
    ]
    rng = np.random.default_rng(2)
    return {
        "cut": moving[:17] + pan(23, seed=1),
        "flash": flash,
        "strobe": strobe,
        "fade": [(f * min(1.0, abs(t - 20) / 10)).astype(np.uint8) for t, f in enumerate(moving)],
        "dissolve": [
            cv2.addWeighted(a, 1 - k, b, k, 0)
            for t, (a, b) in enumerate(zip(moving, pan(40, seed=1), strict=True))
            for k in (float(np.clip((t - 12) / 12, 0, 1)),)
        ],
        "frozen": moving[:15] + [moving[15]] * 12 + moving[15:28],
        "repeats": [moving[t - (t % 4 == 3)] for t in range(40)],
        "exposure step": [f if t < 20 else (f * 0.72).astype(np.uint8) for t, f in enumerate(moving)],
        "grain": [np.clip(f * 0.5 + rng.normal(0, 9, f.shape), 0, 255).astype(np.uint8) for f in moving],
        "lone frames": [f for seed in range(8) for f in pan(1 + seed % 3, seed=seed)],
    }


@pytest.mark.parametrize("event", hard_clips())
def test_what_happens_in_the_source_is_no_fault(event: str) -> None:
    sources = hard_clips()[event]
    assert flagged(check(sources, [paint(s) for s in sources])) == []


def crushed(frame: np.ndarray) -> np.ndarray:
    """A style whose blacks are one black."""
    return np.clip(1.25 * paint(frame).astype(np.float32) - 40, 0, 255).astype(np.uint8)


def bleached(frame: np.ndarray) -> np.ndarray:
    """A style that draws on white paper: only what is dark leaves a mark."""
    return np.clip(1.6 * paint(frame).astype(np.float32), 0, 235).astype(np.uint8)


@pytest.mark.parametrize(("style", "end"), [(crushed, 0), (bleached, 255), (paint, 0), (paint, 255)])
def test_a_picture_that_fades_away_is_not_blank_by_fault(style: Callable, end: int) -> None:
    sources = [
        np.rint(f + np.clip((t - 14) / 16, 0, 1) * (end - f.astype(np.float32))).astype(np.uint8)
        for t, f in enumerate(pan(44))
    ]
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    frames = detect(batches(sources, [style(s) for s in sources]), **networks)  # type: ignore[arg-type]
    assert flagged(list(frames)) == []


@pytest.mark.parametrize("level", [0, 255])
def test_noise_on_a_card_of_one_colour_is_found(level: int) -> None:
    sources = [np.full((108, 192, 3), level, np.uint8)] * 30
    styled = [paint(s) for s in sources]
    styled[17] = FAULTS["strong noise"][0](styled[17])
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    assert flagged(list(detect(batches(sources, styled), **networks))) == [17]  # type: ignore[arg-type]


def test_a_network_in_doubt_gives_way_to_overwhelming_evidence() -> None:
    strong, middling = (np.full(len(NAMES), k * THRESHOLD, np.float32) for k in (3.5, 1.2))
    assert corroborated(0.6, strong) > 1
    assert 0.6 <= corroborated(0.6, middling) < 1
    assert corroborated(0.05, strong) == 0.05


def test_scores_do_not_depend_on_the_batch_size() -> None:
    sources = pan(30)
    styled = [paint(s) for s in sources]
    styled[12] = FAULTS["cast"][0](styled[12])
    runs = [[f.verdict.score for f in check(sources, styled, size=size)] for size in (1, 7, 30)]
    assert runs[0] == runs[1] == runs[2]


def test_scores_do_not_depend_on_where_the_run_began() -> None:
    start, count = 5, CONTEXT_FRAMES + 15
    sources = pan(count, step=0.7)
    styled = [paint(s) for s in sources]
    for t in (40, CONTEXT_FRAMES + 8):
        styled[t] = FAULTS["brighter"][0](styled[t])
    whole = {f.index: f.verdict for f in check(sources, styled)}
    late = {f.index: f.verdict for f in check(sources, styled, first=start)}
    same = range(start + CONTEXT_FRAMES, count)
    assert len(same) == 10
    assert [late[t] for t in same] == [whole[t] for t in same]
    assert late[CONTEXT_FRAMES + 8].flagged


def test_the_look_ahead_is_bounded() -> None:
    sources = pan(30)
    read = 0

    def counted() -> object:
        nonlocal read
        for batch in batches(sources, [paint(s) for s in sources], size=1):
            read += 1
            yield batch

    for given, _ in enumerate(detect(counted())):  # type: ignore[arg-type]
        assert read <= min(30, given + 1 + LOOK_AHEAD)


def test_without_neighbours_only_what_is_certain_is_flagged() -> None:
    sources = pan(1)
    wrong = FAULTS["strong noise"][0](paint(sources[0]))
    (frame,) = check(sources, [wrong])
    assert not frame.verdict.flagged and frame.verdict.reference == "none"
    (frame,) = check(sources, [np.zeros_like(wrong)])
    assert frame.verdict.flagged and frame.verdict.reasons == ("blank",)
    (frame,) = check(sources, [paint(sources[0])], invalid={0: "nonfinite"})
    assert frame.verdict.flagged and frame.verdict.reasons == ("invalid",)


def test_ten_bit_pictures_are_judged_alike() -> None:
    sources = pan(16)
    styled = [paint(s) for s in sources]
    styled[8] = FAULTS["darker"][0](styled[8])
    eight = check(sources, styled)
    wide = []
    for batch in batches(sources, styled):
        source = batch.source
        fields = {k: getattr(source, k) for k in ("indices", "pts", "durations", "damaged", "motion")}
        pixels, pictures = (
            torch.from_numpy(x.permute(0, 2, 3, 1).numpy().astype(np.uint16) * 257).permute(0, 3, 1, 2)
            for x in (source.pixels, batch.pictures)
        )
        wide.append(StyledBatch(Batch(pixels=pixels, **fields), pictures, batch.invalid))
    sixteen = list(detect(wide))
    assert flagged(sixteen) == flagged(eight) == [8]
    for a, b in zip(eight, sixteen, strict=True):
        assert a.verdict.score == pytest.approx(b.verdict.score, rel=0.05, abs=0.05)


def test_a_higher_threshold_flags_less() -> None:
    sources = pan(24)
    styled = [paint(s) for s in sources]
    styled[12] = FAULTS["darker"][0](styled[12])
    frames, strict = (list(detect(batches(sources, styled), threshold=t)) for t in (1.0, 1e6))
    assert flagged(frames) == [12] and flagged(strict) == []
    assert strict[12].verdict.score == pytest.approx(frames[12].verdict.score / 1e6)


def test_batches_without_motion_are_refused() -> None:
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    batch = StyledBatch(Batch((0,), (0,), (1,), picture, (False,)), picture, (None,))
    with pytest.raises(ValueError, match="track_motion"):
        list(detect([batch]))


@pytest.mark.parametrize("size", [(8, 8), (16, 200), (2, 2), (33, 47)])
def test_odd_and_tiny_pictures_are_judged(size: tuple[int, int]) -> None:
    sources = [cv2.resize(f, size) for f in pan(14)]
    frames = check(sources, [paint(s) for s in sources])
    assert [f.index for f in frames] == list(range(14))
    assert all(np.isfinite(f.verdict.score) and f.verdict.score >= 0 for f in frames)
    assert all(a.pts < b.pts for a, b in pairwise(frames))


def test_a_frame_can_still_be_judged_when_the_clip_is_long_over() -> None:
    sources = pan(30)
    still = [sources[-1]] * 90
    styled = [paint(s) for s in sources]
    styled[15] = FAULTS["strong noise"][0](styled[15])
    networks = {"features": load_features(), "fusion": TrainedFusion(load_fusion())}
    frames = detect(batches(sources + still, styled + [paint(s) for s in still]), **networks)  # type: ignore[arg-type]
    for frame in frames:
        if frame.verdict.flagged:
            bad, judge, again = frame, frame.judge, frame.judge(frame.styled)  # type: ignore[misc]
    assert bad.index == 15
    assert judge is not None
    assert judge(bad.styled) == again == bad.verdict.score
