"""Train a style, or any GAN of the collection.

    python scripts/train.py oil --data PHOTOS VIDEO.mp4 ... --out runs/oil        copy a teacher (oil, cartoon, ...)
    python scripts/train.py pix2pix --teacher oil --data PHOTOS --out runs/pairs
    python scripts/train.py cyclegan --data PHOTOS --art PAINTINGS --out runs/cycle
    python scripts/train.py perceptual --data PHOTOS VIDEOS --art PAINTINGS --out runs/perceptual
    python scripts/train.py any --data PHOTOS VIDEOS --art PAINTINGS --held-art PAINTINGS --out runs/any
    python scripts/train.py gan --data FOLDER FOLDER ... --labels --out runs/gan  (each folder is a class)
    python scripts/train.py gan --cifar10 FOLDER --out runs/cifar
    torchrun --nproc-per-node 4 scripts/train.py ...                              one process for each GPU

OUT/log.jsonl has the figures, OUT/samples the sheets, OUT/state.pt all that --resume needs: the resumed run is the
undisturbed one. Ctrl-C (or SIGTERM) is a safe stop. `train.py STYLE --help` lists the options.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from torch import nn

from vidstyle.errors import InputError, UsageError, VidstyleError
from vidstyle.training import perceptual, small_vgg
from vidstyle.training.data import VIDEOS, find, painted_pairs
from vidstyle.training.datasets import Cifar10, FramePairs, LabelledPictures, PaintedPairs, Pictures
from vidstyle.training.engine import first_process_first, process_group, processes
from vidstyle.training.loop import Figures, Tick, Trainer, TrainingDiverged
from vidstyle.training.recipes.any_style import OIL, AnyStyleSettings, prepared
from vidstyle.training.recipes.base import Recipe, RecipeSettings
from vidstyle.training.recipes.cyclegan import CycleGAN, CycleGANSettings
from vidstyle.training.recipes.distillation import SHIFT, Distillation, DistillationSettings
from vidstyle.training.recipes.noise import NoiseGAN, NoiseSettings
from vidstyle.training.recipes.paired import Pix2Pix, Pix2PixSettings
from vidstyle.training.recipes.perceptual import Perceptual, PerceptualSettings
from vidstyle.training.teachers import TEACHERS, Teacher


def distillation(args: argparse.Namespace) -> Recipe:
    teacher = TEACHERS[args.style]
    settings = chosen(args, DistillationSettings, generator=dict(teacher.generator))
    pairs = paint(args, teacher, settings.crop + SHIFT)
    return Distillation(settings, pairs, teacher.guides, args.begin_with)


def pix2pix(args: argparse.Namespace) -> Recipe:
    teacher = TEACHERS[args.teacher]
    settings = chosen(args, Pix2PixSettings)
    return Pix2Pix(settings, paint(args, teacher, settings.crop), teacher.guides)


def cyclegan(args: argparse.Namespace) -> Recipe:
    settings = chosen(args, CycleGANSettings)
    photos, art = Pictures(args.data, least=args.least), Pictures(args.art, least=args.least)
    tell(photos=len(photos), art=len(art), unreadable=photos.unreadable + art.unreadable)
    return CycleGAN(settings, photos, art)


def gan(args: argparse.Namespace) -> Recipe:
    settings = chosen(args, NoiseSettings)
    if bool(args.data) == bool(args.cifar10):
        raise UsageError("Give either folders with --data or a copy of CIFAR-10 with --cifar10.")
    data = Cifar10(args.cifar10) if args.cifar10 else LabelledPictures(args.data, least=args.least)
    tell(pictures=len(data), unreadable=data.unreadable, classes=data.names)
    return NoiseGAN(settings, data)


def feature_losses(args: argparse.Namespace) -> Recipe:
    settings = chosen(args, PerceptualSettings)
    features = perceptual.load(args.features, args.feature_weights)
    photos, art = Pictures(args.data, least=args.least), Pictures(args.art, least=args.least)
    videos = [path for path in find(args.data) if path.suffix.lower() in VIDEOS]
    frames = FramePairs(videos, smallest=settings.crop) if videos else None
    unreadable = photos.unreadable + art.unreadable
    tell(photos=len(photos), art=len(art), frame_pairs=len(frames) if frames else 0, unreadable=unreadable)
    return Perceptual(settings, photos, art, features, frames)


def any_style(args: argparse.Namespace) -> Recipe:
    settings = chosen(args, AnyStyleSettings)
    networks: list[nn.Module] = [small_vgg.load(args.small_vgg)] if args.small_vgg else []
    if args.features != "none":
        networks.append(perceptual.load(args.features, args.feature_weights))
    features = perceptual.Together(*networks)
    pairs = paint(args, OIL, settings.crop + SHIFT)
    recipe = prepared(settings, pairs, args.art, args.held_art, features, args.begin_with)
    tell(styles=len(recipe.styles), held_styles=len(recipe.held))
    return recipe


RECIPES: dict[str, tuple[type[RecipeSettings], Callable[[argparse.Namespace], Recipe]]] = {
    **dict.fromkeys(TEACHERS, (DistillationSettings, distillation)),
    "pix2pix": (Pix2PixSettings, pix2pix),
    "cyclegan": (CycleGANSettings, cyclegan),
    "perceptual": (PerceptualSettings, feature_losses),
    "any": (AnyStyleSettings, any_style),
    "gan": (NoiseSettings, gan),
}


def paint(args: argparse.Namespace, teacher: Teacher, smallest: int) -> PaintedPairs:
    """Have the teacher paint every picture, once for all runs in this folder."""
    files = find(args.data)
    with first_process_first():
        pairs, unreadable = painted_pairs(files, teacher, args.out / "pairs", args.seed, smallest)
    tell(files=len(files), unreadable=unreadable, pairs=len(pairs))
    return PaintedPairs(pairs)


def tell(**figures: Any) -> None:
    if processes()[0] == 0:
        print(json.dumps(figures), flush=True)


def chosen(args: argparse.Namespace, kind: type[Any], **others: Any) -> Any:
    """The settings of a recipe as the command line has them."""
    names = {field.name for field in fields(kind)}
    try:
        return kind(**{name: value for name, value in vars(args).items() if name in names}, **others)
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    styles = parser.add_subparsers(dest="style", required=True, metavar="STYLE")
    for name, (kind, _) in RECIPES.items():
        about = f"copy the teacher of {name}" if name in TEACHERS else ""
        one = styles.add_parser(name, help=about, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
        one.add_argument(
            "--data", nargs="+", type=Path, default=[], help="pictures, videos and folders of them"
        )
        one.add_argument("--out", type=Path, required=True, help="folder of the run")
        if name in ("cyclegan", "perceptual", "any"):
            one.add_argument(
                "--art", nargs="+", type=Path, required=True, help="paintings and folders of them"
            )
        if name in ("cyclegan", "perceptual", "gan"):
            one.add_argument(
                "--least", type=float, default=0.5, help="least share of a picture in a crop's side"
            )
        if name == "pix2pix":
            one.add_argument(
                "--teacher", choices=sorted(TEACHERS), required=True, help="who paints the targets"
            )
        if name == "any":
            one.add_argument(
                "--small-vgg", type=Path, help="weights of the small VGG, looked at beside --features"
            )
            one.add_argument("--held-art", nargs="+", type=Path, default=[], help="pictures to try it on")
        if name == "any" or name in TEACHERS:
            one.add_argument("--begin-with", help="take over what this shipped style knows")
        if name in ("perceptual", "any"):
            one.add_argument(
                "--features",
                choices=["own", *perceptual.TAPS, *(["none"] if name == "any" else [])],
                default="none" if name == "any" else "own",
                help="feature network",
            )
            one.add_argument("--feature-weights", type=Path, help="local file with its weights")
        if name == "gan":
            one.add_argument("--cifar10", type=Path, help="folder with an unpacked copy of CIFAR-10")
        add_options(one, kind)
        one.add_argument(
            "--max-seconds", type=float, default=math.inf, help="stop (and save) after this long"
        )
        start = one.add_mutually_exclusive_group()
        start.add_argument("--resume", action="store_true", help="continue the run in OUT")
        start.add_argument("--start-from", type=Path, help="take the networks of this run, begin at step 0")
        one.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help=" ")
        one.add_argument("--threads", type=int, default=0, help="CPU threads (0: as torch chooses)")
        one.add_argument("--workers", type=int, default=1, help="threads that read pictures ahead")
    return parser


def add_options(parser: argparse.ArgumentParser, kind: type[RecipeSettings]) -> None:
    for field in fields(kind):
        if field.default is MISSING:
            continue
        name, about = f"--{field.name.replace('_', '-')}", field.metadata["help"]
        if isinstance(field.default, bool):
            parser.add_argument(name, action="store_true", default=field.default, help=about)
        else:
            parser.add_argument(
                name,
                type=type(field.default),
                default=field.default,
                choices=field.metadata["choices"],
                help=about,
            )


@contextmanager
def progress_bar(steps: int, done: int, shown: bool) -> Iterator[Tick]:
    """A bar with the time left, the stage and the last figures, on a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}", style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task("train", total=steps, completed=done, figures="")

        def tick(step: int, stage: str, figures: Figures) -> None:
            words = "  ".join(f"{name} {value:.3g}" for name, value in list(figures.items())[:4])
            progress.update(task, completed=step, description=stage, figures=words)

        yield tick


