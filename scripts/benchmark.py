#!/usr/bin/env python3
"""How fast is vidstyle here, and where does the time go?

    python scripts/benchmark.py [CLIP] [--frames 120] [--json]

Measured in one run, so that a busy machine is busy for all alike: the generator, the classic fast-neural-style network
as a yardstick (its architecture from Johnson et al., "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", ECCV 2016, with random weights), and the whole command with everything on. Medians over interleaved
repetitions; ratios are what to look at. Without CLIP the sample clip is drawn at 640x360.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from vidstyle import styles
from vidstyle.device import choose_device, cores
from vidstyle.media.probe import probe
from vidstyle.models.generator import Generator
from vidstyle.models.load import load

ROOT = Path(__file__).resolve().parents[1]


class ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def classic_network() -> nn.Module:
    """Fast neural style: 9x9-32, two strided 3x3 to 128, five residual blocks, and back up; 1.68 M parameters."""

    def layer(before: int, after: int, kernel: int, stride: int = 1, up: int = 1) -> list[nn.Module]:
        return [
            *([nn.Upsample(scale_factor=up)] if up > 1 else []),
            nn.ReflectionPad2d(kernel // 2),
            nn.Conv2d(before, after, kernel, stride),
            nn.InstanceNorm2d(after, affine=True),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *layer(3, 32, 9),
        *layer(32, 64, 3, stride=2),
        *layer(64, 128, 3, stride=2),
        *(ResidualBlock(128) for _ in range(5)),
        *layer(128, 64, 3, up=2),
        *layer(64, 32, 3, up=2),
        nn.ReflectionPad2d(4),
        nn.Conv2d(32, 3, 9),
    ).eval()


def interleaved(tasks: dict[str, Callable[[], object]], repetitions: int) -> dict[str, float]:
    """Median seconds of each task; one warm-up each, then round and round."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for task in tasks.values():
        task()
    for _ in range(repetitions):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def network_seconds(width: int, height: int, repetitions: int) -> dict[str, float]:
    """Seconds per frame of the networks alone, all cores, in the memory layout that suits each best."""
    choice = choose_device()
    network = load(styles.find("oil"))
    assert isinstance(network, Generator)
    exact = network.to(choice.device, memory_format=torch.channels_last)
    multiple = exact.size_multiple
    size = (1, 3, height - height % multiple, width - width % multiple)
    frames = torch.rand(size, device=choice.device).contiguous(memory_format=torch.channels_last)
    guides = torch.randn(1, exact.guide_channels, *size[2:], device=choice.device)
    classic = classic_network().to(choice.device)

    def run(net: nn.Module, *inputs: Tensor) -> Callable[[], object]:
        def once() -> None:
            net(*inputs)
            if choice.device.type == "cuda":
                torch.cuda.synchronize()

        return once

    tasks = {"fast neural style, float32": run(classic, frames.contiguous())}
    tasks["vidstyle, float32"] = run(exact, frames, guides)
    with torch.inference_mode():
        if choice.dtype != torch.float32:
            fast = load(styles.find("oil")).to(choice.device, choice.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
            tasks[f"vidstyle, {choice.dtype}".replace("torch.", "")] = run(fast, frames, guides)
        return interleaved(tasks, repetitions)


def whole_run(clip: Path, frames: int, device: str) -> dict[str, object]:
    """The real command with everything on, in a process of its own: frames per second, stages, peak memory."""
    info = probe(clip)
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "vidstyle", str(clip), "--style", "oil", "-o", f"{folder}/out.mp4"),
            *("--progress", "json", "--device", device, "--duration", f"{frames}f"),
        ]
        started = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        wall = time.perf_counter() - started
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    finished = next(line for line in lines if line["type"] == "finished")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "size": "x".join(map(str, info.size)),
        "frames": finished["frames"],
        "fps": finished["frames"] / finished["seconds"],
        "fps_with_start_up": finished["frames"] / wall,
        "stage_ms_per_frame": {
            stage: 1000 * seconds / finished["frames"] for stage, seconds in finished["stages"].items()
        },
        "peak_memory_mib": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=240, help="how many frames the whole run paints")
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = arguments.clip
        if clip is None:
            clip = Path(folder) / "sample.mp4"
            drawing = [sys.executable, str(ROOT / "scripts/make_sample.py"), str(clip), "--size", "640x360"]
            subprocess.run([*drawing, "--seconds", "10"], check=True, capture_output=True)
        width, height = probe(clip).size
        networks = network_seconds(width, height, arguments.repetitions)
        run = whole_run(clip, arguments.frames, arguments.device)
    classic = networks["fast neural style, float32"]
    result = {
        "machine": {
            "cpu": platform.processor() or platform.machine(),
            "cores": cores(),
            "device": choose_device(arguments.device).reason,
            **{name: version(name) for name in ("torch", "av", "opencv-python", "numpy")},
            "python": platform.python_version(),
        },
        "networks_ms": {name: 1000 * seconds for name, seconds in networks.items()},
        "networks_over_classic": {name: classic / seconds for name, seconds in networks.items()},
        "whole_run": run,
        "whole_run_over_classic_network": float(run["fps"]) * classic,  # type: ignore[arg-type]
    }
    if arguments.json:
        print(json.dumps(result, indent=1))
        return
    print("\n".join(f"{name:>14}  {value}" for name, value in result["machine"].items()))  # type: ignore[attr-defined]
    print(f"\nnetwork alone at {run['size']}            ms/frame      fps   x classic")
    for name, seconds in networks.items():
        print(f"  {name:<34} {1000 * seconds:8.1f} {1 / seconds:8.1f} {classic / seconds:8.1f}")
    print(f"\nwhole command, everything on: {run['fps']:.1f} fps, ", end="")
    print(
        f"{run['fps_with_start_up']:.1f} with start-up, {float(run['fps']) * classic:.1f} x the classic network alone"
    )  # type: ignore[arg-type]
    for stage, ms in run["stage_ms_per_frame"].items():  # type: ignore[attr-defined]
        print(f"  {stage:<34} {ms:8.1f} ms/frame")
    print(f"  peak memory {run['peak_memory_mib']:.0f} MiB")


if __name__ == "__main__":
    main()
