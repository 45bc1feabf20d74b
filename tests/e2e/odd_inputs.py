"""Odd and hostile inputs of our own, and what each must give: a manifest as `tests/e2e/manifest.py` reads it.

`expect`: "ok" (everything as in the source, exit 0), "error" (one line, nothing written) or "either".
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests.media_factory import MATRICES, Sound, make_clip

SIZE = (96, 64)
FRAMES = 6
Entry = dict[str, Any]
Make = Callable[[Path], Path | tuple[Path, Entry]]
_CASES: dict[str, tuple[str, Entry, Make]] = {}


def build(folder: Path, only: Sequence[str] | None = None) -> list[Entry]:
    """Write the inputs, each into a folder of its own in `folder`, and return their manifest."""
    manifest = []
    for name, (expect, facts, make) in _CASES.items():
        if only is None or name in only:
            place = folder / name
            place.mkdir()
            made = make(place)
            path, more = made if isinstance(made, tuple) else (made, {})
            file = os.path.relpath(path, folder)
            manifest.append({"name": name, "expect": expect, "file": file, "checks": {}, **facts, **more})
    return manifest


def names() -> list[str]:
    return list(_CASES)


def _case(expect: str, name: str | None = None, **facts: Any) -> Callable[[Make], Make]:
    def add(make: Make) -> Make:
        _CASES[name or make.__name__] = (expect, facts, make)
        return make

    return add


def _scene(index: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Four quarters of different brightness, and something that moves."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    quarter = np.where(y < height / 2, np.where(x < width / 2, 215, 150), np.where(x < width / 2, 85, 30))
    ring = 8 * np.sin((x + 3 * index) / 5) + 8 * np.cos(y / 4)
    return np.clip(quarter[..., None] * [0.95, 0.9, 0.85] + ring[..., None], 0, 255).astype(np.uint8)


def _clip(path: Path, **wanted: Any) -> tuple[Path, Entry]:
    settings = {"frames": FRAMES, "size": SIZE, "picture": _scene, **wanted}
    made = make_clip(path, **settings)
    return path, {"checks": {"frames": made.frames, "size": list(made.size)}}


# --- pixel formats

_PIX_FMTS = (
    "monob gray gray10le gray16le ya8 rgb565le bgr0 rgba64le gbrp10le uyvy422 nv12 p010le yuv410p yuv411p yuv440p "
    "yuv420p12le yuv444p16le yuva420p yuvj422p"
)
for _pix_fmt in _PIX_FMTS.split():

    @_case("ok", f"pixels_{_pix_fmt}")
    def _(folder: Path, pix_fmt: str = _pix_fmt) -> tuple[Path, Entry]:
        return _clip(folder / "in.nut", codec="rawvideo", pix_fmt=pix_fmt, size=(96, 64))


# --- times


@_case("ok")
def clock_of_a_million(folder: Path) -> tuple[Path, Entry]:
    """Two frames a microsecond apart, then an hour of nothing."""
    return _clip(folder / "in.mp4", time_base=Fraction(1, 1_000_000), pts=[0, 1, 41_000, 3_600_000_000])


@_case("ok")
def clock_of_a_prime(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.mp4", time_base=Fraction(1, 1_000_003), pts=[i * 41_683 for i in range(FRAMES)])


@_case("ok")
def clock_of_ten_seconds(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.nut", codec="ffv1", time_base=Fraction(10), pts=range(FRAMES))


@_case("ok")
def begins_in_a_year(folder: Path) -> tuple[Path, Entry]:
    first = 365 * 86_400 * 1000
    return _clip(folder / "in.mkv", time_base=Fraction(1, 1000), pts=[first + 40 * i for i in range(FRAMES)])


@_case("ok", nonmono=True)
def clock_wraps_around(folder: Path) -> tuple[Path, Entry]:
    """A transport stream's clock of 33 bits overflows after its third frame."""
    path, facts = _clip(folder / "in.ts", codec="mpeg2video", rate=Fraction(25), options={"bf": "0"})
    data = bytearray(path.read_bytes())
    shift = (1 << 33) - 126_000 - 9000
    for start in range(0, len(data), 188):
        _move_clock(data, start, shift)
    path.write_bytes(data)
    return path, facts


