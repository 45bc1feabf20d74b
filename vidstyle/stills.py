"""Paint single pictures with the same generator; Pillow reads and writes them."""

from __future__ import annotations

import struct
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - the last two register themselves

from vidstyle import styles
from vidstyle.device import choose_device
from vidstyle.errors import InputError, OutputError
from vidstyle.events import Listener, Note, RunFinished, RunStarted, ignore
from vidstyle.flow import analysis_size, to_array
from vidstyle.frames import Batch, Motion
from vidstyle.media.files import check_target, output_errors, real_path, replace_file
from vidstyle.media.open import MAX_PIXELS, check_file, check_size
from vidstyle.models.generator import Generator as PaintNetwork
from vidstyle.models.load import load
from vidstyle.settings import StyleSettings
from vidstyle.stylize import Look, Painter
from vidstyle.suffixes import STILLS, VIDEOS, default_result, fitting_name

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""What Pillow may take a file for. It knows others by their content that start programs (EPS) or lead elsewhere."""
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    TypeError,
    ArithmeticError,
    LookupError,
    AttributeError,
    struct.error,
)
"""What Pillow raises on damaged pictures and camera data."""
_EIGHT_BITS = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "La", "RGBa", "CMYK", "YCbCr", "LAB", "HSV"}
"""Pillow's modes whose samples have at most 8 bits."""
_WITH_ALPHA = {".png", ".webp", ".tif", ".tiff"}
_WITH_FACTS = {".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg"}
"""Kinds of file that hold colour profiles and camera data."""


def paint_picture(picture: NDArray[np.uint8], settings: StyleSettings | None = None) -> NDArray[np.uint8]:
    """Paint one picture, uint8 [H, W, 3] RGB; the result has the same shape.

    Raises the errors of `vidstyle.errors` for styles, devices and weights.
    """
    settings = settings or StyleSettings()
    choice = choose_device(settings.device, settings.precision)
    style = styles.find(settings.style)
    network = load(style)
    assert isinstance(network, PaintNetwork)
    height, width = picture.shape[:2]
    painter = Painter(
        network,
        choice,
        (width, height),
        guides=style.guides,
        look=Look(settings.strength, settings.preserve_color),
        tile=settings.tile,
    )
    return to_array(painter.paint(_batch_of_one(picture)).pictures[0]).astype(np.uint8, copy=False)


def stylize_image(
    source: Path | str,
    output: Path | str | None = None,
    *,
    settings: StyleSettings | None = None,
    overwrite: bool = False,
    max_pixels: int | None = None,
    listener: Listener = ignore,
) -> Path:
    """Paint a picture file and return where the result is; default `NAME.STYLE.SUFFIX` beside the source.

    Transparency, colour profile and camera data are kept where the output's kind of file can hold them. Raises
    InputError and OutputError beside what `paint_picture` raises; the output appears whole or not at all.
    """
    started = time.perf_counter()
    settings = settings or StyleSettings()
    source = Path(source)
    output = Path(output) if output else default_result(source, settings.style)
    _check_kind(output)
    check_target(output, source, overwrite)
    picture = read_picture(source, max_pixels=max_pixels)
    height, width = picture.pixels.shape[:2]
    choice = choose_device(settings.device, settings.precision)
    listener(RunStarted(str(source), str(output), settings.style, choice.reason, (width, height), 1, None))
    for text in picture.notes:
        listener(Note(text))
    painted = replace(picture, pixels=paint_picture(picture.pixels, settings))
    for text in _write(painted, real_path(output)):
        listener(Note(text))
    seconds = time.perf_counter() - started
    listener(RunFinished(str(output), 1, 0, 0, 0, seconds, checked=False))
    return output


@dataclass(frozen=True, slots=True)
class Picture:
    """What a picture file holds."""

    pixels: NDArray[np.uint8]
    """[H, W, 3] RGB, upright."""
    alpha: NDArray[np.uint8] | None = None
    """[H, W]; None where nothing is transparent."""
    profile: bytes | None = None
    """The ICC profile that says how the numbers look."""
    exif: bytes | None = None
    """Camera data, without the orientation."""
    notes: tuple[str, ...] = ()
    """What a user should be told about this file, one sentence each."""


