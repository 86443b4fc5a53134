"""What can be changed so that training takes less memory, and what each change does to the training."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from ...memory.estimate import MemoryEstimate
from ...memory.images import SMALLEST_IMAGE
from ...memory.rehearsal.adapters import adapted_layers
from ...memory.sequences import SHORTEST_SEQUENCE

SAME, ROUNDED, OTHER_RATE = "same numbers", "16-bit rounding", "needs another η"
LESS_DETAIL, LESS_CONTEXT = "less detail", "less context"
SIXTEEN, ADAPTERS = "16-bit weights", "only adapters learn"
OF_A_MEAN = "Accumulated batches make the same update where the loss is a mean over the batch, not a sum."
AVERAGED_TWICE = "BatchNorm averages twice"
"""The forward pass is run again, and with it BatchNorm's running averages."""
LESS_STATE = (("SGD with momentum", 1.0), ("Adafactor", 0.1), ("SGD", 0.0))
"""Optimizers, and the values they keep for each parameter."""
MANY = 8
"""Linear layers of a model that people put adapters into."""
HALF = 1 / 2
FRACTIONS = (3 / 4, HALF, 1 / 4)
CHECKPOINTING, MIXED, ONE_AT_A_TIME = "gradient checkpointing", "mixed precision", "optimizer without foreach"


@dataclass(frozen=True, slots=True)
class Change:
    """One way to train with less memory, or several of them together.

    Attributes:
        name: In words; "" for training as it is.
        plan: Fields of a ``Plan`` that it sets.
        effects: On what is learned, in words.
        costs: In time, in words.
        accumulate: Batches that make one update instead of one.
        rank: Small for a small change.
    """

    name: str = ""
    plan: dict[str, Any] = field(default_factory=dict)
    effects: tuple[str, ...] = ()
    costs: tuple[str, ...] = ()
    accumulate: int = 1
    rank: float = 0.0

    @property
    def effect(self) -> str:
        """What it does to what is learned."""
        told = [effect for effect in self.effects if effect != SAME]
        return ", ".join(dict.fromkeys(told)) or (SAME if self.effects else "")

    @property
    def cost(self) -> str:
        """What it costs in time; "" where that is not known."""
        return ", ".join(dict.fromkeys(cost for cost in self.costs if cost))

    def __add__(self, other: Change) -> Change:
        return Change(
            name=" + ".join(name for name in (self.name, other.name) if name), plan={**self.plan, **other.plan},
            effects=(*self.effects, *other.effects), costs=(*self.costs, *other.costs),
            accumulate=self.accumulate * other.accumulate, rank=10 * max(self.rank, other.rank),
        )  # fmt: skip


def single_changes(estimate: MemoryEstimate, batch_size: int) -> list[Change]:
    """Every change by itself that is open to a task, the smallest first; accumulation is apart, see ``accumulations``.

    A step of the user's own has its own optimizer and its own autocast, which no plan reaches.

    Args:
        estimate: Of the task as it is.
        batch_size: k wanted.
    """
    plan, again = estimate.plan, AVERAGED_TWICE if _has_norm(estimate) else SAME
    usual = [
        (_has_lists(estimate), Change(ONE_AT_A_TIME, {"foreach": False}, (SAME,), ("slower updates",), rank=1)),
        (not plan.checkpointing, Change(
            CHECKPOINTING, {"checkpointing": True}, (again,), ("one more forward",), rank=2
        )),
        (plan.amp is None and estimate.can_change_optimizer, Change(
            MIXED, {"amp": estimate.half_dtype}, (ROUNDED,), rank=4
        )),
    ]  # fmt: skip
    singles = [change for is_open, change in usual if is_open]
    samples = [*_smaller_images(estimate), *_shorter_sequences(estimate)]
    return [*singles, *_optimizers(estimate, batch_size), *samples, *_smaller_weights(estimate)]


def _has_lists(estimate: MemoryEstimate) -> bool:
    """Whether the optimizer updates all parameters at once, as PyTorch's do on CUDA unless told otherwise."""
    if estimate.device == "cpu" or not estimate.can_change_optimizer:
        return False
    groups = [group for o in estimate.task.optimizers.values() for group in getattr(o, "param_groups", ())]
    return all("foreach" in g and g["foreach"] is not False and not g.get("fused") for g in groups)


def _optimizers(estimate: MemoryEstimate, batch_size: int) -> list[Change]:
    if not estimate.can_change_optimizer:
        return []
    trained = sum(p.numel() * p.element_size() for p in estimate.task.parameters if p.requires_grad)
    kept = estimate.among(1).breakdown(batch_size)["optimizer"] / max(1, trained)  # whole, as the weights are
    return [
        Change(f"optimizer {name}", {"optimizer": name}, (OTHER_RATE,), rank=5)
        for name, values in LESS_STATE
        if values < 0.9 * kept
    ]


