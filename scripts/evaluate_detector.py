#!/usr/bin/env python3
"""Runs detector and corrector on an anomaly bench: stylised clips with faults put in on purpose, over several seeds.

    python scripts/evaluate_detector.py ../shared/anomaly_bench/anomaly_bench.py --videos ../shared/data/video \
        --seeds 1 7 21

The bench makes the cases and scores what is written here: one JSON line per frame, and the repaired clip. With
`--command` they come from `vidstyle check`, files and all: the same figures, more slowly. With `--own` the cases are
painted in the styles that ship, in place of the bench's stand-ins.

FP        false alarms per 1,000 clean frames: all, at hard events, elsewhere
rec       share of the bad frames found whose fault is that large, in grey levels in the worst of 8x8 cells
dB, SSIM  of all bad frames to the clean ones, found or not; halved, worse: shares of them by their mean error
warping   warping error along the source's motion of the repaired clips over that of the clean ones
altered   share of the clean frames that were changed
ms        processor time of detection, per frame; with `--command` the wall time, beside the other stages
flows     the same in optical flows of 128 pixels, timed in the same run (processor time): another machine should give
          about as many
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import count, islice, pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from vidstyle.correct import correct
from vidstyle.detect import TrainedFusion, detect
from vidstyle.device import choose_device
from vidstyle.flow import analysis_size, shrink, to_array, track_motion
from vidstyle.frames import Batch, FinishedFrame, StyledBatch
from vidstyle.models.features import FeatureNetwork
from vidstyle.models.generator import Generator
from vidstyle.models.load import load, load_features, load_fusion
from vidstyle.report import read_lines
from vidstyle.stylize import Painter, stylize
from vidstyle.weights import manifest

BATCH = 8
RATE = 25
YARDSTICK = 128
"""Pixels on the long side of the pictures whose optical flow tells how fast the machine is just now."""
YARDSTICK_FRAMES = 24
FIGURES = {
    "auroc": "AUROC",
    "ap": "AP",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "fp_per_1000_clean": "FP",
    "fp_per_1000_at_hard_events": "FP hard",
    "fp_per_1000_elsewhere": "FP else",
    "recall_visible": "rec >=4",
}
LARGE = ">=16"
"""What the bench calls faults of so many grey levels in the worst cell."""
REPAIR_FIGURES = {
    "psnr_before": "dB before",
    "psnr_after": "dB after",
    "ssim_after": "SSIM",
    "error_halved": "halved",
    "made_worse": "worse",
}


def read(path: Path, count: int | None = None) -> Tensor:
    """The first `count` frames of a video, or all: uint8 [T, 3, H, W], RGB, channels_last."""
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in islice(container.decode(video=0), count)]
    return torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)


def write(path: Path, pictures: Sequence[Tensor]) -> None:
    """Write pictures [3, H, W] losslessly."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=RATE)
        stream.height, stream.width = pictures[0].shape[1:]
        stream.pix_fmt = "bgr0"
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(picture.permute(1, 2, 0).numpy()), format="rgb24"
            )
            container.mux(stream.encode(frame.reformat(format="bgr0")))
        container.mux(stream.encode(None))


def source_batches(pixels: Tensor) -> Iterator[Batch]:
    for first in range(0, len(pixels), BATCH):
        part = pixels[first : first + BATCH]
        indices = tuple(range(first, first + len(part)))
        yield Batch(indices, indices, (1,) * len(part), part, (False,) * len(part))


def styled_batches(batches: Iterable[Batch], pictures: Tensor) -> Iterator[StyledBatch]:
    for batch in batches:
        first = batch.indices[0]
        yield StyledBatch(batch, pictures[first : first + len(batch)], (None,) * len(batch))


def line(frame: FinishedFrame) -> str:
    """What the bench wants to know of a frame, and a little more for whoever reads the file."""
    verdict = frame.verdict
    fields = {
        "frame": frame.index,
        "time": float(Fraction(frame.pts, RATE)),
        "score": verdict.score,
        "flagged": verdict.flagged,
        "reasons": verdict.reasons,
        "cues": dict(verdict.cues),
        "region": verdict.region,
        "reference": verdict.reference,
        "action": frame.action,
        "method": frame.method,
        "score_after": frame.score_after,
    }
    return json.dumps(fields)


def flow_seconds(source: Path) -> float:
    """Seconds of processor time that one optical flow takes (DIS, medium, down to single pixels) in a video."""
    pictures = read(source, YARDSTICK_FRAMES)
    size = analysis_size(pictures.shape[3], pictures.shape[2], YARDSTICK)
    small = [cv2.cvtColor(shrink(to_array(p), size), cv2.COLOR_RGB2GRAY) for p in pictures]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    started = time.process_time()
    for before, here in pairwise(small):
        dis.calc(here, before, None)
    return (time.process_time() - started) / (len(small) - 1)


def run_case(case: Path, results: Path, features: FeatureNetwork, fusion: TrainedFusion) -> tuple[int, float]:
    """Judge and mend one case; returns its frames and the seconds of processor time that detection took."""
    batches = list(
        styled_batches(track_motion(source_batches(read(case / "source.mkv"))), read(case / "styled.mkv"))
    )
    started = time.process_time()
    checked = list(detect(batches, features=features, fusion=fusion))
    seconds = time.process_time() - started
    finished = list(correct(checked))
    (results / f"{case.name}.jsonl").write_text("".join(line(frame) + "\n" for frame in finished))
    write(results / f"{case.name}.mkv", [frame.picture for frame in finished])
    return len(finished), seconds


