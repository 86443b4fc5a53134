"""The allocator model against a card's own record of what its allocator did."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from nbtune.engine.memory.replay.allocator import CachingAllocator


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfCheck:
    """How the model compares with a record.

    Attributes:
        events: Allocations and frees replayed.
        differing: After how many of them the model's reserved bytes were not the card's.
        largest_difference_bytes: The largest difference at any event.
    """

    events: int
    differing: int
    largest_difference_bytes: int


def recorded(run: Callable[[], object], *, most_events: int = 1_000_000) -> list[dict[str, Any]]:
    """What the caching allocator of the current CUDA device does while ``run`` runs, from an empty cache on.

    Raises:
        RuntimeError: Without a CUDA device.
    """
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.memory._record_memory_history(enabled="all", context=None, max_entries=most_events)
    try:
        run()
        torch.cuda.synchronize()
        traces = torch.cuda.memory._snapshot()["device_traces"]
    finally:
        torch.cuda.memory._record_memory_history(enabled=None)
    return list(traces[torch.cuda.current_device()])


def check_allocator(events: list[dict[str, Any]]) -> SelfCheck:
    """Replay recorded events through the model and compare the reserved bytes after each.

    New segments get the addresses that the driver gave them, since the allocator prefers low addresses among equals.

    Args:
        events: As ``recorded`` gives them: dicts with "action", "addr" and "size".
    """
    allocator = CachingAllocator(addresses=_segment_addresses(events))
    blocks: dict[int, Any] = {}
    reserved = count = differing = largest = 0
    for event in events:
        action, address, size = event["action"], event["addr"], event["size"]
        if action in ("segment_alloc", "segment_free"):
            reserved += size if action == "segment_alloc" else -size
            continue
        if action == "alloc":
            blocks[address] = allocator.malloc(size)
        elif action == "free_completed" and address in blocks:
            allocator.free(blocks.pop(address))
        else:
            continue
        count += 1
        difference = abs(reserved - allocator.reserved_bytes)
        differing += difference > 0
        largest = max(largest, difference)
    return SelfCheck(events=count, differing=differing, largest_difference_bytes=largest)


def _segment_addresses(events: list[dict[str, Any]]) -> Iterator[int]:
    for event in events:
        if event["action"] == "segment_alloc":
            yield event["addr"]
