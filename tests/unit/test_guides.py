"""The stroke field: where strokes point, that they travel with the picture, and that nothing is remembered too long."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from vidstyle.frames import Motion
from vidstyle.guides import (
    ANGLES,
    LINES,
    PERIOD,
    STROKES,
    TABLE,
    TEXTURES,
    StrokeField,
    stroke_table,
    texture_table,
)

SIZE = WIDTH, HEIGHT = 160, 96


def scene(offset: int = 0) -> Tensor:
    """A textured picture [1, 3, H, W]; a larger offset shows what lies farther right."""
    noise = np.random.default_rng(1).random((HEIGHT, 2 * WIDTH), np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), 3)
    noise = (noise - noise.min()) / (noise.max() - noise.min())
    return torch.from_numpy(noise[:, offset : offset + WIDTH].copy()).expand(1, 3, -1, -1).contiguous()


def motion(dx: float = 0.0, dy: float = 0.0, *, cut: bool = False) -> Motion:
    flow = np.empty((HEIGHT, WIDTH, 2), np.float32)
    flow[:] = dx, dy
    return Motion(flow, -flow, cut, 0)


def still(count: int) -> list[Motion]:
    return [motion(cut=i == 0) for i in range(count)]


def test_the_table_is_noise_along_lines() -> None:
    table = stroke_table(torch.device("cpu"))[0, 0].reshape(ANGLES, TABLE + 1, TABLE + 1)[:, :TABLE, :TABLE]
    torch.testing.assert_close(table.std((1, 2)), torch.ones(ANGLES), atol=1e-3, rtol=0)
    across, along = table.diff(dim=1).square().mean((1, 2)), table.diff(dim=2).square().mean((1, 2))
    assert along[ANGLES // 2] < 0.1 * across[ANGLES // 2], "the middle plane runs along x"
    assert across[0] < 0.1 * along[0], "the first plane runs along y"


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 120, 150])
def test_strokes_follow_the_edges(angle: int) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    radians = math.radians(angle)
    stripes = 0.5 + 0.4 * np.sin((x * math.sin(radians) - y * math.cos(radians)) / 3)
    picture = torch.from_numpy(stripes.astype(np.float32)).expand(1, 3, -1, -1)
    field = StrokeField(SIZE)(picture, still(1), [0])[0, 0, 16:-16, 16:-16].numpy()
    gy, gx = np.gradient(field)
    gradient = 0.5 * math.atan2(2 * (gx * gy).sum(), (gx * gx).sum() - (gy * gy).sum())
    off = (math.degrees(gradient) + 90 - angle + 90) % 180 - 90
    assert abs(off) < 12


def test_its_deviation_is_about_one_and_its_mean_zero() -> None:
    field = StrokeField(SIZE)(scene(), still(1), [0])
    assert field.shape == (1, 1, HEIGHT, WIDTH)
    assert field.dtype == torch.float32
    assert 0.6 < field.std() < 1.3
    assert abs(field.mean()) < 0.15


def test_a_still_camera_shows_a_still_field() -> None:
    count = PERIOD + 4
    fields = StrokeField(SIZE)(scene().expand(count, -1, -1, -1), still(count), range(count))
    torch.testing.assert_close(fields, fields[:1].expand_as(fields), atol=2e-3, rtol=0)


def test_noise_in_the_flow_of_a_still_picture_moves_nothing() -> None:
    random = np.random.default_rng(0)
    jitter = [motion(cut=True)]
    for _ in range(20):
        flow = random.normal(0, 0.02, (HEIGHT, WIDTH, 2)).astype(np.float32)
        jitter.append(Motion(flow, -flow, False, 0))
    fields = StrokeField(SIZE)(scene().expand(21, -1, -1, -1), jitter, range(21))
    torch.testing.assert_close(fields[-1], fields[0], atol=2e-3, rtol=0)


def test_where_the_camera_stands_still_only_what_changes_moves() -> None:
    """A thing that moves before a still wall carries its strokes along; flow that wavers on the wall moves none."""
    wavering = torch.from_numpy(np.random.default_rng(2).normal(0, 1, (2, HEIGHT // 16, WIDTH // 16)))
    wavering = torch.nn.functional.interpolate(wavering.float()[None], (HEIGHT, WIDTH), mode="bicubic")[0]
    wall = scene()
    wall[..., : HEIGHT // 3, :] = 0.5
    frames, flows = [], []
    for step in range(6):
        frame, back = wall.clone(), torch.zeros(2, HEIGHT, WIDTH)
        back[:, : HEIGHT // 3] = (1 if step % 2 else -1) * wavering[:, : HEIGHT // 3]
        frame[..., 64:, 2 * step : 48 + 2 * step] = scene(100)[..., 64:, :48]
        back[0, 64:, 2 * step : 48 + 2 * step] = -2
        frames.append(frame)
        flows.append(back.permute(1, 2, 0).numpy())
    motions = [Motion(back, -back, i == 0, 0) for i, back in enumerate(flows)]
    planes = StrokeField(SIZE)(torch.cat(frames), motions, range(6))
    torch.testing.assert_close(planes[5, :, :24], planes[0, :, :24], atol=0.1, rtol=0)
    carried, before = planes[5, 0, 72:92, 18:50], planes[0, 0, 72:92, 8:40]
    assert torch.corrcoef(torch.stack((carried.flatten(), before.flatten())))[0, 1] > 0.8


def test_one_frame_of_wrong_flow_does_not_end_the_rest() -> None:
    frames = scene().expand(8, -1, -1, -1)
    motions = [*still(7), motion(3.0, 1.0)]
    planes = StrokeField(SIZE)(frames, motions, range(8))
    torch.testing.assert_close(planes[7], planes[6], atol=0.1, rtol=0)


def test_where_the_camera_moves_plain_parts_move_too() -> None:
    wall = [scene(4 * step) for step in range(4)]
    for frame in wall:
        frame[..., : HEIGHT // 2, :] = 0.5
    motions = [motion(cut=True), *(motion(4.0) for _ in range(3))]
    planes = StrokeField(SIZE)(torch.cat(wall), motions, range(4))
    here, before = planes[3, 0, 4:36, 8:-24], planes[0, 0, 4:36, 20:-12]
    assert torch.corrcoef(torch.stack((here.flatten(), before.flatten())))[0, 1] > 0.8


def test_strokes_travel_with_the_picture() -> None:
    """A pan of 3 pixels a frame: the field moves by 3 pixels, where a field fixed to the screen would not at all."""
    count, step = 12, 3
    frames = torch.cat([scene(step * i) for i in range(count)])
    moving = [motion(cut=True)] + [motion(dx=step) for _ in range(count - 1)]
    fields = StrokeField(SIZE)(frames, moving, range(count))[:, 0, 16:-16, 16:-16]
    carried = (fields[:-1, :, step:] - fields[1:, :, :-step]).square().mean()
    stuck = (fields[:-1] - fields[1:]).square().mean()
    assert carried < 0.03
    assert stuck > 10 * carried


@pytest.mark.parametrize("start", [5, 20])
def test_a_start_in_mid_video_is_exact_after_the_context(start: int) -> None:
    count = start + PERIOD + 6
    frames = torch.cat([scene(i % 9) for i in range(count)])
    moving = [motion(cut=True)] + [motion(dx=(i + 1) % 9 - i % 9, dy=0.3) for i in range(count - 1)]
    whole = StrokeField(SIZE)(frames, moving, range(count))
    late = StrokeField(SIZE)(frames[start:], [motion(cut=True), *moving[start + 1 :]], range(start, count))
    assert torch.equal(late[StrokeField.CONTEXT_FRAMES :], whole[start + StrokeField.CONTEXT_FRAMES :])
    assert not torch.equal(late[3], whole[start + 3])


def test_batch_size_does_not_matter() -> None:
    frames = torch.cat([scene(2 * i) for i in range(7)])
    moving = [motion(cut=True)] + [motion(dx=2) for _ in range(6)]
    whole = StrokeField(SIZE)(frames, moving, range(7))
    field = StrokeField(SIZE)
    parts = [field(frames[a:b], moving[a:b], range(a, b)) for a, b in ((0, 1), (1, 4), (4, 7))]
    assert torch.equal(torch.cat(parts), whole)


def test_a_cut_forgets_everything() -> None:
    frames = torch.cat([scene(0), scene(4), scene(100)])
    moving = [motion(cut=True), motion(dx=4), motion(cut=True)]
    after = StrokeField(SIZE)(frames, moving, range(20, 23))[2]
    fresh = StrokeField(SIZE)(frames[2:], moving[2:], [22])[0]
    assert torch.equal(after, fresh)


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (321, 40), (1000, 20)])
def test_odd_sizes_and_small_grids(size: tuple[int, int]) -> None:
    width, height = size
    scale = min(1.0, 320 / max(size))
    flow = np.full((max(8, round(height * scale)), max(8, round(width * scale)), 2), 1.0, np.float32)
    frames = torch.rand(3, 3, height, width)
    moving = [Motion(flow, -flow, i == 0, 0) for i in range(3)]
    field = StrokeField(size)(frames, moving, range(3))
    assert field.shape == (3, 1, height, width)
    assert torch.isfinite(field).all()


def test_flat_black_pictures_have_a_field_too() -> None:
    field = StrokeField(SIZE)(torch.zeros(1, 3, HEIGHT, WIDTH), still(1), [0])
    assert torch.isfinite(field).all()
    assert field.std() > 0.3


def test_strokes_grow_with_large_pictures() -> None:
    def fineness(size: tuple[int, int]) -> float:
        flat = torch.full((1, 3, size[1], size[0]), 0.5)
        moving = [Motion(np.zeros((64, 64, 2), np.float32), np.zeros((64, 64, 2), np.float32), True, 0)]
        field = StrokeField(size)(flat, moving, [0])
        return float(field.diff(dim=2).square().mean() / field.square().mean())

    assert fineness((1280, 1280)) < 0.5 * fineness((640, 640))
    assert fineness((320, 320)) == pytest.approx(fineness((640, 640)), rel=0.15)


def test_things_that_pass_each_other_leave_no_crumpled_strokes() -> None:
    """The left half moves towards the right one for a while: between them the noise is squeezed to nothing."""
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[:, : WIDTH // 2, 0], flow[:, WIDTH // 2 :, 0] = -3, 3
    moving = [motion(cut=True)] + [Motion(flow, -flow, False, 0)] * 8
    fields = StrokeField(SIZE)(scene().expand(9, -1, -1, -1), moving, range(2, 11))
    seam = slice(WIDTH // 2 - 2, WIDTH // 2 + 2)
    assert fields[-1, 0, :, seam].std() < 0.4 * fields[0, 0, :, seam].std()
    assert fields[-1, 0, :, :40].std() > 0.7 * fields[0, 0, :, :40].std()


def test_the_origin_chooses_another_piece_of_the_noise() -> None:
    first = StrokeField(SIZE)(scene(), still(1), [0])
    second = StrokeField(SIZE, origin=(100.5, 37.25))(scene(), still(1), [0])
    assert (first - second).abs().mean() > 0.3


ALL_PLANES = (STROKES, LINES, *TEXTURES)


def test_textures_are_noise_with_a_grain_of_their_own() -> None:
    table = texture_table(tuple(TEXTURES), (), torch.device("cpu"))[0]
    torch.testing.assert_close(
        table[:, :TABLE, :TABLE].std((1, 2)), torch.ones(len(TEXTURES)), atol=1e-3, rtol=0
    )
    torch.testing.assert_close(table[:, 0], table[:, -1])
    roughness = dict(zip(TEXTURES, table.diff(dim=2).square().mean((1, 2)).tolist(), strict=True))
    assert roughness["blotches"] < 0.02 < roughness["paper"]
    hatch, across = table[:2]
    # The one direction of pencil strokes falls from right to left, the other from left to right.
    for plane, sense in ((hatch, -1), (across, 1)):
        along = (plane[1:, 1:] - plane[:-1, :-1]).square().mean()
        against = (plane[1:, :-1] - plane[:-1, 1:]).square().mean()
        assert (against - along) * sense > 0.2 * (against + along)


def test_planes_come_in_their_order_and_strokes_are_the_same_beside_others() -> None:
    frames = torch.cat([scene(2 * i) for i in range(5)])
    moving = [motion(cut=True)] + [motion(dx=2) for _ in range(4)]
    fields = StrokeField(SIZE, planes=ALL_PLANES)(frames, moving, range(5))
    assert fields.shape == (5, len(ALL_PLANES), HEIGHT, WIDTH)
    for k, name in enumerate(ALL_PLANES):
        alone = StrokeField(SIZE, planes=(name,))(frames, moving, range(5))
        assert torch.equal(alone[:, 0], fields[:, k])
    assert StrokeField(SIZE, planes=())(frames, moving, range(5)).shape == (5, 0, HEIGHT, WIDTH)


@pytest.mark.parametrize("planes", [("paint",), ("lines", "strokes"), ("paper", "hatch"), ("paper", "paper")])
def test_planes_unknown_or_out_of_order_are_refused(planes: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="in this order"):
        StrokeField(SIZE, planes=planes)


@pytest.mark.parametrize("name", TEXTURES)
def test_textures_travel_with_the_picture(name: str) -> None:
    count, step = 12, 3
    frames = torch.cat([scene(step * i) for i in range(count)])
    moving = [motion(cut=True)] + [motion(dx=step) for _ in range(count - 1)]
    planes = StrokeField(SIZE, planes=(name,))(frames, moving, range(count))[:, 0, 16:-16, 16:-16]
    carried = (planes[:-1, :, step:] - planes[1:, :, :-step]).square().mean()
    stuck = (planes[:-1] - planes[1:]).square().mean()
    assert stuck > 8 * carried


def test_all_planes_are_exact_after_the_context() -> None:
    start = 7
    count = start + PERIOD + 4
    frames = torch.cat([scene(i % 9) for i in range(count)])
    moving = [motion(cut=True)] + [motion(dx=(i + 1) % 9 - i % 9, dy=0.3) for i in range(count - 1)]
    whole = StrokeField(SIZE, planes=ALL_PLANES)(frames, moving, range(count))
    begun = [motion(cut=True), *moving[start + 1 :]]
    late = StrokeField(SIZE, planes=ALL_PLANES)(frames[start:], begun, range(start, count))
    assert torch.equal(late[StrokeField.CONTEXT_FRAMES :], whole[start + StrokeField.CONTEXT_FRAMES :])


def test_the_line_map_shows_thin_dark_things_and_nothing_where_it_is_flat() -> None:
    picture = torch.full((1, 3, HEIGHT, WIDTH), 0.7)
    picture[..., 40] = 0.4
    lines = StrokeField(SIZE, planes=(LINES,))(picture, still(1), [0])[0, 0]
    assert (lines[:, 40] > 2).all()
    assert lines[:, 60:].abs().max() < 1e-4
    assert lines.abs().max() < 4


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu() -> None:
    frames = torch.cat([scene(2 * i) for i in range(3)])
    moving = [motion(cut=True), motion(dx=2), motion(dx=2)]
    on_cpu = StrokeField(SIZE)(frames, moving, range(3))
    on_card = StrokeField(SIZE, "cuda")(frames.cuda(), moving, range(3)).cpu()
    torch.testing.assert_close(on_card, on_cpu, atol=0.02, rtol=0)
