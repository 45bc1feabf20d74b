"""Fits the painter of a picture to a film: by what it makes of some frames, compared with the picture.

A film that is lively itself needs less of a painter's strokes and marks to look like the picture, one in which marks
find little room needs more; how much, depends on both. So a few painters are tried, and the best is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from vidstyle.guides import LINES, STROKES, TEXTURES, still_guides
from vidstyle.models.any_style import LONGEST
from vidstyle.models.features import FeatureNetwork, gram
from vidstyle.models.marked import Marked
from vidstyle.models.palette import colours_of, transfer
from vidstyle.pictures import SMALLEST_STYLE

ORDER = (STROKES, LINES, *TEXTURES)
"""The guide planes that the painter of any picture sees."""
LIVELIER = (1.0, 1.2)
"""How much livelier than it is a painter may be told that the film is: it then adds less of its own. With 1.5 or more,
busy films get much nearer to calm pictures (relative Gram .54 to .37), but faces and edges are smeared."""
SHARES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2)
"""How strong marks may be made, over those of the picture. They are not everywhere, so it may be more than 1; with 1.4
plain walls are two fifths less steady."""
USUAL_SHARE = 1.2
"""That where nothing is tried."""
TRIED = 2
"""On so many frames, ..."""
SEEN = 64, 1280
"""... if they have so many pixels a side at least, and on so many of them at most."""

Picture = NDArray[Any]
"""uint8 [H, W, 3], RGB."""


@torch.no_grad()
def most_alike(
    painter: Callable[[float], Marked], features: FeatureNetwork, picture: Picture, frames: Sequence[Picture]
) -> Marked:
    """The best of the painters of a picture for a film that has these frames.

    painter   makes one, told that the film is so many times livelier than it is
    features  by whose Gram matrices painted frames and picture are compared, at the same size
    """
    some = frames[:: -(-len(frames) // TRIED)]
    if min(min(frame.shape[:2]) for frame in some) < SEEN[0]:
        best = painter(1.0)
        best.strength.mul_(USUAL_SHARE)
        return best
    trial = _Trial(features, picture, frames, some)
    made = [painter(livelier) for livelier in LIVELIER]
    painted = [trial.paint(one) for one in made]
    distances = [trial.distances(one, base, 1.0).mean() for one, base in zip(made, painted, strict=True)]
    n = int(np.argmin(distances))
    shares = [trial.distances(made[n], painted[n], share)[0] for share in SHARES]  # marks are fine
    made[n].strength.mul_(SHARES[int(np.argmin(shares))])
    return made[n]


class _Trial:
    """Some frames of a film, as a painter gets them, and the picture that they are to look like."""

    def __init__(
        self,
        features: FeatureNetwork,
        picture: Picture,
        film: Sequence[Picture],
        frames: Sequence[Picture],
    ) -> None:
        self._features = features
        self._wanted = [gram(maps) for maps in features(as_tensor(picture))]
        self._scales = [min(1.0, LONGEST / max(frame.shape[:2])) for frame in frames]
        matrix, offset = (
            torch.from_numpy(x).float() for x in transfer(colours_of(film), colours_of([picture]))
        )
        self._shown = [as_tensor(_middle(frame)) for frame in frames]
        self._coloured = [
            torch.einsum("cd,ndhw->nchw", matrix, frame) + offset.view(1, 3, 1, 1) for frame in self._shown
        ]
        self._guides: list[Tensor] = []

    def paint(self, painter: Marked) -> list[Tensor]:
        """The frames without marks."""
        self._guides = self._guides or [still_guides(f, ORDER, marks=painter.marks) for f in self._shown]
        pairs = zip(self._coloured, self._guides, strict=True)
        return [painter.base(frame, guides[:, :-1]) for frame, guides in pairs]

    def distances(self, painter: Marked, painted: Sequence[Tensor], share: float) -> NDArray[np.float64]:
        """Relative distances of Gram matrices, with marks of a share of their strength, from the finest scale on."""
        found = []
        for base, frame, guides, scale in zip(painted, self._shown, self._guides, self._scales, strict=True):
            marked = painter.marked(base, frame, guides[:, -1:], share * painter.strength).clamp(0, 1)
            if scale < 1:
                marked = F.interpolate(marked, scale_factor=scale, mode="area")
            pairs = zip(self._features(marked), self._wanted, strict=True)
            found.append([float((gram(maps) - wanted).norm() / wanted.norm()) for maps, wanted in pairs])
        return np.mean(found, 0)


def _middle(frame: Picture) -> Picture:
    """As much of it as is looked at: whole squares for the network."""
    height, width = (min(side, SEEN[1]) // 8 * 8 for side in frame.shape[:2])
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]


def fitted(picture: Picture) -> Picture:
    """A picture as its marks are measured: at most LONGEST pixels long, unless that makes it a thread."""
    scale = max(LONGEST / max(picture.shape[:2]), SMALLEST_STYLE / min(picture.shape[:2]))
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def as_tensor(picture: Picture) -> Tensor:
    """Float32 [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
