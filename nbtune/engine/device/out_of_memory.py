"""Is it out of memory? Exceptions sorted, and memory given back after one."""

from __future__ import annotations

import ctypes
import gc
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from typing import Literal

import torch

from ...formats import format_memory
from ..errors import text_of

Kind = Literal["out of memory", "ambiguous", "sticky", "batch norm", "other"]
LEAK_BYTES = 2**20

_FULL = re.compile(
    r"(cuda|hip|xpu|mps)\b.*out of memory|CUDNN_STATUS_ALLOC_FAILED|CUBLAS_STATUS_ALLOC_FAILED|DefaultCPUAllocator"
    r"|not enough memory|invalid buffer size|killed by signal: killed",
    re.IGNORECASE | re.DOTALL,
)
_AMBIGUOUS = re.compile(
    r"CUBLAS_STATUS_NOT_INITIALIZED|CUDNN_STATUS_NOT_SUPPORTED|unable to find a valid cudnn algorithm"
    r"|unable to find an engine",
    re.IGNORECASE,
)
_STICKY = re.compile(
    r"illegal memory access|illegal address|device-side assert|launch failure|misaligned address|illegal instruction",
    re.IGNORECASE,
)
_ONE_VALUE = "Expected more than 1 value per channel when training"


def kind_of(error: BaseException) -> Kind:
    """What an exception from a training step says about memory.

    Returns:
        "out of memory": ``torch.OutOfMemoryError``, ``MemoryError``, the texts of CUDA, HIP, XPU, MPS, cuDNN, cuBLAS
        and the host's allocator, and a child that the system killed (exit −9 or 137, or a loader's worker).
        "ambiguous": Errors of cuBLAS and cuDNN that a full card causes, and other things too: it was memory only if a
        smaller batch passes.
        "sticky": The CUDA context is dead, so every later call would fail as well.
        "batch norm": BatchNorm refused a batch with one value per channel.
        "other": The user's own error.

    Examples:
        >>> kind_of(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")), kind_of(KeyError("x"))
        ('out of memory', 'other')
    """
    kinds = [_kind_of_one(cause) for cause in _causes(error)]
    return next((kind for kind in kinds if kind != "other"), "other")


def _kind_of_one(error: BaseException) -> Kind:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return "out of memory"
    if isinstance(error, subprocess.CalledProcessError):
        return "out of memory" if error.returncode in (-9, 137) else "other"
    text = text_of(error)
    if isinstance(error, ValueError) and _ONE_VALUE in text:
        return "batch norm"
    if not isinstance(error, RuntimeError):
        return "other"
    if _STICKY.search(text):
        return "sticky"
    if _FULL.search(text):
        return "out of memory"
    return "ambiguous" if _AMBIGUOUS.search(text) else "other"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it was raised from."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__


def allocated_bytes(device: torch.device) -> int:
    """Bytes of this process's tensors on a GPU, after giving back what nobody uses; 0 elsewhere."""
    if device.type != "cuda":
        return 0
    gc.collect()
    # Each thread's cuBLAS handle keeps a workspace in the allocator, and would read as a leak.
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated(device)


def released(device: torch.device, baseline_bytes: int, error: BaseException | None = None) -> str | None:
    """Give back what a run held, after the ``except`` block: inside it the frames still hold their tensors.

    Args:
        device: Where the run was.
        baseline_bytes: ``allocated_bytes(device)`` before the run.
        error: What ended the run; the frames of its traceback let go of their variables.
    Returns:
        A sentence about what could not be given back, if it is more than 1 MiB; else None.
    """
    for cause in [] if error is None else [*_causes(error), error.__context__]:
        if cause is not None:
            traceback.clear_frames(cause.__traceback__)
    if device.type == "cpu":
        gc.collect()
        _trim_heap()
    leaked = allocated_bytes(device) - baseline_bytes
    if leaked <= LEAK_BYTES:
        return None
    return f"A trial left {format_memory(leaked)} behind on the GPU: something outside still holds its tensors."


def _trim_heap() -> None:
    # glibc keeps freed memory to itself, and the next trial would count it as taken.
    if not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):  # another C library, such as musl
        return
