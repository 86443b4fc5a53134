"""What is gathered at once: the units, and when each begins and ends, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from ..rehearsal.recording import BACKWARD, UPDATE, Recording


@dataclass(frozen=True, slots=True)
class Unit:
    """One call of ``fully_shard``.

    Attributes:
        module: Its index in ``Recording.modules``; -1 where it is never called.
        parameters: Ids of the allocations of its parameters.
        is_root: Whether it is a whole model without its blocks.
        is_fed: Whether gradients leave it backward, so that it knows when it is done.
    """

    module: int
    parameters: tuple[int, ...]
    is_root: bool
    is_fed: bool


@dataclass(frozen=True, slots=True)
class Passage:
    """A unit begins or ends; ``at`` is the index of the next event."""

    at: int
    unit: int
    is_begin: bool
    is_backward: bool


def units_of(recording: Recording, roots: tuple[str, ...], blocks: tuple[str, ...]) -> list[Unit]:
    """The roots first, then the blocks, in the order given; those without parameters too.

    Args:
        roots, blocks: Paths of modules.
    """
    places = {path: index for index, (path, _) in reversed(list(enumerate(recording.modules)))}
    paths = [*roots, *blocks]
    held: list[list[int]] = [[] for _ in paths]
    for index, allocation in enumerate(recording.allocations):
        if allocation.part == "parameters" and allocation.of >= 0:
            held[_unit_of(recording.parameters[allocation.of], paths)].append(index)
    return [
        Unit(places.get(path, -1), tuple(ids), number < len(roots), places.get(path, -1) in recording.fed)
        for number, (path, ids) in enumerate(zip(paths, held, strict=True))
    ]


def _unit_of(path: str, paths: list[str]) -> int:
    """The innermost unit around a path."""
    around = [i for i, unit in enumerate(paths) if not unit or path == unit or path.startswith(f"{unit}.")]
    return max(around, key=lambda i: len(paths[i]), default=0)


def passages(recording: Recording, units: list[Unit]) -> list[Passage]:
    """When units begin and end, in order: a root around its blocks; none lasts beyond a phase."""
    chains = _chains(recording, units)
    found: list[Passage] = []
    open_units: list[int] = []

    def turn(at: int, wanted: list[int], is_backward: bool) -> None:
        for unit in reversed([u for u in open_units if u not in wanted]):
            open_units.remove(unit)
            found.append(Passage(at, unit, False, is_backward))
        for unit in [u for u in wanted if u not in open_units]:
            open_units.append(unit)
            found.append(Passage(at, unit, True, is_backward))

    for at, module, was_backward, phase in _turns(recording):
        at = _let_go_before(recording, at) if module is None and was_backward else at
        turn(at, [] if module is None or phase == UPDATE else chains.get(module, []), was_backward)
    turn(len(recording.events), [], False)
    return found


def _chains(recording: Recording, units: list[Unit]) -> dict[int, list[int]]:
    """The units around each module, the outermost first."""
    paths = [recording.modules[u.module][0] if u.module >= 0 else None for u in units]
    return {
        index: [
            i
            for i, unit in enumerate(paths)
            if unit is not None and (not unit or path == unit or path.startswith(f"{unit}."))
        ]
        for index, (path, _) in enumerate(recording.modules)
    }


def _turns(recording: Recording) -> Iterator[tuple[int, int | None, bool, str]]:
    """(place, module that runs from there on or None, whether it is or was backward, phase), phases before modules."""
    changes: list[tuple[int, str | int]] = sorted([*recording.turns, *recording.runs], key=_place)
    phase = ""
    for at, what in changes:
        yield at, None if isinstance(what, str) else what, phase == BACKWARD, phase
        phase = what if isinstance(what, str) else phase


def _place(change: tuple[int, str | int]) -> tuple[int, bool]:
    return change[0], isinstance(change[1], int)


def ends_of_backward(recording: Recording) -> list[int]:
    """The places right after the last of each backward pass."""
    turns = [*recording.turns, (len(recording.events), "")]
    return [_let_go_before(recording, end) for (_, phase), (end, _) in pairwise(turns) if phase == BACKWARD]


def _let_go_before(recording: Recording, at: int) -> int:
    """The place before the batch is let go, which happens when the backward pass is over."""
    events = recording.events
    while at > 0 and events[at - 1] < 0 and recording.allocations[~events[at - 1]].part == "inputs":
        at -= 1
    return at
