"""Batch -> StyledBatch: the generator on every frame, whatever its size and however little memory there is.

Per batch: bytes to float on the device, guide planes, the network (padded to its size multiple, in tiles where a
picture does not fit), a check of the raw output, back to the source's integers.
"""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from vidstyle.device import DeviceChoice
from vidstyle.errors import ResourceError, out_of_memory
from vidstyle.frames import Batch, CheckedFrame, StyledBatch
from vidstyle.guides import STROKES, StrokeField
from vidstyle.models.blend import PaintNetwork

log = logging.getLogger("vidstyle")

FULL_SCALE = {torch.uint8: 255.0, torch.uint16: 65535.0}
"""The integer that stands for 1.0."""
PLAUSIBLE = 4.0
"""Raw outputs beyond +-4 (pictures are 0 to 1) are a numeric accident, not a bright spot."""
BLANK_RANGE = 2 / 255
"""A picture that spans less is blank ..."""
LIVELY_RANGE = 24 / 255
"""... if its source spans more than this."""
SMALLEST_TILE = 128
REMEMBERED_GUIDES = 48
"""Frames whose guides are kept for painting them again: the detector and the corrector look about 20 ahead."""
GUIDE_STEPS = 31.0
"""Guides lie within +-4 and are remembered in steps of 1/31."""

LUMA = (0.2126, 0.7152, 0.0722)


@dataclass(frozen=True, slots=True)
class Look:
    """How much of the style reaches the picture."""

    strength: float = 1.0
    preserve_color: bool = False


def to_unit(pixels: Tensor, device: torch.device) -> Tensor:
    """Integer pictures [T, 3, H, W] as float32 in [0, 1] on `device`, channels_last."""
    moved = pixels.to(device, non_blocking=pixels.is_pinned())
    return moved.to(torch.float32, memory_format=torch.channels_last).mul_(1 / FULL_SCALE[pixels.dtype])


def to_integers(pictures: Tensor, dtype: torch.dtype) -> Tensor:
    """Float pictures [T, 3, H, W] as integers of `dtype` on the CPU; works in place on `pictures`."""
    scaled = pictures.clamp_(0, 1).mul_(FULL_SCALE[dtype]).add_(0.5)
    if dtype == torch.uint16:  # torch knows few operations on uint16, but numpy does
        return torch.from_numpy(scaled.permute(0, 2, 3, 1).cpu().numpy().astype("uint16")).permute(0, 3, 1, 2)
    return scaled.to(dtype).cpu()


