"""Write the trained generator of a run to checkpoints/ and enter it in checkpoints/manifest.json.

python scripts/export.py runs/oil --style oil
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save

from vidstyle.models.generator import Generator

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"
ABOUT = {
    "oil": {
        "title": "Oil painting",
        "description": "Thick oil paint: strokes along the forms, bristle marks in the light, lively colours.",
        "licence": "MIT",
        "trained_on": "Photographs and film frames under free licences; see README.md beside this file.",
    }
}


def export(state_file: Path, style: str, checkpoints: Path) -> dict[str, object]:
    """Store the running mean of the weights as float16 and return the manifest entry."""
    state = torch.load(state_file, weights_only=True, map_location="cpu")
    network = Generator(**state["settings"]["generator"])
    network.load_state_dict(state["average"])
    tensors = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise ValueError(f"{state_file}: weights that are not finite or do not fit into float16")
    data = save(tensors)
    checkpoints.mkdir(exist_ok=True)
    _write(checkpoints / f"{style}.safetensors", data)
    entry = {
        "file": f"{style}.safetensors",
        "sha256": hashlib.sha256(data).hexdigest(),
        "network": "generator",
        "settings": network.settings,
        **ABOUT[style],
    }
    manifest_file = checkpoints / "manifest.json"
    manifest = json.loads(manifest_file.read_text()) if manifest_file.exists() else {"schema": 1}
    manifest.setdefault("styles", {})[style] = entry
    manifest.setdefault("networks", {})
    _write(manifest_file, (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode())
    return entry


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, help="folder of the run, or a state file")
    parser.add_argument("--style", choices=sorted(ABOUT), required=True)
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS)
    args = parser.parse_args()
    state = args.run / "state.pt" if args.run.is_dir() else args.run
    print(json.dumps(export(state, args.style, args.checkpoints), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