def run_command(case: Path, results: Path) -> tuple[int, float]:
    """As `run_case`, but by the real command."""
    log, repaired = results / f"{case.name}.jsonl", results / f"{case.name}.mkv"
    command = [
        sys.executable,
        "-m",
        "vidstyle",
        "check",
        case / "source.mkv",
        case / "styled.mkv",
        "-y",
        "-q",
    ]
    subprocess.run(
        [*map(str, command), "-o", str(repaired), "--anomaly-log", str(log), "--codec", "ffv1"], check=True
    )
    summary = list(read_lines(log))[-1]
    return summary["frames"], summary["stage_seconds"]["detect"]


def load_bench(path: Path) -> ModuleType:
    """The bench as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    return bench


def painted(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A shipped style as the bench wants one: pictures [H, W, 3] of one clip go in and come out one by one."""
    entry = manifest()["styles"][name]
    network = load(entry)
    assert isinstance(network, Generator)
    waiting: deque[Tensor] = deque()

    def batches() -> Iterator[Batch]:
        for n in count():
            yield Batch((n,), (n,), (1,), waiting.popleft(), (False,))

    pictures: Iterator[StyledBatch] | None = None

    def paint(picture: np.ndarray) -> np.ndarray:
        nonlocal pictures
        if pictures is None:
            size = picture.shape[1], picture.shape[0]
            painter = Painter(network, choose_device("cpu"), size, guides=entry.guides)
            pictures = stylize(track_motion(batches()), painter)
        waiting.append(torch.from_numpy(picture).permute(2, 0, 1)[None])
        return next(pictures).pictures[0].permute(1, 2, 0).numpy()

    return paint


def make_cases(args: argparse.Namespace, seed: int, cases: Path) -> None:
    """All cases of one seed; with `--own` each in the next of the styles that ship."""
    bench = load_bench(args.bench)
    names = sorted(manifest()["styles"])
    for number, spec in enumerate(bench.SUITE):
        if args.own:
            name = names[number % len(names)]
            bench.STYLES[name] = painted(name)
            spec = (*spec[:3], name, *spec[4:])
        bench.build_case(number, spec, str(args.videos), str(cases), seed)


def run_seed(
    args: argparse.Namespace, seed: int, folder: Path, networks: tuple[FeatureNetwork, TrainedFusion]
) -> dict[str, float]:
    """Make the cases of one seed, run them, and return the bench's figures."""
    cases, results = folder / f"cases{seed}", folder / f"results{seed}"
    results.mkdir(parents=True, exist_ok=True)
    if not cases.is_dir():
        make_cases(args, seed, cases)
    folders = [case for case in sorted(cases.iterdir()) if case.is_dir()]
    frames, seconds, flows = 0, 0.0, []
    for case in folders:
        judged, spent = run_command(case, results) if args.command else run_case(case, results, *networks)
        frames, seconds = frames + judged, seconds + spent
        flows.append(flow_seconds(case / "source.mkv"))
    score = ["score", "--cases", str(cases), "--results", str(results), "--json"]
    done = subprocess.run(
        [sys.executable, str(args.bench), *score], check=True, capture_output=True, text=True
    )
    (results / "score.json").write_text(done.stdout)
    return figures(json.loads(done.stdout)) | {
        "ms": 1000 * seconds / frames,
        "flows": seconds / frames / float(np.mean(flows)),
    }


def figures(score: dict[str, Any]) -> dict[str, float]:
    """The columns of the table, from what the bench says."""
    repair = score["repair"]
    clean, _, repaired = repair["warp_error_clean_faulty_repaired"]
    return (
        {title: score[name] for name, title in FIGURES.items()}
        | {f"rec {LARGE}": share(score["by_magnitude"].get(LARGE, "0/0"))}
        | {title: repair[name] for name, title in REPAIR_FIGURES.items()}
        | {"warping": repaired / clean, "altered": share(repair["clean_frames_altered"])}
    )


def share(counts: str) -> float:
    """The share that the bench writes as "3/4"; nan for nothing of nothing."""
    found, total = map(int, counts.split("/"))
    return found / total if total else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", type=Path, help="anomaly_bench.py")
    parser.add_argument("--videos", type=Path, required=True, help="the clips it makes its cases of")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 7])
    parser.add_argument("--folder", type=Path, help="where to keep cases and results (default: thrown away)")
    parser.add_argument("--own", action="store_true", help="paint the cases in the styles that ship")
    parser.add_argument("--command", action="store_true", help="run `vidstyle check` on the files")
    args = parser.parse_args()

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    networks = load_features(), TrainedFusion(load_fusion())
    with tempfile.TemporaryDirectory() as scratch:
        rows: list[dict[str, float]] = []
        for seed in args.seeds:
            rows.append(run_seed(args, seed, args.folder or Path(scratch), networks))
            if len(rows) == 1:
                print("seed", *(f"{title:>9}" for title in rows[0]))
            print(f"{seed:4}", *(f"{value:9.3f}" for value in rows[-1].values()), flush=True)
        columns = [[row[title] for row in rows] for title in rows[0]]
        print("mean", *(f"{np.nanmean(column):9.3f}" for column in columns))
        print(
            " +- ", *(f"{np.nanstd(column):9.3f}" for column in columns), "standard deviation over the seeds"
        )


if __name__ == "__main__":
    main()
