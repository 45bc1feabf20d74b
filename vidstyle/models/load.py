"""Build a network of the manifest and fill it with its verified weights."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from vidstyle.errors import WeightsError
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.features import FeatureNetwork
from vidstyle.models.fusion import FusionNetwork
from vidstyle.models.generator import Generator
from vidstyle.models.marked import Marked
from vidstyle.weights import Entry, load_tensors, manifest

_CLASSES: dict[str, Callable[..., nn.Module]] = {
    "generator": Generator,
    "marked": Marked.empty,
    "any": AnyStyle,
    "features": FeatureNetwork,
    "fusion": FusionNetwork,
}


def load(entry: Entry) -> nn.Module:
    """The network of `entry` in evaluation mode, float32, on the CPU, parameters frozen.

    Raises WeightsError if the file is missing, altered, or does not fit the network the manifest names.
    """
    if entry.network not in _CLASSES:
        raise WeightsError(
            f"The manifest names a network {entry.network!r} that this version does not have.",
            name=str(entry.path),
            hint="update vidstyle",
        )
    tensors = {name: tensor.float() for name, tensor in load_tensors(entry).items()}
    try:
        network = _CLASSES[entry.network](**entry.settings)
        network.load_state_dict(tensors, strict=True)
    except (RuntimeError, TypeError) as error:
        raise WeightsError(
            f"The weights do not fit the network {entry.network!r} of this version.",
            name=str(entry.path),
            hint="install vidstyle again",
        ) from error
    return network.eval().requires_grad_(False)


def load_features() -> FeatureNetwork:
    """The network that tells the detector how a picture looks. Raises WeightsError."""
    network = _load_network("features")
    assert isinstance(network, FeatureNetwork)
    return network


def load_fusion() -> FusionNetwork:
    """The network that weighs the detector's evidence. Raises WeightsError."""
    network = _load_network("fusion")
    assert isinstance(network, FusionNetwork)
    return network


def _load_network(name: str) -> nn.Module:
    entry = manifest()["networks"].get(name)
    if entry is None:
        raise WeightsError(
            f"The manifest lists no network {name!r}.", name="weights", hint="install vidstyle again"
        )
    return load(entry)
