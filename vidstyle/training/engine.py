"""How weights are updated: on which device, in which precision, by how many processes."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vidstyle.device import has_fast_bfloat16

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = ("auto", *DTYPES)
SMALLEST_LOSS_SCALE = 2.0**-8
"""fp16 gradients that overflow even so are not the loss scale's fault."""


class Engine:
    """Networks on their device, wrapped for several processes; optimiser steps; running means of the weights.

    networks    by name; wrapped in place, so that who holds this dictionary trains in all processes
    optimizers  by name
    averaged    network whose running mean is kept -> the optimiser that moves it
    average     share of the running mean that each step keeps
    precision   of the forward pass: "fp32", "bf16", "fp16" (CUDA only, with a moving loss scale), or "auto": bf16 where
                the device is made for it, else fp32
    clip        largest norm of one optimiser's gradient
    """

    def __init__(
        self,
        networks: dict[str, nn.Module],
        optimizers: Mapping[str, torch.optim.Optimizer],
        averaged: Mapping[str, str],
        *,
        device: torch.device | str = "cpu",
        precision: str = "auto",
        average: float = 0.999,
        clip: float = 1.0,
    ) -> None:
        self.device = torch.device(device)
        if precision == "auto":  # other CPUs take 10 to 20 times as long for bfloat16
            precision = "bf16" if self.device.type == "cuda" or has_fast_bfloat16() else "fp32"
        if precision == "fp16" and self.device.type != "cuda":
            raise ValueError("fp16 needs a CUDA device; take bf16 or fp32")
        self.step = 0
        self.rank, self.world = processes()
        self.dtype = DTYPES[precision]
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=precision == "fp16")
        self.average, self.clip = average, clip
        self.optimizers = optimizers
        for network in networks.values():
            network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules = dict(networks)
        """The networks themselves, unwrapped."""
        self.averaged = averaged
        self.averages = {
            name: copy.deepcopy(networks[name]).eval().requires_grad_(False) for name in averaged
        }
        if self.world > 1:
            networks.update({name: _shared(network) for name, network in self.modules.items()})

    def autocast(self) -> torch.autocast:
        """The context of a forward pass in the chosen precision."""
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype is not None)

    def update(self, name: str, loss: Tensor, *, clip: float | None = None) -> Tensor:
        """One step of the optimiser called `name` down the slope of `loss`; the norm of its gradient before clipping.

        clip  another largest norm than the engine's
        A gradient that is not finite moves nothing. Under a loss scale that is normal, and 0 is returned.
        """
        optimizer = self.optimizers[name]
        optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm: Tensor = nn.utils.clip_grad_norm_(parameters, self.clip if clip is None else clip)
        finite = bool(torch.isfinite(norm))
        if self.scaler.is_enabled():
            self.scaler.step(optimizer)
            self.scaler.update()
            if not finite and self.scaler.get_scale() >= SMALLEST_LOSS_SCALE:
                return torch.zeros_like(norm)
        elif finite:
            optimizer.step()
        if finite:
            self._update_averages(name)
        return norm

    @torch.no_grad()
    def _update_averages(self, optimizer: str) -> None:
        # A short memory at first, so that the mean is not dragged down by the untrained beginning.
        keep = min(self.average, (1 + self.step) / (10 + self.step))
        for name in (name for name, moved_by in self.averaged.items() if moved_by == optimizer):
            mean, network = self.averages[name], self.modules[name]
            for ours, theirs in zip(mean.parameters(), network.parameters(), strict=True):
                ours.lerp_(theirs, 1 - keep)
            for kept, now in zip(mean.buffers(), network.buffers(), strict=True):
                kept.copy_(now)

    @property
    def is_finite(self) -> bool:
        """Whether every weight is a number."""
        tensors = [t for network in self.modules.values() for t in network.state_dict().values()]
        return all(bool(torch.isfinite(t).all()) for t in tensors if t.is_floating_point())

    def state(self) -> dict[str, Any]:
        """All that `restore` needs."""
        return {
            "step": self.step,
            "networks": {name: network.state_dict() for name, network in self.modules.items()},
            "averages": {name: network.state_dict() for name, network in self.averages.items()},
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken."""
        self.restore_networks(state)
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.scaler.load_state_dict(state["scaler"])
        self.step = int(state["step"])

    def restore_networks(self, state: Mapping[str, Any]) -> None:
        """Take over the networks of `state` alone."""
        for name, network in self.modules.items():
            network.load_state_dict(state["networks"][name])
        for name, network in self.averages.items():
            network.load_state_dict(state["averages"][name])


def _shared(network: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        # The option's new name is unknown to the older versions that we support.
        warnings.simplefilter("ignore", FutureWarning)
        # Buffers are left alone: a broadcast between two forward passes of one step would break its graph.
        return DistributedDataParallel(network, broadcast_buffers=False)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Gradients pass through the networks but do not gather in their weights."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


def processes() -> tuple[int, int]:
    """Rank of this process and number of processes."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


@contextmanager
def first_process_first() -> Iterator[None]:
    """The first process runs the block alone and the others after it: for files that all of them want."""
    rank, world = processes()
    if rank:
        distributed.barrier()
    yield
    if world > 1 and not rank:
        distributed.barrier()


@contextmanager
def process_group(device: str) -> Iterator[str]:
    """Join the processes that `torchrun` started, if it did; the device of this one (one GPU each)."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    # The first process may paint thousands of pictures before the others need it.
    distributed.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(days=1))
    try:
        yield device
    finally:
        distributed.destroy_process_group()
