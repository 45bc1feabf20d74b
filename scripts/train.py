"""Train the generator of one style.

    python scripts/train.py oil --data PHOTOS VIDEO.mp4 ... --out runs/oil

The teacher paints every picture once (kept in OUT/pairs), then training runs in stages. OUT/log.jsonl has the figures,
OUT/samples the sheets (source, teacher, generator), OUT/state.pt all that --resume needs. Ctrl-C is a safe stop.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import sys
from pathlib import Path

import torch

from vidstyle.training import teachers
from vidstyle.training.data import find, painted_pairs
from vidstyle.training.loop import SHIFT, Trainer, TrainingDiverged, TrainingSettings

TEACHERS = {"oil": teachers.oil}
HELD = 6
"""Pairs kept back for the sample sheets."""


def main() -> int:
    defaults = TrainingSettings()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("style", choices=sorted(TEACHERS))
    parser.add_argument(
        "--data", nargs="+", type=Path, required=True, help="pictures, videos and folders of them"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    for name in ("distil_steps", "critic_steps", "adversarial_steps", "batch", "crop", "seed", "save_every"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(defaults, name))
    for name in ("distil_rate", "adversarial_rate", "temporal_weight", "adversarial_weight", "slope_weight"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=getattr(defaults, name))
    parser.add_argument("--max-seconds", type=float, default=math.inf, help="stop (and save) after this long")
    parser.add_argument("--resume", action="store_true", help="continue the run in OUT")
    parser.add_argument("--start-from", type=Path, help="take the networks of this state.pt, begin at step 0")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: as torch chooses)")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if args.threads:
        torch.set_num_threads(args.threads)

    fields = TrainingSettings.__dataclass_fields__
    settings = TrainingSettings(**{name: value for name, value in vars(args).items() if name in fields})
    files = find(args.data)
    pairs, unreadable = painted_pairs(
        files, TEACHERS[args.style], args.out / "pairs", settings.seed, settings.crop + SHIFT
    )
    print(json.dumps({"files": len(files), "unreadable": unreadable, "pairs": len(pairs)}))
    if len(pairs) <= HELD:
        print("too few pictures to learn from", file=sys.stderr)
        return 2
    spread = len(pairs) // HELD
    held = [pairs[i * spread] for i in range(HELD)]
    kept = [pair for i, pair in enumerate(pairs) if i % spread or i // spread >= HELD]
    trainer = Trainer(settings, kept, held, args.out, args.device)
    if args.resume:
        trainer.load(args.out / "state.pt")
    elif args.start_from:
        trainer.load(args.start_from, weights_only_of=("generator", "average", "critic"))
    try:
        trainer.run(args.max_seconds)
    except KeyboardInterrupt:
        trainer.save()
    except TrainingDiverged as error:
        print(f"training diverged, the last good state is kept: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
