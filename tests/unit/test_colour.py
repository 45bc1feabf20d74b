"""Colours: against the formulas of the standards, for every matrix, range and depth, and there and back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.format import VideoFormat
from av.video.reformatter import VideoReformatter

from vidstyle.frames import ColorTags, VideoInfo
from vidstyle.media.colour import (
    as_samples,
    from_rgb,
    output_pix_fmt,
    output_tags,
    read_tags,
    sample_depth,
    to_rgb,
)
from vidstyle.media.open import open_input, video_stream
from vidstyle.media.probe import probe

PATCH, SIDE = 16, 12
"""The test card: SIDE x SIDE patches of PATCH x PATCH pixels."""

MATRICES = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 5: (0.299, 0.114), 7: (0.212, 0.087), 9: (0.2627, 0.0593)}
"""Kr and Kb."""

FORMATS = ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le", "yuv422p10le", "yuv444p12le", "p010le"]


def make_info(
    pix_fmt: str, tags: ColorTags, size: tuple[int, int] = (PATCH * SIDE, PATCH * SIDE)
) -> VideoInfo:
    return VideoInfo(
        path=Path("card"),
        coded_size=size,
        size=size,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        pix_fmt=pix_fmt,
        depth=sample_depth(VideoFormat(pix_fmt)),
        color=tags,
        sample_aspect_ratio=Fraction(1),
        display_matrix=None,
        frames_hint=None,
        seconds_hint=None,
        codec="",
        audio_streams=0,
    )


def card(bits: int, full: bool, *, gray: bool = False) -> np.ndarray:
    """Random samples [3, SIDE, SIDE]: the upper half mild colours, the lower half any, most of them not RGB's."""
    random = np.random.default_rng(5)
    scale = 1 << (bits - 8)
    low, high = (0, 256 * scale) if full else (16 * scale, 235 * scale + 1)
    samples = random.integers(low, high, (3, SIDE, SIDE))
    half = SIDE // 2
    samples[0, :half] = random.integers(70 * scale, 170 * scale, (half, SIDE))
    samples[1:, :half] = random.integers(112 * scale, 144 * scale, (2, half, SIDE))
    if gray:
        samples[1:] = 128 * scale
    return samples