def train(args: argparse.Namespace, device: str) -> None:
    if not args.data and not getattr(args, "cifar10", None):
        raise UsageError("There is nothing to learn from.", hint="name pictures or folders with --data")
    trainer = Trainer(RECIPES[args.style][1](args), args.out, device, workers=args.workers)
    if args.resume:
        trainer.load(args.out)
    elif args.start_from:
        trainer.load(args.start_from, networks_only=True)
    before = {
        number: signal.signal(number, lambda *_: trainer.stop()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    shown = sys.stderr.isatty() and trainer.engine.rank == 0
    try:
        with progress_bar(trainer.recipe.steps, trainer.step, shown) as tick:
            trainer.run(args.max_seconds, tick)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    args = command_line().parse_args(arguments)
    # A bar tells the same as the lines of statistics.
    logging.basicConfig(level=logging.WARNING if sys.stderr.isatty() else logging.INFO, format="%(message)s")
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        with process_group(args.device) as device:
            train(args, device)
    except TrainingDiverged as error:
        print(f"training diverged, the last good state is kept: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        return explain(InputError(f"There is no {error.filename}."))
    except VidstyleError as error:
        return explain(error)
    return 0


def explain(error: VidstyleError) -> int:
    print(f"{error}{f' ({error.hint})' if error.hint else ''}", file=sys.stderr)
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
