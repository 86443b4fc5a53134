"""From two recordings to every batch size: each length is a + b·k."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ..cards import CONTEXT_BYTES
from ..parts import PARTS
from ..rehearsal.recording import CONTEXT, Allocation, Recording, Shape
from .allocator import CachingAllocator
from .edit import Edit

Parts = tuple[tuple[str, int], ...]
Lengths = tuple[tuple[int, int], ...]


class NotAlikeError(ValueError):
    """Two recordings differ in more than lengths: the step takes another course at another k."""


@dataclass(slots=True)
class Tape:
    """Allocations and frees of two steps for any k.

    Attributes:
        recording: At the first of the two batch sizes; its parts, modules and operators hold for all.
    """

    recording: Recording
    _sizes: list[tuple[Allocation, Lengths | int]] = field(default_factory=list)

    @classmethod
    def from_recordings(cls, first: Recording, k: int, second: Recording, other_k: int) -> Tape:
        """Lengths that follow a line through two recordings.

        Raises:
            NotAlikeError: When the events or the number of dimensions differ.
        """
        if first.events != second.events:
            raise NotAlikeError("the step takes another course at another batch size")
        pairs = zip(first.allocations, second.allocations, strict=True)
        return cls(first, [(a, _lengths(a.shape, b.shape, k, other_k)) for a, b in pairs])

    def check(self, recording: Recording, k: int) -> None:
        """Compare with a recording at another batch size.

        Raises:
            NotAlikeError: When it has other events or sizes than this tape says.
        """
        if self.recording.events != recording.events:
            raise NotAlikeError("the step takes another course at another batch size")
        if self.sizes(k) != [allocation.size_bytes() for allocation in recording.allocations]:
            raise NotAlikeError("a length does not grow evenly with the batch size")

    @classmethod
    def fixed(cls, recording: Recording) -> Tape:
        """A tape for the one k it was recorded at."""
        return cls(recording, [(a, a.size_bytes()) for a in recording.allocations])

    def accumulating(self) -> Tape:
        """The same steps where the gradients of a batch before are still there, as when several make one update.

        Their own gradients are added to those and freed at once. The gradients stay from the first step on, so that
        forward and backward pass of the second find them beside the optimizer's state.
        """
        allocations, events = self.recording.allocations, self.recording.events
        gradients = {index for index, allocation in enumerate(allocations) if allocation.part == "gradients"}
        kept = {~event for event in events if event < 0} & gradients
        added = gradients - kept
        played, fresh, moved = list[int](), list[int](), list[int]()
        for event in events:
            if event < 0 or allocations[event].operator != (allocations[fresh[-1]].operator if fresh else ""):
                played += [~index for index in fresh]
                fresh = []
            moved.append(len(played))
            if event >= 0 or ~event not in kept:
                played.append(event)
            fresh += [event] if event in added else []
        moved.append(len(played))
        played += [~index for index in fresh]
        others = [replace(a, part="temporary") if i in added else a for i, a in enumerate(allocations)]
        laws = [(a, law) for a, (_, law) in zip(others, self._sizes, strict=True)]
        return Tape(self.recording.with_events(others, played, moved), laws)

    def edited(self, edit: Edit) -> Tape:
        """The same steps with some changes."""
        laws = [
            (edit.changed.get(index, a), edit.sizes.get(index, law)) for index, (a, law) in enumerate(self._sizes)
        ]  # fmt: skip
        laws += [(a, a.size_bytes()) for a in edit.added]
        return Tape(self.recording.with_events([a for a, _ in laws], *edit.played()), laws)

    def with_matrix_bytes(self, size: int) -> Tape:
        """The same steps on a card whose matrix products hold another workspace."""
        resized = [
            (replace(a, item_bytes=size), size) if a.part == CONTEXT else (a, law) for a, law in self._sizes
        ]  # fmt: skip
        return Tape(replace(self.recording, allocations=[a for a, _ in resized]), resized)

    def left(self) -> list[Allocation]:
        """Gradients and the optimizer's state that are there when the steps are over."""
        allocations = self.recording.allocations
        return [
            allocations[i] for i in _alive(self.recording.events) if allocations[i].part in ("gradients", "optimizer")
        ]

    def beside(self, others: Iterable[Allocation]) -> Tape:
        """The same beside what is there from the beginning."""
        before = list(others)
        shift = len(before)
        events = [event + shift if event >= 0 else ~(~event + shift) for event in self.recording.events]
        moved = range(shift, shift + len(events) + 1)
        recording = self.recording.with_events(
            [*before, *self.recording.allocations], [*range(shift), *events], moved
        )  # fmt: skip
        return Tape(recording, [*((a, a.size_bytes()) for a in before), *self._sizes])

    def sizes(self, k: int) -> list[int]:
        """Bytes of every allocation at batch size ``k``."""
        return [law if isinstance(law, int) else _size(a, law, k) for a, law in self._sizes]


