"""A memory of pictures made earlier."""

from __future__ import annotations

import torch
from torch import Tensor


class ImagePool:
    """Shows the critic made pictures of the past beside new ones, so that it does not forget them.

    (Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial Training", 2017; CycleGAN
    keeps 50.) While it fills, new pictures pass through and are kept. Once full, each new picture is, one time in two,
    exchanged for a random kept one, which is shown in its place.
    """

    def __init__(self, size: int = 50) -> None:
        self.size = size
        self.kept: Tensor | None = None
        """[n <= size, C, H, W]"""

    def exchange(self, pictures: Tensor) -> Tensor:
        """`pictures` [N, C, H, W], without their graph, some of them exchanged."""
        pictures = pictures.detach()
        if not self.size:
            return pictures
        shown = []
        for picture in pictures:
            if self.kept is None or len(self.kept) < self.size:
                one = picture[None].clone()
                self.kept = one if self.kept is None else torch.cat((self.kept, one))
            elif torch.rand(()) < 0.5:
                place = int(torch.randint(self.size, ()))
                old = self.kept[place].clone()
                self.kept[place] = picture
                picture = old
            shown.append(picture)
        return torch.stack(shown)
