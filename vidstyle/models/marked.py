"""A painter whose calm parts are filled with the marks of a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidstyle.models.generator import Generator
from vidstyle.models.quilt import COARSEST, SIDE, Texture

NEAR = 8
"""Pixels within which forms leave no room for marks."""
FORMS = 0.06, 0.1
"""Where detail of the frame or of its painting is so strong (deviation of luma), it shows forms: a face, letters. Marks
begin to give way, and are gone."""


class Marked(nn.Module):
    """What `base` paints, with the marks of a picture where it is calmer than that.

    The marks lie in a guide plane that is carried along with the motion (`vidstyle.guides`), so they stick to what is
    painted; next to the forms of the painting itself (a face, letters) they give way.
    """

    table: Tensor
    strength: Tensor
    """Deviation of luma that marks fill up to."""
    colour: Tensor

    def __init__(self, base: Generator, texture: Texture) -> None:
        super().__init__()
        self.base = base
        self.settings = base.settings
        self.register_buffer("table", torch.from_numpy(texture.table))
        self.register_buffer("strength", torch.tensor(texture.strength))
        self.register_buffer("colour", torch.from_numpy(texture.colour))
        self.size_multiple = max(base.size_multiple, NEAR)  # so that tiles are averaged over the same squares
        self.context_pixels = base.context_pixels + COARSEST + 3 * NEAR

    @classmethod
    def empty(cls, **settings: Any) -> Marked:
        """One to be filled with weights; `settings` are the generator's."""
        return cls(
            Generator(**settings), Texture(np.zeros((SIDE, SIDE), np.float32), 0.0, np.ones(3, np.float32))
        )

    @property
    def marks(self) -> tuple[Tensor, ...]:
        """The tables of the guide planes that come after those of `base`."""
        return (self.table,)

    def forward(self, frames: Tensor, guides: Tensor) -> Tensor:
        """As `Generator.forward`; the last plane of `guides` has the marks."""
        painted: Tensor = self.base(frames, guides[:, :-1])
        return self.marked(painted, frames, guides[:, -1:], self.strength)

    def marked(self, painted: Tensor, frames: Tensor, marks: Tensor, strength: Tensor) -> Tensor:
        """What `base` has painted, with `marks` [T, 1, H, W] of a strength."""
        room = self._room(frames, painted.clamp(0, 1), strength)
        return painted + room * marks.float() * self.colour.float().view(1, 3, 1, 1)

    @torch.no_grad()  # the slope of the root is infinite where marks begin
    def _room(self, frames: Tensor, painted: Tensor, strength: Tensor) -> Tensor:
        """How strong marks may be [T, 1, H, W]."""
        power = _detail(painted)
        least, most = FORMS
        free = (most - torch.maximum(power, _detail(frames)).sqrt()) / (most - least)
        return (strength.float() ** 2 - power).clamp_min(0).sqrt() * free.clamp(0, 1)


def _detail(pictures: Tensor) -> Tensor:
    """Power of the fine luma near by [T, 1, H, W], of pictures [T, 3, H, W]."""
    luma = 0.299 * pictures[:, :1] + 0.587 * pictures[:, 1:2] + 0.114 * pictures[:, 2:]
    fine = luma - _enlarged(_averaged(luma, COARSEST), COARSEST, luma)
    return _enlarged(F.max_pool2d(_averaged(fine.square(), NEAR), 3, 1, 1), NEAR, luma)


def _averaged(planes: Tensor, side: int) -> Tensor:
    """Planes [T, C, H, W] averaged over squares; those at the border are filled up by repeating it."""
    height, width = planes.shape[2:]
    return F.avg_pool2d(F.pad(planes, (0, -width % side, 0, -height % side), mode="replicate"), side)


def _enlarged(planes: Tensor, factor: int, like: Tensor) -> Tensor:
    height, width = like.shape[2:]
    larger = F.interpolate(planes, scale_factor=float(factor), mode="bilinear")
    return larger[..., :height, :width]
