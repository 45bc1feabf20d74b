"""What a user is told of an exception that nobody caught."""

from __future__ import annotations

import errno

import pytest
import torch

from vidstyle.errors import ResourceError, explain, out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
        RuntimeError("could not create a primitive"),
        SystemError("error return without exception set"),
        ImportError("libdrm.so.2.4.0: failed to map segment from shared object"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"),
        RuntimeError("can't start new thread"),
    ],
    ids=str,
)
def test_lack_of_memory_is_told_as_such(error: Exception) -> None:
    assert out_of_memory(error)
    told = explain(error, name="in.mp4")
    assert isinstance(told, ResourceError)
    assert "Memory ran out" in str(told)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), SystemError("bad call"), OSError()])
def test_other_errors_are_not_taken_for_it(error: Exception) -> None:
    assert not out_of_memory(error)
    assert "bug" in str(explain(error))