def as_frame(samples: np.ndarray, pix_fmt: str, bits: int) -> av.VideoFrame:
    frame = av.VideoFrame(PATCH * SIDE, PATCH * SIDE, pix_fmt)
    dtype = np.uint8 if bits == 8 else np.uint16
    if pix_fmt in ("nv12", "p010le"):
        samples = samples << 6 if pix_fmt == "p010le" else samples
        _fill(frame.planes[0], grown(samples[0], PATCH), dtype)
        chroma = np.stack([grown(c, PATCH // 2) for c in samples[1:]], axis=-1)
        _fill(frame.planes[1], chroma.reshape(len(chroma), -1), dtype)
        return frame
    for plane, values in zip(frame.planes, samples, strict=False):
        _fill(plane, np.repeat(grown(values, plane.width // SIDE), 1, 0), dtype, plane.height // SIDE)
    return frame


def grown(values: np.ndarray, columns: int) -> np.ndarray:
    return np.repeat(np.repeat(values, columns, axis=0), columns, axis=1)


def _fill(plane: object, values: np.ndarray, dtype: type, rows: int | None = None) -> None:
    memory = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[attr-defined, call-overload]
    if rows is not None and len(values) != len(memory):
        values = np.repeat(values[:: len(values) // SIDE], rows, axis=0)
    memory[:, : values.shape[1]] = values


def by_the_formula(samples: np.ndarray, bits: int, matrix: int, full: bool) -> np.ndarray:
    """RGB [SIDE, SIDE, 3], 0 to 1 where RGB can show the colour."""
    kr, kb = MATRICES[matrix]
    y, u, v = samples / (1 << (bits - 8))
    y, span = (y / 255, 255) if full else ((y - 16) / 219, 224)
    cb, cr = (u - 128) / span, (v - 128) / span
    red, blue = y + 2 * (1 - kr) * cr, y + 2 * (1 - kb) * cb
    green = (y - kr * red - kb * blue) / (1 - kr - kb)
    return np.stack([red, green, blue], axis=-1)


def centres(pixels: np.ndarray) -> np.ndarray:
    step = pixels.shape[0] // SIDE
    return pixels[step // 2 :: step, step // 2 :: step]


def bits_of(pix_fmt: str) -> int:
    return max(part.bits for part in VideoFormat(pix_fmt).components)


@pytest.mark.parametrize("pix_fmt", FORMATS)
@pytest.mark.parametrize("color_range", [1, 2])
@pytest.mark.parametrize("matrix", MATRICES)
def test_rgb_follows_the_formula_and_comes_back(pix_fmt: str, color_range: int, matrix: int) -> None:
    bits, full = bits_of(pix_fmt), color_range == 2
    samples = card(bits, full)
    info = make_info(pix_fmt, ColorTags(color_range, 2, 2, matrix))
    rgb = to_rgb(as_frame(samples, pix_fmt, bits), info, VideoReformatter())
    assert rgb.dtype == (np.uint8 if bits == 8 else np.uint16)
    expected = by_the_formula(samples, bits, matrix, full)
    error = np.abs(centres(rgb) / np.iinfo(rgb.dtype).max - np.clip(expected, 0, 1)).max()
    assert error < (0.55 / 255 if bits == 8 else 0.05 / 255)

    pix_out = output_pix_fmt(info, info.size)
    back = from_rgb(rgb, info, pix_out, VideoReformatter())
    shown = np.abs(expected - 0.5).max(axis=-1) < 0.495
    for plane, values in zip(back.planes, samples, strict=False):
        memory = np.frombuffer(plane, np.uint8 if bits == 8 else np.uint16).reshape(plane.height, -1)
        got = centres(memory[:, : plane.width]) / (1 if bits == 8 else 4)
        assert np.abs(got - values / (1 << (bits - 8)))[shown].max() <= 1.01
    assert (back.color_range, back.colorspace) == (color_range, matrix)


@pytest.mark.parametrize(("pix_fmt", "color_range"), [("gray", 0), ("gray", 1), ("gray", 2), ("gray10le", 1)])
def test_gray_is_full_range_unless_tagged_otherwise(pix_fmt: str, color_range: int) -> None:
    bits = bits_of(pix_fmt)
    full = color_range != 1
    samples = card(bits, full, gray=True)
    info = make_info(pix_fmt, ColorTags(color_range, 2, 2, 2))
    rgb = to_rgb(as_frame(samples, pix_fmt, bits), info, VideoReformatter())
    expected = by_the_formula(samples, bits, 5, full)
    assert np.abs(centres(rgb) / np.iinfo(rgb.dtype).max - expected).max() < 0.55 / 255
    assert output_pix_fmt(info, info.size) == ("yuv420p" if bits == 8 else "yuv420p10le")


def test_untagged_pictures_are_bt601_when_small_and_bt709_from_720_lines() -> None:
    samples = card(8, full=False)
    for size, matrix in (((192, 192), 5), ((1280, 720), 1)):
        info = make_info("yuv444p", ColorTags(), size)
        frame = as_frame(samples, "yuv444p", 8)
        rgb = to_rgb(frame, replace(info, coded_size=(192, 192)) if matrix == 5 else info, VideoReformatter())
        if matrix == 1:
            frame = from_rgb(rgb, info, "yuv444p", VideoReformatter())
            reference = to_rgb(frame, replace(info, color=ColorTags(1, 2, 2, 1)), VideoReformatter())
            assert np.array_equal(to_rgb(frame, info, VideoReformatter()), reference)
        else:
            expected = np.clip(by_the_formula(samples, 8, matrix, full=False), 0, 1)
            assert np.abs(centres(rgb) / 255 - expected).max() < 0.55 / 255


def test_yuvj_is_full_range_whatever_its_tag() -> None:
    samples = card(8, full=True)
    frame = as_frame(samples, "yuvj444p", 8)
    tags = read_tags(frame)
    assert tags.range == 2
    rgb = to_rgb(frame, make_info("yuvj444p", tags), VideoReformatter())
    assert np.abs(centres(rgb) / 255 - np.clip(by_the_formula(samples, 8, 5, True), 0, 1)).max() < 0.55 / 255


def test_samples_stay_the_same_whatever_their_matrix_is() -> None:
    frame = as_frame(card(8, full=True), "yuvj444p", 8)
    before = [bytes(plane) for plane in frame.planes]
    frame.colorspace, frame.color_range = 8, 2  # YCgCo, which swscale knows not
    info = make_info("yuvj444p", read_tags(frame))
    same = as_samples(frame, info, "yuv444p", VideoReformatter())
    assert same is not None and same.format.name == "yuv444p" and same.colorspace == 8
    assert [bytes(plane) for plane in same.planes] == before


@pytest.mark.parametrize("pix_fmt", ["rgb24", "bgr0", "gbrp", "rgb48le", "gbrp16le", "gbrp10le"])
def test_rgb_sources_are_read_as_they_are_and_written_as_tagged_bt709(pix_fmt: str) -> None:
    eight = np.random.default_rng(1).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    if "16" in pix_fmt or "48" in pix_fmt:
        frame = av.VideoFrame.from_ndarray(eight.astype(np.uint16) * 257, format=pix_fmt)
    else:
        frame = av.VideoFrame.from_ndarray(eight, format="rgb24").reformat(format=pix_fmt)
    tags = read_tags(frame)
    assert (tags.range, tags.matrix) == (1, 1)
    info = make_info(pix_fmt, tags, (48, 32))
    rgb = to_rgb(frame, info, VideoReformatter())
    full = np.iinfo(rgb.dtype).max
    assert np.abs(rgb / full - eight / 255).max() < 1.01 / 255
    assert output_pix_fmt(info, info.size) == ("yuv444p" if info.depth == 8 else "yuv444p10le")
    back = to_rgb(from_rgb(rgb, info, "yuv444p10le", VideoReformatter()), info, VideoReformatter())
    assert np.abs(back / full - rgb / full).max() < 1.6 / 255


@pytest.mark.parametrize("pix_fmt", ["rgba", "yuva444p10le", "rgba64le"])
def test_transparency_is_laid_over_black(pix_fmt: str) -> None:
    rgba = np.full((16, 32, 4), 200, np.uint8)
    rgba[:, :8, 3], rgba[:, 8:16, 3], rgba[:, 16:, 3] = 0, 128, 255
    frame = av.VideoFrame.from_ndarray(rgba, format="rgba")
    if pix_fmt != "rgba":
        frame = frame.reformat(format=pix_fmt, dst_color_range="MPEG")
    info = make_info(pix_fmt, replace(read_tags(frame), range=1), (32, 16))
    rgb = to_rgb(frame, info, VideoReformatter())
    shown = rgb[8, [4, 12, 24]].astype(float) / np.iinfo(rgb.dtype).max * 255
    assert np.abs(shown - np.array([[0], [100.4], [200]])).max() < 1.5


def test_palette_pictures() -> None:
    eight = np.zeros((16, 16, 3), np.uint8)
    eight[:, 8:] = (255, 0, 0)
    frame = av.VideoFrame(16, 16, "pal8")
    memory = np.frombuffer(frame.planes[0], np.uint8).reshape(16, -1)
    memory[:, 8:16] = 1
    memory[:, :8] = 0
    palette = np.frombuffer(frame.planes[1], np.uint32)
    palette[:2] = (0xFF000000, 0xFFFF0000)
    info = make_info("pal8", read_tags(frame), (16, 16))
    assert info.depth == 8
    assert np.array_equal(to_rgb(frame, info, VideoReformatter()), eight)


def test_a_frame_of_another_size_is_scaled() -> None:
    info = make_info("yuv420p", ColorTags(1, 1, 1, 1), (64, 48))
    frame = as_frame(card(8, full=False), "yuv420p", 8)
    assert to_rgb(frame, info, VideoReformatter()).shape == (48, 64, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_white_and_black_are_exact(dtype: type) -> None:
    depth = 8 if dtype is np.uint8 else 16
    info = make_info("yuv420p" if depth == 8 else "yuv420p10le", ColorTags(1, 1, 1, 1), (32, 16))
    top = np.iinfo(dtype).max
    for level, luma in ((0, 16), (top, 235)):
        picture = np.full((16, 32, 3), level, dtype)
        frame = from_rgb(picture, info, info.pix_fmt, VideoReformatter())
        sample = np.frombuffer(frame.planes[0], dtype)[0]
        assert sample == luma * (1 if depth == 8 else 4)
        assert (to_rgb(frame, info, VideoReformatter()) == level).all()


def test_any_memory_order_is_taken() -> None:
    info = make_info("yuv444p", ColorTags(1, 1, 1, 1), (48, 32))
    picture = np.random.default_rng(2).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    planar = np.ascontiguousarray(picture.transpose(2, 0, 1)).transpose(1, 2, 0)
    for array in (planar, picture[::-1, ::-1][::-1, ::-1]):
        frame = from_rgb(array, info, "yuv444p", VideoReformatter())
        expected = from_rgb(picture, info, "yuv444p", VideoReformatter())
        assert np.array_equal(frame.to_ndarray(), expected.to_ndarray())


@pytest.mark.parametrize(
    ("source", "size", "expected"),
    [
        ("yuv420p", (640, 360), "yuv420p"),
        ("yuvj420p", (640, 360), "yuv420p"),
        ("yuv420p", (641, 360), "yuv444p"),
        ("yuv420p", (640, 361), "yuv444p"),
        ("yuv422p", (640, 360), "yuv420p"),
        ("yuv440p", (640, 360), "yuv420p"),
        ("yuv444p", (640, 360), "yuv444p"),
        ("yuv420p10le", (640, 360), "yuv420p10le"),
        ("yuva444p12le", (640, 360), "yuv444p10le"),
        ("yuv422p10le", (641, 360), "yuv444p10le"),
        ("gbrp", (640, 360), "yuv444p"),
        ("pal8", (640, 360), "yuv444p"),
        ("gray", (640, 360), "yuv420p"),
    ],
)
def test_output_pix_fmt(source: str, size: tuple[int, int], expected: str) -> None:
    assert output_pix_fmt(make_info(source, ColorTags(), size), size) == expected


def test_tags_follow_what_the_pixel_format_fixes() -> None:
    info = make_info("yuv420p", ColorTags(1, 9, 16, 9))
    assert output_tags(info, "yuv420p10le") == info.color
    assert output_tags(info, "gbrp") == ColorTags(2, 9, 16, 0)
    assert output_tags(info, "yuvj420p") == ColorTags(2, 9, 16, 9)
    frame = from_rgb(np.zeros((192, 192, 3), np.uint8), info, "yuv420p", VideoReformatter())
    assert (frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace) == (1, 9, 16, 9)


def test_every_clip_comes_back(shared: Path) -> None:
    for path in sorted((shared / "data" / "video").iterdir()):
        info = probe(path)
        there, back = VideoReformatter(), VideoReformatter()
        with open_input(path) as container:
            for number, frame in enumerate(container.decode(video_stream(container))):
                if number in (0, 8):
                    rgb = to_rgb(frame, info, there)
                    again = to_rgb(from_rgb(rgb, info, output_pix_fmt(info, info.size), back), info, there)
                    error = np.mean((rgb.astype(float) - again) ** 2)
                    assert error < 255**2 * 10**-4.3, (path.name, number)  # 43 dB
                if number >= 8:
                    break
