"""The marks of a picture as a texture, and the painter that fills its calm parts with them."""

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.unit.test_guides import SIZE, motion, scene, still
from tests.unit.test_stylize import make_batch, painter_for
from vidstyle.guides import STROKES, TABLE, StrokeField
from vidstyle.models import quilt
from vidstyle.models.blend import Blend
from vidstyle.models.generator import Generator
from vidstyle.models.marked import Marked
from vidstyle.models.quilt import SIDE, Texture, texture_of


def hatched(degrees: float, side: int = 200, contrast: float = 60.0) -> np.ndarray:
    """Parallel strokes of a period of six pixels, in reddish brown."""
    angle = math.radians(degrees)
    y, x = np.mgrid[:side, :side]
    wave = np.sin((x * math.cos(angle) + y * math.sin(angle)) * 2 * math.pi / 6)
    colour = np.array((1.0, 0.6, 0.4))
    return np.clip(128 + contrast * wave[..., None] * colour, 0, 255).astype(np.uint8)


def across(table: np.ndarray) -> float:
    """In degrees, the direction in which a texture changes most."""
    gy, gx = np.gradient(table)
    return math.degrees(0.5 * math.atan2(2 * (gx * gy).mean(), (gx * gx - gy * gy).mean()))


@pytest.mark.parametrize("degrees", [-60, -25, 0, 40])
def test_a_texture_has_the_marks_of_the_picture(degrees: float) -> None:
    texture = texture_of(hatched(degrees))
    assert texture is not None
    assert abs(across(texture.table) - degrees) < 6
    assert texture.table.mean() == pytest.approx(0, abs=1e-4)
    assert texture.table.std() == pytest.approx(1, abs=1e-3)
    assert texture.colour[0] > texture.colour[1] > texture.colour[2] > 0
    luma = 60 / 255 * (0.299 + 0.6 * 0.587 + 0.4 * 0.114) / math.sqrt(2)
    assert texture.strength == pytest.approx(luma, rel=0.2)


def test_it_is_periodic_and_the_same_every_time() -> None:
    texture, again = (texture_of(hatched(30)) for _ in range(2))
    assert texture is not None
    assert again is not None
    np.testing.assert_array_equal(texture.table, again.table)
    assert texture.table.shape == (SIDE, SIDE) == (TABLE, TABLE)
    inside = np.square(np.diff(texture.table, axis=1)).mean()
    assert np.square(texture.table[:, 0] - texture.table[:, -1]).mean() < 2 * inside


def test_what_a_picture_depicts_is_not_in_it() -> None:
    """One large disc on a hatched ground: no place of the texture has its outline as strong as the picture."""
    picture = hatched(45, 400, 12)
    y, x = np.mgrid[:400, :400]
    picture[(x - 200) ** 2 + (y - 200) ** 2 < 120**2] //= 4
    texture = texture_of(picture)
    assert texture is not None
    assert np.abs(texture.table).max() * texture.strength < 0.25
    assert texture.strength < 0.08


