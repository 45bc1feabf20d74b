"""Procedural painters: slow, exact and without weights. A generator learns a style by copying one.

A teacher gets a picture and its guide planes, both as arrays, so that what it paints depends on nothing that the
generator does not see as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from vidstyle.training.teachers._cartoon import cartoon
from vidstyle.training.teachers._oil import oil
from vidstyle.training.teachers._scifi import scifi
from vidstyle.training.teachers._sketch import sketch
from vidstyle.training.teachers._ukiyoe import ukiyoe
from vidstyle.training.teachers._watercolor import watercolor
from vidstyle.training.teachers.tools import Array


@dataclass(frozen=True, slots=True)
class Teacher:
    """A style as it is taught."""

    paint: Callable[[Array, Array], Array]
    """Picture [H, W, 3] and guides [H, W, C] to painted picture [H, W, 3], all float32, colours RGB in [0, 1]."""
    guides: tuple[str, ...] = ()
    """The planes that painter and generator get (`vidstyle.guides`)."""
    generator: dict[str, int | bool] = field(default_factory=dict)
    """Settings of the generator that differ from its defaults, but for `guide_channels`."""
    grey: bool = False
    """Whether it draws without colour: what little a generator has kept of the source's is taken away at export."""


TEACHERS = {
    "oil": Teacher(oil, ("strokes",), {"edge_channels": 32}),
    "cartoon": Teacher(cartoon, ("lines",), {"edge_channels": 32}),
    "scifi": Teacher(scifi, ("lines",), {"edge_channels": 32, "mix_skip": True}),
    "sketch": Teacher(
        sketch,
        ("lines", "hatch", "crosshatch", "paper"),
        {"edge_channels": 32, "mix_skip": True},
        grey=True,
    ),
    "watercolor": Teacher(watercolor, ("lines", "paper", "blotches"), {"edge_channels": 32}),
    "ukiyoe": Teacher(ukiyoe, ("lines", "paper"), {"edge_channels": 32, "mix_skip": True}),
}

__all__ = ["TEACHERS", "Array", "Teacher", "cartoon", "oil", "scifi", "sketch", "ukiyoe", "watercolor"]
