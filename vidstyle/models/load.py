"""Build a network of the manifest and fill it with its verified weights."""

from __future__ import annotations

from torch import nn

from vidstyle.errors import WeightsError
from vidstyle.models.features import FeatureNetwork
from vidstyle.models.generator import Generator
from vidstyle.weights import Entry, load_tensors, manifest

_CLASSES: dict[str, type[nn.Module]] = {"generator": Generator, "features": FeatureNetwork}


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
    """The detector's feature network. Raises WeightsError."""
    entry = manifest()["networks"].get("features")
    if entry is None:
        raise WeightsError(
            "The manifest lists no feature network.", name="weights", hint="install vidstyle again"
        )
    network = load(entry)
    assert isinstance(network, FeatureNetwork)
    return network
