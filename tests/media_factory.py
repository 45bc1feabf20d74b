"""Synthetic clips with known content: what was written is known frame by frame, so it can be asked back.

Every frame bears its index as a bar code of large black and white blocks (upper half of the upright picture), which
survives encoding, so order and identity can be read back with `read_stamp`. The lower half is coloured and moves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

MAX_STAMP = 1 << 10
_ROWS, _COLUMNS = 2, 6  # the first column says which way is up: white over black

_ONE = 1 << 16
MATRICES: dict[str, tuple[int, ...]] = {
    name: (a * _ONE, b * _ONE, 0, c * _ONE, d * _ONE, 0, 0, 0, 1 << 30)
    for name, (a, b, c, d) in {
        "identity": (1, 0, 0, 1),
        "clockwise": (0, 1, -1, 0),
        "half turn": (-1, 0, 0, -1),
        "counterclockwise": (0, -1, 1, 0),
        "mirrored": (-1, 0, 0, 1),
        "upside down mirrored": (1, 0, 0, -1),
        "transposed": (0, 1, 1, 0),
        "anti-transposed": (0, -1, -1, 0),
    }.items()
}
"""The eight display matrices that turn by multiples of 90 degrees, with and without mirroring."""

_SWSCALE_MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


@dataclass(frozen=True)
class Color:
    """FFmpeg's numbers; the pictures are converted with them, and tagged where `tagged`."""

    range: int = 1
    primaries: int = 1
    transfer: int = 1
    matrix: int = 1
    tagged: bool = True


BT709 = Color()
BT709_FULL = Color(range=2)
BT601 = Color(1, 6, 6, 6)
BT601_UNTAGGED = Color(1, 2, 2, 6, tagged=False)
PQ = Color(1, 9, 16, 9)


@dataclass(frozen=True)
class Sound:
    """One audio track: a sine tone."""

    codec: str = "aac"
    language: str | None = None
    title: str | None = None
    seconds: float | None = None
    """None: as long as the pictures."""
    hertz: int = 440
    channels: int = 1
    rate: int = 48000
    delay: float = 0.0


@dataclass(frozen=True)
class Clip:
    """What was written."""

    path: Path
    frames: int
    size: tuple[int, int]
    """Width, height upright."""
    pts: tuple[int, ...]
    time_base: Fraction

    @property
    def times(self) -> list[Fraction]:
        """Seconds from the first frame."""
        return [(p - self.pts[0]) * self.time_base for p in self.pts]


def stamped(index: int, size: tuple[int, int] = (160, 96)) -> np.ndarray:
    """Upright picture uint8 [H, W, 3] that bears `index` (0 to MAX_STAMP - 1)."""
    if not 0 <= index < MAX_STAMP:
        raise ValueError(f"index must be below {MAX_STAMP}, got {index}")
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    u, v = x / max(width - 1, 1), y / max(height - 1, 1)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (3 * u - index / 12))
    picture = np.stack([40 + 170 * u, 60 + 120 * wave * v, 210 - 150 * u], axis=-1)
    for row, column, bit in _blocks(index):
        picture[_block(row, column, size)] = 235 if bit else 20
    return picture.astype(np.uint8)


def read_stamp(picture: np.ndarray) -> int:
    """The index that an upright picture [H, W, 3] (any number type) bears; ValueError where there is no stamp."""
    height, width = picture.shape[:2]
    grey = np.asarray(picture, dtype=np.float64).mean(axis=-1)
    if np.asarray(picture).dtype == np.uint16:
        grey /= 257
    level = np.empty((_ROWS, _COLUMNS))
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            level[row, column] = grey[_block(row, column, (width, height), shrink=True)].mean()
    white, black = level[0, 0], level[1, 0]
    if white - black < 80:
        raise ValueError(f"no stamp in this picture (marks at {white:.0f} and {black:.0f})")
    bits = (level[:, 1:] > (white + black) / 2).reshape(-1)
    return int(sum(1 << i for i, bit in enumerate(bits) if bit))


def turned_back(picture: np.ndarray, matrix: Sequence[int]) -> np.ndarray:
    """The stored picture that a display matrix turns into this upright one, pixel by pixel after its definition."""
    a, b, _, c, d = (round(value / _ONE) for value in matrix[:5])
    height, width = picture.shape[:2]
    stored_height, stored_width = (height, width) if a else (width, height)
    q, p = np.mgrid[0:stored_height, 0:stored_width]
    x, y = a * p + c * q, b * p + d * q
    return picture[y - y.min(), x - x.min()]