class Painter:
    """One style's generator on one device, with the guide state of one video.

    network: float32, evaluation mode; size: width, height of the pictures; guides: the planes the network sees beside
    the frame. `note` is told of every fallback.
    Not thread-safe but for `repaint`, which may run in another thread than `paint`.
    """

    def __init__(
        self,
        network: PaintNetwork,
        choice: DeviceChoice,
        size: tuple[int, int],
        *,
        guides: Sequence[str] = (STROKES,),
        look: Look | None = None,
        tile: int | None = None,
        note: Callable[[str], None] = log.warning,
    ) -> None:
        self._exact = network.to(choice.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._fast = _in_precision(self._exact, choice.dtype)
        self._choice = choice
        self._look = look or Look()
        self._field = StrokeField(size, choice.device, planes=guides, marks=network.marks)
        self._guides: OrderedDict[int, Tensor] = OrderedDict()
        self._together: int | None = None
        self._tile = tile
        self._note = note

    @torch.inference_mode()
    def paint(self, batch: Batch) -> StyledBatch:
        """Paint one batch. Raises ResourceError if memory does not even suffice for the smallest tiles."""
        if self._look.strength == 0:
            return StyledBatch(batch, batch.pixels, (None,) * len(batch))
        frames = to_unit(batch.pixels, self._choice.device)
        guides = self._field(frames, batch.motion, batch.indices)
        self._remember(batch.indices, guides)
        painted = self._run(self._fast, frames, guides)
        invalid = self._redo_invalid(frames, guides, painted)
        return StyledBatch(batch, self._finish(frames, painted, batch.pixels.dtype), invalid)

    @torch.inference_mode()
    def repaint(self, frame: CheckedFrame) -> Tensor | None:
        """Paint one frame [3, H, W] again, alone and in float32; None where its guides are gone or nothing is new."""
        remembered = self._guides.get(frame.index)
        if remembered is None or self._look.strength == 0:
            return None
        frames = to_unit(frame.source[None], self._choice.device)
        guides = remembered.to(self._choice.device, torch.float32).div_(GUIDE_STEPS)
        painted = self._run(self._exact, frames, guides)
        if _what_is_wrong(painted, frames)[0]:
            return None
        return self._finish(frames, painted, frame.source.dtype)[0]

    def _remember(self, indices: tuple[int, ...], guides: Tensor) -> None:
        steps = guides.mul(GUIDE_STEPS).round_().clamp_(-127, 127).to(torch.int8).cpu()
        for index, guide in zip(indices, steps, strict=True):
            self._guides[index] = guide[None]
        while len(self._guides) > REMEMBERED_GUIDES:
            self._guides.popitem(last=False)

    def _run(self, network: PaintNetwork, frames: Tensor, guides: Tensor) -> Tensor:
        """`network` over a batch; on out-of-memory with half as many frames, then with tiles half as large."""
        while True:
            together = min(self._together or len(frames), len(frames))
            try:
                parts = [
                    self._tiled(network, part, guide)
                    for part, guide in zip(frames.split(together), guides.split(together), strict=True)
                ]
                return torch.cat(parts) if len(parts) > 1 else parts[0]
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            self._use_less_memory(together, frames.shape[-2:])

    def _use_less_memory(self, together: int, size: torch.Size) -> None:
        if self._choice.device.type == "cuda":
            torch.cuda.empty_cache()
        if together > 1:
            self._together = together // 2
            self._note(f"Memory ran out: painting {self._together} frame(s) at a time from here on.")
            return
        tile = (self._tile or max(size)) // 2
        if tile < SMALLEST_TILE:
            instead = (
                ", or use --device cpu"
                if self._choice.device.type == "cuda"
                else " or make the video smaller"
            )
            raise ResourceError(
                "Memory does not suffice to paint pictures of this size.",
                name=str(self._choice.device),
                hint=f"close other programs{instead}",
            )
        self._tile = tile
        self._note(f"Memory ran out: painting in tiles of {tile} pixels from here on.")

    def _tiled(self, network: PaintNetwork, frames: Tensor, guides: Tensor) -> Tensor:
        """The network on whole pictures, or on tiles with as much context as it can see, so no seam appears."""
        if self._tile is None or max(frames.shape[-2:]) <= self._tile:
            return padded(network, frames, guides)
        tile = self._tile - self._tile % network.size_multiple
        result = torch.empty_like(frames)
        for inner, outer, crop in tiles(frames.shape[-2], frames.shape[-1], tile, _context(network)):
            painted = padded(network, frames[outer], guides[outer])
            result[inner] = painted[crop]
        return result

    def _redo_invalid(self, frames: Tensor, guides: Tensor, painted: Tensor) -> tuple[str | None, ...]:
        """Paint invalid frames again, alone and in float32, in place; what is still wrong is the answer."""
        wrong = _what_is_wrong(painted, frames)
        for index, reason in enumerate(wrong):
            if reason:
                log.info("frame %d of the batch came out %s; painting it again in float32", index, reason)
                one = slice(index, index + 1)
                painted[one] = self._run(self._exact, frames[one], guides[one])
        if not any(wrong):
            return wrong
        wrong = _what_is_wrong(painted, frames)
        painted.nan_to_num_(nan=0.0, posinf=1.0, neginf=0.0)
        return wrong

    def _finish(self, frames: Tensor, painted: Tensor, dtype: torch.dtype) -> Tensor:
        if self._look.preserve_color:
            painted = keep_color(frames, painted)
        if self._look.strength < 1:
            painted = torch.lerp(frames, painted.clamp_(0, 1), self._look.strength)
        return to_integers(painted, dtype)


def stylize(batches: Iterable[Batch], painter: Painter) -> Generator[StyledBatch, None, None]:
    """Paint every batch, in order."""
    for batch in batches:
        yield painter.paint(batch)


def keep_color(frames: Tensor, painted: Tensor) -> Tensor:
    """The painted luminance with the source's colour: the same step on R, G and B leaves chroma as it is."""
    weights = frames.new_tensor(LUMA).view(1, 3, 1, 1)
    step = ((painted.clamp(0, 1) - frames) * weights).sum(1, keepdim=True)
    return frames + step


def padded(network: PaintNetwork, frames: Tensor, guides: Tensor) -> Tensor:
    """Run `network` on [T, C, H, W] of any size: padded to its multiple by repeating the border, cropped after."""
    height, width = frames.shape[-2:]
    bottom, right = -height % network.size_multiple, -width % network.size_multiple
    if bottom or right:
        frames, guides = (F.pad(plane, (0, right, 0, bottom), mode="replicate") for plane in (frames, guides))
    return cast(Tensor, network(frames, guides))[..., :height, :width]


Window = tuple[slice, slice, slice, slice]


def tiles(height: int, width: int, tile: int, context: int) -> Iterator[tuple[Window, Window, Window]]:
    """Cover a picture with tiles: where each goes, what it sees (with context), and which part of that it keeps."""
    everything = slice(None)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            outer_top, outer_left = max(0, top - context), max(0, left - context)
            outer_bottom, outer_right = min(height, bottom + context), min(width, right + context)
            inner = (everything, everything, slice(top, bottom), slice(left, right))
            outer = (everything, everything, slice(outer_top, outer_bottom), slice(outer_left, outer_right))
            crop = (
                everything,
                everything,
                slice(top - outer_top, bottom - outer_top),
                slice(left - outer_left, right - outer_left),
            )
            yield inner, outer, crop


def _context(network: PaintNetwork) -> int:
    """The network's reach, rounded up so that tiles start on its grid."""
    return -(-network.context_pixels // network.size_multiple) * network.size_multiple


def _in_precision(network: PaintNetwork, dtype: torch.dtype) -> PaintNetwork:
    return network if dtype == torch.float32 else copy.deepcopy(network).to(dtype)


def _what_is_wrong(painted: Tensor, frames: Tensor) -> tuple[str | None, ...]:
    """Per frame of the raw output: "nonfinite", "blank" or None. NaN survives into minimum and maximum."""
    low, high = _range(painted)
    reasons: list[str | None] = []
    for index, (bottom, top) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if not (bottom >= -PLAUSIBLE and top <= PLAUSIBLE):
            reasons.append("nonfinite")
        elif top - bottom < BLANK_RANGE and _is_lively(frames[index : index + 1]):
            reasons.append("blank")
        else:
            reasons.append(None)
    return tuple(reasons)


def _is_lively(frame: Tensor) -> bool:
    low, high = _range(frame)
    return bool(high - low > LIVELY_RANGE)


def _range(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest and largest value of each of [T, C, H, W]; in memory order, or flattening would copy."""
    low, high = pictures.permute(0, 2, 3, 1).flatten(1).aminmax(dim=1)
    return low, high
