"""Paint a whole video in a style, stable from frame to frame, with every frame checked and mended.

The public names are loaded when they are first used: importing the package loads no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vidstyle.check import check_video
    from vidstyle.errors import VidstyleError
    from vidstyle.pipeline import stylize_video
    from vidstyle.run import Report
    from vidstyle.settings import CheckSettings, Clip, OutputSettings, Settings, StyleSettings
    from vidstyle.stills import stylize_image

_HOMES = {
    "CheckSettings": "vidstyle.settings",
    "Clip": "vidstyle.settings",
    "OutputSettings": "vidstyle.settings",
    "Report": "vidstyle.run",
    "Settings": "vidstyle.settings",
    "StyleSettings": "vidstyle.settings",
    "VidstyleError": "vidstyle.errors",
    "check_video": "vidstyle.check",
    "stylize_image": "vidstyle.stills",
    "stylize_video": "vidstyle.pipeline",
}

__all__ = [
    "CheckSettings",
    "Clip",
    "OutputSettings",
    "Report",
    "Settings",
    "StyleSettings",
    "VidstyleError",
    "__version__",
    "check_video",
    "stylize_image",
    "stylize_video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
