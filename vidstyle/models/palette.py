"""The colours of a picture or a video, and the map that gives one the colours of another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from vidstyle.models.generator import Generator

Array = NDArray[np.float64]

LEAST_VARIANCE = 2e-4
"""Added to every direction of colour: noise in a direction that has no colour is not blown up to one."""
LARGEST_GAIN = 3.0
"""No direction of colour is stretched further: contrast that is made of next to nothing shows noise and flickers."""


@dataclass(frozen=True, slots=True)
class Colours:
    """Mean [3] and covariance [3, 3] of the pixels, RGB in [0, 1]."""

    mean: Array
    covariance: Array


def colours_of(pictures: Iterable[NDArray[np.uint8]]) -> Colours:
    """The colours of pictures [H, W, 3] taken together, uint8 RGB; every picture counts the same."""
    means, moments = [], []
    for picture in pictures:
        pixels = picture.reshape(-1, 3).astype(np.float32) / 255
        means.append(pixels.mean(0, dtype=np.float64))
        moments.append((pixels.T @ pixels).astype(np.float64) / len(pixels))
    mean = np.mean(means, 0)
    return Colours(mean, np.mean(moments, 0) - np.outer(mean, mean))


def transfer(source: Colours, wanted: Colours) -> tuple[Array, Array]:
    """Matrix [3, 3] and offset [3] of the affine map that gives `source` the colours `wanted`.

    Of all such maps the one that moves colours least: Monge-Kantorovitch, after Pitié and Kokaram, "The Linear
    Monge-Kantorovitch Linear Colour Mapping for Example-Based Colour Transfer", 2007.
    """
    here = source.covariance + LEAST_VARIANCE * np.eye(3)
    there = wanted.covariance + LEAST_VARIANCE * np.eye(3)
    root = _power(here, 0.5)
    inverse = _power(here, -0.5)
    matrix = inverse @ _power(root @ there @ root, 0.5) @ inverse
    values, vectors = np.linalg.eigh(matrix)
    matrix = (vectors * np.minimum(values, LARGEST_GAIN)) @ vectors.T
    return matrix, wanted.mean - matrix @ source.mean


def _power(symmetric: Array, exponent: float) -> Array:
    values, vectors = np.linalg.eigh(symmetric)
    return np.asarray((vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T)


@torch.no_grad()
def recolour(network: Generator, matrix: Array, offset: Array) -> None:
    """Have `network` (with `mix_skip`) see its frames through a colour map, in place. It costs nothing per frame."""
    assert network.mix is not None and network.mix.bias is not None and network.stem.bias is not None
    linear = torch.from_numpy(matrix).float()
    constant = torch.from_numpy(offset).float()
    of_frame = network.stem.weight[:, :3]
    network.stem.bias += torch.einsum("ochw,c->o", of_frame, constant)
    of_frame.copy_(torch.einsum("ochw,cd->odhw", of_frame, linear))
    mix = network.mix.weight[..., 0, 0]
    network.mix.bias += mix @ constant
    network.mix.weight.copy_((mix @ linear)[..., None, None])