def make_clip(
    path: Path,
    *,
    frames: int = 12,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    container: str | None = None,
    rate: Fraction = Fraction(24),
    time_base: Fraction | None = None,
    pts: Sequence[int] | None = None,
    color: Color = BT601_UNTAGGED,
    matrix: Sequence[int] | None = None,
    sample_aspect_ratio: Fraction | None = None,
    sounds: Sequence[Sound] = (),
    subtitles: Sequence[tuple[int, int, str]] = (),
    chapters: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    picture: Callable[[int, tuple[int, int]], np.ndarray] = stamped,
) -> Clip:
    """Write a clip. `size` is the upright size; `subtitles` are (start ms, end ms, text); chapters last one second.

    `pts` are ticks of `time_base` (default: one frame a tick). A `picture` function may return uint8 or uint16 RGB.
    """
    time_base = time_base or 1 / rate
    pts = tuple(pts if pts is not None else range(frames))
    matrix = MATRICES["identity"] if matrix is None else matrix
    encoder_options = {"preset": "ultrafast", "crf": "12"} if codec in ("libx264", "libx265") else {}
    if codec == "libx265":
        encoder_options["x265-params"] = "log-level=none"
    with av.open(str(path), "w", format=container, options=dict(container_options or {})) as out:
        video = out.add_stream(codec, rate=rate, options={**encoder_options, **(options or {})})
        stored = turned_back(picture(0, size), matrix)
        video.width, video.height, video.pix_fmt = stored.shape[1], stored.shape[0], pix_fmt
        video.codec_context.time_base = time_base
        if color.tagged:
            _tag(video.codec_context, color)
        if sample_aspect_ratio:
            video.codec_context.sample_aspect_ratio = sample_aspect_ratio
        if tuple(matrix) != MATRICES["identity"]:
            video.set_display_matrix(list(matrix))
        # Every stream has to be there before the first packet.
        tracks = [(_add_sound(out, sound), sound) for sound in sounds]
        text_codec = "subrip" if path.suffix == ".mkv" else "mov_text"
        text = out.add_mux_stream(text_codec) if subtitles else None
        if text is not None:
            text.time_base = Fraction(1, 1000)
            text.metadata["language"] = "eng"
        out.metadata.update(tags or {})
        if chapters:
            out.set_chapters(_chapters(chapters))

        reformatter = VideoReformatter()
        for index, ticks in enumerate(pts):
            frame = _to_frame(turned_back(picture(index, size), matrix), pix_fmt, color, reformatter)
            frame.pts, frame.time_base = ticks, time_base
            out.mux(video.encode(frame))
        out.mux(video.encode())
        seconds = float((pts[-1] - pts[0]) * time_base + 1 / rate)
        for track, sound in tracks:
            _write_sound(out, track, sound, seconds)
        if text is not None:
            _write_subtitles(out, text, text_codec, subtitles)
    return Clip(path, len(pts), size, pts, time_base)


def _blocks(index: int) -> list[tuple[int, int, bool]]:
    bits = [bool(index >> i & 1) for i in range(_ROWS * (_COLUMNS - 1))]
    cells = [(row, column) for row in range(_ROWS) for column in range(1, _COLUMNS)]
    return [(0, 0, True), (1, 0, False), *((r, c, bit) for (r, c), bit in zip(cells, bits, strict=True))]


def _block(row: int, column: int, size: tuple[int, int], *, shrink: bool = False) -> tuple[slice, slice]:
    width, height = size
    margin = 0.25 if shrink else 0.0
    return (
        slice(round(height * (row + margin) / 4), round(height * (row + 1 - margin) / 4)),
        slice(round(width * (column + margin) / _COLUMNS), round(width * (column + 1 - margin) / _COLUMNS)),
    )


def _to_frame(rgb: np.ndarray, pix_fmt: str, color: Color, reformatter: VideoReformatter) -> av.VideoFrame:
    source = "rgb48le" if rgb.dtype == np.uint16 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format=source)
    full = color.range == 2 or pix_fmt.startswith("yuvj")
    frame = reformatter.reformat(
        frame,
        format=pix_fmt,
        dst_colorspace=_SWSCALE_MATRICES[color.matrix],
        dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
    )
    _tag(frame, color if color.tagged else Color(0, 2, 2, 2))
    return frame


def _tag(target: av.VideoFrame | av.VideoCodecContext, color: Color) -> None:
    target.color_range, target.color_primaries = color.range, color.primaries
    target.color_trc, target.colorspace = color.transfer, color.matrix


def _chapters(titles: Sequence[str]) -> list[dict[str, object]]:
    milliseconds = Fraction(1, 1000)
    return [
        {
            "id": i,
            "start": i * 1000,
            "end": (i + 1) * 1000,
            "time_base": milliseconds,
            "metadata": {"title": title},
        }
        for i, title in enumerate(titles)
    ]


def _add_sound(out: av.container.OutputContainer, sound: Sound) -> av.AudioStream:
    track = out.add_stream(sound.codec, rate=sound.rate)
    track.codec_context.layout = _LAYOUTS[sound.channels]
    for key, value in (("language", sound.language), ("title", sound.title)):
        if value is not None:
            track.metadata[key] = value
    return track


def _write_sound(
    out: av.container.OutputContainer, track: av.AudioStream, sound: Sound, video_seconds: float
) -> None:
    context = track.codec_context
    seconds = video_seconds if sound.seconds is None else sound.seconds
    t = np.arange(round(seconds * sound.rate)) / sound.rate
    wave = np.repeat(
        (0.3 * np.sin(2 * np.pi * sound.hertz * t)).astype(np.float32)[None], sound.channels, axis=0
    )
    whole = av.AudioFrame.from_ndarray(wave, format="fltp", layout=context.layout.name)
    whole.sample_rate, whole.pts, whole.time_base = sound.rate, 0, Fraction(1, sound.rate)
    if not context.is_open:
        context.open(strict=False)
    resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=sound.rate)
    fifo = av.AudioFifo()
    for piece in (*resampler.resample(whole), *resampler.resample(None)):
        fifo.write(piece)
    done = round(sound.delay * sound.rate)
    while (frame := fifo.read(context.frame_size or 1024, partial=True)) is not None:
        frame.pts, frame.time_base = done, Fraction(1, sound.rate)
        done += frame.samples
        out.mux(track.encode(frame))
    out.mux(track.encode())


def _write_subtitles(
    out: av.container.OutputContainer,
    text: av.stream.Stream,
    codec: str,
    cues: Sequence[tuple[int, int, str]],
) -> None:
    for start, end, words in cues:
        data = words.encode()
        if codec == "mov_text":
            data = len(data).to_bytes(2, "big") + data
        packet = av.Packet(data)
        packet.stream, packet.time_base = text, Fraction(1, 1000)
        packet.pts = packet.dts = start
        packet.duration, packet.is_keyframe = end - start, True
        out.mux(packet)
