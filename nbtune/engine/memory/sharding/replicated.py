"""What ``DistributedDataParallel`` and ``ZeroRedundancyOptimizer`` allocate: every device has the whole model."""

from __future__ import annotations

from ..rehearsal.recording import BACKWARD, FORWARD, UPDATE, Allocation
from ..replay.edit import Edit
from ..replay.tape import Tape
from .shares import bucket_sizes, held_by_fullest, numel

FIRST_BUCKET, BUCKET = 2**20, 25 * 2**20
"""Bytes after which PyTorch closes a bucket, by default."""
MOST = 2**62
OPERATOR = "ddp.bucket"


def replicated(tape: Tape, devices: int, *, is_state_divided: bool) -> Tape:
    """The same steps under ``DistributedDataParallel`` with its defaults.

    Its buckets hold a second copy of all gradients (``gradient_as_bucket_view`` is False). In the first step there is
    one of all, from the second on they are as large as the gradients come.

    Args:
        devices: How many have a copy of the model.
        is_state_divided: Whether the optimizer is a ``ZeroRedundancyOptimizer``.
    """
    edit = Edit(tape.recording)
    gradients = _gradients(tape)
    rebuilt = bucket_sizes(gradients, FIRST_BUCKET, BUCKET)
    first, *later = tape.recording.steps
    if any(phase == BACKWARD for _, phase in tape.recording.turns):
        for index in [_bucket(edit, first, size) for size in bucket_sizes(gradients, MOST, MOST)]:
            edit.free(later[0], index)
        first = later[0]
    for size in rebuilt:
        _bucket(edit, first, size)
    if is_state_divided:
        _divide_state(edit, gradients, devices)
    return tape.edited(edit)


def _gradients(tape: Tape) -> list[Allocation]:
    """One of each parameter that has any, in the order in which they come."""
    found: dict[int, Allocation] = {}
    for event in tape.recording.events:
        if event >= 0 and _is_gradient(tape.recording.allocations[event]):
            found.setdefault(tape.recording.allocations[event].of, tape.recording.allocations[event])
    arrived = [found[number] for number in dict.fromkeys(tape.recording.arrived) if number in found]
    return arrived or list(found.values())


def _is_gradient(allocation: Allocation) -> bool:
    return allocation.of >= 0 and (allocation.phase == BACKWARD or allocation.part == "gradients")


def _bucket(edit: Edit, at: int, size: int) -> int:
    return edit.allocate(at, Allocation((size,), 1, "temporary", FORWARD, -1, OPERATOR))


def _divide_state(edit: Edit, gradients: list[Allocation], devices: int) -> None:
    own = held_by_fullest({a.of: numel(a) for a in sorted(gradients, key=lambda a: a.of)}, devices)
    for index, allocation in enumerate(edit.recording.allocations):
        if allocation.of >= 0 and allocation.of not in own and _is_of_update(allocation):
            edit.sizes[index] = 0
    _close_gaps(edit, own)


def _is_of_update(allocation: Allocation) -> bool:
    return allocation.part == "optimizer" or (allocation.phase == UPDATE and allocation.part != "gradients")


def _close_gaps(edit: Edit, own: set[int]) -> None:
    """Of one parameter after the other, what is left of one goes when as much of the next is made.

    The next is now another one: what goes amid a parameter that is not ours goes as late amid our next.
    """
    recording, ends = edit.recording, {at for at, phase in edit.recording.turns if phase != UPDATE}
    amid, births = -1, 0
    waiting: list[tuple[int, int]] = []
    for place, event in enumerate(recording.events):
        allocation = recording.allocations[event if event >= 0 else ~event]
        if place in ends:
            waiting = _freed(edit, place - 1, waiting, len(recording.events))
        if not _is_of_update(allocation) or allocation.of < 0 or allocation.operator.startswith("aten._foreach"):
            continue
        if event >= 0:
            amid, births = allocation.of, births + 1 if allocation.of == amid else 1
            waiting = _freed(edit, place + 1, waiting, births) if amid in own else waiting
        elif allocation.of in own and amid not in own:
            edit.dropped.add(place)
            waiting.append((births, ~event))
    _freed(edit, len(recording.events), waiting, len(recording.events))


def _freed(edit: Edit, at: int, waiting: list[tuple[int, int]], births: int) -> list[tuple[int, int]]:
    """Free what waits for no more than so many births; what waits for more is left."""
    for wanted, index in waiting:
        if wanted <= births:
            edit.free(at, index)
    return [(wanted, index) for wanted, index in waiting if wanted > births]
