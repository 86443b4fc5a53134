"""The memory over one training step: what is in use and reserved after each allocation, and what runs at the peak."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..rehearsal.recording import BACKWARD, FORWARD, UPDATE, Allocation, Recording
from .allocator import CachingAllocator
from .tape import Tape

Stretch = tuple[str, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTimeline:
    """One step at one batch size, the second of two, so that the optimizer's state is there.

    Its places are the step's allocations and frees, in order: nobody knows how long they take on another device.

    Attributes:
        batch_size: Samples at once.
        allocated_bytes, reserved_bytes: After each allocation or free, with the context.
        context_bytes: What is taken beside the allocator.
        phases: (name, first place, place after the last) of "forward", "backward" and "update", in order.
        peak: Place at which most is allocated.
        peak_phase, peak_module, peak_operator: What was running there; "" for a module where none was.
        peak_layer: Class of that module.
    """

    batch_size: int
    allocated_bytes: tuple[int, ...]
    reserved_bytes: tuple[int, ...]
    context_bytes: int
    phases: tuple[Stretch, ...]
    peak: int
    peak_phase: str
    peak_module: str
    peak_layer: str
    peak_operator: str

    @property
    def where(self) -> str:
        """Where the peak is, in a sentence."""
        # The backward pass calls no module: which one it is at is told by what is let go next.
        near = "near" if self.peak_phase == BACKWARD else "in"
        at = f" {near} {self.peak_module} ({self.peak_layer})" if self.peak_module else ""
        return f"Most is in use in the {NAMES[self.peak_phase]}{at}, at {self.peak_operator.rpartition('.')[2]}."


NAMES = {FORWARD: "forward pass", BACKWARD: "backward pass", UPDATE: "update"}


def timeline(tape: Tape, k: int, context_bytes: int, *, is_cuda: bool = True) -> MemoryTimeline:
    """Play a tape at batch size ``k`` and note what is in use along its last step.

    Args:
        context_bytes: Added to both curves.
        is_cuda: Through the model of CUDA's allocator; else what is reserved is what is in use.
    """
    recording, sizes = tape.recording, tape.sizes(k)
    allocator, blocks = CachingAllocator(), list[Any]([None] * len(sizes))
    begin = recording.steps[-1] if recording.steps else 0
    allocated, reserved = list[int](), list[int]()
    now = 0
    for position, event in enumerate(recording.events):
        if is_cuda:
            _play(allocator, blocks, sizes, event)
        now += -sizes[~event] if event < 0 else sizes[event]
        if position >= begin:
            in_use, held = (allocator.allocated_bytes, allocator.reserved_bytes) if is_cuda else (now, now)
            allocated.append(context_bytes + in_use)
            reserved.append(context_bytes + held)
    return _told(recording, k, begin, context_bytes, (tuple(allocated), tuple(reserved)))


def _play(allocator: CachingAllocator, blocks: list[Any], sizes: list[int], event: int) -> None:
    if event < 0:
        allocator.free(blocks[~event])
    else:
        blocks[event] = allocator.malloc(sizes[event])


def _told(
    recording: Recording, k: int, begin: int, context_bytes: int, curves: tuple[tuple[int, ...], tuple[int, ...]]
) -> MemoryTimeline:
    allocated, reserved = curves
    peak = max(range(len(allocated)), key=allocated.__getitem__)
    allocation = recording.allocations[recording.events[begin + peak]]
    module = _module_at(recording, begin + peak, allocation)
    path, layer = recording.modules[module] if module >= 0 else ("", type(None))
    return MemoryTimeline(
        batch_size=k, allocated_bytes=allocated, reserved_bytes=reserved, context_bytes=context_bytes,
        phases=_phases(recording, begin, len(allocated)), peak=peak, peak_phase=allocation.phase, peak_module=path,
        peak_layer="" if not path else layer.__name__, peak_operator=allocation.operator,
    )  # fmt: skip


def _module_at(recording: Recording, position: int, allocation: Allocation) -> int:
    """The module that was running; -1 for none.

    The backward pass calls no module: it is the one whose activations are let go next.
    """
    if allocation.phase != BACKWARD or allocation.module >= 0:
        return allocation.module
    freed = (recording.allocations[~event] for event in recording.events[position:] if event < 0)
    return next((a.module for a in freed if a.phase == FORWARD and a.part == "activations" and a.module >= 0), -1)


def _phases(recording: Recording, begin: int, length: int) -> tuple[Stretch, ...]:
    """Stretches of one phase each, without those in which nothing is allocated or freed."""
    turns = [(0, FORWARD), *((at - begin, phase) for at, phase in recording.turns if at >= begin), (length, "")]
    found: list[Stretch] = []
    for (first, phase), (last, _) in pairwise(turns):
        if first < last and found and found[-1][0] == phase:
            found[-1] = (phase, found[-1][1], last)
        elif first < last:
            found.append((phase, first, last))
    return tuple(found)