def read_picture(path: Path, *, max_pixels: int | None = None) -> Picture:
    """Read a picture file, upright by its EXIF orientation; of several pictures the first. Raises InputError."""
    check_file(path, "picture")
    limit = MAX_PIXELS if max_pixels is None else max_pixels
    try:
        with _no_warnings(), Image.open(path, formats=_FORMATS) as image:
            check_size(image.width, image.height, limit, str(path))
            return _picture(image)
    except Image.DecompressionBombError as error:
        raise InputError(f"The picture has more pixels than the limit of {limit}.", name=str(path)) from error
    except _DAMAGE as error:
        raise InputError("This is not a picture, or it is damaged.", name=str(path)) from error


def _picture(image: Image.Image) -> Picture:
    notes = []
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":  # phones put previews and depth beside a photo
        notes.append(f"There are {pictures} pictures in this file: only the first is painted.")
    exact = image.mode in _EIGHT_BITS
    if not exact:
        notes.append("It has more than 8 bits: the result has 8.")
    profile = image.info.get("icc_profile")
    image.load()
    image = ImageOps.exif_transpose(image)
    exif = image.getexif()
    if not exact:
        return Picture(_eight_bits(image), exif=exif.tobytes() if exif else None, notes=tuple(notes))
    alpha = np.array(image.convert("RGBA"))[..., 3] if image.has_transparency_data else None
    return Picture(
        pixels=np.array(image.convert("RGBA").convert("RGB") if image.mode == "P" else image.convert("RGB")),
        alpha=alpha if alpha is not None and alpha.min() < 255 else None,
        profile=profile
        if profile and profile[16:20] == b"RGB " and image.mode not in ("CMYK", "L")
        else None,
        exif=exif.tobytes() if exif else None,
        notes=tuple(notes),
    )


def _eight_bits(image: Image.Image) -> NDArray[np.uint8]:
    """Gray pictures of 16 or 32 bits or in floating point, which Pillow would clip."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0, neginf=0)
    white = 1.0 if image.mode == "F" else 65535.0
    full = max(white, values.max())  # unless something is brighter
    gray = np.clip(np.rint(values * (255 / full)), 0, 255).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def _check_kind(output: Path) -> None:
    if output.suffix.lower() not in STILLS:
        kind = "a video" if output.suffix.lower() in VIDEOS else f"{output.suffix or 'a name without suffix'}"
        raise OutputError(
            f"A picture becomes a picture, not {kind}.",
            name=str(output),
            hint=f"pictures end in {', '.join(sorted(STILLS))}",
        )


def _write(picture: Picture, output: Path) -> Iterator[str]:
    """Write a picture file whole or not at all; yields a sentence for each thing it cannot hold."""
    suffix = output.suffix.lower()
    pixels, facts = picture.pixels, {}
    if picture.alpha is not None and suffix in _WITH_ALPHA:
        pixels = np.dstack([pixels, picture.alpha])
    elif picture.alpha is not None:
        pixels = (pixels * (picture.alpha[..., None] / 255)).round().astype(np.uint8)
        yield f"Transparent parts are laid over black: {suffix} cannot hold them."
    if suffix in _WITH_FACTS:
        facts = {"icc_profile": picture.profile, "exif": picture.exif}
    elif picture.profile or picture.exif:
        yield f"Colour profile and camera data are left out: {suffix} cannot hold them."
    part = output.with_name(fitting_name(f".{output.stem}", f".partial{output.suffix}"))
    with output_errors(output):
        try:
            kept = {name: value for name, value in facts.items() if value}
            Image.fromarray(pixels).save(part, None, quality=95, **kept)
            replace_file(part, output)
        except (ValueError, OverflowError) as error:  # what the kind of file has no room for, as many pixels
            raise OutputError(f"The picture cannot be written: {error}.", name=str(output)) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Pillow warns of large pictures (we check their size) and of strange camera data (we keep what is sound)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _batch_of_one(picture: NDArray[np.uint8]) -> Batch:
    height, width = picture.shape[:2]
    small = analysis_size(width, height)
    still = np.zeros((small[1], small[0], 2), np.float32)
    return Batch(
        indices=(0,),
        pts=(0,),
        durations=(0,),
        pixels=torch.from_numpy(np.ascontiguousarray(picture))[None].permute(0, 3, 1, 2),
        damaged=(False,),
        motion=(Motion(still, still, cut=True, shot=0),),
    )