def _move_clock(data: bytearray, start: int, shift: int) -> None:
    """Add to the times in one transport packet that begins a PES packet."""
    if not data[start + 1] & 0x40:
        return
    place = start + 4 + (data[start + 4] + 1 if data[start + 3] & 0x20 else 0)
    if bytes(data[place : place + 3]) != b"\0\0\1":
        return
    for bit, at in ((0x80, place + 9), (0x40, place + 14)):
        if data[place + 7] & bit:
            b = data[at : at + 5]
            ticks = (b[0] >> 1 & 7) << 30 | b[1] << 22 | b[2] >> 1 << 15 | b[3] << 7 | b[4] >> 1
            ticks = (ticks + shift) % (1 << 33)
            data[at] = b[0] & 0xF1 | ticks >> 29 & 0xE
            data[at + 1] = ticks >> 22 & 0xFF
            data[at + 2] = ticks >> 14 & 0xFE | 1
            data[at + 3] = ticks >> 7 & 0xFF
            data[at + 4] = ticks << 1 & 0xFE | 1


@_case("ok", nonmono=True)
def all_at_the_same_time(folder: Path) -> tuple[Path, Entry]:
    """All frames of an FLV are shown at once."""
    path, facts = _clip(folder / "in.flv", codec="flv", options={"g": "1"})
    data = bytearray(path.read_bytes())
    place = 13
    while place + 11 <= len(data):
        kind, size = data[place], int.from_bytes(data[place + 1 : place + 4])
        if kind == 9:
            data[place + 4 : place + 8] = bytes(4)
        place += 11 + size + 4
    path.write_bytes(data)
    return path, facts


