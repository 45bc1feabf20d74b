"""Style -> the network that paints it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from vidstyle.guides import LINES, STROKES, TEXTURES, still_guides
from vidstyle.models.any_style import LONGEST, AnyStyle
from vidstyle.models.blend import Blend, PaintNetwork, StyleNetwork
from vidstyle.models.features import FeatureNetwork, gram
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.models.marked import Marked
from vidstyle.models.marks import Strength, liveliness_of
from vidstyle.models.palette import Colours, colours_of, recolour, transfer
from vidstyle.models.quilt import texture_of
from vidstyle.pictures import SMALLEST_STYLE, read_style_picture
from vidstyle.styles import Part, Style

ORDER = (STROKES, LINES, *TEXTURES)
SHARES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
"""How strong marks may be made, over those of the picture. They are not everywhere, so mostly it is more than 1 ..."""
USUAL_SHARE = 1.2
TRIED = 3
"""... as is found out on so many frames, ..."""
SEEN = 64, 1280
"""... if they have so many pixels a side at least, and on so many of them at most."""


def guides_of(style: Style) -> tuple[str, ...]:
    """The guide planes that its networks see, each once, in the order of `vidstyle.guides`."""
    wanted = {plane for part in style.parts for plane in part.entry.guides}
    return tuple(plane for plane in ORDER if plane in wanted)


def painting_network(style: Style, frames: Callable[[], Sequence[NDArray[np.uint8]]]) -> PaintNetwork:
    """The network of a style, float32, evaluation mode, on the CPU.

    frames  some of what will be painted, [H, W, 3] RGB; asked for only where the style has colours of its own to give

    Raises InputError if the style's picture cannot be read, WeightsError.
    """
    seen = cache(frames)
    networks = [_network(part, seen) for part in style.parts]
    if len(networks) == 1:
        return networks[0]
    planes = guides_of(style)
    places = [[planes.index(plane) for plane in part.entry.guides] for part in style.parts]
    blend = Blend(list(zip(networks, places, strict=True)), len(planes), [part.share for part in style.parts])
    return blend.eval().requires_grad_(False)


def _network(part: Part, frames: Callable[[], Sequence[NDArray[np.uint8]]]) -> StyleNetwork:
    network = load(part.entry)
    if isinstance(network, AnyStyle):
        assert part.picture is not None
        picture = fitted(read_style_picture(part.picture))
        wanted = colours_of([picture])
        network = picture_painter(network, picture, frames())
    elif part.entry.colours is not None:
        wanted = Colours(*(np.asarray(values) for values in part.entry.colours))
    else:
        assert isinstance(network, Generator)
        return network
    assert isinstance(network, StyleNetwork)
    recolour(
        network.base if isinstance(network, Marked) else network, *transfer(colours_of(frames()), wanted)
    )
    return network


def picture_painter(
    network: AnyStyle, picture: NDArray[np.uint8], frames: Sequence[NDArray[np.uint8]]
) -> StyleNetwork:
    """What paints like a picture [H, W, 3] frames like these, once they have its colours."""
    texture = texture_of(picture)
    film = strength(frames, colours_of([picture]))
    if texture is None:
        return network.painter(as_tensor(picture), film)
    # The texture fills what is calmer than the picture, so the network need not.
    own = liveliness_of([picture]).in_colours(np.eye(3))
    film = Strength(np.maximum(film.overall, own.overall), np.maximum(film.calm, own.calm))
    painter = Marked(network.painter(as_tensor(picture), film), texture).eval().requires_grad_(False)
    painter.strength.mul_(_share(painter, network.features, picture, frames))
    return painter


@torch.no_grad()
def _share(
    painter: Marked,
    features: FeatureNetwork,
    picture: NDArray[np.uint8],
    frames: Sequence[NDArray[np.uint8]],
) -> float:
    """Of SHARES that with which what is painted of frames has the marks of a picture: by fine features' Gram matrices.

    A film that is lively itself needs less, one in which marks have little room more. Film and picture are compared at
    the same size.
    """
    if min(min(frame.shape[:2]) for frame in frames) < SEEN[0]:
        return USUAL_SHARE
    wanted = gram(features(as_tensor(picture))[0])
    matrix, offset = (
        torch.from_numpy(x).float() for x in transfer(colours_of(frames), colours_of([picture]))
    )
    distances = np.zeros(len(SHARES))
    for frame in frames[:: -(-len(frames) // TRIED)]:
        shown, smaller = as_tensor(_middle(frame)), LONGEST / max(frame.shape[:2])
        coloured = torch.einsum("cd,ndhw->nchw", matrix, shown) + offset.view(1, 3, 1, 1)
        guides = still_guides(shown, ORDER, marks=painter.marks)
        painted = painter.base(coloured, guides[:, :-1])
        for n, share in enumerate(SHARES):
            marked = painter.marked(painted, shown, guides[:, -1:], share * painter.strength).clamp(0, 1)
            if smaller < 1:
                marked = F.interpolate(marked, scale_factor=smaller, mode="area")
            distances[n] += float((gram(features(marked)[0]) - wanted).norm())
    return SHARES[int(distances.argmin())]


def _middle(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As much of it as is looked at: whole squares for the network."""
    height, width = (min(side, SEEN[1]) // 8 * 8 for side in frame.shape[:2])
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    return frame[top : top + height, left : left + width]


def strength(frames: Sequence[NDArray[np.uint8]], wanted: Colours) -> Strength:
    """How strong the marks of frames are once they have the colours wanted."""
    matrix, _ = transfer(colours_of(frames), wanted)
    return liveliness_of(frames).in_colours(matrix)


def fitted(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture [H, W, 3] as its marks are measured: at most LONGEST pixels long, unless that makes it a thread."""
    scale = max(LONGEST / max(picture.shape[:2]), SMALLEST_STYLE / min(picture.shape[:2]))
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def as_tensor(picture: NDArray[np.uint8]) -> torch.Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255
