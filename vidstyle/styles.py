"""The styles one can ask for: by name, as a blend (`oil:0.6,sketch:0.4`), or by a picture (`my_painting.jpg`)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

from vidstyle.errors import StyleError, WeightsError
from vidstyle.suffixes import STILLS, is_file
from vidstyle.weights import Entry, manifest, users_styles

ANY = "any"
"""The network of the manifest that paints like any picture."""
LONGEST_STYLE_NAME = 60
"""Characters of a picture's name that go into the names of results."""


@dataclass(frozen=True, slots=True)
class Part:
    """One style of a blend."""

    entry: Entry
    share: float
    """Of the result, above 0; the shares of a style sum to 1."""
    picture: Path | None = None
    """The picture to paint like, where `entry` can do that."""
    picture_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Style:
    """What is painted: one style, or a blend of several."""

    name: str
    """As it stands in the names of results: oil, oil+sketch, my_painting."""
    parts: tuple[Part, ...]

    @property
    def sha256(self) -> str:
        """What decides the look: of the weights for a single style, of all facts together for others."""
        if len(self.parts) == 1 and self.parts[0].picture is None:
            return self.parts[0].entry.sha256
        facts = [f"{p.entry.sha256} {p.picture_sha256} {p.share!r}" for p in self.parts]
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def available() -> dict[str, Entry]:
    """Every style by name: the shipped ones, and those that `vidstyle learn` made for this user.

    Raises WeightsError if a manifest is unreadable.
    """
    return {**users_styles(), **manifest()["styles"]}


def find(name: str) -> Entry:
    """The style called `name`. Raises StyleError with the names there are."""
    styles = available()
    if name not in styles:
        raise StyleError(
            f"Unknown style {name!r}.",
            name="--style",
            hint=f"choose one of: {', '.join(sorted(styles))}; or name a picture",
        )
    return styles[name]


def wanted(text: str) -> Style:
    """What `--style` asks for: a name, a picture, or a blend of them.

    A name wins over a file of that name. Raises StyleError for what is none of these and for shares that are no
    positive numbers, InputError for pictures that are missing or of no use.
    """
    if text in available():
        return Style(text, (Part(find(text), 1.0),))
    if not _is_blend(text):
        return _of_picture(text) if _looks_like_file(text) else Style(text, (Part(find(text), 1.0),))
    parts: list[tuple[Style, float]] = []
    for piece in text.split(","):
        name, colon, share = piece.strip().rpartition(":")
        if not colon:
            name, share = share, "1"
        parts.append((_single(name.strip()), _share(share, piece.strip())))
    names = [style.name for style, _ in parts]
    for name in names:
        if names.count(name) > 1:
            raise StyleError(f"{name!r} is in this blend twice.", name="--style", hint="add its shares")
    total = sum(share for _, share in parts)
    if len(parts) == 1:
        return parts[0][0]
    blended = (
        Part(part.entry, share / total, part.picture, part.picture_sha256)
        for style, share in parts
        for part in style.parts
    )
    return Style("+".join(names), tuple(blended))


def any_entry() -> Entry:
    """The network that paints like any picture. Raises WeightsError if it does not ship."""
    entry = manifest()["networks"].get(ANY)
    if entry is None:
        raise WeightsError(
            f"The manifest lists no network {ANY!r}.", name="weights", hint="install vidstyle again"
        )
    return entry


def _is_blend(text: str) -> bool:
    return ("," in text or ":" in text) and not is_file(Path(text))


def _single(text: str) -> Style:
    if text not in available() and _looks_like_file(text):
        return _of_picture(text)
    return Style(text, (Part(find(text), 1.0),))


def _share(text: str, piece: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not (0 < share < math.inf):
        raise StyleError(
            f"The share in {piece!r} is not a number above 0.",
            name="--style",
            hint="for example --style oil:0.6,sketch:0.4",
        )
    return share


def _looks_like_file(text: str) -> bool:
    path = Path(text)
    return path.suffix.lower() in STILLS or path.parent != Path() or is_file(path)


def _of_picture(text: str) -> Style:
    """Raises InputError."""
    from vidstyle.pictures import check_style_picture

    path = Path(text)
    digest = check_style_picture(path)
    entry = any_entry()
    name = path.stem[:LONGEST_STYLE_NAME].strip() or "picture"
    return Style(name, (Part(entry, 1.0, path, digest),))
