"""Distils SqueezeNet 1.1 into the detector's `FeatureNetwork`.

The student learns two things: to predict the teacher's feature maps (through linear heads that are thrown away),
and to find two versions of a picture, one of them spoilt, as far apart as the teacher finds them. The second is
what the detector uses it for. Pictures are photographs, half of them stylised, so that both are familiar.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.models.features import FeatureNetwork

logger = logging.getLogger("vidstyle")

SIDE = 192
"""Pictures are kept as squares of this side; crops of CROP are trained on."""
CROP = 144
TEACHER_TAPS = (4, 7, 10)
"""Layers of SqueezeNet's `features` at strides 4, 8 and 16: 128, 256 and 384 channels."""
TEACHER_CHANNELS = (128, 256, 384)


class SqueezeNetTaps(nn.Module):
    """SqueezeNet 1.1's maps at TEACHER_TAPS, each channel divided by its mean over the training pictures."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        from torchvision.models import squeezenet1_1

        network = squeezenet1_1()
        network.load_state_dict(load_file(weights), strict=True)
        self.layers = network.features[: TEACHER_TAPS[-1] + 1].eval().requires_grad_(False)
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.scales = [torch.ones(1, channels, 1, 1) for channels in TEACHER_CHANNELS]

    @torch.no_grad()
    def forward(self, pictures: Tensor, sizes: Sequence[torch.Size] | None = None) -> list[Tensor]:
        """Float [N, 3, H, W], RGB in [0, 1]; `sizes`: the maps are resampled to these (SqueezeNet does not pad)."""
        maps: list[Tensor] = []
        x = (pictures - self.mean) / self.deviation
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in TEACHER_TAPS:
                maps.append(x.float() * self.scales[len(maps)])
        if sizes is not None:
            maps = [F.interpolate(m, size=s, mode="bilinear") for m, s in zip(maps, sizes, strict=True)]
        return maps

    def calibrate(self, pictures: Tensor) -> None:
        """Gives every channel the same mean, so that no loud channel rules the cosine."""
        self.scales = [torch.ones_like(s) for s in self.scales]
        self.scales = [1 / (m.mean((0, 2, 3), keepdim=True) + 0.05 * m.mean()) for m in self(pictures)]


# ---- pictures: photographs and quick, plain stylisations of them (uint8 [H, W, 3], RGB)


def _posterised(photo: np.ndarray) -> np.ndarray:
    calm = cv2.bilateralFilter(photo, 7, 45, 7)
    return np.asarray((calm // 32) * 32 + 16, dtype=np.uint8)


def _hatched(photo: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    calm = cv2.GaussianBlur(grey, (0, 0), 6)
    lines = np.clip(cv2.divide(grey, calm, scale=240), 0, 255)
    return cv2.cvtColor(lines, cv2.COLOR_GRAY2RGB)


def _painted(photo: np.ndarray) -> np.ndarray:
    return cv2.stylization(photo, sigma_s=25, sigma_r=0.4)


def _duotone(photo: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32)[..., None] / 255
    dark, light = np.array([20, 10, 60], np.float32), np.array([120, 240, 255], np.float32)
    return np.asarray(dark + (light - dark) * grey**1.4, dtype=np.uint8)


def _saturated(photo: np.ndarray) -> np.ndarray:
    calm = cv2.medianBlur(photo, 7)
    hsv = cv2.cvtColor(calm, cv2.COLOR_RGB2HSV).astype(np.float32)
    hsv[..., 1] = np.clip(hsv[..., 1] * 1.6 + 10, 0, 255)
    rough = np.random.default_rng(0).normal(0, 10, photo.shape[:2]).astype(np.float32)
    hsv[..., 2] = np.clip(hsv[..., 2] + cv2.GaussianBlur(rough, (0, 0), 1.2) * 3, 0, 255)
    return cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2RGB)


STYLISATIONS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    _posterised,
    _hatched,
    _painted,
    _duotone,
    _saturated,
)


def load_pictures(folders: Sequence[Path]) -> Tensor:
    """All photographs below the folders, each followed by its stylisations: uint8 [N, 3, SIDE, SIDE]."""
    pictures = []
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in {".jpg", ".png"}):
        photo = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if photo is None:
            continue
        k = SIDE / min(photo.shape[:2])
        photo = cv2.resize(photo, None, fx=k, fy=k, interpolation=cv2.INTER_AREA)
        top, left = (photo.shape[0] - SIDE) // 2, (photo.shape[1] - SIDE) // 2
        photo = cv2.cvtColor(photo[top : top + SIDE, left : left + SIDE], cv2.COLOR_BGR2RGB)
        pictures += [photo, *(stylise(photo) for stylise in STYLISATIONS)]
    if not pictures:
        raise FileNotFoundError(f"No photographs below {', '.join(map(str, folders))}.")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


# ---- what goes wrong in a frame, at random strength (float [N, 3, H, W] in [0, 1])


def _random(pictures: Tensor, low: float, high: float) -> Tensor:
    return torch.empty(pictures.shape[0], 1, 1, 1).uniform_(low, high)


def _noise(x: Tensor) -> Tensor:
    return x + torch.randn_like(x) * _random(x, 0.01, 0.15)


def _brightness(x: Tensor) -> Tensor:
    return x * _random(x, 0.7, 1.3) + _random(x, -0.1, 0.1)


def _cast(x: Tensor) -> Tensor:
    return x + torch.randn(x.shape[0], 3, 1, 1) * 0.07


def _blur(x: Tensor) -> Tensor:
    k = int(torch.randint(1, 4, ()))
    return F.avg_pool2d(F.pad(x, [k] * 4, mode="reflect"), 2 * k + 1, stride=1)


def _blocks(x: Tensor) -> Tensor:
    k = int(torch.randint(2, 9, ()))
    small = F.interpolate(F.avg_pool2d(x, k, ceil_mode=True), scale_factor=k)[..., : x.shape[2], : x.shape[3]]
    return torch.lerp(x, small, _random(x, 0.3, 1))


def _checkerboard(x: Tensor) -> Tensor:
    i = torch.arange(x.shape[2])
    board = ((i[:, None] // 2 + i // 2) % 2) * 2.0 - 1
    return x + board * _random(x, 0.01, 0.12)


def _swim(x: Tensor) -> Tensor:
    n, _, h, w = x.shape
    shift = F.interpolate(torch.randn(n, 2, 5, 5) * 0.03, size=(h, w), mode="bicubic").permute(0, 2, 3, 1)
    grid = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), [n, 3, h, w], align_corners=False)
    return F.grid_sample(x, grid + shift, padding_mode="reflection", align_corners=False)


def _holes(x: Tensor) -> Tensor:
    x = x.clone()
    for _ in range(4):
        i, j = (int(torch.randint(0, s - 24, ())) for s in x.shape[2:])
        x[:, :, i : i + 24, j : j + 24] = torch.rand(())
    return x


def _other(x: Tensor) -> Tensor:
    return torch.lerp(x, x.roll(1, 0), _random(x, 0.1, 1))


FAULTS = (_noise, _brightness, _cast, _blur, _blocks, _checkerboard, _swim, _holes, _other)


def spoil(pictures: Tensor) -> Tensor:
    """The pictures with a fault drawn at random, the same kind for all."""
    return FAULTS[int(torch.randint(len(FAULTS), ()))](pictures).clamp(0, 1)


# ---- learning


def distances(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    """1 - cosine at every place, one [N, h, w] per tap."""
    return [1 - F.cosine_similarity(a, b, dim=1) for a, b in zip(first, second, strict=True)]


def draw(pictures: Tensor, count: int) -> Tensor:
    """Random crops, half of them mirrored: float [count, 3, CROP, CROP] in [0, 1], channels_last."""
    crops = []
    for i in torch.randint(len(pictures), (count,)).tolist():
        top, left = torch.randint(0, SIDE - CROP + 1, (2,)).tolist()
        crop = pictures[i, :, top : top + CROP, left : left + CROP]
        crops.append(crop.flip(2) if torch.rand(()) < 0.5 else crop)
    return torch.stack(crops).to(torch.float32).div_(255).contiguous(memory_format=torch.channels_last)


def rank_correlation(
    student: FeatureNetwork, teacher: SqueezeNetTaps, pictures: Tensor, pairs: int = 96
) -> float:
    """Spearman's correlation of the mean distances of clean and spoilt pictures, averaged over the taps."""
    theirs, ours = [], []
    with torch.no_grad():
        for _ in range(pairs // 4):
            x = draw(pictures, 4)
            y = spoil(x)
            theirs.append(torch.stack([d.mean((1, 2)) for d in distances(teacher(x), teacher(y))]))
            ours.append(torch.stack([d.mean((1, 2)) for d in distances(student(x), student(y))]))
    a, b = (torch.cat(values, 1).argsort(1).argsort(1).float() for values in (theirs, ours))
    return float(
        torch.stack([torch.corrcoef(torch.stack(tap))[0, 1] for tap in zip(a, b, strict=True)]).mean()
    )


def distil(
    pictures: Tensor,
    teacher: SqueezeNetTaps,
    *,
    max_seconds: float,
    batch_size: int = 8,
    learning_rate: float = 2e-3,
    on_step: Callable[[int, float], None] | None = None,
) -> FeatureNetwork:
    """Trains a FeatureNetwork on uint8 [N, 3, SIDE, SIDE] for so many seconds; returns the average of its weights.

    The learning rate falls with the time used, so that a run is complete whenever it is told to end.
    """
    student = FeatureNetwork().to(memory_format=torch.channels_last)
    heads = nn.ModuleList(
        nn.Conv2d(stage[0].out_channels, channels, 1)  # type: ignore[index]
        for stage, channels in zip(list(student.stages)[1:], TEACHER_CHANNELS, strict=True)
    )
    averaged = torch.optim.swa_utils.AveragedModel(
        student, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995)
    )
    parameters = [*student.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=1e-3)
    teacher.calibrate(draw(pictures, 64))
    start, step = time.monotonic(), 0
    while (spent := time.monotonic() - start) < max_seconds:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * (0.5 + 0.5 * math.cos(math.pi * spent / max_seconds)) + 1e-5
        clean = draw(pictures, batch_size)
        both = torch.cat([clean, spoil(clean)]).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            ours = student(both)
            predicted = [head(m).float() for head, m in zip(heads, ours, strict=True)]
            theirs = teacher(both, [m.shape[2:] for m in ours])
        imitation = torch.stack([d.mean() for d in distances(predicted, theirs)]).sum()
        wanted, found = (
            distances([m[:batch_size].float() for m in maps], [m[batch_size:].float() for m in maps])
            for maps in (theirs, ours)
        )
        relation = torch.stack([(a - b).abs().mean() for a, b in zip(wanted, found, strict=True)]).sum()
        loss = imitation + 4 * relation
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        averaged.update_parameters(student)
        step += 1
        if on_step is not None:
            on_step(step, float(loss.detach()))
    logger.info("distilled for %d steps", step)
    result = averaged.module
    assert isinstance(result, FeatureNetwork)
    return result.eval()
