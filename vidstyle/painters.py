"""Style -> the network that paints it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from vidstyle.fitting import ORDER, as_tensor, fitted, most_alike
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.blend import Blend, PaintNetwork, StyleNetwork
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.models.marked import Marked
from vidstyle.models.marks import Strength, liveliness_of
from vidstyle.models.palette import Colours, colours_of, recolour, transfer
from vidstyle.models.quilt import texture_of
from vidstyle.pictures import read_style_picture
from vidstyle.styles import Part, Style


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

    def painter(livelier: float) -> Marked:
        told = Strength(livelier * film.overall, livelier * film.calm)
        return Marked(network.painter(as_tensor(picture), told), texture).eval().requires_grad_(False)

    return most_alike(painter, network.features, picture, frames)


def strength(frames: Sequence[NDArray[np.uint8]], wanted: Colours) -> Strength:
    """How strong the marks of frames are once they have the colours wanted."""
    matrix, _ = transfer(colours_of(frames), wanted)
    return liveliness_of(frames).in_colours(matrix)
