"""The painter: a small residual network that works at a quarter of the picture's size."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))), 3x3, no normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu_(self.first(x))).add_(x)


class Generator(nn.Module):
    """Paints frames; what it adds to the frame is computed by convolutions and point-wise operations only.

    No layer looks at statistics of the picture, so tiles, batches and single frames give the same pixels and nothing
    can pump from frame to frame. Nearly all work is done at a quarter of the size; a half-size skip keeps the brush
    marks of the guide sharp.

    channels        width of the body at a quarter of the size
    blocks          residual blocks of the body
    edge_channels   width of the first and the last layers, at half the size
    guide_channels  guide planes beside the frame (see `vidstyle.guides`)
    mix_skip        the frame passes a learnt 3x3 colour matrix on its way to the output, for styles with colours of
                    their own: no colour of the source can leak into a drawing

    settings        the five values above, as they stand in the manifest
    size_multiple   height and width must be multiples of this
    context_pixels  input farther away than this cannot influence an output pixel
    """

    size_multiple: int = 4
    binomial: Tensor

    def __init__(
        self,
        *,
        channels: int = 48,
        blocks: int = 5,
        edge_channels: int = 24,
        guide_channels: int = 1,
        mix_skip: bool = False,
    ) -> None:
        super().__init__()
        self.settings = {
            "channels": channels,
            "blocks": blocks,
            "edge_channels": edge_channels,
            "guide_channels": guide_channels,
            "mix_skip": mix_skip,
        }
        self.guide_channels = guide_channels
        self.marks: tuple[Tensor, ...] = ()
        # Radii, in pixels of the picture: body 2 per block at 4, head and output 1 each at 2, and the strided layers.
        self.context_pixels = 8 * blocks + 12
        self.stem = nn.Conv2d(3 + guide_channels, edge_channels, 4, stride=2, padding=1)
        self.down = nn.Conv2d(edge_channels, channels, 3, stride=2, padding=1)
        self.body = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.up = nn.Conv2d(channels, 4 * edge_channels, 1)
        self.head = nn.Conv2d(edge_channels, edge_channels, 3, padding=1)
        self.out = nn.Conv2d(edge_channels, 4 * 3, 3, padding=1)
        self.mix = nn.Conv2d(3, 3, 1) if mix_skip else None
        taps = torch.tensor((0.25, 0.5, 0.25))
        self.register_buffer("binomial", (taps[:, None] * taps).repeat(3, 1, 1, 1), persistent=False)
        self._initialise()

    def _initialise(self) -> None:
        with torch.no_grad():
            for block in self.body.modules():
                if isinstance(block, ResidualBlock):
                    block.second.weight.mul_(0.5)
            for layer in (self.up, self.out):
                # Equal filters for the four pixels of a shuffle: no checkerboard to unlearn (Aitken et al., 2017).
                layer.weight.copy_(layer.weight[::4].repeat_interleave(4, 0))
                assert layer.bias is not None
                layer.bias.zero_()
            self.out.weight.mul_(0.3)
            if self.mix is not None:
                self.mix.weight.copy_(0.5 * torch.eye(3)[..., None, None])
                assert self.mix.bias is not None
                self.mix.bias.zero_()

    def forward(self, frames: Tensor, guides: Tensor) -> Tensor:
        """Paint `frames`.

        frames  float32 [T, 3, H, W], RGB in [0, 1]
        guides  float [T, guide_channels, H, W]
        returns float32 [T, 3, H, W], RGB around [0, 1], not clamped

        The layers run in the weights' dtype; the frame is added in float32, so bfloat16 weights cost no precision
        of the picture itself.
        """
        x = torch.cat((frames, guides.to(frames.dtype)), 1).to(self.stem.weight.dtype)
        skip = F.relu_(self.stem(x))
        body = self.body(F.relu_(self.down(skip)))
        y = F.relu_(F.pixel_shuffle(self.up(body), 2).add_(skip))
        y = self.out(F.relu_(self.head(y)))
        return self._softened(frames.float()) + F.pixel_shuffle(y, 2).float()

    def _softened(self, frames: Tensor) -> Tensor:
        """The input skip through a binomial 3x3 filter: fine texture is the network's to add, not to take away."""
        padded = F.pad(frames, (1, 1, 1, 1), mode="replicate")
        with torch.autocast(frames.device.type, enabled=False):
            soft = F.conv2d(padded, self.binomial.float(), groups=3)
            if self.mix is None:
                return soft
            assert self.mix.bias is not None
            return F.conv2d(soft, self.mix.weight.float(), self.mix.bias.float())
