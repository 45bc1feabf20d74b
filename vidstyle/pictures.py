"""Read picture files; Pillow does the work."""

from __future__ import annotations

import hashlib
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - the last two register themselves

from vidstyle.errors import InputError
from vidstyle.media.open import MAX_PIXELS, check_file, check_size

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
SMALLEST_STYLE = 64
"""Pixels of the shorter side of a picture that is to show a style."""


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
    # Of 16 bits in colour Pillow reads the upper eight.
    deep = any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))
    if not exact or deep:
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


def check_style_picture(path: Path) -> str:
    """The sha256 of a picture file that can show a style. Raises InputError for one that cannot."""
    check_file(path, "picture")
    try:
        with _no_warnings(), Image.open(path, formats=_FORMATS) as image:
            check_size(image.width, image.height, MAX_PIXELS, str(path))
            if min(image.size) < SMALLEST_STYLE:
                raise InputError(
                    f"A picture of {image.width}x{image.height} pixels shows no brush marks.",
                    name=str(path),
                    hint=f"take one with at least {SMALLEST_STYLE} pixels a side",
                )
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                raise InputError(
                    "This is an animation, or several pictures in one file.",
                    name=str(path),
                    hint="save the one that shows the style by itself",
                )
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except Image.DecompressionBombError as error:
        raise InputError(
            f"The picture has more pixels than the limit of {MAX_PIXELS}.", name=str(path)
        ) from error
    except _DAMAGE as error:
        raise InputError("This is not a picture, or it is damaged.", name=str(path)) from error


def read_style_picture(path: Path) -> NDArray[np.uint8]:
    """What a picture shows, uint8 [H, W, 3] RGB; transparent parts as on white paper. Raises InputError."""
    picture = read_picture(path)
    if picture.alpha is None:
        return picture.pixels
    share = picture.alpha[..., None] / 255
    return np.round(picture.pixels * share + 255 * (1 - share)).astype(np.uint8)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Pillow warns of large pictures (we check their size) and of strange camera data (we keep what is sound)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
