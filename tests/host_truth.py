"""What the host's kernels really allocate: every malloc and free, as PyTorch's profiler notes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile


def peak_of(run: Callable[[], Any]) -> int:
    """The most bytes in use at once while ``run`` runs, beside what was there before; run once before, to warm up."""
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        kept = run()
    now = most = 0
    for _, size in allocations(record):
        now += size
        most = max(most, now)
    del kept
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
