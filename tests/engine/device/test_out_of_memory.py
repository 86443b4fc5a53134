"""Exceptions sorted by whether memory ran out, and memory given back after one."""

from __future__ import annotations

import subprocess
import weakref

import pytest
import torch
from torch import nn

from nbtune.engine.device.host_fence import HostFence, HostFenceError
from nbtune.engine.device.out_of_memory import kind_of, released

CPU = torch.device("cpu")

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("Allocation on device"),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 8.00 GiB total capacity)"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("HIP out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("XPU out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.80 GB)"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("not enough memory: you tried to allocate 400000000 bytes."),
    RuntimeError("Invalid buffer size: 9.31 GB"),
    MemoryError(),
    subprocess.CalledProcessError(-9, "python"),
    subprocess.CalledProcessError(137, "python"),
    RuntimeError("DataLoader worker (pid 12) is killed by signal: Killed."),
]
AMBIGUOUS = [
    RuntimeError("CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a non-contiguous"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
]
STICKY = [
    RuntimeError("CUDA error: an illegal memory access was encountered"),
    RuntimeError("CUDA error: device-side assert triggered"),
    RuntimeError("CUDA error: unspecified launch failure"),
]
OTHER = [
    ValueError("CUDA out of memory is not what this is"),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
    RuntimeError("out of ideas"),
    subprocess.CalledProcessError(1, "python"),
    KeyError("x"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=str)
def test_every_form_of_an_out_of_memory_error_is_recognised(error: Exception) -> None:
    assert kind_of(error) == "out of memory"


@pytest.mark.parametrize(("kind", "errors"), [("ambiguous", AMBIGUOUS), ("sticky", STICKY), ("other", OTHER)])
def test_other_errors_are_not_taken_for_one(kind: str, errors: list[Exception]) -> None:
    assert [kind_of(error) for error in errors] == [kind] * len(errors)


def test_an_error_raised_from_an_out_of_memory_error_is_one_too() -> None:
    error = RuntimeError("the step failed")
    error.__cause__ = torch.OutOfMemoryError("CUDA out of memory")
    assert kind_of(error) == "out of memory"


def test_batch_norm_on_one_value_is_told_apart() -> None:
    with pytest.raises(ValueError) as caught:
        nn.BatchNorm1d(3)(torch.zeros(1, 3))
    assert kind_of(caught.value) == "batch norm"


def test_what_the_frames_of_an_error_held_is_let_go() -> None:
    def step() -> None:
        tensor = torch.zeros(4)
        kept.append(weakref.ref(tensor))
        raise torch.OutOfMemoryError("CUDA out of memory")

    kept: list[weakref.ref[torch.Tensor]] = []
    failure: Exception | None = None
    try:
        step()
    except Exception as error:
        failure = error
    assert kept[0]() is not None
    assert released(CPU, 0, failure) is None
    assert kept[0]() is None


def test_a_step_that_outgrows_its_budget_on_the_host_is_ended() -> None:
    kept: list[torch.Tensor] = []

    def step() -> None:
        for _ in range(40):
            kept.append(torch.ones(2**20))

    with HostFence(50 * 2**20), pytest.raises(HostFenceError):
        step()
    assert 8 <= len(kept) <= 20


def test_a_step_within_its_budget_on_the_host_is_left_alone() -> None:
    model = nn.Linear(8, 1)
    with HostFence(500 * 2**20):
        model(torch.ones(4, 8)).sum().backward()
    assert model.weight.grad is not None and kind_of(HostFenceError()) == "out of memory"
