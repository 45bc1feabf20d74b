#!/usr/bin/env python3
"""Train the network that weighs the detector's evidence.

    python scripts/train_fusion.py make --videos FREE_CLIPS... --photos FOLDERS... --out runs/fusion --clips 300
    python scripts/train_fusion.py train runs/fusion

`make` spoils clips on purpose and stores what the detector measures on them, a file for each clip; it may be stopped
and goes on where it was. The network now shipped says which frames are suspect, or the rule with --rule. `train` learns
from all files but every twelfth, which set the threshold, and enters the result in checkpoints/.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from train_features import CHECKPOINTS, enter

from vidstyle.detect import TrainedFusion
from vidstyle.detect.decision import MAPS, Finding, combine
from vidstyle.detect.fusion import NUMBERS, Circumstances
from vidstyle.detect.statistics import Array
from vidstyle.device import choose_device
from vidstyle.flow import track_motion
from vidstyle.models.generator import Generator as PaintNetwork
from vidstyle.models.load import load, load_features, load_fusion
from vidstyle.stylize import Painter, stylize
from vidstyle.training.data import find, read
from vidstyle.training.fusion import load_tables, set_threshold, train
from vidstyle.training.fusion_data import Paint, batches, examples, make_clip
from vidstyle.training.spoilt_clips import FAULTS, Picture, Random, filmed_photo
from vidstyle.weights import manifest

FRAMES = 96
HELD = 12
"""Every so many-th file is not learnt from."""
SIZES = ((384, 216), (384, 216), (384, 288), (320, 240), (216, 384), (480, 200))


def film(path: Path) -> list[Picture]:
    """All frames of a video, at most 400 pixels a side."""
    video, frames = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        frame = cv2.cvtColor(got[1], cv2.COLOR_BGR2RGB)
        scale = min(1.0, 400 / max(frame.shape[:2]))
        frames.append(cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return frames


def scene(
    films: list[list[Picture]], photos: list[Path], size: tuple[int, int], random: Random
) -> list[Picture]:
    """FRAMES frames: a piece of a film, forwards or backwards, or a photo that is filmed."""
    if films and random.random() < 0.5:
        frames = films[int(random.integers(len(films)))]
        first = int(random.integers(0, max(1, len(frames) - FRAMES)))
        piece = frames[first : first + FRAMES]
        while len(piece) < FRAMES:
            piece = piece + piece[::-1]
        piece = [cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in piece[:FRAMES]]
        return piece[:: 1 if random.random() < 0.7 else -1]
    chosen = [
        photo
        for i in random.integers(0, len(photos), 1 + int(random.integers(0, 4)))
        for photo in read(photos[i])
    ]
    return filmed_photo(chosen[0], chosen[1:], size, FRAMES, random)


def make(args: argparse.Namespace) -> None:
    films = [film(path) for path in args.videos]
    photos = find(args.photos)
    features = load_features()
    fusion = by_rule if args.rule else TrainedFusion(load_fusion())
    args.out.mkdir(parents=True, exist_ok=True)
    styles = sorted(manifest()["styles"])
    kinds = [kind for kind in FAULTS if kind not in args.without]
    for number in range(args.first, args.clips):
        path = args.out / f"{number:05d}.npz"
        if path.exists():
            continue
        random = np.random.default_rng((args.seed, number))
        size = SIZES[int(random.integers(len(SIZES)))]
        scenes = [scene(films, photos, size, random) for _ in range(2)]
        style = str(random.choice(styles)) if random.random() < args.shipped else None
        clip = make_clip(*scenes, kinds, random, painter(style, size) if style else None)
        found = examples(clip, features, fusion, kinds, random)
        with path.with_suffix(".part").open("wb") as file:
            np.savez(file, maps=found.maps, numbers=found.numbers, labels=found.labels)
        path.with_suffix(".part").replace(path)
        print(number, len(found.labels), int(found.labels.sum()), flush=True)


def painter(style: str, size: tuple[int, int]) -> Paint:
    """Paints in a style that ships."""
    entry = manifest()["styles"][style]
    network = load(entry)
    assert isinstance(network, PaintNetwork)

    def paint(sources: list[Picture]) -> list[Picture]:
        brush = Painter(network, choose_device("cpu"), size, guides=entry.guides)
        painted = stylize(track_motion(batches(sources)), brush)
        return [picture.permute(1, 2, 0).numpy() for batch in painted for picture in batch.pictures]

    return paint


def by_rule(finding: Finding, scores: Array, here: Circumstances) -> float:
    return combine(scores)


def learn(args: argparse.Namespace) -> None:
    files = sorted(path for folder in args.data for path in folder.glob("*.npz"))
    held = files[::HELD]
    table = load_tables([path for path in files if path not in held])
    begin = load_fusion() if args.go_on else None
    members = len(begin.members) if begin else args.members
    network = train(table, epochs=args.epochs, seed=args.seed, members=members, rate=args.rate, begin=begin)
    recall = set_threshold(network, load_tables(held), args.false_alarms)
    tensors = {name: tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "fusion.safetensors"
    save_file(tensors, path)
    entry = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "network": "fusion",
        "settings": {"maps": MAPS, "numbers": NUMBERS, "members": members},
        "licence": "MIT",
        "trained_on": "Photographs and film frames under free licences; see README.md beside this file.",
    }
    enter(args.out / "manifest.json", "fusion", entry)
    print(json.dumps({"examples": len(table), "recall": round(recall, 3), "false_alarms": args.false_alarms}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    part = commands.add_parser("make")
    part.add_argument("--videos", nargs="*", type=Path, default=[])
    part.add_argument("--photos", nargs="+", type=Path, required=True)
    part.add_argument("--out", type=Path, required=True)
    part.add_argument("--clips", type=int, default=300)
    part.add_argument("--first", type=int, default=0)
    part.add_argument("--seed", type=int, default=0)
    part.add_argument("--without", nargs="*", default=[], help="kinds of faults to leave out")
    part.add_argument(
        "--shipped", type=float, default=0.3, help="share of the clips painted in the styles that ship"
    )
    part.add_argument("--rule", action="store_true", help="the rule tells suspects, not the network shipped")
    part.set_defaults(run=make)
    part = commands.add_parser("train")
    part.add_argument("data", type=Path, nargs="+", help="folders that `make` has filled")
    part.add_argument("--out", type=Path, default=CHECKPOINTS, help="folder of the checkpoints")
    part.add_argument("--epochs", type=int, default=10)
    part.add_argument("--members", type=int, default=2, help="networks whose answers are averaged")
    part.add_argument("--seed", type=int, default=0, help="of the first member; the next has the next")
    part.add_argument("--rate", type=float, default=2e-3, help="of learning, at its highest")
    part.add_argument(
        "--go-on",
        action="store_true",
        help="learn on from the network that ships; the result is the mean of both",
    )
    part.add_argument(
        "--false-alarms", type=float, default=0.001, help="share of good examples over the threshold"
    )
    part.set_defaults(run=learn)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    args.run(args)


if __name__ == "__main__":
    main()
