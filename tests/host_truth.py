"""What the host's kernels really allocate: every malloc and free, as PyTorch's profiler notes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile
from zoo import loss_of, stacked


def peak_of(run: Callable[[], Any], *, is_warm: bool = False) -> int:
    """The most bytes in use at once while ``run`` runs, beside what was there before.

    Args:
        is_warm: Do not run it once before.
    """
    None if is_warm else run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = run()
    now = most = 0
    for _, size in allocations(record):
        now += size
        most = max(most, now)
    del kept
    return most


def peak_of_steps(model: torch.nn.Module, optimizer: Any, sample: Any, k: int) -> int:
    """The most bytes alive at once during two training steps, with the model's own."""
    kept = [t for m in model.modules() for t in vars(m).values()]  # a weight that is computed anew each time
    held = {id(t): t for t in (*model.parameters(), *model.buffers(), *kept) if isinstance(t, torch.Tensor)}
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        for _ in range(2):
            optimizer.zero_grad()
            batch = stacked(sample, k)
            loss = loss_of(model, batch)
            loss.backward()
            del loss, batch
            optimizer.step()
    now = most = sum(t.nbytes for t in held.values())
    for _, size in allocations(record):
        now += size
        most = max(most, now)
    return most


def allocations(record: Any) -> list[tuple[int, int]]:
    """(time, bytes) of every malloc, and of every free with a minus, in order."""
    found, queue = [], list(record.profiler.kineto_results.experimental_event_tree())
    while queue:
        event = queue.pop()
        queue += event.children
        if event.tag == _EventType.Allocation:
            found.append((event.start_time_ns, event.extra_fields.alloc_size))
    return sorted(found, key=lambda pair: pair[0])


def bytes_of(result: Any) -> int:
    """Of the storages of a kernel's results."""
    tensors = result if isinstance(result, (list, tuple)) else [result]
    return sum(t.untyped_storage().nbytes() for t in tensors if isinstance(t, torch.Tensor))
