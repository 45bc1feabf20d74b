#!/usr/bin/env python3
"""Distils the detector's feature network and enters it into the manifest.

    python scripts/train_features.py --photos ../shared/data/content/kodak ../shared/data/content/endless-sky \
        --teacher ../shared/data/features/squeezenet1_1_imagenet.safetensors --max-seconds 600
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from vidstyle.training.feature_distillation import (
    STYLISATIONS,
    SqueezeNetTaps,
    distil,
    load_pictures,
    rank_correlation,
)

CHECKPOINTS = Path(__file__).resolve().parents[1] / "checkpoints"


def enter(manifest: Path, name: str, entry: dict[str, object]) -> None:
    """Adds or replaces one network in the manifest and leaves all other entries alone."""
    content = (
        json.loads(manifest.read_text()) if manifest.exists() else {"schema": 1, "styles": {}, "networks": {}}
    )
    content.setdefault("networks", {})[name] = entry
    part = manifest.with_suffix(".part")
    part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    part.replace(manifest)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, nargs="+", required=True, help="folders of free photographs")
    parser.add_argument("--teacher", type=Path, required=True, help="SqueezeNet 1.1, safetensors")
    parser.add_argument("--out", type=Path, default=CHECKPOINTS, help="folder of the checkpoints")
    parser.add_argument("--max-seconds", type=float, default=600)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    pictures = load_pictures(args.photos)
    photo = torch.arange(len(pictures)) // (1 + len(STYLISATIONS))
    held_out, trained_on = pictures[photo % 12 == 0], pictures[photo % 12 != 0]
    teacher = SqueezeNetTaps(args.teacher)
    print(f"{len(trained_on)} pictures to learn from, {len(held_out)} held out")

    def report(step: int, loss: float) -> None:
        if step % 250 == 0:
            print(f"step {step}: loss {loss:.3f}", flush=True)

    student = distil(trained_on, teacher, max_seconds=args.max_seconds, on_step=report)
    torch.manual_seed(1)
    print(f"rank correlation with the teacher: {rank_correlation(student, teacher, held_out):.3f}")

    args.out.mkdir(parents=True, exist_ok=True)
    file = args.out / "features.safetensors"
    part = file.with_suffix(".part")
    save_file({k: v.half().contiguous() for k, v in student.state_dict().items()}, part)
    part.replace(file)
    enter(
        args.out / "manifest.json",
        "features",
        {
            "file": file.name,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "network": "features",
            "settings": {"channels": [stage[0].out_channels for stage in student.stages]},
            "licence": "MIT",
            "trained_on": "free photographs, stylised and spoilt by the program itself; "
            "distilled from SqueezeNet 1.1 (Apache-2.0)",
        },
    )
    print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
