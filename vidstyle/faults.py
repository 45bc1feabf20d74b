"""Damage stylised frames on purpose: the hook that shows, in tests and demonstrations, that repair works.

`--inject-faults "noise@30,blank@41-42,brightness@60"` damages those frames (indices of the input) between the
stylizer and the detector, deterministically.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from vidstyle.errors import UsageError
from vidstyle.frames import StyledBatch
from vidstyle.stylize import FULL_SCALE

Fault = Callable[[Tensor, int], Tensor]
"""Damages one picture, float32 [3, H, W] in [0, 1], of the frame with that index."""


def noise(picture: Tensor, index: int) -> Tensor:
    """Gaussian noise of standard deviation 0.2."""
    return picture + 0.2 * torch.randn(picture.shape, generator=torch.Generator().manual_seed(index))


def blank(picture: Tensor, index: int) -> Tensor:
    """A black picture."""
    return torch.zeros_like(picture)


def brightness(picture: Tensor, index: int) -> Tensor:
    """A jump of the whole picture by a quarter of the range."""
    return picture + 0.25


FAULTS: dict[str, Fault] = {"noise": noise, "blank": blank, "brightness": brightness}
_ITEM = re.compile(r"(\w+)@(\d+)(?:-(\d+))?")


def parse_faults(text: str) -> dict[int, Fault]:
    """Which fault hits which frame. Raises UsageError."""
    chosen = {}
    for item in filter(None, text.split(",")):
        match = _ITEM.fullmatch(item.strip())
        if not match or match[1] not in FAULTS:
            raise UsageError(
                f"{item!r} is not a fault.",
                name="--inject-faults",
                hint=f"write KIND@FRAME or KIND@FIRST-LAST with KIND one of {', '.join(FAULTS)}",
            )
        for index in range(int(match[2]), int(match[3] or match[2]) + 1):
            chosen[index] = FAULTS[match[1]]
    return chosen


def inject(batch: StyledBatch, faults: Mapping[int, Fault]) -> StyledBatch:
    """The batch with its chosen frames damaged; the batch itself where none is chosen."""
    hit = [place for place, index in enumerate(batch.source.indices) if index in faults]
    if not hit:
        return batch
    pictures = batch.pictures.clone()
    scale = FULL_SCALE[pictures.dtype]
    for place in hit:
        index = batch.source.indices[place]
        damaged = faults[index](pictures[place].to(torch.float32) / scale, index)
        pictures[place] = (damaged.clamp(0, 1) * scale).round().to(pictures.dtype)
    return replace(batch, pictures=pictures)