def _smaller_images(estimate: MemoryEstimate) -> list[Change]:
    side = estimate.image_size or 0
    smaller = [(6 + i / 10, round(side * fraction)) for i, fraction in enumerate(FRACTIONS)]
    return [
        Change(f"images of {s}²", {"image_size": s}, (LESS_DETAIL,), (f"{(s / side) ** 2:.2g}× pixels",), rank=rank)
        for rank, s in smaller
        if s >= SMALLEST_IMAGE
    ]


def _shorter_sequences(estimate: MemoryEstimate) -> list[Change]:
    length = estimate.sequence_length or 0
    shorter = [(6 + i / 10, round(length * fraction)) for i, fraction in enumerate(FRACTIONS[1:])]
    return [
        Change(
            f"sequences of {n}", {"sequence_length": n}, (LESS_CONTEXT,), (f"{n / length:.2g}× tokens",), rank=rank
        )
        for rank, n in shorter
        if n >= SHORTEST_SEQUENCE
    ]  # fmt: skip


def _smaller_weights(estimate: MemoryEstimate) -> list[Change]:
    """Weights in 16 bits where they have 32; adapters beside frozen weights where most of them are of linear layers."""
    task, half = estimate.task, torch.bfloat16
    if estimate.plan.weights or estimate.plan.adapters or not estimate.can_change_optimizer:
        return []
    has_half = estimate.plan.architecture.has_bfloat16
    changes = []
    if has_half and any(p.dtype == torch.float32 for p in task.parameters):
        changes.append(Change("weights in bfloat16", {"weights": half}, (SIXTEEN,), rank=7))
    layers = [layer for model in task.models.values() for layer in adapted_layers(model)]
    whole = sum(p.numel() for p in task.parameters)
    if len(layers) >= MANY and 2 * sum(layer.weight.numel() for layer in layers) > whole:
        changes.append(Change("adapters (LoRA)", {"adapters": "LoRA"}, (ADAPTERS,), rank=8))
        if has_half:
            four = {"adapters": "QLoRA", "weights": half}
            changes.append(Change("4-bit weights and adapters (QLoRA)", four, (ADAPTERS,), rank=9))
    return changes


def accumulations(estimate: MemoryEstimate, batch_size: int) -> list[Change]:
    """The same update from ever more, ever smaller batches of one size; none where the user's step updates.

    Each count divides ``batch_size``, so that the update has as many samples as before, and is at least twice the last.
    """
    if not estimate.can_change_optimizer:
        return []
    counts = list[int]()
    for count in _divisors(batch_size):
        if count >= 2 * (counts[-1] if counts else 1):
            counts.append(count)
    return [_accumulation(count, batch_size // count, _has_norm(estimate)) for count in counts]


def _divisors(number: int) -> list[int]:
    """All but 1, rising.

    Examples:
        >>> _divisors(12), _divisors(7), _divisors(1)
        ([2, 3, 4, 6, 12], [7], [])
    """
    small = [d for d in range(1, math.isqrt(number) + 1) if number % d == 0]
    return sorted({*small, *(number // d for d in small)} - {1})


def _accumulation(count: int, each: int, has_norm: bool) -> Change:
    effect = f"BatchNorm sees {each}" if has_norm else SAME
    return Change(f"accumulation {count} × {each}", {}, (effect,), (f"{count} passes",), accumulate=count, rank=3)


def do_go_together(first: Change, second: Change) -> bool:
    """Whether two changes are worth making at once.

    Neither may set what the other sets, or how numbers are held; and of adapters an optimizer holds next to nothing.
    """
    one, other = set(first.plan), set(second.plan)
    exclude_each_other = ({"amp"}, {"weights"}), ({"adapters"}, {"optimizer", "foreach"})
    if one & other:
        return False
    return not any((a & one and b & other) or (a & other and b & one) for a, b in exclude_each_other)


def compatible(changes: Iterable[Change]) -> list[Change]:
    """Those that go together, the first of any that exclude each other; the smallest change first."""
    found: list[Change] = []
    for change in changes:
        found += [change] if all(do_go_together(change, other) for other in found) else []
    return sorted(found, key=lambda change: change.rank)


def _has_norm(estimate: MemoryEstimate) -> bool:
    return any(isinstance(m, BatchNorm) for model in estimate.task.models.values() for m in model.modules())
