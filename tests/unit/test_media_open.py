"""Opening: only this file, only media, and one clear sentence for everything else."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import Sound, make_clip

from vidstyle.errors import InputError
from vidstyle.media.open import MAX_PIXELS, open_input, real_videos, video_stream

GIF_OF_16000_SQUARED = (
    b"GIF89a\x80\x3e\x80\x3e\xf0\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x00\x0a\x00\x00\x00"
    b"\x2c\x00\x00\x00\x00\x04\x00\x04\x00\x00\x02\x05\x84\x8f\xa9\x8b\x05\x00\x3b"
)


@pytest.fixture
def requests() -> Iterator[tuple[int, list[str]]]:
    """A local web server: its port and the paths it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port, asked
    server.shutdown()
    thread.join()
    server.server_close()


def refused(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        open_input(path)
    error = caught.value
    assert error.name == str(path)
    assert error.reason.endswith(".") and "\n" not in error.reason
    return error


def test_what_is_no_file_is_refused_without_reading(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "missing.mp4").reason
    assert "folder" in refused(tmp_path).reason
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    assert "regular file" in refused(fifo).reason
    assert "regular file" in refused(Path("/dev/zero")).reason
    loop = tmp_path / "loop.mp4"
    loop.symlink_to("loop.mp4")
    assert "leads to no file" in refused(loop).reason
    assert "leads to no file" in refused(Path("with\0zero.mp4")).reason
    empty = tmp_path / "empty.mp4"
    empty.touch()
    assert "empty" in refused(empty).reason
    assert "no such file" in refused(empty / "inside.mp4").reason
    assert refused(Path("http://127.0.0.1:9/v.mp4")).hint == "only local files can be read, no addresses"


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "private.mp4"
    path.write_bytes(b"x" * 100)

    def forbidden(*args: object, **more: object) -> None:
        raise av.error.PermissionError(13, "Permission denied")

    monkeypatch.setattr(av, "open", forbidden)  # a test that runs as root is forbidden nothing
    assert "may not be read" in refused(path).reason


@pytest.mark.parametrize(
    "content",
    [b"this is not a video\n" * 50, b"<!DOCTYPE html><html><body>404</body></html>\n" * 30, b"\0" * 5000],
)
def test_other_files_named_mp4(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.mp4"
    path.write_bytes(content)
    refused(path)


def test_an_mp4_without_its_index_gets_a_hint(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.mp4").path.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 3])
    assert "index" in (refused(path).hint or "")


@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4", "script.mp4", "script.ffconcat"])
def test_playlists_and_scripts_are_refused_whatever_their_name(
    tmp_path: Path, requests: tuple[int, list[str]], name: str
) -> None:
    port, asked = requests
    make_clip(tmp_path / "secret.ts", frames=3)
    path = tmp_path / name
    if name.startswith("list"):
        url = f"http://127.0.0.1:{port}/segment.ts"
        path.write_text(
            f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nsecret.ts\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        )
    else:
        path.write_text("ffconcat version 1.0\nfile secret.ts\n")
    refused(path)
    assert asked == []


@pytest.mark.parametrize(
    "name",
    [
        "a:b.mp4",
        "concat:x.mp4",
        "pipe:0.mp4",
        "%03d.mp4",
        "-dash.mp4",
        "new\nline.mp4",
        "\udcff.mp4",
        "x" * 250,
    ],
)
def test_names_are_only_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    plain = make_clip(tmp_path / "plain.mp4", frames=2).path
    plain.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (Path(name), tmp_path / name):
        with open_input(path) as container:
            assert len(list(container.decode(video=0))) == 2


def test_tags_need_not_be_utf8(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "latin.mp4", frames=2, tags={"title": "QQQQ_tag"})
    clip.path.write_bytes(clip.path.read_bytes().replace(b"QQQQ_tag", b"\xe9\xff\xfe\x80_tag"))
    with open_input(clip.path) as container:
        assert container.metadata["title"].encode("utf-8", "surrogateescape") == b"\xe9\xff\xfe\x80_tag"


def test_too_large_pictures_are_refused_before_decoding(tmp_path: Path) -> None:
    path = tmp_path / "bomb.gif"
    path.write_bytes(GIF_OF_16000_SQUARED)
    with open_input(path) as container, pytest.raises(InputError, match=f"16000x16000.*{MAX_PIXELS}"):
        video_stream(container)
    header = tmp_path / "bomb.y4m"
    header.write_bytes(b"YUV4MPEG2 W60000 H60000 F24:1 Ip A1:1 C420jpeg\nFRAME\n" + bytes(2000))
    refused(header)


def test_the_decoder_itself_refuses_what_the_header_hides(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "raw.h264", size=(320, 240), container="h264")
    with open_input(clip.path) as container:
        stream = video_stream(container, max_pixels=320 * 240)
        assert len(list(container.decode(stream))) == 12
    with open_input(clip.path) as container:
        stream = video_stream(container)
        stream.codec_context.options = {"max_pixels": "1000"}
        with pytest.raises(av.FFmpegError):
            list(container.decode(stream))
    with open_input(clip.path) as container, pytest.raises(InputError, match="limit of 1000"):
        video_stream(container, max_pixels=1000)


def _with_two_videos(path: Path, *, default: int, cover: bool = False) -> Path:
    with av.open(str(path), "w") as out:
        streams = []
        for number in range(2):
            codec = "mjpeg" if cover and number == 0 else "libx264"
            stream = out.add_stream(codec, rate=24)
            stream.width, stream.height = 64 + 64 * number, 48
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            if codec == "mjpeg":
                stream.disposition = av.stream.Disposition.attached_pic
            else:
                stream.disposition = av.stream.Disposition.default if number == default else 0
            streams.append(stream)
        for stream in streams:
            picture = np.zeros((48, stream.width, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture).reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = 0, Fraction(1, 24)
            out.mux(stream.encode(frame))
            out.mux(stream.encode())
    return path


@pytest.mark.parametrize("default", [0, 1])
def test_the_default_video_is_chosen(tmp_path: Path, default: int) -> None:
    with open_input(_with_two_videos(tmp_path / "two.mkv", default=default)) as container:
        assert len(real_videos(container)) == 2
        assert video_stream(container).index == default


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    with open_input(_with_two_videos(tmp_path / "cover.mp4", default=1, cover=True)) as container:
        assert len(container.streams.video) == 2
        assert [s.width for s in real_videos(container)] == [128]
        assert video_stream(container).width == 128


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        track = out.add_stream("aac", rate=44100)
        track.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 44100, 0
        out.mux(track.encode(frame))
        out.mux(track.encode())
    with open_input(path) as container, pytest.raises(InputError, match="sound only"):
        video_stream(container)


def test_sounds_beside_a_video_do_not_disturb(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "sounds.mkv", sounds=[Sound(), Sound("flac")])
    with open_input(clip.path) as container:
        assert video_stream(container).type == "video"
