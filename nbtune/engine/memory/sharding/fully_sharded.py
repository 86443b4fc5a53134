"""What ``fully_shard`` allocates: units that are gathered while they run, gradients that are reduced and divided."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from ..rehearsal.recording import BACKWARD, FORWARD, UPDATE, Allocation
from ..replay.edit import Edit
from ..replay.tape import Tape
from .shares import padded_bytes, share_bytes
from .units import Passage, Unit, ends_of_backward, passages, units_of

GATHER, COPY, REDUCE = "fsdp.all_gather", "fsdp.split_with_sizes_copy", "fsdp.reduce_scatter"


def fully_sharded(tape: Tape, devices: int, roots: tuple[str, ...], blocks: tuple[str, ...], *, frees: bool) -> Tape:
    """The same steps under ``fully_shard`` on each block and on each root.

    Source: torch/distributed/fsdp/_fully_shard of PyTorch 2.6 to 2.13, without prefetching set by hand, offloading and
    a ``MixedPrecisionPolicy``.

    Args:
        devices: Among how many everything is divided.
        roots, blocks: Paths of the modules.
        frees: Whether blocks are let go after their forward pass (``reshard_after_forward``), the default.
    """
    units = units_of(tape.recording, roots, blocks)
    course = _Course(tape, devices, units, frees=frees)
    course.divide()
    course.play(passages(tape.recording, units))
    return tape.edited(course.edit)


class _Course:
    """Follows the steps and notes what is gathered, reduced and let go.

    Forward, the buffer that a unit was gathered into is kept until the next one is copied out of its own. Backward, the
    unit before is gathered ahead. What was sent to be reduced is kept until the next unit's gradients are.
    """

    def __init__(self, tape: Tape, devices: int, units: list[Unit], *, frees: bool) -> None:
        self.edit = Edit(tape.recording)
        self._allocations, self._events = tape.recording.allocations, tape.recording.events
        self._begin = tape.recording.steps[0] if tape.recording.steps else 0
        self._devices, self._units, self._frees = devices, units, frees
        self._parameters = {a.of: a for a in self._allocations if a.part == "parameters" and a.of >= 0}
        self._unit_of = {self._allocations[i].of: n for n, unit in enumerate(units) for i in unit.parameters}
        self._copies: dict[int, list[int]] = {}
        self._ahead: dict[int, int] = {}
        self._held: int | None = None
        self._order: list[int] = []
        self._turns_of: dict[int, list[int]] = {}
        self._whole: dict[int, list[int]] = {}
        self._shard: dict[int, int] = {}
        self._kept: Counter[int] = Counter()
        self._sent: list[int] = []
        self._late: list[int] = []

    # --- what lasts -----------------------------------------------------------------------------------------------

    def divide(self) -> None:
        """Parameters, the optimizer's state, and what an update allocates are only ever there in parts."""
        for index, allocation in enumerate(self._allocations):
            is_divided = allocation.part in ("parameters", "optimizer") or allocation.phase == UPDATE
            like = self._parameters.get(allocation.of)
            if is_divided and like is not None and allocation.shape[:1] == like.shape[:1]:
                self.edit.sizes[index] = share_bytes(allocation, self._devices)
        for index in self._events[: self._begin]:  # before an evaluation, gradients are there already
            if index >= 0 and self._allocations[index].part == "gradients":
                self.edit.sizes[index] = self._padded_gradient(index) // self._devices

    def _padded_gradient(self, index: int) -> int:
        """Its own shape may be another, such as that of a sum before it became a vector."""
        like, own = self._parameters[self._allocations[index].of], self._allocations[index].item_bytes
        return padded_bytes(replace(like, item_bytes=own), self._devices)

    def _is_gradient(self, index: int) -> bool:
        """Of a parameter, be it kept or added to one that is there."""
        allocation = self._allocations[index]
        return allocation.of in self._unit_of and allocation.phase == BACKWARD

    # --- the order of things --------------------------------------------------------------------------------------

    def play(self, found: list[Passage]) -> None:
        """Go through all events and passages in order."""
        waiting, ends = list(reversed(found)), ends_of_backward(self.edit.recording)
        for place in range(len(self._events) + 1):
            while waiting and waiting[-1].at == place and waiting[-1].is_backward:
                self._pass(waiting.pop())
            if place in ends:
                self._finish(place)
            while waiting and waiting[-1].at == place:
                self._pass(waiting.pop())
            if self._begin <= place < len(self._events):
                self._follow(place)

    def _follow(self, place: int) -> None:
        event = self._events[place]
        index = event if event >= 0 else ~event
        if not self._is_gradient(index):
            return
        unit = self._unit_of[self._allocations[index].of]
        if event >= 0:
            self._whole.setdefault(unit, []).append(index)
            self._kept[unit] += self._allocations[index].part == "gradients"
            self.edit.rename(index, "temporary")
            return
        self.edit.dropped.add(place)
        self._kept[unit] -= self._allocations[index].part == "gradients"
        if not self._kept[unit] and unit in self._shard and index not in self._whole.get(unit, ()):
            self.edit.free(place, self._shard.pop(unit))

    def _pass(self, passage: Passage) -> None:
        if not passage.is_backward:
            (self._begin_forward if passage.is_begin else self._end_forward)(passage.unit, passage.at)
        elif passage.is_begin:
            self._begin_backward(passage.unit, passage.at)
        elif self._units[passage.unit].is_fed:
            self._reduce(passage.unit, passage.at)
        else:
            self._late.append(passage.unit)

    def _begin_forward(self, unit: int, at: int) -> None:
        if unit in self._copies or not self._units[unit].parameters:
            return
        buffer = self._gathered(unit, at, FORWARD)
        self._copy_out(unit, at, FORWARD)
        self._let_go_of_buffer(at)
        self._held = buffer

    def _let_go_of_buffer(self, at: int) -> None:
        if self._held is not None:
            self.edit.free(at, self._held)
        self._held = None

    def _end_forward(self, unit: int, at: int) -> None:
        if self._frees and not self._units[unit].is_root:
            self._reshard(unit, at)
        if self._units[unit].is_root:
            self._let_go_of_buffer(at)
        if self._units[unit].parameters:
            self._turns_of.setdefault(unit, []).append(len(self._order))
            self._order.append(unit)

    def _begin_backward(self, unit: int, at: int) -> None:
        if not self._units[unit].parameters:
            return
        if unit not in self._copies:
            buffer = self._ahead.pop(unit, None)
            buffer = self._gathered(unit, at, BACKWARD) if buffer is None else buffer
            self._copy_out(unit, at, BACKWARD)
            self.edit.free(at, buffer)
        places = self._turns_of.get(unit)
        place = places.pop() if places else 0
        before = self._order[place - 1] if place > 0 else unit
        if before not in self._copies and before not in self._ahead:
            self._ahead[before] = self._gathered(before, at, BACKWARD)

    def _reduce(self, unit: int, at: int) -> None:
        """A unit's gradients are all there: they are sent, and only this device's part comes back."""
        self._reshard(unit, at)
        for sent in self._sent:
            self.edit.free(at, sent)
        self._sent = []
        whole = self._whole.pop(unit, [])
        if not whole:
            return
        size = sum(self._padded_gradient(index) for index in whole)
        self._sent = [self._allocated(at, unit, size, (BACKWARD, REDUCE))]
        for index in whole:
            self.edit.free(at, index)
        part = "gradients" if self._kept[unit] and unit not in self._shard else "temporary"
        shard = self._allocated(at, unit, size // self._devices, (BACKWARD, REDUCE), part)
        if part == "gradients":
            self._shard[unit] = shard
        else:
            self.edit.free(at, shard)

    def _finish(self, at: int) -> None:
        """The end of a backward pass: units that nothing fed find out only now that they are done."""
        for unit in sorted(self._late):
            self._reduce(unit, at)
        for buffer in (*self._sent, *self._ahead.values()):
            self.edit.free(at, buffer)
        self._late, self._sent, self._order = [], [], []
        self._ahead, self._turns_of = {}, {}

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _gathered(self, unit: int, at: int, phase: str) -> int:
        sizes = (padded_bytes(self._allocations[i], self._devices) for i in self._units[unit].parameters)
        return self._allocated(at, unit, sum(sizes), (phase, GATHER))

    def _copy_out(self, unit: int, at: int, phase: str) -> None:
        part = "temporary" if self._frees else "parameters"
        self._copies[unit] = [
            self._allocated(at, unit, padded_bytes(self._allocations[i], self._devices), (phase, COPY), part)
            for i in self._units[unit].parameters
        ]

    def _reshard(self, unit: int, at: int) -> None:
        for index in self._copies.pop(unit, ()):
            self.edit.free(at, index)

    def _allocated(self, at: int, unit: int, size: int, made_in: tuple[str, str], part: str = "temporary") -> int:
        phase, operator = made_in
        return self.edit.allocate(at, Allocation((size,), 1, part, phase, self._units[unit].module, operator))
