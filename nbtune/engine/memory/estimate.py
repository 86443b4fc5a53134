"""The memory of every batch size, predicted from two rehearsed steps."""

from __future__ import annotations

from typing import Literal

import torch

from ..checks import instance
from ..headless import told_if_long
from ..interrupts import held_back
from ..small_print import warn_of
from ..task.task import Task
from ..torch_modes import CallersModes
from .asked import check_asked
from .prediction import MemoryEstimate
from .rehearsal.rehearse import Plan
from .replay.tape import Parts, parts_of
from .samples import NotPredictableError, Samples
from .sharding.plan import checked_sharding
from .sharding.wrapped import devices_of, wrapper_caveats
from .source import Source
from .surroundings import held_bytes, room_on_card, room_on_host, surroundings

__all__ = ["MemoryEstimate", "NotPredictableError", "Parts", "estimate_memory", "parts_of"]


def estimate_memory(
    task: Task,
    capacity: str | int | None = None,
    *,
    image_size: int | None = None,
    sequence_length: int | None = None,
    amp: torch.dtype | Literal[False] | None = None,
    checkpointing: bool | None = None,
    optimizer: str | None = None,
    weights: torch.dtype | None = None,
    adapters: Literal["LoRA", "QLoRA"] | None = None,
    device: str | None = None,
    samples: Samples | None = None,
    devices: int | None = None,
    sharding: Literal["none", "zero1", "zero2", "full"] | None = None,
) -> MemoryEstimate:
    """The peak memory of training at every batch size, predicted; no GPU is needed and the model is not run.

    Two training steps are rehearsed at k = 2 and at k = 3 on tensors that have shapes and no numbers, with the kernels
    that CUDA would choose. Every allocation's lengths are a + b·k, so that any k can be replayed through a model of
    PyTorch's caching allocator. Where a model can't be rehearsed so, it is tried with fake tensors, then with tiny
    real steps on a copy.

    With several ``devices`` it is the peak of the one that holds most. As PyTorch does it, they divide: with "none"
    nothing (``DistributedDataParallel``, whose buckets copy all gradients); with "zero1" the optimizer's state, by
    whole parameters (``ZeroRedundancyOptimizer``); with "zero2" gradients too, and parameters but for the forward and
    backward pass (``fully_shard`` with ``reshard_after_forward=False``); with "full" all, each block's parameters being
    gathered while it runs (``fully_shard`` on each block the model repeats, and on the rest). What is gathered or sent
    counts as temporary; parameters gathered by "zero2" count as parameters.

    Args:
        task: What is to be trained; it is not changed.
        capacity: "8 GB", a card's name in any usual spelling ("T4", "rtx4090", "A100 80GB"; see ``CARDS``), bytes, or
            None: what is free on the task's GPU now, and without one the host's memory. A name also says which
            attention kernels and workspaces the card has; a bare size stands for the task's GPU, or one of Hopper's.
            "2x A100" is one A100 of two devices.
        image_size: Height in pixels the images are scaled to; None for their own.
        sequence_length: Tokens in each sample, of data that are tokens; None for as many as they have.
        amp: dtype of autocast, False for none; None as in the task.
        checkpointing: Whether activations are recomputed in the backward pass; None for as the model is.
        optimizer: One of ``nbtune.engine.memory.parts.OPTIMIZERS`` instead of the task's; None for the task's.
        weights: dtype of the model's floating-point weights; None for as they are.
        adapters: "LoRA": small matrices beside the linear layers learn, the rest is frozen. "QLoRA": beside weights in
            4 bits, usually with ``weights=torch.bfloat16`` for the others. None for as the model is.
        device: "cuda" or "cpu" (the host, without allocator and context); None: the host where the model is there and
            no capacity is named, else a CUDA card.
        samples: The ``samples`` of another estimate of this task, so that its data are not looked at again.
        devices: How many train together, each on batches of k samples; None for as many as the capacity names, or as
            the task's own ``DistributedDataParallel`` has, or one.
        sharding: What they divide; None for "none", or for "zero1" with a ``ZeroRedundancyOptimizer``.
    Raises:
        NotPredictableError: When no rung of the ladder works, saying why, and for a task that is sharded already.
        ValueError: For a capacity, an image size or a length that can't be, or a sharding with one device.
        Exception: Whatever the user's own code raises in a real step.

    Examples:
        >>> model = torch.nn.Linear(1000, 1000)
        >>> data = (torch.randn(64, 1000), torch.randn(64, 1000))
        >>> task = Task(model, torch.optim.Adam(model.parameters()), torch.nn.functional.mse_loss, data)
        >>> estimate = estimate_memory(task, "8 GB")
        >>> estimate.breakdown(32)["parameters"]
        4004352
        >>> estimate.fits(512)
        True
    """
    check_asked(
        task, device, image_size=image_size, sequence_length=sequence_length, amp=amp, checkpointing=checkpointing,
        optimizer=optimizer, weights=weights, adapters=adapters,
    )  # fmt: skip
    is_host = str(device) == "cpu" or (device is None and capacity is None and task.device.type != "cuda")
    wanted_amp = task.amp if amp is None else (amp or None)
    room = room_on_host(capacity) if is_host else room_on_card(task.device, capacity, wanted_amp)
    count, kind = checked_sharding(devices, sharding, room.count, *devices_of(task))
    plan = Plan(
        image_size, sequence_length, wanted_amp, checkpointing, optimizer, weights=weights, adapters=adapters,
        is_cuda=not is_host, architecture=room.architecture,
    )  # fmt: skip
    modes = CallersModes()
    warn_of(modes.left_out)
    with told_if_long(), held_back(), modes.in_force():
        source = Source.prepared(task, instance("samples", samples, Samples) or Samples(task), plan)
    samples = source.samples
    if is_host:
        room = room_on_host(capacity, held_bytes=held_bytes(task) + source.beside_bytes)
    around = (*surroundings(task, is_host), *wrapper_caveats(task))
    alone = MemoryEstimate(
        capacity_bytes=room.size_bytes, capacity_name=room.name, context_bytes=room.context_bytes,
        device="cpu" if is_host else "cuda", samples=samples, _source=source, _room=room, data_form=task.data_form,
        image_size=image_size or (samples.image_size or (None,))[0], method=source.method,
        sequence_length=sequence_length or samples.sequence_length,
        caveats=(*room.caveats, *around, *samples.caveats, *source.caveats, *modes.left_out),
    )  # fmt: skip
    return alone.among(count, kind)