def test_what_is_there_only_once_is_no_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign of strokes that cross all others, in a corner of a hatched picture."""
    picture = hatched(45, 400, 40)
    picture[40:100, 40:100] = hatched(135, 60, 40)

    def crossing() -> float:
        texture = texture_of(picture)
        assert texture is not None
        gy, gx = np.gradient(texture.table)
        return float((cv2.blur(gx * gy, (9, 9)) < 0).mean())

    assert crossing() == 0
    monkeypatch.setattr(quilt, "TYPICAL", 1.0)
    assert crossing() > 0, "otherwise it would be one"


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_flat_picture_has_no_marks(level: int) -> None:
    assert texture_of(np.full((80, 90, 3), level, np.uint8)) is None


@settings(max_examples=15, deadline=None)
@given(st.integers(64, 140), st.integers(64, 140), st.integers(0, 99))
def test_any_picture_that_is_large_enough_gives_a_whole_texture(height: int, width: int, seed: int) -> None:
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    texture = texture_of(picture)
    assert texture is not None
    assert np.isfinite(texture.table).all()
    assert np.isfinite(texture.colour).all()


def plain() -> Generator:
    """Paints what it sees."""
    network = Generator(channels=8, blocks=1, edge_channels=8).eval().requires_grad_(False)
    network.out.weight.zero_()
    return network


def marked(strength: float = 0.1) -> Marked:
    colour = np.array((1.2, 1.0, 0.5), np.float32)
    table = np.random.default_rng(0).standard_normal((SIDE, SIDE)).astype(np.float32)
    return Marked(plain(), Texture(table, strength, colour)).eval()


def guides(like: Tensor) -> Tensor:
    return torch.randn(len(like), 2, *like.shape[2:], generator=torch.Generator().manual_seed(1))


def test_calm_parts_are_filled_and_lively_ones_stay() -> None:
    random = torch.Generator().manual_seed(0)
    frames = torch.full((1, 3, 128, 256), 0.5)
    frames[..., 160:] += 0.3 * torch.randn(1, 1, 128, 96, generator=random)
    frames = frames.clamp(0, 1)
    planes = guides(frames)
    network = marked(0.06)
    added = network(frames, planes) - network.base(frames, planes[:, :1])
    expected = 0.06 * planes[:, 1:] * torch.tensor((1.2, 1.0, 0.5)).view(1, 3, 1, 1)
    torch.testing.assert_close(added[..., :96], expected[..., :96], atol=1e-5, rtol=0)
    assert added[..., 208:].abs().mean() < 0.02 * expected[..., 208:].abs().mean()


def test_marks_fade_towards_what_is_lively() -> None:
    frames = torch.full((1, 3, 128, 256), 0.5)
    frames[..., 192:] = (torch.arange(64) // 2 % 2).float()
    planes = torch.ones(1, 2, 128, 256)
    network = marked()
    added = (network(frames, planes) - network.base(frames, planes[:, :1]))[0, 1].mean(0)
    assert added[:160].min() > 0.0999
    assert added[188:].max() < 0.02
    assert (added[160:188].diff() <= 1e-6).all()


def test_tiles_see_as_much_as_the_marks_need() -> None:
    network = marked()
    reach = network.context_pixels
    frames = torch.rand(1, 3, 64, 512, generator=torch.Generator().manual_seed(0))
    other = frames.clone()
    other[..., : 256 - reach] = 0
    planes = guides(frames)
    torch.testing.assert_close(
        network(frames, planes)[..., 256:], network(other, planes)[..., 256:], atol=1e-6, rtol=0
    )


def test_tiles_leave_no_seam() -> None:
    batch = make_batch(1, 330, 410)
    batch.pixels[..., 100:300] = 128
    whole = painter_for(batch, marked()).paint(batch).pictures.int()
    tiled = painter_for(batch, marked(), tile=150).paint(batch).pictures.int()
    assert (whole - tiled).abs().max() <= 1


def test_a_blend_gives_each_painter_its_own_marks() -> None:
    one, two = marked(0.1), marked(0.2)
    blend = Blend([(one, [1]), (plain(), [0]), (two, [0])], 2, [0.5, 0.2, 0.3])
    assert [id(table) for table in blend.marks] == [id(one.marks[0]), id(two.marks[0])]
    frames = torch.full((1, 3, 64, 64), 0.5)
    planes = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(2))
    expected = 0.5 * one(frames, planes[:, [1, 2]]) + 0.2 * plain()(frames, planes[:, :1])
    expected += 0.3 * two(frames, planes[:, [0, 3]])
    torch.testing.assert_close(blend(frames, planes), expected)


def test_marks_travel_with_the_motion_like_other_textures() -> None:
    texture = texture_of(hatched(20))
    assert texture is not None
    table = torch.from_numpy(texture.table)
    frames = torch.cat([scene(2 * i) for i in range(5)])
    moving = [motion(cut=True)] + [motion(dx=2) for _ in range(4)]
    fields = StrokeField(SIZE, planes=(STROKES, "paper"), marks=(table,))(frames, moving, range(5))
    alone = StrokeField(SIZE, planes=(STROKES, "paper"))(frames, moving, range(5))
    torch.testing.assert_close(fields[:, :2], alone)
    marks = fields[:, 2]
    torch.testing.assert_close(marks[4, :, 8:-16], marks[0, :, 16:-8], atol=0.05, rtol=0)
    standing = StrokeField(SIZE, planes=(), marks=(table,))(scene().repeat(3, 1, 1, 1), still(3), range(3))
    torch.testing.assert_close(standing[0], standing[2])