@_case("ok")
def ten_hours_of_six_frames(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.mp4", time_base=Fraction(1, 1000), pts=[i * 7_200_000 for i in range(FRAMES)])


@_case("ok")
def edit_list_hides_the_beginning(folder: Path) -> tuple[Path, Entry]:
    """The index tells players to begin with the third frame; all six are key frames."""
    path, facts = _clip(folder / "in.mp4", options={"g": "1", "bf": "0"})
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 12
    duration, begin = struct.unpack_from(">Ii", data, place)
    struct.pack_into(">Ii", data, place, duration * 4 // 6, begin + 2 * (12_288 // 24))
    path.write_bytes(data)
    return path, {"checks": {**facts["checks"], "frames": 4}}


@_case("either", damaged=True)
def joined_in_mid_scene(folder: Path) -> tuple[Path, Entry]:
    """A broadcast recorded from somewhere between two key frames."""
    path, _ = _clip(folder / "in.ts", frames=24, options={"g": "8", "bf": "2"})
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 4 // 188 * 188 :])
    return path, {}


@_case("ok")
def single_frame_without_length(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.mkv", frames=1)


# --- shapes


@_case("either", size_change=True)
def grows_in_mid_stream(folder: Path) -> tuple[Path, Entry]:
    parts = [folder / "a.ts", folder / "b.ts"]
    _clip(parts[0], options={"bf": "0"})
    _clip(parts[1], options={"bf": "0"}, size=(192, 128), pts=range(FRAMES, 2 * FRAMES))
    path = folder / "in.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    for part in parts:
        part.unlink()
    return path, {"checks": {"frames": 2 * FRAMES}}


@_case("ok")
def one_pixel(folder: Path) -> tuple[Path, Entry]:
    grey = np.full((1, 1, 3), 90, np.uint8)
    return _clip(
        folder / "in.mkv", codec="ffv1", size=(1, 1), pix_fmt="yuv444p", picture=lambda i, size: grey
    )


@_case("ok")
def one_row(folder: Path) -> tuple[Path, Entry]:
    row = np.tile(np.arange(64, dtype=np.uint8)[None, :, None], (1, 1, 3))
    return _clip(
        folder / "in.nut", codec="ffv1", size=(64, 1), pix_fmt="yuv444p", picture=lambda i, size: row
    )


@_case("ok", dar=True)
def pixels_like_needles(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.mkv", codec="mpeg4", sample_aspect_ratio=Fraction(1, 200))


@_case("ok", dar=True)
def turned_and_stretched(folder: Path) -> tuple[Path, Entry]:
    matrix = MATRICES["clockwise"]
    return _clip(folder / "in.mp4", matrix=matrix, sample_aspect_ratio=Fraction(3, 2), size=(64, 96))


@_case("ok")
def tilted(folder: Path) -> tuple[Path, Entry]:
    """A display matrix of some other angle is left out, with a note."""
    path, facts = _clip(folder / "in.mp4")
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    struct.pack_into(">9i", data, place, 46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path, facts


@_case("ok")
def fields_of_mpeg2(folder: Path) -> tuple[Path, Entry]:
    options = {"flags": "+ildct+ilme", "field_order": "tt"}
    return _clip(folder / "in.mpg", codec="mpeg2video", rate=Fraction(25), options=options)


# --- containers


def _container(name: str, file: str, **wanted: Any) -> None:
    @_case("ok", name)
    def make(folder: Path) -> tuple[Path, Entry]:
        return _clip(folder / file, **wanted)


_container("in_flv", "in.flv", codec="flv", sounds=[Sound("libmp3lame", rate=44100)])
_container("in_wmv", "in.wmv", codec="wmv2", container="asf", sounds=[Sound("libmp3lame")])
_container("in_3gp", "in.3gp", codec="mpeg4", sounds=[Sound("aac")])
_container("in_mxf", "in.mxf", codec="mpeg2video", rate=Fraction(25), sounds=[Sound("pcm_s16le")])
_container("in_ogv", "in.ogv", codec="libvpx", container="ogg", options={"deadline": "realtime"})
_container("in_ivf", "in.ivf", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"})
_container("in_m2ts", "in.m2ts", container="mpegts", container_options={"mpegts_m2ts_mode": "1"})
_container("in_apng", "in.apng", codec="apng", pix_fmt="rgb24")
_container(
    "in_mp4_live", "in.mp4", container_options={"movflags": "frag_every_frame+empty_moov+default_base_moof"}
)
_container("in_mkv_live", "in.mkv", container_options={"live": "1"})


@_case("ok")
def transparent_gif(folder: Path) -> tuple[Path, Entry]:
    pictures = []
    for index in range(4):
        picture = Image.fromarray(_scene(index)).convert("P")
        picture.info["transparency"] = 0
        pictures.append(picture)
    path = folder / "in.gif"
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[0, 100, 20, 500],
        disposal=2,
        transparency=0,
    )
    return path, {"checks": {"frames": 4}}


@_case("ok")
def hole_of_four_gigabytes(folder: Path) -> tuple[Path, Entry]:
    """A valid file of more than 2**32 bytes, nearly all of them a hole."""
    path, facts = _clip(folder / "in.mp4")
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(len(data))
        file.write(struct.pack(">I4sQ", 1, b"free", (4 << 30) + 16))
        file.truncate(len(data) + (4 << 30) + 16)
    return path, {**facts, "sparse": True}


@_case("error")
def zeros_of_four_gigabytes(folder: Path) -> Path:
    path = folder / "in.mp4"
    with path.open("wb") as file:
        file.truncate(4 << 30)
    return path


@_case("ok")
def several_videos(folder: Path) -> tuple[Path, Entry]:
    path = folder / "in.mkv"
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("libx264", rate=24, options={"preset": "ultrafast"}) for _ in range(3)]
        for stream, size in zip(streams, (SIZE, (64, 64), (32, 128)), strict=True):
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(FRAMES):
            for stream in streams:
                picture = _scene(index, (stream.width, stream.height))
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
                frame.pts = index
                out.mux(stream.encode(frame))
        for stream in streams:
            out.mux(stream.encode())
    return path, {"checks": {"frames": FRAMES, "size": list(SIZE)}}


# --- tracks and tags


@_case("ok", audio_n=9)
def nine_sound_tracks(folder: Path) -> tuple[Path, Entry]:
    return _clip(
        folder / "in.mkv", sounds=[Sound(language=f"l{i:02d}"[:3], hertz=200 + 40 * i) for i in range(9)]
    )


@_case("ok", audio_n=1, subs_n=1, chapters_n=3)
def words_that_steer_a_terminal(folder: Path) -> tuple[Path, Entry]:
    """Titles, languages, chapters and subtitles with escape codes, markup and line ends."""
    evil = "\x1b[31m[bold]<script>\n\r\x07\x9b\u202e"
    return _clip(
        folder / "in.mkv",
        sounds=[Sound(title=evil, language="\x1b[m")],
        subtitles=[(0, 100, evil), (120, 200, "\x1b]0;title\x07")],
        chapters=[evil] * 3,
        tags={"title": evil, "comment": evil * 200, "ARTIST\x1b[2J": "x"},
    )


@_case("ok", chapters_n=400)
def hundreds_of_chapters(folder: Path) -> tuple[Path, Entry]:
    return _clip(
        folder / "in.mkv",
        pts=[0, 500_000],
        time_base=Fraction(1, 1000),
        chapters=[f"Part {i}" for i in range(400)],
    )


@_case("ok", audio_n=1)
def sound_cut_short(folder: Path) -> tuple[Path, Entry]:
    return _clip(folder / "in.mp4", frames=24, sounds=[Sound(seconds=0.05)])


@_case("ok", audio_n=1)
def sound_long_before_the_picture(folder: Path) -> tuple[Path, Entry]:
    return _clip(
        folder / "in.mkv",
        time_base=Fraction(1, 1000),
        pts=[5000 + 40 * i for i in range(FRAMES)],
        sounds=[Sound(seconds=6)],
    )


@_case("ok")
def timecode_track(folder: Path) -> tuple[Path, Entry]:
    """QuickTime keeps a time code as a data track of its own."""
    return _clip(folder / "in.mov", tags={"timecode": "01:00:00:00"})


# --- damage


@_case("either", damaged=True)
def transport_packets_lost(folder: Path) -> tuple[Path, Entry]:
    path, _ = _clip(folder / "in.ts", frames=24, options={"g": "8", "bf": "0", "crf": "4"})
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    path.write_bytes(b"".join(p for i, p in enumerate(packets) if i < 8 or i % 17))
    return path, {"checks": {"frames_max": 24}}


@_case("ok")
def transport_begins_with_rubbish(folder: Path) -> tuple[Path, Entry]:
    path, facts = _clip(folder / "in.ts", options={"bf": "0"})
    path.write_bytes(os.urandom(700) + path.read_bytes())
    return path, facts


@_case("either", damaged=True)
def picture_of_zeros(folder: Path) -> tuple[Path, Entry]:
    """One packet of six is nothing but zeros."""
    path, _ = _clip(folder / "in.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    start = [i for i in range(len(data)) if data[i : i + 3] == b"\xff\xd8\xff"][3]
    end = data.index(b"\xff\xd9", start)
    data[start : end + 2] = bytes(end + 2 - start)
    path.write_bytes(data)
    return path, {"checks": {"frames_max": FRAMES}}


@_case("either", damaged=True)
def avi_without_index(folder: Path) -> tuple[Path, Entry]:
    path, facts = _clip(folder / "in.avi", codec="mpeg4", options={"bf": "0"})
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"idx1")])
    return path, facts


@_case("error")
def index_cut_short(folder: Path) -> tuple[Path, Entry]:
    """The index lies at the end, and its last half is missing."""
    path, _ = _clip(folder / "in.mp4")
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") + 200])
    return path, {}


@_case("error")
def index_without_pictures(folder: Path) -> tuple[Path, Entry]:
    path, _ = _clip(folder / "in.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") - 4])
    return path, {}


