from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from vidstyle.device import DeviceChoice, choose_device
from vidstyle.errors import ResourceError
from vidstyle.frames import Batch, CheckedFrame, Motion, Verdict
from vidstyle.models.blend import PaintNetwork
from vidstyle.models.generator import Generator
from vidstyle.stylize import Look, Painter, keep_color, padded, tiles, to_integers, to_unit

CPU = DeviceChoice(torch.device("cpu"), torch.float32, "cpu (test)")


def small_network() -> Generator:
    torch.manual_seed(0)
    network = Generator(channels=8, blocks=1, edge_channels=8).eval().requires_grad_(False)
    for parameter in network.parameters():  # far from the identity it starts as
        parameter.mul_(2)
    return network


def make_batch(frames: int = 2, height: int = 37, width: int = 50, dtype: torch.dtype = torch.uint8) -> Batch:
    generator = np.random.default_rng(1)
    top = 256 if dtype == torch.uint8 else 65536
    pixels = generator.integers(0, top, (frames, height, width, 3)).astype(
        "uint8" if top == 256 else "uint16"
    )
    still = np.zeros((height, width, 2), np.float32)
    return Batch(
        indices=tuple(range(frames)),
        pts=tuple(range(frames)),
        durations=(1,) * frames,
        pixels=torch.from_numpy(pixels).permute(0, 3, 1, 2),
        damaged=(False,) * frames,
        motion=tuple(Motion(still, still, cut=index == 0, shot=0) for index in range(frames)),
    )


