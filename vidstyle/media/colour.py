"""YUV <-> RGB, with the same matrix and the same range in both directions.

RGB here is always full range, [H, W, 3], uint8 (or uint16 for sources of more than 8 bits, all 16 bits used). swscale
does the arithmetic: keep one VideoReformatter per direction for a whole run, each keeps its tables and buffers.
"""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from vidstyle.frames import ColorTags, VideoInfo

UNSPECIFIED = 2
"""FFmpeg's number for an unknown matrix, primaries or transfer; an unknown range is 0."""

PQ, HLG = 16, 18
"""Transfer functions of high dynamic range."""

_BT709 = 1
_MATRICES = {
    _BT709: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,  # bt470bg, the same numbers as smpte170m
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,  # constant luminance: read approximately, written back the same way
}

# Without these three flags swscale takes short cuts that cost up to 30 dB on the way there and back. Bilinear up and
# bicubic down together lose least of the chroma for their time; but bilinear to 16 bits overflows in swscale's own
# code (FFmpeg 8.1: saturated colours of 4:2:0 sources turn into others), bicubic does not.
_EXACT = Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
_TO_RGB = {8: Interpolation.BILINEAR | _EXACT, 16: Interpolation.BICUBIC | _EXACT}
_FROM_RGB = Interpolation.BICUBIC | _EXACT


def read_tags(frame: VideoFrame) -> ColorTags:
    """The tags of a stream, from its first decoded frame."""
    layout = frame.format
    color_range = frame.color_range
    matrix = frame.colorspace
    if is_rgb(layout):
        # Pictures without YUV samples say nothing about the YUV we shall write, so that is ours to choose.
        color_range, matrix = ColorRange.MPEG, _BT709
    elif layout.name.startswith("yuvj"):
        color_range = ColorRange.JPEG
    return ColorTags(int(color_range), int(frame.color_primaries), int(frame.color_trc), int(matrix))


def output_tags(info: VideoInfo, pix_fmt: str) -> ColorTags:
    """The tags to be written with pictures from `from_rgb`: the source's, but for what `pix_fmt` itself fixes."""
    tags = info.color
    if is_rgb(VideoFormat(pix_fmt)):
        return ColorTags(int(ColorRange.JPEG), tags.primaries, tags.transfer, matrix=0)
    if pix_fmt.startswith(("yuvj", "gray")):
        return ColorTags(int(ColorRange.JPEG), tags.primaries, tags.transfer, tags.matrix)
    return tags


def set_tags(target: VideoFrame | VideoCodecContext, tags: ColorTags) -> None:
    """Write the tags to a frame or an encoder; both need them, or players see the colours shifted."""
    target.color_range = tags.range
    target.color_primaries = tags.primaries
    target.color_trc = tags.transfer
    target.colorspace = tags.matrix


def sample_depth(layout: VideoFormat) -> int:
    """Bits per sample of the pictures made from this pixel format: 8 or 16."""
    return 16 if any(part.bits > 8 for part in layout.components) else 8


def is_rgb(layout: VideoFormat) -> bool:
    """True for RGB and palette formats, which no YUV matrix applies to."""
    return layout.is_rgb or layout.has_palette


def has_alpha(layout: VideoFormat) -> bool:
    """True where the format carries transparency."""
    return any(part.is_alpha for part in layout.components) and not layout.has_palette


def output_pix_fmt(info: VideoInfo, size: tuple[int, int], *, lossless: bool = False) -> str:
    """What to encode pictures of `size` (width, height) in, to lose as little of the source as players allow.

    Where they are encoded without loss, that is the source's own format, whatever players make of it.
    """
    layout = VideoFormat(info.pix_fmt, 16, 16)
    if lossless and not (
        _is_gray(layout) and info.color.range == ColorRange.MPEG
    ):  # gray is written in full range
        return info.pix_fmt
    chroma_size = layout.chroma_width(), layout.chroma_height()
    full_chroma = is_rgb(layout) or (len(layout.components) >= 3 and chroma_size == (16, 16))
    odd = bool(size[0] % 2 or size[1] % 2)  # 4:2:0 has one chroma sample for two by two pixels
    sampling = "yuv444p" if odd or full_chroma else "yuv420p"
    return sampling + ("10le" if info.depth == 16 else "")


def as_samples(
    frame: VideoFrame, info: VideoInfo, pix_fmt: str, reformatter: VideoReformatter
) -> VideoFrame | None:
    """A decoded frame in `pix_fmt` with the very same samples, tagged; None where that has no room for them.

    RGB has no room for all that YUV can say, so what is not altered better never becomes RGB.
    """
    layout, wanted = frame.format, VideoFormat(pix_fmt, frame.width, frame.height)
    tags = output_tags(info, pix_fmt)
    alike = (
        is_rgb(layout) == is_rgb(wanted)
        and not layout.has_palette
        and len(layout.components) == len(wanted.components)
        and layout.components[0].bits == wanted.components[0].bits
        and (layout.chroma_width(), layout.chroma_height()) == (wanted.chroma_width(), wanted.chroma_height())
        and (is_rgb(layout) or tags.range == info.color.range)
    )
    if layout.name != pix_fmt:
        if not alike:
            return None
        same = ColorRange.JPEG if is_rgb(layout) else _known_range(tags)
        frame.colorspace = UNSPECIFIED  # FFmpeg refuses some, although none is used here
        frame = reformatter.reformat(frame, format=pix_fmt, src_color_range=same, dst_color_range=same)
    frame.pict_type = PictureType.NONE  # or the encoder would follow the source's
    set_tags(frame, tags)
    return frame


