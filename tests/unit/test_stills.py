"""Pictures go in and come out as they were but for the paint: upright, with their transparency and colours."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from vidstyle import stills
from vidstyle.errors import InputError, OutputError, UsageError
from vidstyle.events import Event, Note, RunFinished, RunStarted
from vidstyle.pictures import read_picture

WIDTH, HEIGHT = 40, 30
GRADIENT = np.repeat(np.linspace(0, 255, WIDTH).astype(np.uint8)[None], HEIGHT, 0)
COLOUR = np.stack([GRADIENT, GRADIENT[:, ::-1], GRADIENT // 2], -1)


@pytest.fixture(autouse=True)
def unpainted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stills, "paint_picture", lambda picture, settings: picture)


def passed(source: Path, output: Path | None = None) -> tuple[np.ndarray, list[str]]:
    """What comes out, and the notes."""
    events: list[Event] = []
    result = stills.stylize_image(source, output, listener=events.append)
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunFinished)
    with Image.open(result) as image:
        return np.asarray(image), [event.text for event in events if isinstance(event, Note)]


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_deep_gray_pictures_are_not_clipped(mode: str, tmp_path: Path) -> None:
    deep = {
        "I;16": GRADIENT.astype(np.uint16) * 257,
        "I": GRADIENT.astype(np.int32) * 257,
        "F": GRADIENT.astype(np.float32) / 255,
    }[mode]
    Image.fromarray(deep).save(tmp_path / "in.tif")
    result, notes = passed(tmp_path / "in.tif")
    assert np.abs(result[..., 0].astype(int) - GRADIENT).max() <= 1
    assert any("8 bits" in note for note in notes)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif"])
def test_transparency_is_kept(suffix: str, tmp_path: Path) -> None:
    source = tmp_path / f"in{suffix}"
    Image.fromarray(np.dstack([COLOUR, GRADIENT])).save(source, lossless=True)
    result, notes = passed(source)
    assert np.abs(result[..., 3].astype(int) - GRADIENT).max() <= 1
    assert notes == []


def test_transparency_is_laid_over_black_where_there_is_no_room_for_it(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.fromarray(np.dstack([np.full_like(COLOUR, 200), GRADIENT])).save(source)
    result, notes = passed(source, tmp_path / "out.jpg")
    assert result[:, 0].max() < 12
    assert result[:, -1].min() > 180
    assert any("over black" in note for note in notes)


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOUR).quantize(8)
    picture.save(tmp_path / "in.png", transparency=int(np.asarray(picture)[0, 0]))
    result, _ = passed(tmp_path / "in.png")
    assert result[0, 0, 3] == 0
    assert result[..., 3].max() == 255


def test_colour_profile_and_camera_data_are_kept_without_the_orientation(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    Image.fromarray(COLOUR).save(tmp_path / "in.jpg", exif=exif.tobytes(), icc_profile=profile)
    result = stills.stylize_image(tmp_path / "in.jpg")
    with Image.open(result) as image:
        assert image.size == (HEIGHT, WIDTH), "turned upright"
        assert image.info["icc_profile"] == profile
        assert image.getexif()[0x010F] == "A camera"
        assert 0x0112 not in image.getexif()


def test_several_pictures_in_one_file_are_told_of(tmp_path: Path) -> None:
    pages = [Image.fromarray(np.roll(COLOUR, 5 * i, 1)) for i in range(3)]
    pages[0].save(tmp_path / "in.webp", save_all=True, append_images=pages[1:], lossless=True)
    result, notes = passed(tmp_path / "in.webp")
    assert result.shape == COLOUR.shape
    assert any("3 pictures" in note for note in notes)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    "make",
    [
        make_pipe,
        Path.mkdir,
        Path.touch,
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        lambda path: path.write_text("words"),
    ],
    ids=["pipe", "folder", "empty", "device", "program for a printer", "text"],
)
def test_what_is_no_picture_is_refused(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "in.png")
    with pytest.raises(InputError):
        stills.stylize_image(tmp_path / "in.png")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]


def test_a_picture_of_more_pixels_than_allowed_is_refused_before_it_is_read(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "in.png")
    with pytest.raises(InputError, match="limit of 100"):
        stills.stylize_image(tmp_path / "in.png", max_pixels=100)


def test_outputs_are_refused_as_those_of_videos_are(tmp_path: Path) -> None:
    source, other = tmp_path / "in.png", tmp_path / "other.png"
    Image.fromarray(COLOUR).save(source)
    with pytest.raises(UsageError, match="the input itself"):
        stills.stylize_image(source, source, overwrite=True)
    other.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already"):
        stills.stylize_image(source, other)
    with pytest.raises(OutputError, match="not a video"):
        stills.stylize_image(source, tmp_path / "out.mp4")
    with pytest.raises(OutputError, match="no such folder"):
        stills.stylize_image(source, tmp_path / "no" / "out.png")
    assert other.read_bytes() == b"precious"


def test_long_names_are_shortened_and_told_apart(tmp_path: Path) -> None:
    results = set()
    for last in "ab":
        source = tmp_path / ("é" * 120 + last + ".png")
        Image.fromarray(COLOUR).save(source)
        results.add(stills.stylize_image(source).name)
    assert len(results) == 2
    assert all(len(os.fsencode(name)) < 255 and name.endswith(".oil.png") for name in results)


def test_sixteen_bits_of_colour_are_named(tmp_path: Path) -> None:
    deep = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 0x1234, np.uint16), format="rgb48le")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "rgb48be", Fraction(1)
    source = tmp_path / "deep.png"
    source.write_bytes(bytes(encoder.encode(deep.reformat(format="rgb48be"))[0]))
    assert any("more than 8 bits" in note for note in read_picture(source).notes)
