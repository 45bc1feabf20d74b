"""Where batches come from: pictures found and counted, frames with their motion, memory, views, feature networks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import save_file

from vidstyle.errors import InputError, UsageError, WeightsError
from vidstyle.training import losses, perceptual
from vidstyle.training.augment import Augmentation
from vidstyle.training.datasets import Cifar10, Draw, FramePairs, LabelledPictures, Pictures
from vidstyle.training.pool import ImagePool


def draw(seed: int = 0, batch: int = 4, rank: int = 0, world: int = 1) -> Draw:
    return Draw(np.random.default_rng(seed), batch, rank, world)


def picture(folder: Path, name: str, colour: tuple[int, int, int], size: tuple[int, int] = (60, 80)) -> None:
    folder.mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name), np.full((*size, 3), colour[::-1], np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    picture(folder, "red.png", (255, 0, 0))
    picture(folder, "blue.png", (0, 0, 255), (90, 40))
    rough = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "cut.jpg"), rough)
    whole = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no picture")
    (folder / "film.mp4").write_bytes(b"no film")
    (folder / "notes.txt").write_text("not even looked at")
    return folder


def test_spoilt_files_are_counted_and_left_out(folder: Path) -> None:
    pictures = Pictures([folder])
    assert len(pictures) == 2
    assert pictures.unreadable == 4
    batch = pictures.draw(draw(batch=8), 32)
    assert batch.shape == (8, 3, 32, 32)
    assert batch.dtype == torch.uint8
    colours = {tuple(one[:, 5, 5].tolist()) for one in batch}
    assert colours == {(255, 0, 0), (0, 0, 255)}


def test_no_picture_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no picture"):
        Pictures([tmp_path])


def test_a_draw_is_repeated_and_shared(folder: Path) -> None:
    rough = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    cv2.imwrite(str(folder / "rough.png"), rough)
    pictures = Pictures([folder])
    whole = pictures.draw(draw(3), 24)
    assert torch.equal(whole, pictures.draw(draw(3), 24))
    assert not torch.equal(whole, pictures.draw(draw(4), 24))
    shares = [pictures.draw(draw(3, rank=rank, world=2), 24) for rank in (0, 1)]
    assert torch.equal(torch.cat(shares), whole)


def test_squares_are_cut_without_enlarging(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(100, dtype=np.uint8)[None, :, None], (50, 1, 3))
    cv2.imwrite(str(tmp_path / "ramp.png"), ramp)
    batch = Pictures([tmp_path], least=0.1).draw(draw(batch=16), 40)
    steps = batch.float().diff(dim=3).mean((1, 2, 3))
    assert steps.min() >= 0.99  # 40 to 50 of the 100 columns in 40 pixels
    assert steps.max() < 1.27
    assert batch[:, 0, 0, 0].unique().numel() > 4


def test_held_out_pictures_are_not_learnt_from(tmp_path: Path) -> None:
    for i in range(12):
        picture(tmp_path, f"{i:02d}.png", (10 * i, 0, 0))
    pictures = Pictures([tmp_path])
    held = pictures.hold_out(3, 16)
    assert [int(p[0, 0, 0]) for p in held] == [0, 40, 80]
    assert len(pictures) == 9
    seen = set(pictures.draw(draw(batch=200), 16)[:, 0, 0, 0].tolist())
    assert seen == {10 * i for i in range(12)} - {0, 40, 80}
    assert len(pictures.hold_out(3, 16)) == 3
    few = Pictures([tmp_path / "00.png"])
    assert len(few.hold_out(3, 16)) == len(few) == 1


def test_folders_are_classes_equally_often(tmp_path: Path) -> None:
    for name, colour, count in (("red", (255, 0, 0), 1), ("blue", (0, 0, 255), 9)):
        for i in range(count):
            picture(tmp_path / name, f"{i}.png", colour)
    (tmp_path / "red" / "bad.png").write_bytes(b"bad")
    data = LabelledPictures([tmp_path / "red", tmp_path / "blue"])
    assert (data.names, len(data), data.unreadable) == (["red", "blue"], 10, 1)
    pictures, labels = data.draw(draw(batch=200), 16)
    assert torch.equal(labels == 0, pictures[:, 0, 0, 0] == 255)
    assert 70 < int(labels.sum()) < 130


def test_cifar_is_read_where_it_is_and_missed_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no local copy"):
        Cifar10(tmp_path)
    data = np.zeros((10, 32, 32, 3), np.uint8) + np.arange(10, dtype=np.uint8)[:, None, None, None]
    made = SimpleNamespace(data=data, targets=list(range(10)), classes=[f"class {i}" for i in range(10)])
    monkeypatch.setattr(torchvision.datasets, "CIFAR10", lambda root, train, download: made)
    cifar = Cifar10(tmp_path)
    pictures, labels = cifar.draw(draw(batch=6), 32)
    assert pictures.shape == (6, 3, 32, 32)
    assert torch.equal(pictures[:, 0, 0, 0].long(), labels)
    assert cifar.draw(draw(batch=2), 16)[0].shape == (2, 3, 16, 16)


def film(path: Path, frames: list[np.ndarray]) -> None:
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (width, height))
    for frame in frames:
        writer.write(frame)
    writer.release()


def test_frame_pairs_know_the_motion(tmp_path: Path) -> None:
    """A pan by three pixels: the flow says so, and the frame before carried along it is the frame."""
    random = np.random.default_rng(0)
    wide = cv2.resize(
        random.integers(0, 256, (12, 24, 3), dtype=np.uint8), (192, 96), interpolation=cv2.INTER_CUBIC
    )
    film(tmp_path / "pan.avi", [wide[:, 3 * i : 3 * i + 128].copy() for i in range(14)])
    (tmp_path / "bad.avi").write_bytes(b"bad")
    pairs = FramePairs([tmp_path], smallest=64)
    assert (len(pairs), pairs.unreadable) == (2, 1)
    batch = pairs.draw(draw(), 64)
    assert batch["flow"].shape == (4, 2, 64, 64)
    # The scene moves to the left, so that a pixel was three further right in the frame before.
    seen = batch["visible"][:, 0] > 0
    assert seen.float().mean() > 0.7
    assert float(batch["flow"][:, 0][seen].median()) == pytest.approx(3, abs=0.3)
    before, after = (batch[name].float() / 255 for name in ("before", "after"))
    still = losses.temporal(after, before, torch.zeros_like(batch["flow"]), batch["visible"])
    assert losses.temporal(after, before, batch["flow"], batch["visible"]) < 0.4 * still


def test_pairs_across_a_cut_are_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    scenes = [cv2.resize(random.integers(0, 256, (6, 8, 3), dtype=np.uint8), (128, 96)) for _ in range(2)]
    film(tmp_path / "cut.avi", scenes)
    with pytest.raises(InputError, match="no consecutive frames"):
        FramePairs([tmp_path], smallest=64)


def test_the_pool_keeps_fifty_and_gives_back_old_ones_half_the_time() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    numbers = torch.arange(400.0).view(-1, 1, 1, 1)
    assert torch.equal(pool.exchange(numbers[:50]), numbers[:50])
    assert pool.kept is not None
    shown = pool.exchange(numbers[50:].requires_grad_())
    assert not shown.requires_grad
    assert len(pool.kept) == 50
    new = (shown == numbers[50:]).float().mean()
    assert 0.4 < new < 0.6
    # Nothing is lost or doubled: what came in is either shown or kept.
    seen = torch.cat((shown.flatten(), pool.kept.flatten())).sort().values
    assert torch.equal(seen, torch.cat((numbers[:50], numbers[50:].detach())).flatten())


def test_no_pool_passes_everything() -> None:
    pool = ImagePool(0)
    assert torch.equal(pool.exchange(torch.ones(3, 1, 1, 1)), torch.ones(3, 1, 1, 1))
    assert pool.kept is None


def test_augmentation_leaves_no_empty_corner_and_keeps_the_size() -> None:
    torch.manual_seed(0)
    augment = Augmentation(32, degrees=10)
    white = torch.full((16, 3, augment.margin, augment.margin), 255, dtype=torch.uint8)
    views = augment(white)
    assert views.shape == (16, 3, 32, 32)
    assert views.min() > 0.99
    tinted = Augmentation(32, degrees=0, jitter=0.3)
    grey = torch.full((16, 3, tinted.margin, tinted.margin), 128, dtype=torch.uint8)
    assert tinted(grey).flatten(1).mean(1).std() > 0.02
    plain = Augmentation(32, degrees=0, flip=0)
    ramp = torch.arange(plain.margin, dtype=torch.uint8).expand(1, 3, plain.margin, plain.margin)
    torch.testing.assert_close(plain(ramp)[0, 0, 0] * 255, torch.arange(1.0, 33.0))


def test_feature_losses_reach_the_picture() -> None:
    features = perceptual.load("own")
    pictures = torch.rand(2, 3, 64, 64, requires_grad=True)
    with torch.no_grad():
        wanted = features(torch.rand(2, 3, 64, 64))
    maps = features(pictures)
    (losses.style(maps, wanted) + losses.content(maps, wanted)).backward()
    assert pictures.grad is not None
    assert pictures.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in features.parameters())


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_classifier_is_read_from_a_local_file(tmp_path: Path, suffix: str) -> None:
    weights = torchvision.models.squeezenet1_1().state_dict()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    maps = perceptual.load("squeezenet", path)(torch.rand(1, 3, 64, 64))
    assert [m.shape[1] for m in maps] == [64, 128, 256, 256]
    assert all(m.min() >= 0 for m in maps)


def test_missing_and_foreign_weights_are_said(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not there"):
        perceptual.load("vgg19", tmp_path / "none.pth")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="Not the weights"):
        perceptual.load("vgg19", tmp_path / "other.safetensors")
    with pytest.raises(UsageError, match="no feature network"):
        perceptual.load("resnet")


def test_the_shared_feature_networks_load(shared: Path) -> None:
    for name, file in (
        ("squeezenet", "squeezenet1_1_imagenet.safetensors"),
        ("vgg19", "vgg19_normalised_conv3_1.safetensors"),
    ):
        maps = perceptual.load(name, shared / "data" / "features" / file)(torch.rand(1, 3, 48, 48))
        assert all(torch.isfinite(m).all() for m in maps)
