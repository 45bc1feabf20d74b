"""Paint single pictures with the same generator; Pillow reads and writes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - the last two register themselves

from vidstyle import styles
from vidstyle.device import choose_device
from vidstyle.errors import OutputError
from vidstyle.events import Listener, Note, RunFinished, RunStarted, ignore
from vidstyle.flow import analysis_size, to_array
from vidstyle.frames import Batch, Motion
from vidstyle.media.files import check_target, output_errors, real_path, replace_file
from vidstyle.new_file import create
from vidstyle.painters import guides_of, painting_network
from vidstyle.pictures import Picture, read_picture
from vidstyle.settings import StyleSettings
from vidstyle.stylize import Look, Painter
from vidstyle.suffixes import STILLS, VIDEOS, default_result, fitting_name

_WITH_ALPHA = {".png", ".webp", ".tif", ".tiff"}
_WITH_FACTS = {".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg"}
"""Kinds of file that hold colour profiles and camera data."""


def paint_picture(picture: NDArray[np.uint8], settings: StyleSettings | None = None) -> NDArray[np.uint8]:
    """Paint one picture, uint8 [H, W, 3] RGB; the result has the same shape.

    Raises the errors of `vidstyle.errors` for styles, devices and weights.
    """
    settings = settings or StyleSettings()
    choice = choose_device(settings.device, settings.precision)
    style = styles.wanted(settings.style)
    height, width = picture.shape[:2]
    painter = Painter(
        painting_network(style, lambda: [picture]),
        choice,
        (width, height),
        guides=guides_of(style),
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
    output = Path(output) if output else default_result(source, styles.wanted(settings.style).name)
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
            create(part).close()
            Image.fromarray(pixels).save(part, None, quality=95, **kept)
            replace_file(part, output)
        except (ValueError, OverflowError) as error:  # what the kind of file has no room for, as many pixels
            raise OutputError(f"The picture cannot be written: {error}.", name=str(output)) from error
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)


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