@_case("either", damaged=True)
def pictures_of_noise(folder: Path) -> tuple[Path, Entry]:
    """The index is whole, every picture is random bytes."""
    path, _ = _clip(folder / "in.mp4", container_options={"movflags": "faststart"})
    data = path.read_bytes()
    start = data.index(b"mdat") + 4
    noise = np.random.default_rng(5).bytes(len(data) - start)
    path.write_bytes(data[:start] + noise)
    return path, {"checks": {"frames_max": FRAMES}}


@_case("ok")
def two_files_in_one(folder: Path) -> tuple[Path, Entry]:
    """Players show the first."""
    path, facts = _clip(folder / "in.mp4")
    path.write_bytes(path.read_bytes() * 2)
    return path, facts


# --- no videos


def _content(name: str, file: str, data: bytes, expect: str = "error", **facts: Any) -> None:
    @_case(expect, name, **facts)
    def make(folder: Path) -> Path:
        path = folder / file
        path.write_bytes(data)
        return path


_content("zip_as_mp4", "in.mp4", b"PK\3\4" + bytes(400))
_content("pdf_as_mp4", "in.mp4", b"%PDF-1.7\n" + b"1 0 obj <<>> endobj\n" * 40)
_content("program_as_mp4", "in.mp4", b"\x7fELF\2\1\1" + bytes(range(256)) * 8)
_content("noise_as_mp4", "in.mp4", np.random.default_rng(1).bytes(20_000))
_content("noise_as_jpg", "in.jpg", np.random.default_rng(2).bytes(20_000))
_content("noise_as_ts", "in.ts", b"".join(b"G" + np.random.default_rng(i).bytes(187) for i in range(200)))
_content("subtitles_as_mp4", "in.mp4", b"1\n00:00:00,000 --> 00:00:01,000\nWords\n\n" * 20)
_content("one_byte", "in.mkv", b"\x1a")
_content("ftyp_and_nothing", "in.mp4", struct.pack(">I4s4sI4s", 20, b"ftyp", b"isom", 0, b"isom"))
_content(
    "boxes_in_boxes",
    "in.mp4",
    struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 0)
    + b"".join(struct.pack(">I4s", 8 * (5000 - i), b"moov") for i in range(5000)),
)

_PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"
_content("playlist_as_ts", "in.ts", _PLAYLIST.format("/etc/hostname").encode())
_content("playlist_as_png", "in.png", _PLAYLIST.format("secret.mp4").encode())
_content(
    "dash_as_mp4",
    "in.mp4",
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
)
_content(
    "session_as_mp4",
    "in.mp4",
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
)
_content(
    "asx_as_wmv", "in.wmv", b'<ASX version="3.0"><Entry><Ref href="http://127.0.0.1:9/a.wmv"/></Entry></ASX>'
)
_content(
    "reference_movie",
    "in.mov",
    struct.pack(">I4sI4sI4s", 60, b"moov", 52, b"rmra", 44, b"rmda")
    + struct.pack(">I4sI4sI", 36, b"rdrf", 0, b"url ", 16)
    + b"file:///etc/host",
)
_content(
    "svg_as_png",
    "in.png",
    b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
)


@_case("error")
def loop_of_links(folder: Path) -> Path:
    (folder / "a.png").symlink_to("b.png")
    (folder / "b.png").symlink_to("a.png")
    return folder / "a.png"


@_case("ok")
def link_to_a_clip(folder: Path) -> tuple[Path, Entry]:
    elsewhere = folder / "elsewhere.bin"
    _, facts = _clip(elsewhere, container="mp4")
    link = folder / "in.mp4"
    link.symlink_to(elsewhere)
    return link, facts


@_case("error")
def link_to_nothing(folder: Path) -> Path:
    path = folder / "in.jpg"
    path.symlink_to("nowhere")
    return path


@_case("error")
def pipe_as_picture(folder: Path) -> Path:
    path = folder / "in.png"
    os.mkfifo(path)
    return path


@_case("error")
def device_as_video(folder: Path) -> Path:
    path = folder / "in.mp4"
    path.symlink_to("/dev/zero")
    return path


@_case("error")
def device_as_picture(folder: Path) -> Path:
    path = folder / "in.png"
    path.symlink_to("/dev/zero")
    return path


@_case("error")
def folder_as_picture(folder: Path) -> Path:
    path = folder / "in.png"
    path.mkdir()
    return path


_ADDRESSES = (
    "concat:/etc/hostname|x",
    "subfile,,start,0,end,9,,:/etc/hostname",
    "data:video/mp4;base64,AAAA",
    "pipe:0",
    "file:///etc/hostname",
    "rtmp://127.0.0.1:9/x",
    "",
)
for _number, _address in enumerate(_ADDRESSES):

    @_case("error", f"address_{_number}", literal=True)
    def _(folder: Path, address: str = _address) -> tuple[Path, Entry]:
        return folder, {"file": address}


# --- bombs


