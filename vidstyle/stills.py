"""Paint single pictures with the same generator; Pillow reads and writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from vidstyle import styles
from vidstyle.device import choose_device
from vidstyle.errors import InputError, OutputError
from vidstyle.flow import analysis_size, to_array
from vidstyle.frames import Batch, Motion
from vidstyle.models.generator import Generator as PaintNetwork
from vidstyle.models.load import load
from vidstyle.settings import StyleSettings
from vidstyle.stylize import Look, Painter

MAX_PIXELS = 8192 * 4320


def paint_picture(picture: NDArray[np.uint8], settings: StyleSettings | None = None) -> NDArray[np.uint8]:
    """Paint one picture, uint8 [H, W, 3] RGB; the result has the same shape.

    Raises the errors of `vidstyle.errors` for styles, devices and weights.
    """
    settings = settings or StyleSettings()
    choice = choose_device(settings.device, settings.precision)
    network = load(styles.find(settings.style))
    assert isinstance(network, PaintNetwork)
    height, width = picture.shape[:2]
    painter = Painter(
        network,
        choice,
        (width, height),
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
) -> Path:
    """Paint a picture file and return where the result is; default `NAME.STYLE.SUFFIX` beside the source.

    Raises InputError and OutputError beside what `paint_picture` raises; the output appears whole or not at all.
    """
    settings = settings or StyleSettings()
    source = Path(source)
    output = Path(output) if output else source.with_name(f"{source.stem}.{settings.style}{source.suffix}")
    if output.exists() and not overwrite:
        raise OutputError("The output exists.", name=str(output), hint="use -y to overwrite it")
    if output.exists() and source.exists() and output.samefile(source):
        raise OutputError("The output is the input.", name=str(output), hint="choose another name with -o")
    painted = paint_picture(read_picture(source), settings)
    partial = output.with_name(f".{output.stem[:100]}.partial{output.suffix}")
    try:
        Image.fromarray(painted).save(partial, quality=95)
        partial.replace(output)
    except (OSError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"The picture cannot be written: {error}.", name=str(output)) from error
    return output


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file as uint8 [H, W, 3] RGB, upright by its EXIF orientation. Raises InputError."""
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise InputError(f"{image.width}x{image.height} pixels are too many.", name=str(path))
            return np.array(ImageOps.exif_transpose(image).convert("RGB"))
    except FileNotFoundError as error:
        raise InputError("There is no such file.", name=str(path)) from error
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise InputError("The picture cannot be read.", name=str(path)) from error


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
