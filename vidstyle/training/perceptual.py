"""Feature networks whose maps the content and style losses compare.

`own`         the detector's network, in checkpoints/: small, always there
`squeezenet`  SqueezeNet 1.1 (Iandola et al., 2016) up to fire5
`vgg19`       VGG-19 (Simonyan and Zisserman, 2015) up to conv3_1

The weights of the last two do not ship. They are read from a file the user names, safetensors or a state dictionary of
torchvision, or from torchvision's own download cache.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from vidstyle.errors import UsageError, WeightsError
from vidstyle.models.load import load_features

Features = Callable[[Tensor], list[Tensor]]
"""From float [N, 3, H, W], RGB in [0, 1], to maps [N, C, h, w]; weights frozen, gradients reach the pictures."""

TAPS = {"squeezenet": (1, 3, 6, 7), "vgg19": (1, 6, 11)}
"""Layers of torchvision's `features` that are looked at: after a ReLU, near the end of each scale."""
CACHED = {"squeezenet": "squeezenet1_1-b8a52dc0.pth", "vgg19": "vgg19-dcbb9e9d.pth"}
"""Names in torchvision's cache, with the first digits of their sha256."""


class ImageNetFeatures(nn.Module):
    """The maps of a torchvision classifier at some of its layers."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: nn.Sequential, taps: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = layers[: taps[-1] + 1].eval().requires_grad_(False)
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = True  # what comes before it is never looked at
        self.taps = taps
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.register_buffer("deviation", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1))

    def forward(self, pictures: Tensor) -> list[Tensor]:
        maps = []
        x = (pictures - self.mean) / self.deviation
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.taps:
                maps.append(x)
        return maps


class Together(nn.Module):
    """The maps of several feature networks, one after the other."""

    def __init__(self, *networks: nn.Module) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return [maps for network in self.networks for maps in network(pictures)]


def load(name: str, weights: Path | None = None, *, download: bool = False) -> nn.Module:
    """The feature network called `name`, frozen, on the CPU; a `Features`.

    download  have torchvision fetch weights that are not in its cache

    Raises UsageError for an unknown name, WeightsError if the weights are missing or do not fit.
    """
    if name == "own":
        return load_features()
    if name not in TAPS:
        raise UsageError(
            f"There is no feature network {name!r}.", hint=f"choose one of own, {', '.join(TAPS)}"
        )
    path = weights or Path(torch.hub.get_dir()) / "checkpoints" / CACHED[name]
    if download and not path.is_file():
        _download(name)
    if not path.is_file():
        raise WeightsError(
            f"The weights of {name} are not there.",
            name=str(path),
            hint="name a local file with --feature-weights, or use --features own, which needs none",
        )
    layers = _classifier(name)
    last = TAPS[name][-1]
    try:
        tensors = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, weights_only=True, map_location="cpu")
        )
        kept = {key.removeprefix("features."): value for key, value in tensors.items() if _before(key, last)}
        layers.load_state_dict(kept, assign=True)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise WeightsError(f"Not the weights of torchvision's {name}: {error}.", name=str(path)) from error
    return ImageNetFeatures(layers, TAPS[name])


def _download(name: str) -> None:
    """Into torchvision's cache, checked by the digits in their name. Raises WeightsError."""
    from torchvision import models

    kind = models.SqueezeNet1_1_Weights if name == "squeezenet" else models.VGG19_Weights
    url = kind.IMAGENET1K_V1.url
    try:
        torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"The weights of {name} cannot be downloaded: {error}.", name=url, hint="use --features own"
        ) from error


def _before(key: str, last: int) -> bool:
    return key.startswith("features.") and int(key.split(".")[1]) <= last


def _classifier(name: str) -> nn.Sequential:
    """Its first layers, without weights."""
    from torchvision import models

    with torch.device("meta"):
        network = models.squeezenet1_1() if name == "squeezenet" else models.vgg19()
    layers = network.features[: TAPS[name][-1] + 1]
    assert isinstance(layers, nn.Sequential)
    return layers