def _lengths(shape: Shape, other: Shape, k: int, other_k: int) -> Lengths:
    if len(shape) != len(other):
        raise NotAlikeError("a tensor has another number of dimensions at another batch size")
    steps = other_k - k
    laws = []
    for length, second in zip(shape, other, strict=True):
        slope, rest = divmod(second - length, steps)
        if rest:
            raise NotAlikeError("a length does not grow evenly with the batch size")
        laws.append((length - slope * k, slope))
    return tuple(laws)


def _size(allocation: Allocation, lengths: Lengths, k: int) -> int:
    return allocation.size_bytes(tuple(max(0, a + b * k) for a, b in lengths))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The moment at which most was in use.

    Attributes:
        reserved_bytes: The most the allocator ever held; its segments are kept once they are made.
        allocated_bytes: Blocks in use at this moment, the most at any.
        in_use: Ids of the allocations alive, and the bytes of their blocks.
    """

    reserved_bytes: int
    allocated_bytes: int
    in_use: dict[int, int]


def replay(tape: Tape, k: int, capacity_bytes: int | None = None) -> Moment:
    """Run a tape at batch size ``k`` through the model of CUDA's allocator.

    Args:
        capacity_bytes: What its segments may take; None for no limit.
    Raises:
        CapacityError: When there is no room, also after giving back what is cached.
    """
    allocator = CachingAllocator(capacity_bytes)
    sizes, events = tape.sizes(k), tape.recording.events
    blocks: list[Any] = [None] * len(sizes)
    taken = [0] * len(sizes)
    most, at = -1, 0
    for position, event in enumerate(events):
        if event < 0:
            allocator.free(blocks[~event])
            continue
        block = blocks[event] = allocator.malloc(sizes[event])
        taken[event] = 0 if block is None else block.size
        if allocator.allocated_bytes >= most:
            most, at = allocator.allocated_bytes, position
    in_use = {index: taken[index] for index in _alive(events[: at + 1])}
    return Moment(reserved_bytes=allocator.peak_reserved_bytes, allocated_bytes=most, in_use=in_use)


def add_up(tape: Tape, k: int) -> Moment:
    """Run a tape on the host, where what is freed is given back: nothing is reserved beside what is in use."""
    sizes, events = tape.sizes(k), tape.recording.events
    now, most, at = 0, -1, 0
    for position, event in enumerate(events):
        now += -sizes[~event] if event < 0 else sizes[event]
        if now >= most and event >= 0:
            most, at = now, position
    in_use = {index: sizes[index] for index in _alive(events[: at + 1])}
    return Moment(reserved_bytes=most, allocated_bytes=most, in_use=in_use)


def fullest(tape: Tape, k: int, part: str = "activations") -> dict[int, int]:
    """Ids and bytes of the allocations of one part, at the moment when it takes most."""
    sizes, allocations, events = tape.sizes(k), tape.recording.allocations, tape.recording.events
    now, most, at = 0, -1, 0
    for position, event in enumerate(events):
        index = event if event >= 0 else ~event
        if allocations[index].part == part:
            now += sizes[index] if event >= 0 else -sizes[index]
            if now > most:
                most, at = now, position
    return {i: sizes[i] for i in _alive(events[: at + 1]) if allocations[i].part == part}


def _alive(events: list[int]) -> list[int]:
    dead = {~event for event in events if event < 0}
    return [event for event in events if event >= 0 and event not in dead]


def parts_of(recording: Recording, moment: Moment, context_bytes: int = CONTEXT_BYTES) -> Parts:
    """What is in use at a moment, by ``PARTS``; what the allocator holds beside it is "reserved"."""
    sizes: Counter[str] = Counter(context=context_bytes)
    for one, size in moment.in_use.items():
        # What is still alive and has no name was kept for the backward pass.
        sizes[recording.allocations[one].part or "activations"] += size
    sizes["reserved"] = moment.reserved_bytes - sum(moment.in_use.values())
    return tuple((name, sizes[name]) for name in PARTS)
