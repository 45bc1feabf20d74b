"""Find, verify and read the weights that ship with vidstyle.

Weights are safetensors files in a checkpoints folder, listed with their sha256 in `manifest.json`. Nothing else is
ever loaded: no pickle, no file the manifest does not name.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidstyle.errors import WeightsError
from vidstyle.suffixes import is_file

if TYPE_CHECKING:
    from torch import Tensor

MANIFEST = "manifest.json"
SCHEMA = 1
FOLDER_VARIABLE = "VIDSTYLE_CHECKPOINTS"
REQUIRED_NETWORKS = ("features", "fusion")
"""Networks that every run needs, whatever its style."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One weights file of the manifest."""

    name: str
    path: Path
    sha256: str
    network: str
    """Which class of `vidstyle.models` it fills: "generator", "marked", "any", "features" or "fusion"."""
    settings: dict[str, Any]
    """Keyword arguments that class is built with."""
    guides: tuple[str, ...] = ("strokes",)
    """The planes a generator sees beside the frame (`vidstyle.guides`)."""
    title: str = ""
    description: str = ""
    licence: str = ""
    colours: tuple[list[float], list[list[float]]] | None = None
    """Mean [3] and covariance [3, 3] that the style gives to what it paints; None where it has its own way."""


def checkpoints_folder() -> Path:
    """Where the weights are: $VIDSTYLE_CHECKPOINTS, else inside the package, else beside it (a source checkout).

    Raises WeightsError if none of them has a manifest.
    """
    package = Path(__file__).resolve().parent
    named = os.environ.get(FOLDER_VARIABLE)
    folders = [Path(named)] if named else [package / "checkpoints", package.parent / "checkpoints"]
    for folder in folders:
        if (folder / MANIFEST).is_file():
            return folder
    raise WeightsError(
        f"No {MANIFEST} in {' or '.join(str(folder) for folder in folders)}.",
        name="weights",
        hint=f"install vidstyle again, or point {FOLDER_VARIABLE} to its checkpoints folder",
    )


def read_manifest() -> dict[str, dict[str, Entry]]:
    """All entries by section ("styles", "networks") and name. Raises WeightsError if the manifest is unreadable."""
    return _read(checkpoints_folder())


def _read(folder: Path) -> dict[str, dict[str, Entry]]:
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise WeightsError(
                f"The manifest has schema {content['schema']}; this version reads {SCHEMA}.", name=str(path)
            )
        return {
            section: {name: _entry(folder, name, fields) for name, fields in content.get(section, {}).items()}
            for section in ("styles", "networks")
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"The manifest cannot be read: {error}.", name=str(path), hint="install vidstyle again"
        ) from error


def _entry(folder: Path, name: str, fields: dict[str, Any]) -> Entry:
    file = fields["file"]
    if Path(file).name != file:
        raise ValueError(f"{file!r} is not a plain file name")
    return Entry(
        name=name,
        path=folder / file,
        sha256=fields["sha256"],
        network=fields["network"],
        settings=dict(fields["settings"]),
        guides=tuple(fields.get("guides", ("strokes",))),
        title=fields.get("title", name),
        description=fields.get("description", ""),
        licence=fields.get("licence", ""),
        colours=tuple(fields["colours"]) if "colours" in fields else None,
    )


def verified_bytes(entry: Entry) -> bytes:
    """The file's content, read once and checked against the manifest. Raises WeightsError."""
    try:
        content = entry.path.read_bytes()
    except OSError as error:
        raise WeightsError(
            f"The weights cannot be read: {error.strerror}.",
            name=str(entry.path),
            hint="install vidstyle again",
        ) from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise WeightsError(
            "The weights do not match their checksum: the file was changed or damaged.",
            name=str(entry.path),
            hint="install vidstyle again",
        )
    return content


def load_tensors(entry: Entry) -> dict[str, Tensor]:
    """The verified tensors of one file, on the CPU. Raises WeightsError."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    content = verified_bytes(entry)
    try:
        return load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"Not a safetensors file: {error}.", name=str(entry.path)) from error


@lru_cache(maxsize=1)
def _cached_manifest(folder: Path, modified: float) -> dict[str, dict[str, Entry]]:
    return read_manifest()


def manifest() -> dict[str, dict[str, Entry]]:
    """`read_manifest`, read again only when the file has changed."""
    path = checkpoints_folder() / MANIFEST
    return _cached_manifest(path.parent, path.stat().st_mtime)


def users_folder() -> Path:
    """Where `vidstyle learn` keeps this user's own styles: $XDG_DATA_HOME/vidstyle/styles. It need not exist."""
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "vidstyle" / "styles"


def users_styles() -> dict[str, Entry]:
    """This user's own styles by name. Raises WeightsError if their manifest is unreadable."""
    folder = users_folder()
    return _read(folder)["styles"] if is_file(folder / MANIFEST) else {}


def verify_all() -> list[tuple[str, bool, str]]:
    """Every file of the manifest (and what it lacks): name, whether it is whole, its digest or what is wrong."""
    results = [
        (f"{name} (network)", False, "not in the manifest; install vidstyle again")
        for name in REQUIRED_NETWORKS
        if name not in manifest()["networks"]
    ]
    for section in (*manifest().values(), users_styles()):
        for entry in section.values():
            try:
                verified_bytes(entry)
            except WeightsError as error:
                results.append((entry.path.name, False, error.reason))
            else:
                results.append((entry.path.name, True, f"sha256 {entry.sha256[:12]}"))
    return results