def to_rgb(frame: VideoFrame, info: VideoInfo, reformatter: VideoReformatter) -> np.ndarray:
    """A decoded frame as RGB [H, W, 3] of `info.coded_size`, uint8 or uint16 after `info.depth`, full range.

    Read with the stream's matrix and range; transparency is laid over black. A view of memory that lives as long
    as the array; a frame of another size is scaled.
    """
    width, height = info.coded_size
    alpha = has_alpha(frame.format)
    matrix = _matrix(info)
    if _is_gray(frame.format) and _read_range(frame.format, info.color) == ColorRange.MPEG:
        frame = _gray_as_yuv(frame, info.depth, reformatter)
    converted = reformatter.reformat(
        frame,
        width=width,
        height=height,
        format=_rgb_format(info.depth, alpha),
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=_read_range(frame.format, info.color),
        dst_color_range=ColorRange.JPEG,
        interpolation=_TO_RGB[info.depth],
    )
    pixels = _samples(converted, info.depth, 4 if alpha else 3)
    if _white_is_ff00(frame.format, info.depth):
        pixels = np.minimum(pixels, 0xFF00)
        pixels += pixels >> 8
    return _over_black(pixels) if alpha else pixels


def from_rgb(array: np.ndarray, info: VideoInfo, pix_fmt: str, reformatter: VideoReformatter) -> VideoFrame:
    """The exact way back: RGB [H, W, 3], uint8 or uint16, full range, as a frame in `pix_fmt`, tagged.

    Any memory order is taken; the array is copied once.
    """
    height, width = array.shape[:2]
    depth = 8 * array.dtype.itemsize
    # Copied into memory that FFmpeg padded: swscale reads a few bytes beyond the last pixel.
    picture = VideoFrame(width, height, _rgb_format(depth, alpha=False))
    samples = _samples(picture, depth, 3)
    if _white_is_ff00(VideoFormat(pix_fmt), depth):
        np.subtract(array, array >> 8, out=samples)
    else:
        np.copyto(samples, array)
    tags = output_tags(info, pix_fmt)
    matrix = _matrix(info)
    frame = reformatter.reformat(
        picture,
        format=pix_fmt,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=ColorRange.JPEG,
        dst_color_range=_known_range(tags),
        interpolation=_FROM_RGB,
    )
    set_tags(frame, tags)
    return frame


def _matrix(info: VideoInfo) -> Colorspace:
    # Untagged streams: what players assume. High definition came with BT.709, everything before it is BT.601.
    default = Colorspace.ITU709 if info.coded_size[1] >= 720 else Colorspace.ITU601
    return _MATRICES.get(info.color.matrix, default)


def _known_range(tags: ColorTags) -> ColorRange:
    return ColorRange.JPEG if tags.range == ColorRange.JPEG else ColorRange.MPEG


def _read_range(layout: VideoFormat, tags: ColorTags) -> ColorRange:
    untagged_gray = _is_gray(layout) and tags.range == ColorRange.UNSPECIFIED
    if is_rgb(layout) or layout.name.startswith("yuvj") or untagged_gray:
        return ColorRange.JPEG
    return _known_range(tags)


def _is_gray(layout: VideoFormat) -> bool:
    return len(layout.components) < 3 and not is_rgb(layout)


def _gray_as_yuv(frame: VideoFrame, depth: int, reformatter: VideoReformatter) -> VideoFrame:
    """The same samples with chroma planes: swscale takes every gray picture for full range, whatever it is told."""
    full = ColorRange.JPEG
    pix_fmt = "yuv444p16le" if depth == 16 else "yuv444p"
    return reformatter.reformat(frame, format=pix_fmt, src_color_range=full, dst_color_range=full)


def _white_is_ff00(yuv: VideoFormat, depth: int) -> bool:
    """True where swscale's 16-bit RGB ends at 0xff00, not 0xffff: it reckons YUV's 255 as 255 * 256."""
    return depth == 16 and not is_rgb(yuv)


def _rgb_format(depth: int, alpha: bool) -> str:
    if depth == 16:
        return "rgba64le" if alpha else "rgb48le"
    return "rgba" if alpha else "rgb24"


def _samples(frame: VideoFrame, depth: int, channels: int) -> np.ndarray:
    """The pixels of a packed RGB frame as a view [H, W, channels]."""
    plane = frame.planes[0]
    dtype = np.uint16 if depth == 16 else np.uint8
    flat: np.ndarray = np.frombuffer(plane, dtype)  # type: ignore[call-overload]
    rows = flat.reshape(frame.height, -1)[:, : frame.width * channels]
    return rows.reshape(frame.height, frame.width, channels)


def _over_black(pixels: np.ndarray) -> np.ndarray:
    full = np.iinfo(pixels.dtype).max
    alpha = pixels[..., 3:].astype(np.uint32)
    return ((pixels[..., :3] * alpha + full // 2) // full).astype(pixels.dtype)
