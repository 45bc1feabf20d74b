"""Several painters at once, their pictures mixed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vidstyle.models.generator import Generator
from vidstyle.models.marked import Marked

StyleNetwork = Generator | Marked
"""What paints one style, with the guide planes it names and then its `marks`."""


class Blend(nn.Module):
    """Each painter paints every frame; the pictures are mixed by their shares.

    painters  with the places of their named guide planes among those of the blend
    planes    how many of these there are; the marks of the painters follow
    shares    of the result; they sum to 1
    """

    size_multiple: int

    def __init__(
        self, painters: Sequence[tuple[StyleNetwork, Sequence[int]]], planes: int, shares: Sequence[float]
    ) -> None:
        super().__init__()
        self.painters = nn.ModuleList(painter for painter, _ in painters)
        self.marks: tuple[Tensor, ...] = ()
        self.places = []
        for painter, places in painters:
            first = planes + len(self.marks)
            self.places.append([*places, *range(first, first + len(painter.marks))])
            self.marks += painter.marks
        self.shares = list(shares)
        self.size_multiple = max(painter.size_multiple for painter, _ in painters)
        self.context_pixels = max(painter.context_pixels for painter, _ in painters)

    def forward(self, frames: Tensor, guides: Tensor) -> Tensor:
        """As `Generator.forward`; `guides` has the planes of all painters."""
        mixed = torch.zeros_like(frames, dtype=torch.float32)
        for painter, places, share in zip(self.painters, self.places, self.shares, strict=True):
            mixed.add_(painter(frames, guides[:, places]), alpha=share)
        return mixed


PaintNetwork = StyleNetwork | Blend
"""What a `vidstyle.stylize.Painter` can run."""
