"""`vidstyle learn`: tune a style to one picture on the user's own machine, and keep it for `--style NAME`."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save
from torch import nn

from vidstyle.device import choose_device
from vidstyle.errors import InputError, OutputError, StyleError, UsageError, WeightsError
from vidstyle.fitting import ORDER, fitted
from vidstyle.media.files import output_errors, write_file
from vidstyle.models.any_style import AnyStyle
from vidstyle.models.blend import StyleNetwork
from vidstyle.models.load import load
from vidstyle.models.marked import Marked
from vidstyle.painters import picture_painter
from vidstyle.pictures import check_style_picture, read_style_picture
from vidstyle.styles import any_entry
from vidstyle.training import perceptual
from vidstyle.training.data import find, read
from vidstyle.training.made_pictures import dead_leaves
from vidstyle.training.texture import Texture
from vidstyle.training.tuning import Progress, Tuner
from vidstyle.weights import MANIFEST, SCHEMA, manifest, users_folder, users_styles

log = logging.getLogger("vidstyle")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
MADE_PICTURES = 24
MADE_SIDE = 384
FRAMES_OF_A_VIDEO = 24
SAMPLE_HEIGHT = 256
FEATURES = ("auto", "own", "vgg19")


@dataclass(frozen=True, slots=True)
class Learnt:
    """What became of it."""

    name: str
    weights: Path
    sample: Path
    """A picture: the style, then per row a source, the style unlearnt, and learnt."""
    steps: int
    improvement: float
    """Share of the style distance that is gone, in the features trained with."""
    whole: bool
    """Whether all the time was used; a signal ends it early and keeps the best so far."""


def learn(
    picture: Path | str,
    name: str,
    *,
    minutes: float = 5.0,
    content: Sequence[Path] = (),
    features: str = "auto",
    device: str = "auto",
    overwrite: bool = False,
    tell: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = log.info,
) -> Learnt:
    """Tune the painter of any picture to this one and enter it among the user's own styles as `name`.

    content   pictures, videos and folders to learn on, best those that will be painted; without any, made pictures
    features  "own": what ships with vidstyle; "vgg19": VGG-19, downloaded by torchvision where it is not there yet
              (550 MB); "auto": VGG-19 if it is there already
    Raises StyleError or OutputError for a name that is taken, UsageError, InputError, WeightsError, ResourceError.
    """
    picture = Path(picture)
    _check_name(name, overwrite)
    if not 0 < minutes < 24 * 60:
        raise UsageError(f"{minutes} is not a number of minutes.", name="--minutes")
    check_style_picture(picture)
    folder = users_folder()
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    shown = fitted(read_style_picture(picture))
    chosen = choose_device(device).device
    loss = _features(features, say)
    pictures = _content(content, say)
    network = load(any_entry())
    assert isinstance(network, AnyStyle)
    tuner = Tuner(picture_painter(network, shown, pictures), shown, pictures, loss, device=chosen)
    sample = folder / f"{name}.jpg"
    last: list[Progress] = []

    def tick(progress: Progress) -> None:
        last[:] = [progress]
        tell(progress)

    say(f"sample pictures: {sample}")
    whole = tuner.run(60 * minutes, tick, lambda: _write_sample(sample, shown, tuner))
    _write_sample(sample, shown, tuner)
    weights = _enter(name, tuner.best, tuner, picture)
    progress = last[0] if last else Progress(0, 0, 0, 1, 1)
    return Learnt(
        name, weights, sample, progress.steps, 1 - progress.distance / progress.first_distance, whole
    )


def _check_name(name: str, overwrite: bool) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a style.", name="--name", hint="use letters, digits, - and _"
        )
    if name in manifest()["styles"]:
        raise StyleError(
            f"{name!r} is a style that ships with vidstyle.", name="--name", hint="choose another"
        )
    if name in users_styles() and not overwrite:
        raise OutputError(
            f"There is a style {name!r} already.",
            name=str(users_folder()),
            hint="replace it with --overwrite",
        )


def _features(wanted: str, say: Callable[[str], None]) -> nn.Module:
    if wanted == "own":
        return Texture()
    try:
        return perceptual.load("vgg19", download=wanted == "vgg19")
    except WeightsError:
        if wanted == "vgg19":
            raise
        say(
            "VGG-19 is not there: learning with the features that ship (--features vgg19 would download 550 MB)"
        )
        return Texture()


def _content(places: Sequence[Path], say: Callable[[str], None]) -> list[NDArray[np.uint8]]:
    if not places:
        say("no --content: learning on made pictures; your own pictures or clips do better")
        return [dead_leaves(MADE_SIDE, np.random.default_rng(seed)) for seed in range(MADE_PICTURES)]
    for place in places:
        if not place.exists():
            raise InputError("There is no such file or folder.", name=str(place))
    files = find(places)
    pictures = [one for path in files for one in islice(read(path), FRAMES_OF_A_VIDEO)]
    if not pictures:
        raise InputError("There is no picture or video to learn on.", name=", ".join(map(str, places)))
    return pictures


def _write_sample(path: Path, shown: NDArray[np.uint8], tuner: Tuner) -> None:
    sheet = tuner.sheet()
    scale = sheet.shape[0] / shown.shape[0]
    style = Image.fromarray(shown).resize((max(1, round(shown.shape[1] * scale)), sheet.shape[0]))
    whole = np.hstack((np.asarray(style), sheet))
    part = path.with_name(f".{path.stem}.partial.jpg")
    with output_errors(path):
        try:
            Image.fromarray(whole).save(part, quality=92)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _enter(name: str, network: StyleNetwork, tuner: Tuner, picture: Path) -> Path:
    """Write the weights, then the manifest that names them."""
    folder = users_folder()
    data = save({key: value.half().contiguous() for key, value in network.state_dict().items()})
    digest = hashlib.sha256(data).hexdigest()
    weights = folder / f"{name}-{digest[:8]}.safetensors"
    colours = tuner.colours
    entry: dict[str, Any] = {
        "file": weights.name,
        "sha256": digest,
        "network": "marked" if isinstance(network, Marked) else "generator",
        "settings": network.settings,
        "guides": list(ORDER),
        "colours": [colours.mean.tolist(), colours.covariance.tolist()],
        "title": name,
        "description": f"Learnt from {picture.name} on {time.strftime('%Y-%m-%d')}.",
        "licence": "yours",
    }
    path = folder / MANIFEST
    with output_errors(folder):
        write_file(weights, data)
        content: dict[str, Any] = {"schema": SCHEMA, "styles": {}}
        if path.is_file():
            content = json.loads(path.read_text("utf-8"))
        before = content["styles"].get(name, {}).get("file")
        content["styles"][name] = entry
        write_file(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
        if before and before != weights.name:
            (folder / before).unlink(missing_ok=True)
    return weights


__all__ = ["FEATURES", "Learnt", "learn"]
