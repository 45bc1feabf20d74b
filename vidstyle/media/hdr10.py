"""HDR10: on what monitor a film was graded and how bright it gets, carried from the source to the encoder."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from fractions import Fraction

from av import VideoFrame
from av.sidedata.sidedata import Type as SideDataType

from vidstyle.frames import Hdr10

_CHROMATICITY, _LUMINANCE = 50_000, 10_000
"""Steps in which H.264 and HEVC count."""
_BRIGHTEST = 10_000
"""In cd/m2: the end of PQ's scale. What lies beyond is damage, which encoders refuse."""


def read_hdr10(frame: VideoFrame) -> Hdr10 | None:
    """What comes with a decoded frame; None without."""
    try:
        mastering = frame.side_data.get(SideDataType.MASTERING_DISPLAY_METADATA)  # type: ignore[call-overload]
        light = frame.side_data.get(SideDataType.CONTENT_LIGHT_LEVEL)  # type: ignore[call-overload]
    except ValueError:  # PyAV 18 knows no name for some side data
        return None
    display = _display(bytes(mastering)) if mastering is not None else None
    levels = struct.unpack("<2I", bytes(light)[:8]) if light is not None else None
    if levels and max(levels) > _BRIGHTEST:
        levels = None
    return Hdr10(display, levels) if display or levels else None


def _display(data: bytes) -> tuple[Fraction, ...] | None:
    """FFmpeg's ten fractions, and whether they mean anything."""
    *numbers, has_primaries, has_luminance = struct.unpack("<22i", data[:88])
    if not (has_primaries and has_luminance and all(numbers[1::2])):
        return None
    display = tuple(Fraction(a, b) for a, b in zip(numbers[::2], numbers[1::2], strict=True))
    sound = all(0 <= n <= 1 for n in display[:8]) and 0 <= display[8] <= display[9] <= _BRIGHTEST
    return display if sound else None


def hdr10_options(codec: str, hdr10: Hdr10, options: Mapping[str, str]) -> dict[str, str] | None:
    """`options` with what tells the encoder about it; None where the encoder has no option for it."""
    names = _NAMES.get(codec)
    if names is None:
        return None
    option, always, display, light = names
    words = [options.get(option, ""), always]
    if hdr10.display:
        words.append(f"{display}={_in_words(hdr10.display, exact=codec == 'libsvtav1')}")
    if hdr10.light:
        words.append(f"{light}={hdr10.light[0]},{hdr10.light[1]}")
    return {**options, option: ":".join(filter(None, words))}


_NAMES = {
    "libx264": ("x264-params", "", "mastering-display", "cll"),
    "libx265": ("x265-params", "hdr10=1", "master-display", "max-cll"),
    "libsvtav1": ("svtav1-params", "", "mastering-display", "content-light"),
}
"""Encoders' options: the one that holds others, what is always in it, and those for monitor and brightness."""


def _in_words(display: tuple[Fraction, ...], *, exact: bool) -> str:
    """The spelling all three encoders share, in numbers (AV1) or in steps."""
    rx, ry, gx, gy, bx, by, wx, wy = (_number(n, _CHROMATICITY, exact) for n in display[:8])
    low, high = (_number(n, _LUMINANCE, exact) for n in display[8:])
    return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({high},{low})"


def _number(value: Fraction, steps: int, exact: bool) -> str:
    return f"{float(value):.6f}" if exact else str(round(value * steps))
