"""Choose device, precision and batch size once, and say why."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch

from vidstyle.errors import ResourceError

BYTES_PER_PIXEL = 700
"""Activations of the generator per picture pixel, float32, measured as growth of the process (see benchmark)."""
CPU_BATCH_BYTES = 512 * 2**20
"""Memory for activations on the CPU; larger batches gain nothing there (measured: 4 frames are 1-5 % over 1)."""
MAX_BATCH = 16


@dataclass(frozen=True, slots=True)
class DeviceChoice:
    """Where and how the network runs."""

    device: torch.device
    dtype: torch.dtype
    """What the convolutions compute in; pictures are kept in float32."""
    reason: str
    """One phrase for the user."""


def choose_device(device: str = "auto", precision: str = "auto") -> DeviceChoice:
    """Resolve `--device` and `--precision`. Raises ResourceError if the device asked for is not there."""
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ResourceError(
            "No usable CUDA device was found.",
            name=f"--device {device}",
            hint="use --device cpu, or run `vidstyle doctor` to see why",
        )
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(device)
    if chosen.type == "cuda":
        return _cuda(chosen, precision)
    return _cpu(precision)


def _cuda(device: torch.device, precision: str) -> DeviceChoice:
    index = device.index or 0
    if index >= torch.cuda.device_count():
        raise ResourceError(
            f"There is no device {index}; {torch.cuda.device_count()} found.", name=f"--device {device}"
        )
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}.get(precision, torch.float16)
    name = torch.cuda.get_device_name(device)
    return DeviceChoice(device, dtype, f"{device} ({name}, {_name(dtype)})")


def _cpu(precision: str) -> DeviceChoice:
    has_amx = has_fast_bfloat16()
    dtype = {"fp32": torch.float32, "fp16": torch.float32, "bf16": torch.bfloat16}.get(
        precision, torch.bfloat16 if has_amx else torch.float32
    )
    why = ", AMX" if has_amx and dtype is torch.bfloat16 else ""
    return DeviceChoice(torch.device("cpu"), dtype, f"cpu ({cores()} cores, {_name(dtype)}{why})")


def has_fast_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 tiles (AMX); without, bfloat16 is slower than float32 (measured)."""
    probe = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return bool(probe and probe())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def network_threads() -> int:
    """Threads for the network on the CPU: half the cores, for decoding, checking and encoding run beside it.

    More of them spin while they wait and slow the other stages down (measured: the same frames per second for half
    as much CPU time again).
    """
    return max(1, cores() // 2)


def automatic_batch_size(choice: DeviceChoice, width: int, height: int) -> int:
    """Frames per batch that fit well into memory: 1 to 16."""
    need = width * height * BYTES_PER_PIXEL
    if choice.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(choice.device)
        return int(min(MAX_BATCH, max(1, free // 2 // need)))
    return int(min(4, max(1, CPU_BATCH_BYTES // need)))
