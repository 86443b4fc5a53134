"""What the search for a learning rate is asked to do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, Literal

from ...formats import format_lr
from ..task.task import Task

Mode = Literal["race", "quick"]

RACE_SAMPLES = 4
"""Samples behind each loss of a race, at the least: those of one or two tell rates apart by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LRSettings:
    """What a search for η is asked to do; the widget and ``find_lr`` take the same one.

    Args:
        mode: "race": short runs at constant rates side by side, the worst leave (some 220 steps in all); or "quick":
            one sweep of ``steps`` steps over rising η.
        lr_min: The lowest η, > 0.
        lr_max: The highest, > ``lr_min``. For several parameter groups η is the rate of the
            first group (whose rate is not 0); the others keep their ratio to it.
        rates: Of a race: how many rates, evenly in log η from ``lr_min`` to ``lr_max``, ≥ 4.
        steps: Of a sweep: number of steps, ≥ 10. η grows by the same factor at each.
        updates_per_step: Optimizer updates behind each loss, ≥ 1; it is their mean. Above 1 for batches so small that
            the loss of one tells little. None for 1, and in a race as many as hold 4 samples.
        optimizer: Of a task with several (``update=``): the name of the one whose rate is looked for; the others keep
            theirs, and its own loss is judged where ``update`` returns one of that name. None for all together, their
            ratios kept.
        max_seconds: The search stops after the step that exceeds this time; None for no limit.
        validation: Held-out data, in the forms of ``Task``'s ``data``: its first
            ``validation_batches`` batches are kept, and their mean loss in eval mode is measured
            after every step. The suggestion is then read off that loss.
        validation_batches: How many of its batches are kept, ≥ 1.
        repeats: The search is done for so many data orders (the task's own, then others by seed), ≥ 1.
        batch_sizes: The search is done for each of these k, rising; () for the task's own alone.
        curvature: Whether 2/λmax is estimated after the search, for no longer than that took (see
            ``estimate_curvature``). None: a widget does where that is expected to cost less, ``find_lr`` does not.
    Raises:
        ValueError: For a range or a number outside these limits.
    """

    mode: Mode = "race"
    lr_min: float = 1e-5
    lr_max: float = 10.0
    rates: int = 13
    steps: int = 100
    updates_per_step: int | None = None
    optimizer: str | None = None
    max_seconds: float | None = None
    validation: Any = field(default=None, compare=False, repr=False)
    validation_batches: int = 4
    repeats: int = 1
    batch_sizes: tuple[int, ...] = ()
    curvature: bool | None = None

    def __post_init__(self) -> None:
        if self.mode not in ("race", "quick"):
            raise ValueError(f'mode must be "race" or "quick", not {self.mode!r}')
        for name in ("lr_min", "lr_max"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        if self.lr_min >= self.lr_max:
            raise ValueError(f"lr_min must be below lr_max, not {format_lr(self.lr_min)} and {format_lr(self.lr_max)}")
        if not isinstance(self.rates, Integral) or self.rates < 4:
            raise ValueError(f"rates must be a whole number from 4 up, not {self.rates!r}")
        if not isinstance(self.steps, Integral) or self.steps < 10:
            raise ValueError(f"steps must be a whole number from 10 up, not {self.steps!r}")
        updates = self.updates_per_step
        if updates is not None and (not isinstance(updates, Integral) or updates < 1):
            raise ValueError(f"updates_per_step must be a whole number from 1 up, not {self.updates_per_step!r}")
        if self.max_seconds is not None and not (isinstance(self.max_seconds, Real) and self.max_seconds > 0):
            raise ValueError(f"max_seconds must be above 0 or None, not {self.max_seconds!r}")
        if not isinstance(self.validation_batches, Integral) or self.validation_batches < 1:
            raise ValueError(f"validation_batches must be a whole number from 1 up, not {self.validation_batches!r}")
        if not isinstance(self.repeats, Integral) or isinstance(self.repeats, bool) or self.repeats < 1:
            raise ValueError(f"repeats must be a whole number from 1 up, not {self.repeats!r}")
        object.__setattr__(self, "batch_sizes", _checked_sizes(self.batch_sizes))
        if self.curvature and self.batch_sizes:
            raise ValueError("curvature is that of one batch size: leave batch_sizes out")

    def check(self, task: Task) -> None:
        """Whether they go with ``task``.

        Raises:
            TypeError: For something that is no task.
            ValueError: For validation data that it has no loss for, or an optimizer it does not have.
        """
        if not isinstance(task, Task):
            raise TypeError(f"the first argument must be an nbtune.Task, not {type(task).__name__}")
        if self.validation is not None and task.update is not None:
            raise ValueError("validation needs a loss_fn or a training_step; update= has no loss without a step")
        names = [name for name in task.optimizers if name]
        if self.optimizer is not None and self.optimizer not in names:
            has = f"has {', '.join(map(repr, names))}" if names else "has only one, without a name"
            raise ValueError(f"there is no optimizer {self.optimizer!r}: the task {has}")

    @property
    def race_lrs(self) -> tuple[float, ...]:
        """The rates of a race, rising."""
        growth = (self.lr_max / self.lr_min) ** (1 / (self.rates - 1))
        return tuple(float(f"{self.lr_min * growth**place:.4g}") for place in range(self.rates))

    def updates_behind_loss(self, samples_per_update: int | None) -> int:
        """Optimizer updates behind each loss."""
        if self.updates_per_step is not None:
            return self.updates_per_step
        return -(-RACE_SAMPLES // samples_per_update) if self.mode == "race" and samples_per_update else 1


def _checked_sizes(given: Any) -> tuple[int, ...]:
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ValueError(f"batch_sizes must be whole numbers from 1 up, such as [16, 64, 256], not {given!r}")
    sizes = tuple(given)
    for size in sizes:
        if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
            raise ValueError(f"batch_sizes must be whole numbers from 1 up, not {size!r}")
    return tuple(sorted({int(size) for size in sizes}))
