#!/usr/bin/env python3
"""How strong, faithful, sharp and steady are the styles?

    python scripts/evaluate.py CLIP ... [--styles oil cartoon] [--style-pictures FOLDER] [--frames 48]
        [--teachers] [--features vgg19 --feature-weights FILE] [--json]

Every clip is painted at its own size, frames measured 640 pixels wide, before any encoder. FOLDER has one folder of
pictures for each style, of the same name; styles without one get no style distance.

warping    mean squared difference to the frame before, carried along the source's motion, over the source's own (floor)
excess     the same minus the floor; looks at clips whose floor is next to nothing
sharpness  deviation of the Laplacian, over the source's
teacher    the same over what the procedural teacher paints, of the first frame, where both see the same guide planes
           (with --teachers; slow)
edges      SSIM of edge strengths to the source
content    relative squared distance of deep features to the source
style      relative distance of Gram matrices to the style set; in brackets the source's: doing nothing
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from vidstyle import styles
from vidstyle.device import choose_device
from vidstyle.errors import VidstyleError
from vidstyle.flow import shrink, to_8_bit, track_motion
from vidstyle.media.decode import decode
from vidstyle.media.probe import probe
from vidstyle.models.generator import Generator
from vidstyle.models.load import load
from vidstyle.stylize import Painter, stylize
from vidstyle.training import measures, perceptual
from vidstyle.training.data import find, read, still_guides
from vidstyle.training.teachers import TEACHERS
from vidstyle.weights import Entry

Frame = np.ndarray

WIDTH = 640
MOST_PICTURES = 60
"""Of a style set."""
LOOKED_AT = 4
"""So many frames of a clip are measured for what needs no motion."""
PEERS = """Peers, their code run by us at 640x360 on other clips (12 frames; still camera / hand-held):
cartoon    AnimeGANv3 Hayao      warping 6.5 / 1.3   edges .69-.74
cartoon    White-box             warping 4.7 / 1.7   edges .62-.72
painting   fast_neural_style     warping 28-210 / 1.5-9.6   edges .51-.77   style (VGG-19, own picture) .11-.22
any        MicroAST              warping 33-60 / 1.8-3.0    edges .37-.54   style (VGG-19, own picture) .18-.27"""


def frames_of(entry: Entry, clip: Path, count: int, device: str) -> Iterator[tuple[Frame, Frame, Frame]]:
    """Source and painted frames, at most WIDTH pixels wide, and the source at its own size."""
    info, choice = probe(clip), choose_device(device)
    network = load(entry)
    assert isinstance(network, Generator)
    painter = Painter(network, choice, info.size, guides=entry.guides)
    size = shown_size(*info.size)
    with (
        closing(decode(info, batch_size=4)) as decoded,
        closing(stylize(track_motion(decoded), painter)) as painted,
    ):
        pairs = (
            (s, p) for batch in painted for s, p in zip(batch.source.pixels, batch.pictures, strict=True)
        )
        for source, picture in islice(pairs, count):
            small = (np.ascontiguousarray(shrink(to_8_bit(x), size)) for x in (source, picture))
            yield *small, np.ascontiguousarray(to_8_bit(source))


def shown_size(width: int, height: int) -> tuple[int, int]:
    """The size at which frames are measured."""
    scale = min(1.0, WIDTH / width)
    return round(width * scale), round(height * scale)


def taught(style: str, source: Frame) -> Frame:
    """What the teacher makes of a frame, at the size at which frames are measured."""
    teacher = TEACHERS[style]
    picture = source.astype(np.float32) / 255
    painted = np.round(255 * teacher.paint(picture, still_guides(picture, teacher.guides))).astype(np.uint8)
    return cv2.resize(painted, shown_size(source.shape[1], source.shape[0]), interpolation=cv2.INTER_AREA)


def measure(
    entry: Entry,
    clip: Path,
    args: argparse.Namespace,
    distance: measures.StyleDistance,
    has_style: bool,
) -> dict[str, Any]:
    """All figures of one style on one clip."""
    sources, painted = [], []
    of_teacher = None
    for source, picture, whole in frames_of(entry, clip, args.frames, args.device):
        if args.teachers and not sources and entry.name in TEACHERS:
            of_teacher = measures.sharpness(picture) / measures.sharpness(taught(entry.name, whole))
        sources.append(source)
        painted.append(picture)
    error = measures.warping_error(sources, painted)
    step = max(1, len(sources) // LOOKED_AT)
    shown = list(zip(sources[::step], painted[::step], strict=True))
    row: dict[str, Any] = {"style": entry.name, "clip": clip.stem, "frames": len(sources)}
    if error is not None:
        row |= {
            "floor": error.floor,
            "warping": error.painted / max(error.floor, 1e-12),
            "excess": error.painted - error.floor,
        }
    row["sharpness"] = mean(measures.sharpness(p) for _, p in shown)
    row["source_sharpness"] = mean(measures.sharpness(s) for s, _ in shown)
    if of_teacher is not None:
        row["of_teacher"] = of_teacher
    row["edges"] = mean(measures.edge_ssim(s, p) for s, p in shown)
    maps = [(distance.maps(s), distance.maps(p)) for s, p in shown]
    row["content"] = mean(distance.content(s, p) for s, p in maps)
    if has_style:
        row["style_distance"] = mean(distance.style(p) for _, p in maps)
        row["source_style_distance"] = mean(distance.style(s) for s, _ in maps)
    return row


def mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


def style_set(folder: Path | None, name: str) -> list[np.ndarray]:
    """Pictures that show the style, none wider than WIDTH; a few from all over the folder."""
    if folder is None or not (folder / name).is_dir():
        return []
    files = find([folder / name])
    chosen = files[:: max(1, len(files) // MOST_PICTURES)]
    pictures = [picture for path in chosen for picture in islice(read(path), 1)]
    return [
        p if p.shape[1] <= WIDTH else cv2.resize(p, (WIDTH, WIDTH * p.shape[0] // p.shape[1]))
        for p in pictures
    ]


def evaluate(args: argparse.Namespace, features: nn.Module) -> Iterator[dict[str, Any]]:
    for name in args.styles or styles.available():
        entry = styles.find(name)
        pictures = style_set(args.style_pictures, name)
        nothing = [np.full((64, 64, 3), 128, np.uint8)]
        distance = measures.StyleDistance(features, pictures or nothing)
        for clip in args.clips:
            yield measure(entry, clip, args, distance, bool(pictures))


def show(rows: Sequence[dict[str, Any]]) -> None:
    table = Table(
        "style", "clip", "floor", "warping", "excess", "sharpness", "teacher", "edges", "content", "style"
    )
    for row in rows:
        gone = "style_distance" not in row
        table.add_row(
            row["style"],
            row["clip"],
            f"{row['floor']:.1e}" if "floor" in row else "-",
            f"{row['warping']:.2f}" if "floor" in row else "-",
            f"{row['excess']:.1e}" if "floor" in row else "-",
            f"{row['sharpness'] / max(row['source_sharpness'], 1e-6):.2f}",
            f"{row['of_teacher']:.2f}" if "of_teacher" in row else "-",
            f"{row['edges']:.2f}",
            f"{row['content']:.2f}",
            "-" if gone else f"{row['style_distance']:.2f} ({row['source_style_distance']:.2f})",
        )
    console = Console(width=120)
    console.print(table)
    console.print(PEERS, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--styles", nargs="+", help="which (default: all that ship)")
    parser.add_argument(
        "--style-pictures", type=Path, help="folder with one folder of pictures for each style"
    )
    parser.add_argument("--frames", type=int, default=48, help="first frames of each clip")
    parser.add_argument("--teachers", action="store_true", help="compare the sharpness with the teachers'")
    parser.add_argument(
        "--features", choices=["own", *perceptual.TAPS], default="own", help="feature network"
    )
    parser.add_argument("--feature-weights", type=Path, help="local file with its weights")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads (0: as torch chooses)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    args = parser.parse_args(arguments)
    if args.threads:
        torch.set_num_threads(args.threads)
        cv2.setNumThreads(args.threads)
    rows = []
    try:
        for row in evaluate(args, perceptual.load(args.features, args.feature_weights)):
            rows.append(row)
            if args.json:
                print(json.dumps(row), flush=True)
    except VidstyleError as error:
        print(f"{error}{f' ({error.hint})' if error.hint else ''}", file=sys.stderr)
        return error.exit_code
    if not args.json:
        show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