def painter_for(batch: Batch, network: PaintNetwork | None = None, **options: object) -> Painter:
    height, width = batch.pixels.shape[-2:]
    return Painter(network or small_network(), CPU, (width, height), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_integers_survive_the_way_to_floats_and_back(dtype: torch.dtype) -> None:
    pixels = make_batch(dtype=dtype).pixels
    unit = to_unit(pixels, torch.device("cpu"))
    assert unit.dtype == torch.float32
    assert unit.min() >= 0 and unit.max() <= 1
    assert torch.equal(to_integers(unit, dtype), pixels)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_pictures_keep_shape_and_type_and_are_painted(dtype: torch.dtype) -> None:
    batch = make_batch(dtype=dtype)
    styled = painter_for(batch).paint(batch)
    assert styled.pictures.dtype == dtype
    assert styled.pictures.is_contiguous(memory_format=torch.channels_last)
    assert not torch.equal(styled.pictures, batch.pixels)
    assert styled.invalid == (None, None)


def test_strength_0_is_the_source_to_the_bit() -> None:
    batch = make_batch()
    assert torch.equal(painter_for(batch, look=Look(strength=0)).paint(batch).pictures, batch.pixels)


def test_strength_mixes_between_source_and_style() -> None:
    batch = make_batch()
    full = painter_for(batch).paint(batch).pictures.float()
    half = painter_for(batch, look=Look(strength=0.5)).paint(batch).pictures.float()
    assert torch.allclose(half, (full + batch.pixels.float()) / 2, atol=1)


def test_keep_color_changes_luminance_only() -> None:
    frames, painted = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    kept = keep_color(frames, painted)
    assert torch.allclose(kept[:, 0] - kept[:, 1], frames[:, 0] - frames[:, 1], atol=1e-6)
    weights = torch.tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    assert torch.allclose((kept * weights).sum(1), (painted * weights).sum(1), atol=1e-5)


@given(height=st.integers(8, 70), width=st.integers(8, 70))
@settings(max_examples=15, deadline=None)
def test_any_size_is_padded_and_cropped_back(height: int, width: int) -> None:
    frames = torch.rand(1, 3, height, width)
    assert padded(small_network(), frames, torch.zeros(1, 1, height, width)).shape == frames.shape


@given(
    height=st.integers(1, 200), width=st.integers(1, 200), tile=st.integers(4, 90), context=st.integers(0, 40)
)
@settings(max_examples=30, deadline=None)
def test_tiles_cover_every_pixel_once(height: int, width: int, tile: int, context: int) -> None:
    covered = torch.zeros(1, 1, height, width)
    picture = torch.rand(1, 1, height, width)
    for inner, outer, crop in tiles(height, width, tile, context):
        covered[inner] += 1
        assert torch.equal(picture[outer][crop], picture[inner])
    assert (covered == 1).all()


def test_tiles_give_the_same_picture_as_the_whole() -> None:
    batch = make_batch(1, 200, 180)
    whole = painter_for(batch).paint(batch).pictures.int()
    tiled = painter_for(batch, tile=64).paint(batch).pictures.int()
    assert (whole - tiled).abs().max() <= 1


class Fails(Generator):
    """Runs out of memory, or gives what it is told to, in the first calls."""

    def __init__(self, answers: Iterator[object]) -> None:
        super().__init__(channels=8, blocks=1, edge_channels=8)
        self.answers = answers
        self.seen: list[torch.Size] = []

    def forward(self, frames: Tensor, guides: Tensor) -> Tensor:
        self.seen.append(frames.shape)
        answer = next(self.answers, None)
        if isinstance(answer, Exception):
            raise answer
        painted = super().forward(frames, guides)
        return painted * answer if isinstance(answer, float) else painted


def no_memory() -> RuntimeError:
    return RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")


def test_out_of_memory_halves_the_batch_then_tiles_and_says_so() -> None:
    batch = make_batch(4, 300, 300)
    expected = painter_for(batch).paint(batch).pictures.int()
    network = Fails(iter([no_memory()] * 3)).eval().requires_grad_(False)
    network.load_state_dict(small_network().state_dict())
    notes: list[str] = []
    painted = painter_for(batch, network, note=notes.append).paint(batch)
    assert [shape[0] for shape in network.seen[:3]] == [4, 2, 1]
    assert max(network.seen[-1][-2:]) < 300
    assert len(notes) == 3
    assert (painted.pictures.int() - expected).abs().max() <= 1


def test_out_of_memory_on_the_smallest_tile_is_an_error_to_act_on() -> None:
    batch = make_batch(1, 200, 200)
    with pytest.raises(ResourceError) as caught:
        painter_for(batch, Fails(iter([no_memory()] * 20)).eval(), note=lambda _: None).paint(batch)
    assert caught.value.hint == "close other programs or make the video smaller"


def test_other_errors_of_the_network_are_not_hidden() -> None:
    batch = make_batch(1)
    with pytest.raises(RuntimeError, match="shapes"):
        painter_for(batch, Fails(iter([RuntimeError("shapes do not fit")])).eval()).paint(batch)


def test_a_frame_that_comes_out_as_nan_is_painted_again() -> None:
    batch = make_batch(1)
    expected = painter_for(batch).paint(batch).pictures
    network = Fails(iter([float("nan")])).eval().requires_grad_(False)
    network.load_state_dict(small_network().state_dict())
    styled = painter_for(batch, network).paint(batch)
    assert styled.invalid == (None,)
    assert torch.equal(styled.pictures, expected)


@pytest.mark.parametrize(
    ("factor", "reason"), [(float("nan"), "nonfinite"), (float("inf"), "nonfinite"), (0.0, "blank")]
)
def test_a_frame_that_stays_wrong_is_reported(factor: float, reason: str) -> None:
    batch = make_batch(1)
    network = Fails(iter([factor] * 5)).eval().requires_grad_(False)
    assert painter_for(batch, network).paint(batch).invalid == (reason,)


def test_batch_size_does_not_change_the_pictures() -> None:
    batch = make_batch(4)
    together = painter_for(batch).paint(batch).pictures.int()
    painter = painter_for(batch)
    for index in range(4):
        one = Batch(
            indices=(index,),
            pts=(index,),
            durations=(1,),
            pixels=batch.pixels[index : index + 1],
            damaged=(False,),
            motion=batch.motion[index : index + 1],
        )
        assert (painter.paint(one).pictures[0].int() - together[index]).abs().max() <= 1


def test_repaint_gives_nearly_the_same_picture_alone() -> None:
    batch = make_batch(3)
    painter = painter_for(batch)
    painted = painter.paint(batch).pictures
    frame = CheckedFrame(1, 1, 1, batch.pixels[1], painted[1], False, 0, Verdict(2.0, True), None)
    again = painter.repaint(frame)
    assert again is not None
    assert (again.int() - painted[1].int()).abs().float().mean() < 2


def test_repaint_runs_out_of_memory_as_gracefully_as_paint() -> None:
    batch = make_batch(1, 300, 300)
    network = Fails(iter([None, no_memory()])).eval().requires_grad_(False)
    notes: list[str] = []
    painter = painter_for(batch, network, note=notes.append)
    painted = painter.paint(batch).pictures[0]
    frame = CheckedFrame(0, 0, 1, batch.pixels[0], painted, False, 0, Verdict(2.0, True), None)
    assert painter.repaint(frame) is not None
    assert len(notes) == 1
    assert max(network.seen[-1][-2:]) < 300


def test_repaint_of_a_forgotten_frame_is_none() -> None:
    batch = make_batch(1)
    frame = CheckedFrame(99, 1, 1, batch.pixels[0], batch.pixels[0], False, 0, Verdict(2.0, True), None)
    assert painter_for(batch).repaint(frame) is None


def test_cuda_that_is_not_there_is_an_error_to_act_on() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(ResourceError) as caught:
        choose_device("cuda")
    assert "--device cpu" in (caught.value.hint or "")


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_paints_what_the_cpu_paints() -> None:
    batch = make_batch(3, 120, 160)
    height, width = batch.pixels.shape[-2:]
    on_cpu = painter_for(batch).paint(batch).pictures.int()
    on_cuda = Painter(small_network(), choose_device("cuda"), (width, height)).paint(batch).pictures.int()
    assert (on_cpu - on_cuda).abs().float().mean() < 1
