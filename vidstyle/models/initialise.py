"""Initial weights."""

from __future__ import annotations

from torch import nn

CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding)
NORMALISATIONS = (nn.BatchNorm2d, nn.InstanceNorm2d)
DEVIATION = 0.02


def dcgan(network: nn.Module) -> None:
    """Weights of N(0, 0.02), those of normalisation layers of N(1, 0.02), biases zero (Radford et al., 2016), in place.

    Made for networks with normalisation layers, which undo the small scale; one without them starts with signals that
    shrink from layer to layer, and is better left to PyTorch's own initialisation.
    """
    for module in network.modules():
        if isinstance(module, CONVOLUTIONS):
            nn.init.normal_(module.weight, 0.0, DEVIATION)
        elif isinstance(module, NORMALISATIONS) and module.affine:
            nn.init.normal_(module.weight, 1.0, DEVIATION)
        else:
            continue
        bias = getattr(module, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)