def _png(width: int, height: int, bits: int, rows: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


_BOMB = _png(60_000, 60_000, 1, zlib.compress(bytes(7501) * 2000))
_content("bomb_png", "in.png", _BOMB, bomb=True)
_content("bomb_png_as_mp4", "in.mp4", _BOMB, bomb=True)
_content(
    "bomb_bmp",
    "in.bmp",
    struct.pack("<2sIHHIIiiHH24x", b"BM", 54, 0, 0, 54, 40, 65_000, 65_000, 1, 24),
    bomb=True,
)
_content("bomb_pgm_as_mp4", "in.mp4", b"P5\n65000 65000\n255\n" + bytes(1000), bomb=True)


@_case("error", bomb=True)
def bomb_avi(folder: Path) -> tuple[Path, Entry]:
    """The header says 50,000 x 50,000 raw pixels."""
    path, _ = _clip(folder / "in.avi", codec="rawvideo", pix_fmt="bgr24")
    data = bytearray(path.read_bytes())
    place = data.index(b"strf") + 8 + 4
    struct.pack_into("<ii", data, place, 50_000, 50_000)
    path.write_bytes(data)
    return path, {}


# --- pictures


def _still(
    name: str, file: str, **save: Any
) -> Callable[[Callable[[], Image.Image]], Callable[[], Image.Image]]:
    def add(draw: Callable[[], Image.Image]) -> Callable[[], Image.Image]:
        @_case("ok", name, still=True)
        def make(folder: Path) -> Path:
            draw().save(folder / file, **save)
            return folder / file

        return draw

    return add


@_still("picture_of_one_pixel", "in.png")
def _() -> Image.Image:
    return Image.new("RGB", (1, 1), (90, 60, 30))


@_still("picture_of_one_column", "in.png")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)[:, :1])


@_still("picture_gray_16", "in.png")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)[..., 0].astype(np.uint16) * 257)


@_still("picture_float", "in.tif")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)[..., 0].astype(np.float32) / 255)


@_still("picture_cmyk", "in.jpg")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)).convert("CMYK")


@_still("picture_palette", "in.png", transparency=3)
def _() -> Image.Image:
    return Image.fromarray(_scene(0)).quantize(32)


@_still("picture_black_and_white", "in.png")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)).convert("1")


@_still("picture_gray_and_alpha", "in.png")
def _() -> Image.Image:
    return Image.fromarray(_scene(0)).convert("LA")


@_still("picture_webp_alpha", "in.webp", lossless=True)
def _() -> Image.Image:
    return Image.fromarray(np.dstack([_scene(0), np.full((64, 96), 200, np.uint8)]))


@_still("picture_bmp", "in.bmp")
def _() -> Image.Image:
    return Image.fromarray(_scene(0))


@_still("picture_named_otherwise", "in.jpg", format="PNG")
def _() -> Image.Image:
    return Image.fromarray(_scene(0))


@_case("ok", still=True)
def pages_of_tiff(folder: Path) -> Path:
    pages = [Image.fromarray(_scene(i)) for i in range(3)]
    pages[0].save(folder / "in.tif", save_all=True, append_images=pages[1:])
    return folder / "in.tif"


@_case("ok", still=True)
def moving_webp(folder: Path) -> Path:
    pages = [Image.fromarray(_scene(i)) for i in range(3)]
    pages[0].save(folder / "in.webp", save_all=True, append_images=pages[1:], duration=100)
    return folder / "in.webp"


@_case("error")
def half_a_jpeg(folder: Path) -> Path:
    path = folder / "in.jpg"
    Image.fromarray(_scene(0, (400, 300))).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


@_case("ok")
def jpeg_named_mp4(folder: Path) -> tuple[Path, Entry]:
    path = folder / "in.mp4"
    Image.fromarray(_scene(0)).save(path, format="JPEG")
    return path, {"checks": {"frames": 1, "size": list(SIZE)}}


# --- names

for _number, _name in enumerate(
    [
        "-y.mp4",
        "--help",
        "a\nb.mp4",
        "\x1b[2J\x1b]0;x\x07.mp4",
        "\u202eevil\u202c.mp4",
        "\U0001f3a8\U0001f468\u200d\U0001f3a8.mkv",
        os.fsdecode(b"caf\xe9\xff.mp4"),
        "%s%n%d.mp4",
        " .mp4 ",
        "a.b.c.MP4",
        "...mp4",
        "x" * 251 + ".mp4",
        "\u00e9" * 125 + ".mkv",
        "C:\\clip.mp4",
        "$(touch x);`id`.mp4",
        "styles",
    ]
):

    @_case("ok", f"name_{_number:02d}")
    def _(folder: Path, name: str = _name) -> tuple[Path, Entry]:
        made = folder / "made.mp4"
        _, facts = _clip(made, frames=2)
        return made.rename(folder / name), facts


@_case("ok", "name_of_a_picture", still=True)
def _(folder: Path) -> Path:
    path = folder / ("\x1b[31m" + "\u00e9" * 122 + ".png")
    Image.fromarray(_scene(0)).save(path)
    return path
