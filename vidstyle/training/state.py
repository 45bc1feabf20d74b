"""Training states on disk: written whole or not at all, read without running anything."""

from __future__ import annotations

import os
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from vidstyle.errors import InputError

STATE = "state.pt"
"""Its name in the folder of a run."""


def write_state(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_state(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What `write_state` wrote, its tensors on `device`. Raises InputError if there is none.

    path  the file, or the folder of a run
    """
    if path.is_dir():
        path = path / STATE
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location=device)
    except FileNotFoundError:
        raise InputError(
            "There is no training state.", name=str(path), hint="name the folder of a run"
        ) from None
    except (UnpicklingError, RuntimeError, EOFError):
        raise InputError(
            "This is no training state, or it is damaged.", name=str(path), hint="name the folder of a run"
        ) from None
    return state if "networks" in state else _of_first_format(state)


def _of_first_format(state: dict[str, Any]) -> dict[str, Any]:
    """A distillation's networks as the first version stored them; enough to export them or to start from them."""
    from vidstyle.models.generator import Generator

    settings = Generator(**state["settings"]["generator"]).settings
    return {
        "networks": {"generator": state["generator"], "critic": state["critic"]},
        "averages": {"generator": state["average"]},
        "built": {"generator": {"network": "generator", "settings": settings}},
    }
