"""The stroke field: brush marks that follow the forms of the picture and travel with what is painted.

A table holds one noise picture blurred along straight lines at sixteen angles. A pixel reads the two planes nearest to
the local brush direction (along the edges: the small eigenvector of the structure tensor), which looks like a line
integral convolution (Cabral and Leedom, 1993) at a fraction of its cost.

Strokes must stick to things, not to the screen. So the noise is read at positions displaced by the motion of the
source since some earlier frame. A displacement that is carried along for ever would tear and crumple, so there are two
of them, each set back to zero every PERIOD frames, half a period apart, and mixed with weights that vanish where one is
set back. Both read the same noise: under a still camera they agree and the field stands perfectly still. The structure
tensor is smoothed over time in the same two layers. All of it depends on the last PERIOD frames only.

Styles without brush strokes have other planes that travel in the same way (`TEXTURES`): pencil hatching in two
directions, the grain of paper, blotches of wet colour. The line map (`LINES`) depends on the frame alone: where it is
darker than its surroundings, as a difference of Gaussians (Winnemöller, Olsen and Gooch, 2006), enlarged, for a small
network can hardly find thin faint lines by itself.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vidstyle.flow import analysis_size
from vidstyle.frames import Motion

PERIOD = 32
"""Frames between two resets of one layer."""

ANGLES = 16
TABLE = 512
"""Side of the periodic noise picture, pixels."""
STROKE_HALF_LENGTH = 12.0
BRISTLE = 1.0
"""Deviation of the Gauss filter across a stroke, pixels."""
BRUSH_GROWS_FROM = 640
"""Pictures whose shorter side has more pixels get larger strokes in proportion ..."""
LARGEST_BRUSH = 2.5
"""... up to this factor."""
MEMORY = 0.88
"""Share of the structure tensor that is kept from one frame to the next."""

TENSOR_SIGMA = 1.0
"""Deviation of the Gauss filter of the structure tensor, pixels of the grid it is kept on (half the analysis size)."""
FLAT = 2e-4
"""Tensor energy under which the direction comes from a wider neighbourhood."""
REST = (3e-6, 5e-6)
"""Direction (as a double angle) and strength of the strokes where the picture itself has no direction at all."""
STILL = 0.03
"""Motion under this many grid pixels a frame is taken for none, so that noise in the flow moves no stroke."""
SLOW = 0.05
"""Where the camera stands still, many corners move by less than so many grid pixels a frame."""
AT_REST = 0.2, 0.3
"""The camera begins to stand still where this share of the corners of the last frames is slow, and does at this one (of
18 clips, at least .30 where it does, nearly always under .25 where it does not). Then nothing moves where the picture
does not change: on plain walls flow is noise, and would knead the strokes."""
LAST = 8
"""Frames that are looked at for that: in single ones, something that passes hides too many corners."""
CORNER = 1e-4
"""Smaller eigenvalue of the structure tensor at which a place counts half as a corner."""
NOISE = 3.0, 1 / 255
"""A change of luma above this many times its median, plus this much, is no noise."""
SAME = 2.0
"""Distance in pixels at which two readings of the noise become independent."""
TORN = 4.0
"""Squared slope of a displacement at which its strokes have lost half of their strength."""
BROAD_BELOW = 4e-4
"""Tensor energy at which fine strokes and those of twice the size have equal shares."""
STRIP = 96
"""Rows that are read from the table at a time."""

STROKES = "strokes"
TEXTURES = {"hatch": 3.0, "crosshatch": 3.0, "paper": 2.0, "blotches": 24.0}
"""The other planes, and the distance in pixels at which two readings of one become independent."""
MARKS_SAME = 3.0
"""That distance for the marks of a picture."""
LINES = "lines"
LINE_SIGMA = 0.8
"""Deviation of the narrower Gauss filter of the line map, pixels ..."""
LINE_RATIO = 1.6
"""... and how many times wider the other one is."""
LINE_UNIT = 0.012
"""How much darker than its surroundings a line is that stands as 1 in the line map."""
LARGEST_GUIDE = 4.0
HATCH_ANGLES = {"hatch": math.radians(-52), "crosshatch": math.radians(28)}
"""Directions of the pencil, from x towards y (down): the first as a right hand draws."""
HATCH_PERIOD = 5.0
"""Mean distance of two pencil strokes, pixels."""
HATCH_HALF_LENGTH = 16.0
PAPER_PERIOD = 4.5
"""Mean distance of two bumps of the paper, pixels."""
BLOTCH_PERIODS = (22.0, 110.0)
"""Blotches are of all sizes between these, pixels."""

_LUMA = (0.299, 0.587, 0.114)


@lru_cache(maxsize=4)
def stroke_table(device: torch.device) -> Tensor:
    """Noise blurred along lines at ANGLES angles: float32 [1, 2, ANGLES * (TABLE + 1), TABLE + 1], channels_last.

    Angle k ((k - ANGLES / 2) * pi / ANGLES, from x towards y) fills rows k * (TABLE + 1) onwards; the second channel
    is the next angle. Every plane has mean 0 and deviation 1 and is periodic; one row and column are repeated for
    interpolation.
    """
    noise = torch.randn(TABLE, TABLE, generator=torch.Generator().manual_seed(0))
    fy, fx = torch.meshgrid(torch.fft.fftfreq(TABLE), torch.fft.rfftfreq(TABLE), indexing="ij")
    across = torch.exp(-2 * (math.pi * BRISTLE) ** 2 * (fx**2 + fy**2))
    angles = (torch.arange(ANGLES).view(-1, 1, 1) - ANGLES / 2) * (math.pi / ANGLES)
    along = torch.sinc(2 * STROKE_HALF_LENGTH * (fx * angles.cos() + fy * angles.sin()))
    spectrum = torch.fft.rfft2(noise) * across * along
    spectrum[:, 0, 0] = 0
    planes = torch.fft.irfft2(spectrum, s=(TABLE, TABLE))
    planes = planes / planes.std((1, 2), keepdim=True)
    planes = F.pad(planes[:, None], (0, 1, 0, 1), mode="circular")[:, 0]
    pairs = torch.stack((planes, planes.roll(-1, 0)), 0).reshape(1, 2, ANGLES * (TABLE + 1), TABLE + 1)
    return pairs.to(device).contiguous(memory_format=torch.channels_last)


def texture_table(names: Sequence[str], marks: Sequence[Tensor], device: torch.device) -> Tensor:
    """The planes called `names` (of TEXTURES) and marks: float32 [1, planes, TABLE + 1, TABLE + 1], channels_last.

    Those with a name are noise with a spectrum of its own, mean 0, deviation 1, periodic; one row and column are
    repeated for interpolation.
    """
    fy, fx = torch.meshgrid(torch.fft.fftfreq(TABLE), torch.fft.rfftfreq(TABLE), indexing="ij")
    frequency = (fx**2 + fy**2).sqrt()
    planes = []
    for name in names:
        noise = torch.randn(
            TABLE, TABLE, generator=torch.Generator().manual_seed(1 + list(TEXTURES).index(name))
        )
        spectrum = torch.fft.rfft2(noise) * _texture_spectrum(name, fx, fy, frequency)
        spectrum[0, 0] = 0
        plane = torch.fft.irfft2(spectrum, s=(TABLE, TABLE))
        planes.append(plane / plane.std())
    table = F.pad(
        torch.stack((*planes, *(table.float().cpu() for table in marks)))[None], (0, 1, 0, 1), mode="circular"
    )
    return table.to(device).contiguous(memory_format=torch.channels_last)


def _texture_spectrum(name: str, fx: Tensor, fy: Tensor, frequency: Tensor) -> Tensor:
    if name in HATCH_ANGLES:
        angle = HATCH_ANGLES[name]
        along = fx * math.cos(angle) + fy * math.sin(angle)
        across = (fy * math.cos(angle) - fx * math.sin(angle)).abs()
        return torch.sinc(2 * HATCH_HALF_LENGTH * along) * torch.exp(
            -(((across * HATCH_PERIOD - 1) / 0.4) ** 2)
        )
    if name == "paper":
        return frequency.sqrt() * torch.exp(-((frequency * PAPER_PERIOD / 1.5) ** 2))
    if name == "blotches":
        finest, coarsest = BLOTCH_PERIODS
        return (frequency**2 + coarsest**-2) ** -0.8 * torch.exp(-((frequency * finest) ** 2))
    raise ValueError(f"there is no guide plane {name!r}")


def _resized(planes: Tensor, size: tuple[int, int]) -> Tensor:
    """Planes [C, h, w] brought to size (height, width), bilinear. OpenCV is five times faster on a CPU."""
    if planes.device.type != "cpu":
        return F.interpolate(planes[None], size, mode="bilinear")[0]
    height, width = size
    out = np.empty((planes.shape[0], height, width), np.float32)
    for plane, enlarged in zip(planes.numpy(), out, strict=True):
        cv2.resize(plane, (width, height), enlarged, interpolation=cv2.INTER_LINEAR)
    return torch.from_numpy(out)


def _averaged(picture: Tensor, size: tuple[int, int]) -> Tensor:
    """Picture [C, H, W] shrunk to (height, width), averaging areas; never enlarged smoothly."""
    if picture.device.type != "cpu":
        return F.interpolate(picture[None], size, mode="area")[0]
    array = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
    small = cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA)
    return torch.from_numpy(np.atleast_3d(small)).permute(2, 0, 1).contiguous()


def _gauss(planes: Tensor, sigma: float) -> Tensor:
    """Gauss filter of planes [C, h, w] with replicated borders."""
    radius = math.ceil(2.5 * sigma)
    if planes.device.type == "cpu":
        side = 2 * radius + 1
        array = planes.permute(1, 2, 0).contiguous().numpy()
        blurred = cv2.GaussianBlur(array, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
        return torch.from_numpy(np.atleast_3d(blurred)).permute(2, 0, 1).contiguous()
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=planes.device) / sigma) ** 2)
    taps = taps / taps.sum()
    padded = F.pad(planes[:, None], (radius, radius, radius, radius), mode="replicate")
    return F.conv2d(F.conv2d(padded, taps.view(1, 1, 1, -1)), taps.view(1, 1, -1, 1))[:, 0]


def _structure_tensor(luma: Tensor) -> Tensor:
    """[1, 3, h, w] of gx*gx, gy*gy, gx*gy for [1, 1, h, w] in [0, 1] (Scharr filters, gradients per pixel)."""
    padded = F.pad(luma, (1, 1, 1, 1), mode="replicate")
    wide = 3 * padded[:, :, :-2] + 10 * padded[:, :, 1:-1] + 3 * padded[:, :, 2:]
    tall = 3 * padded[..., :-2] + 10 * padded[..., 1:-1] + 3 * padded[..., 2:]
    gx = (wide[..., 2:] - wide[..., :-2]) / 32
    gy = (tall[:, :, 2:] - tall[:, :, :-2]) / 32
    return torch.cat((gx * gx, gy * gy, gx * gy), 1)


def _slow_corners(flow: Tensor, tensor: Tensor) -> tuple[float, float]:
    """How many corners are slow, and how many there are; from flow [2, rows, columns] and structure tensor [3, ...]."""
    half, product = (tensor[0] + tensor[1]) / 2, tensor[0] * tensor[1] - tensor[2] ** 2
    smaller = half - (half * half - product).clamp_min(0).sqrt()
    corners = smaller / (smaller + CORNER)
    still = corners * (flow.square().sum(0) < SLOW**2)
    slow, count = torch.stack((still.sum(), corners.sum())).tolist()  # a GPU is waited for once
    return slow, count


def _changing(difference: Tensor) -> Tensor:
    """Where a picture changes, 0 to 1 [rows, columns], and near by; from the difference of luma [2 rows, 2 columns]."""
    change = F.avg_pool2d(difference.abs()[None], 2)
    times, more = NOISE
    near = F.max_pool2d(F.avg_pool2d(change, 3, 1, 1), 7, 1, 3)
    near = F.avg_pool2d(near, 5, 1, 2, count_include_pad=False)[0]
    return (near / (times * change.median() + more) - 1).clamp(0, 1)


def _contrast(shift: Tensor, share: Tensor, same: float) -> Tensor:
    """What makes up for the contrast lost where two readings of the noise are mixed, [rows, columns].

    Two readings farther apart than `same` pixels are independent, and their mix would be too faint.
    """
    apart = (shift[:2] - shift[2:]).square().sum(0)
    alike = torch.exp(-apart / (2 * same**2))
    return (share**2 + (1 - share) ** 2 + 2 * share * (1 - share) * alike).rsqrt()


class _Layer:
    """Strokes of one size, `scale` times as large as in the table, for the picture shrunk by `step`.

    x [w], y [h]: float32, where in the table its pixels lie, in sides of the table
    """

    def __init__(
        self,
        size: tuple[int, int],
        step: int,
        scale: float,
        origin: tuple[float, float],
        device: torch.device,
    ) -> None:
        self.scale = scale
        # A whole number of tables more keeps positions positive however far the strokes were carried.
        self.x, self.y = (
            torch.arange((side + step - 1) // step, device=device, dtype=torch.float32)
            .mul_(step)
            .add_(start)
            .div_(scale * TABLE)
            .add_(16)
            for side, start in zip(size, origin, strict=True)
        )


class StrokeField:
    """Stroke fields of consecutive frames.

    size    width, height of the frames
    device  of the frames that will come and of the fields
    origin  where in the noise picture the top left corner lies (training draws it at random)
    planes  which guide planes: of STROKES, LINES and TEXTURES, in this order; none for styles without guides
    marks   tables of further planes, after those: periodic float32 [TABLE, TABLE], mean 0, deviation 1

    Raises ValueError for planes that do not exist or come in another order.
    """

    CONTEXT_FRAMES = PERIOD + LAST
    """So many frames after a start in mid-video the field is exactly that of an undisturbed run."""

    def __init__(
        self,
        size: tuple[int, int],
        device: torch.device | str = "cpu",
        origin: tuple[float, float] = (0.0, 0.0),
        planes: Sequence[str] = (STROKES,),
        marks: Sequence[Tensor] = (),
    ) -> None:
        self.size = size
        self.device = torch.device(device)
        self._strokes_wanted, self._lines_wanted = STROKES in planes, LINES in planes
        self._textures = tuple(name for name in TEXTURES if name in planes)
        order = (STROKES,) * self._strokes_wanted + (LINES,) * self._lines_wanted + self._textures
        if tuple(planes) != order:
            raise ValueError(f"guide planes are some of {(STROKES, LINES, *TEXTURES)}, in this order")
        self._table = stroke_table(self.device) if self._strokes_wanted else torch.empty(0)
        self._same = [TEXTURES[name] for name in self._textures] + [MARKS_SAME] * len(marks)
        self._texture_table = (
            texture_table(self._textures, marks, self.device) if self._same else torch.empty(0)
        )
        brush = min(max(min(size) / BRUSH_GROWS_FROM, 1.0), LARGEST_BRUSH)
        self._fine = _Layer(size, 1, brush, origin, self.device)
        self._broad = _Layer(size, 2, 2 * brush, origin, self.device)
        self._state: Tensor | None = None
        self._luma: Tensor | None = None
        self._corners: deque[tuple[float, float]] = deque(maxlen=LAST)

    def __call__(self, frames: Tensor, motion: Sequence[Motion], indices: Sequence[int]) -> Tensor:
        """Planes of `frames` (float [T, 3, H, W], RGB in [0, 1]), in presentation order: float32 [T, planes, H, W].

        Mean 0, deviation about 1. `motion` and `indices` (counted over the whole file) belong to the frames.
        """
        if not self._strokes_wanted and not self._same:
            lines = [self._line_map(frame) for frame in frames] if self._lines_wanted else []
            return torch.stack(lines) if lines else frames.new_zeros((len(frames), 0, *frames.shape[2:]))
        return torch.cat([self._next(frames[i], motion[i], indices[i]) for i in range(len(indices))])

    def _next(self, frame: Tensor, motion: Motion, index: int) -> Tensor:
        back = torch.from_numpy(motion.back).permute(2, 0, 1).to(self.device)
        grid = (back.shape[1] + 1) // 2, (back.shape[2] + 1) // 2
        small = _averaged(frame, (2 * grid[0], 2 * grid[1]))
        luma = sum(weight * plane for weight, plane in zip(_LUMA, small, strict=True))
        tensor = _gauss(F.avg_pool2d(_structure_tensor(luma[None, None])[0], 2), TENSOR_SIGMA)
        before, self._luma = self._luma, luma
        if self._state is None or before is None or motion.cut:
            self._corners.clear()
            still = torch.zeros_like(tensor[:2])
            self._state = torch.cat((still, tensor, still, tensor))
        else:
            back = _averaged(back, grid) * (grid[1] / back.shape[2])
            self._corners.append(_slow_corners(back, tensor))
            if (rest := self._at_rest()) > 0:
                back = back * (1 - rest * (1 - _changing(luma - before)))
            self._state = self._carried(self._state, back, tensor)
        phase = index % PERIOD
        for layer in (0, 1):
            if phase == layer * PERIOD // 2:
                self._state[5 * layer : 5 * layer + 2] = 0
                self._state[5 * layer + 2 : 5 * layer + 5] = tensor
        return self._planes(frame, self._state[:5], self._state[5:], 1 - abs(2 * phase / PERIOD - 1))

    def _at_rest(self) -> float:
        """Whether the camera stands still, 0 to 1."""
        slow, corners = (sum(column) for column in zip(*self._corners, strict=True))
        least, most = AT_REST
        return min(1.0, max(0.0, (slow / (corners + 1e-9) - least) / (most - least)))

    def _carried(self, state: Tensor, back: Tensor, tensor: Tensor) -> Tensor:
        """Both layers moved along the source by `back` [2, rows, columns], in pixels of their grid, and updated."""
        rows, columns = back.shape[1:]
        speed = back.square().sum(0).sqrt()
        back = back * ((speed - STILL) / STILL).clamp(0, 1)
        x = torch.arange(columns, device=self.device) + back[0]
        y = torch.arange(rows, device=self.device)[:, None] + back[1]
        at = torch.stack(((2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1), -1)
        state = state[None].contiguous(memory_format=torch.channels_last)
        state = F.grid_sample(state, at[None], padding_mode="border", align_corners=False)[0]
        shift = torch.stack((back[0] * (self.size[0] / columns), back[1] * (self.size[1] / rows)))
        one, two = state[:5], state[5:]
        return torch.cat(
            (
                one[:2] + shift,
                torch.lerp(tensor, one[2:], MEMORY),
                two[:2] + shift,
                torch.lerp(tensor, two[2:], MEMORY),
            )
        )

    def _planes(self, frame: Tensor, one: Tensor, two: Tensor, weight: float) -> Tensor:
        """The planes [1, planes, H, W] of a frame and two layers [5, rows, columns]; `weight` is the first's share."""
        # A layer that the motion has torn (things passing each other) gives way to the other one.
        whole = weight * self._whole(one[:2]), (1 - weight) * self._whole(two[:2])
        share = whole[0] / (whole[0] + whole[1])
        shift = torch.cat((one[:2], two[:2]))
        planes = []
        if self._strokes_wanted:
            tensor = torch.lerp(two[2:], one[2:], weight)
            planes.append(self._stroke_plane(tensor, shift, share, whole[0] + whole[1]))
        if self._lines_wanted:
            planes.append(self._line_map(frame))
        if self._same:
            planes.append(self._texture_planes(shift, share, whole[0] + whole[1]))
        return torch.cat(planes)[None]

    def _stroke_plane(self, tensor: Tensor, shift: Tensor, share: Tensor, whole: Tensor) -> Tensor:
        """The strokes [1, H, W].

        tensor  structure tensor [3, rows, columns]
        shift   displacement since the one reset and since the other [4, rows, columns]
        share   of the first of them, [rows, columns]
        whole   how far they are not torn, 0 to 1 [rows, columns]
        """
        energy = tensor[0] + tensor[1]
        wide = _gauss(tensor, 5 * TENSOR_SIGMA)
        tensor = torch.lerp(wide, tensor, energy / (energy + FLAT))
        # Along the edge, as a double angle: opposite directions are the same stroke. Where strokes of many directions
        # meet, the mean direction is short and the marks fade.
        direction = torch.stack((tensor[1] - tensor[0] + REST[0], -2 * tensor[2] + REST[1]))
        direction = direction * (direction.square().sum(0) + 1e-20).rsqrt()
        direction = F.avg_pool2d(F.pad(direction[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
        clear = direction.square().sum(0).sqrt() * whole

        broad = BROAD_BELOW / (BROAD_BELOW + energy)
        clear = clear * (broad**2 + (1 - broad) ** 2).rsqrt()
        gain = [
            clear * part * _contrast(shift, share, SAME * layer.scale)
            for layer, part in ((self._fine, 1 - broad), (self._broad, broad))
        ]
        maps = torch.cat((direction, shift, share[None]))
        fine = self._strokes(maps, self._fine)
        size = fine.shape[0], fine.shape[1]
        coarse = _resized(self._strokes(maps, self._broad)[None], size)[0]
        fine_gain, coarse_gain = _resized(torch.stack(gain), size)
        return torch.addcmul(fine.mul_(fine_gain), coarse, coarse_gain)[None]

    def _line_map(self, frame: Tensor) -> Tensor:
        """The line map [1, H, W] of a frame [3, H, W]: 0 where flat, 1 for a faint line, below 4 for the darkest."""
        luma = sum(weight * plane for weight, plane in zip(_LUMA, frame, strict=True))[None]
        sigma = LINE_SIGMA * self._fine.scale
        dip = (_gauss(luma, LINE_RATIO * sigma) - _gauss(luma, sigma)).div_(LINE_UNIT)
        return dip / (1 + dip.abs() / LARGEST_GUIDE)

    def _texture_planes(self, shift: Tensor, share: Tensor, whole: Tensor) -> Tensor:
        """The textures [C, H, W]; for the arguments see `_stroke_plane`."""
        layer = self._fine
        gain = [whole * _contrast(shift, share, same * layer.scale) for same in self._same]
        maps = _resized(
            torch.cat((shift, share[None], *(g[None] for g in gain))), (len(layer.y), len(layer.x))
        )
        strips = zip(torch.split(maps, STRIP, 1), torch.split(layer.y, STRIP), strict=True)
        return torch.cat([self._texture_strip(strip, layer.x, y, layer.scale) for strip, y in strips], 1)

    def _texture_strip(self, maps: Tensor, x: Tensor, y: Tensor, scale: float) -> Tensor:
        at = torch.empty_like(maps[:4])
        torch.add(x, maps[0:4:2], alpha=1 / (scale * TABLE), out=at[0::2])
        torch.add(y[:, None], maps[1:4:2], alpha=1 / (scale * TABLE), out=at[1::2])
        grids = at.frac_().mul_(2).sub_(1).view(2, 2, *at.shape[1:]).permute(0, 2, 3, 1)
        one, two = (F.grid_sample(self._texture_table, grid[None], align_corners=True)[0] for grid in grids)
        return torch.lerp(two, one, maps[4]).mul_(maps[5:])

    def _whole(self, displacement: Tensor) -> Tensor:
        """1 where a displacement [2, rows, columns] is smooth, towards 0 where it is torn."""
        cell = self.size[0] / displacement.shape[2]
        padded = F.pad(displacement[None], (1, 1, 1, 1), mode="replicate")[0] / (2 * cell)
        slope_x = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
        slope_y = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
        return 1 / (1 + ((slope_x**2 + slope_y**2).sum(0) / TORN) ** 2)

    def _strokes(self, maps: Tensor, layer: _Layer) -> Tensor:
        """Strokes [h, w] of one size.

        maps [7, rows, columns]: direction as a double angle, displacement since the one reset and since the other,
        share of the first.
        """
        maps = _resized(maps, (len(layer.y), len(layer.x)))
        # A strip of rows at a time stays in the processor's cache.
        strips = zip(torch.split(maps, STRIP, 1), torch.split(layer.y, STRIP), strict=True)
        return torch.cat([self._strip(strip, layer.x, y, layer.scale) for strip, y in strips])

    def _strip(self, maps: Tensor, x: Tensor, y: Tensor, scale: float) -> Tensor:
        angle = torch.atan2(maps[1], maps[0]).mul_(ANGLES / (2 * math.pi)).add_(ANGLES / 2)
        plane = angle.floor().clamp_(max=ANGLES - 1)
        between = angle - plane
        row = plane.mul_((TABLE + 1) * 2 / (ANGLES * (TABLE + 1) - 1)).sub_(1)
        at = torch.empty_like(maps[2:6])
        torch.add(x, maps[2:6:2], alpha=1 / (scale * TABLE), out=at[0::2])
        torch.add(y[:, None], maps[3:6:2], alpha=1 / (scale * TABLE), out=at[1::2])
        at.frac_()
        at[0::2].mul_(2).sub_(1)
        at[1::2].mul_(2 * TABLE / (ANGLES * (TABLE + 1) - 1)).add_(row)
        grids = at.view(2, 2, *row.shape).permute(0, 2, 3, 1)
        one, two = (F.grid_sample(self._table, grid[None], align_corners=True)[0] for grid in grids)
        mixed = torch.lerp(two, one, maps[6])
        return torch.lerp(mixed[0], mixed[1], between)


def still_guides(
    picture: Tensor,
    planes: Sequence[str],
    origin: tuple[float, float] = (0.0, 0.0),
    marks: Sequence[Tensor] = (),
) -> Tensor:
    """The guide planes [1, planes, H, W] of a single picture, float32 [1, 3, H, W] in [0, 1]; see `StrokeField`."""
    height, width = picture.shape[2:]
    columns, rows = analysis_size(width, height)
    still = np.zeros((rows, columns, 2), np.float32)
    with torch.no_grad():
        field = StrokeField((width, height), "cpu", origin, planes, marks)
        return field(picture, [Motion(still, still, True, 0)], [0])
