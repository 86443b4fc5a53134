"""What was seen of a run: allocations, and the order in which they came and went."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

FORWARD, BACKWARD, UPDATE = "forward", "backward", "update"
CONTEXT = "context"
Shape = tuple[int, ...]


@dataclass(slots=True)
class Allocation:
    """One storage.

    Attributes:
        shape: Lengths of the tensor that made it.
        item_bytes: Bytes of one element, or a function from ``shape`` to the bytes it takes.
        part: One of ``PARTS``, as far as it is known while recording.
        phase: Of the step, in which it was made.
        module: Index of the module under whose call it was made, in ``Recording.modules``; -1 for none.
        operator: Name of the operator, e.g. "aten.convolution".
        of: Number of the parameter it is, or whose gradient, state or update it is; -1 for none.
    """

    shape: Shape
    item_bytes: int | Callable[[Shape], int]
    part: str
    phase: str
    module: int
    operator: str
    of: int = -1

    def size_bytes(self, shape: Shape | None = None) -> int:
        """What it takes, also for other lengths."""
        shape = self.shape if shape is None else shape
        return self.item_bytes(shape) if callable(self.item_bytes) else self.item_bytes * math.prod(shape)


@dataclass(slots=True)
class Recording:
    """What was seen of a run.

    Attributes:
        allocations: By id.
        events: In order: ``id`` for a birth, ``~id`` for a death.
        modules: Path and class of every module that was called, by index.
        operators: Names of all operators seen.
        asks_for_cuda: Whether the step named CUDA itself, so that it can't be run without.
        beside_bytes: Tensors that the step reaches beside the model.
        attended: dtypes that fused attention was asked for; which kernel that is depends on the card.
        turns: (index of the next event, phase) where a phase begins.
        steps: Index of the first event of each step.
        parameters: Paths of all parameters, by number.
        arrived: Numbers of the parameters whose gradients came, in order, in all steps.
        runs: (index of the next event, module) where another module begins to run, forward or backward.
        fed: Modules that were called with something that wants a gradient.
    """

    allocations: list[Allocation] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    modules: list[tuple[str, type[nn.Module]]] = field(default_factory=list)
    operators: set[str] = field(default_factory=set)
    asks_for_cuda: bool = False
    beside_bytes: int = 0
    attended: frozenset[str] = frozenset()
    turns: list[tuple[int, str]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    arrived: list[int] = field(default_factory=list)
    runs: list[tuple[int, int]] = field(default_factory=list)
    fed: set[int] = field(default_factory=set)

    def with_events(self, allocations: list[Allocation], events: list[int], moved: Sequence[int]) -> Recording:
        """Other events of the same steps.

        Args:
            moved: Where each place between the events of this recording is among those, the one after the last too.
        """
        return replace(
            self, allocations=allocations, events=events,
            turns=[(moved[at], phase) for at, phase in self.turns], steps=[moved[at] for at in self.steps],
            runs=[(moved[at], module) for at, module in self.runs],
        )  # fmt: skip
