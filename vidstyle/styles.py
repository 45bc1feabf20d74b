"""The styles one can ask for by name."""

from __future__ import annotations

from vidstyle.errors import StyleError
from vidstyle.weights import Entry, manifest


def available() -> dict[str, Entry]:
    """Every shipped style by name. Raises WeightsError if the manifest is missing."""
    return manifest()["styles"]


def find(name: str) -> Entry:
    """The style called `name`. Raises StyleError with the names there are."""
    styles = available()
    if name not in styles:
        raise StyleError(
            f"Unknown style {name!r}.", name="--style", hint=f"choose one of: {', '.join(sorted(styles))}"
        )
    return styles[name]
