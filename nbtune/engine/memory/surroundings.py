"""The card or host an estimate is for, and what is in use around the model that its models do not know."""

from __future__ import annotations

import os

import torch
from torch import nn

from ...host_memory import resident_bytes
from ..device.capacity import free_bytes
from ..task.task import Task
from .cards import CONTEXT_BYTES, capacity_name, parse_capacity

BARE_PROCESS = 128 * 2**20
"""Python with torch takes more than this by itself."""
RECURRENT = "Recurrent layers: cuDNN's buffers are taken from one card, and may be off by an eighth."
RECURRENT_ON_HOST = "Recurrent layers: the host's own buffers are not modelled, and may be as large as the rest."


def capacity_of(
    device: torch.device, capacity: str | int | None, is_host: bool, *, held_bytes: int = 0
) -> tuple[int | None, str, int]:
    """Bytes, name and context of a named card, of the task's GPU, or of the host.

    Args:
        held_bytes: Of this process's memory, what a trace counts too.
    """
    if is_host:
        used, free = resident_bytes() or 0, free_bytes(torch.device("cpu"))
        size = parse_capacity(capacity) if capacity is not None else None if free is None else used + free
        # Weights that were never written to are not resident yet.
        return size, "this machine's memory", max(used - held_bytes, min(used, BARE_PROCESS))
    if capacity is not None:
        return parse_capacity(capacity), capacity_name(capacity), CONTEXT_BYTES
    if device.type != "cuda":
        return None, "no card", CONTEXT_BYTES
    return _this_gpu(device)


def _this_gpu(device: torch.device) -> tuple[int, str, int]:
    free, total = torch.cuda.mem_get_info(device)
    mine = torch.cuda.memory_reserved(device)
    # Whatever is taken beside PyTorch's segments: the context, and other processes.
    return total, f"this GPU ({torch.cuda.get_device_name(device)})", max(CONTEXT_BYTES, total - free - mine)


def surroundings(task: Task, is_host: bool) -> list[str]:
    """What is in use around the model that the allocator model does not know."""
    recurrent = [RECURRENT_ON_HOST if is_host else RECURRENT] if is_recurrent(task) else []
    if is_host:
        return recurrent
    options = os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "") + os.environ.get("PYTORCH_ALLOC_CONF", "")
    modules = [m for model in task.models.values() for m in model.modules()]
    known: list[tuple[bool, str]] = [
        ("expandable_segments:True" in options, "expandable segments, which reserve less"),
        ("garbage_collection" in options, "the allocator's garbage collection"),
        (torch.backends.cudnn.benchmark, "cudnn.benchmark, whose first steps take more"),
        (any(hasattr(m, "_compiled_call_impl") and m._compiled_call_impl for m in modules), "torch.compile"),
        (any(_is_sharded(m) for m in modules), "sharded training (FSDP): everything is counted as on one card"),
        (any("Parallel" in type(m).__name__ for m in modules), "the buckets of data-parallel training"),
        (any(_is_channels_last(p) for p in task.parameters), "channels_last, whose kernels need less"),
    ]
    return [*(f"Not modelled: {what}." for is_used, what in known if is_used), *recurrent]


def is_recurrent(task: Task) -> bool:
    """Whether the task's models have recurrent layers of PyTorch's."""
    return any(isinstance(m, nn.RNNBase) for model in task.models.values() for m in model.modules())


def _is_sharded(module: nn.Module) -> bool:
    return type(module).__name__.startswith(("FSDP", "FullySharded")) or hasattr(module, "_get_fsdp_state")


def _is_channels_last(parameter: torch.Tensor) -> bool:
    return parameter.dim() == 4 and min(parameter.shape[1:]) > 1 and not parameter.is_contiguous()
