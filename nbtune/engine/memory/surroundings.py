"""The card or host an estimate is for, and what is in use around the model that its models do not know."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import nn

from ...formats import format_memory
from ...host_memory import resident_bytes
from ..device.capacity import free_bytes
from ..task.task import Task
from .architecture import UNNAMED, Architecture
from .cards import CONTEXT_BYTES, context_bytes_of, read_capacity
from .rehearsal.compiled import COMPILED, SCRIPTED, has_scripts, uses_compiler

BARE_PROCESS = 128 * 2**20
"""Python with torch takes more than this by itself."""
RECURRENT = "Recurrent layers: cuDNN's buffers are taken from one card, and may be off by an eighth."
RECURRENT_ON_HOST = "Recurrent layers: as a processor with AVX-512 computes them; packed sequences may take more."


@dataclass(frozen=True, slots=True)
class Room:
    """What an estimate is judged by.

    Attributes:
        size_bytes, name: Of the card or the host; None where nobody says.
        context_bytes: What is taken beside the allocator.
        architecture: The card's generation.
        caveats: What is assumed of the card, in sentences.
        count: How many such cards were named.
    """

    size_bytes: int | None
    name: str
    context_bytes: int
    architecture: Architecture = UNNAMED
    caveats: tuple[str, ...] = ()
    count: int = 1


def room_on_host(capacity: str | int | None, *, held_bytes: int = 0) -> Room:
    """The host's memory.

    Args:
        held_bytes: Of this process's memory, what a trace counts too.
    """
    used, free = resident_bytes() or 0, free_bytes(torch.device("cpu"))
    size = None if free is None else used + free
    if capacity is not None:
        size = read_capacity(capacity).size_bytes
    # Weights that were never written to are not resident yet.
    return Room(size, "this machine's memory", max(used - held_bytes, min(used, BARE_PROCESS)))


def room_on_card(device: torch.device, capacity: str | int | None, amp: torch.dtype | None) -> Room:
    """A named card, or the task's own GPU, which also stands for a bare size.

    Args:
        device: Of the task.
        amp: dtype of autocast, which not every card has.
    """
    here = _architecture_of(device)
    if capacity is None:
        return _this_gpu(device, here) if device.type == "cuda" else Room(None, "no card", CONTEXT_BYTES)
    asked = read_capacity(capacity)
    architecture = here if asked.card is None else asked.architecture
    context = context_bytes_of(architecture)
    caveats = (*asked.caveats, *_too_small(asked.size_bytes, context), *_emulated(asked.name, architecture, amp))
    return Room(asked.size_bytes, asked.name, context, architecture, caveats, asked.count)


def _too_small(size: int, context: int) -> tuple[str, ...]:
    if size > context:
        return ()
    needed, held = format_memory(context), format_memory(size)
    return (f"Nothing fits: CUDA itself takes about {needed} (620 to 800 MiB), and the card has {held}.",)


def _emulated(name: str, architecture: Architecture, amp: torch.dtype | None) -> tuple[str, ...]:
    if amp is not torch.bfloat16 or architecture.has_bfloat16:
        return ()
    return (f"{name} ({architecture.generation}) emulates bfloat16, slowly: its mixed precision is float16.",)


def _architecture_of(device: torch.device) -> Architecture:
    if device.type != "cuda":
        return UNNAMED
    if torch.version.hip is not None:
        return Architecture(torch.cuda.get_device_properties(device).gcnArchName.split(":")[0])
    return Architecture("{}.{}".format(*torch.cuda.get_device_capability(device)))


def _this_gpu(device: torch.device, architecture: Architecture) -> Room:
    free, total = torch.cuda.mem_get_info(device)
    mine = torch.cuda.memory_reserved(device)
    # Whatever is taken beside PyTorch's segments: the context, and other processes.
    context = max(context_bytes_of(architecture), total - free - mine)
    return Room(total, f"this GPU ({torch.cuda.get_device_name(device)})", context, architecture)


def surroundings(task: Task, is_host: bool) -> list[str]:
    """What is in use around the model that the allocator model does not know."""
    kinds = [RECURRENT_ON_HOST if is_host else RECURRENT] if is_recurrent(task) else []
    kinds += [COMPILED] if uses_compiler(task) else []
    kinds += [SCRIPTED] if any(map(has_scripts, task.models.values())) else []
    if is_host:
        return kinds
    options = os.environ.get("PYTORCH_CUDA_ALLOC_CONF", "") + os.environ.get("PYTORCH_ALLOC_CONF", "")
    known: list[tuple[bool, str]] = [
        ("expandable_segments:True" in options, "expandable segments, which reserve less"),
        ("garbage_collection" in options, "the allocator's garbage collection"),
        (torch.backends.cudnn.benchmark, "cudnn.benchmark, whose first steps take more"),
        (any(_is_channels_last(p) for p in task.parameters), "channels_last, whose kernels need less"),
    ]
    return [*(f"Not modelled: {what}." for is_used, what in known if is_used), *kinds]


def held_bytes(task: Task) -> int:
    """What the model takes of this process already, which the trace counts again: on the host it is there once."""
    buffers = [b for model in task.models.values() for b in model.buffers()]
    gradients = [p.grad for p in task.parameters if p.grad is not None]
    entries = [entry for o in task.optimizers.values() for entry in o.state.values() if isinstance(entry, dict)]
    state = [v for entry in entries for v in entry.values() if isinstance(v, torch.Tensor)]
    return sum(t.nbytes for t in (*task.parameters, *buffers, *gradients, *state) if t.device.type == "cpu")


def is_recurrent(task: Task) -> bool:
    """Whether the task's models have recurrent layers of PyTorch's."""
    return any(isinstance(m, nn.RNNBase) for model in task.models.values() for m in model.modules())


def _is_channels_last(parameter: torch.Tensor) -> bool:
    return parameter.dim() == 4 and min(parameter.shape[1:]) > 1 and not parameter.is_contiguous()
