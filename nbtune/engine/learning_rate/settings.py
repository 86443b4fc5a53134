"""What the search for a learning rate is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ...formats import format_lr
from ..checks import choice, rate, seconds, text, whole_number, whole_numbers
from ..task.task import Task, checked_task
from .rivals import Rival, rivals_of

Mode = Literal["race", "quick"]

WHOLE = {
    "rates": (4, 1000), "steps": (10, 10**6), "updates_per_step": (1, 10**6), "validation_batches": (1, 10**6),
    "repeats": (1, 1000), "max_steps": (20, 10**6), "train_steps": (1, 10**9),
}  # fmt: skip
"""Settings that are whole numbers, with their limits."""

RACE_SAMPLES = 4
"""Samples behind each loss of a race, at the least: those of one or two tell rates apart by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LRSettings:
    """What a search for η is asked to do; the widget and ``find_lr`` take the same one.

    Args:
        mode: "race": short runs at constant rates side by side, the worst leave (some 190 steps in all, up to
            ``max_steps`` where they are hard to tell apart); or "quick": one sweep of ``steps`` steps over rising η.
        lr_min: The lowest η, from 1e-30 up.
        lr_max: The highest, > ``lr_min``, up to 1e30. For several parameter groups η is the rate of the
            first group (whose rate is not 0); the others keep their ratio to it.
        rates: Of a race: how many rates, evenly in log η from ``lr_min`` to ``lr_max``, ≥ 4.
        steps: Of a sweep: number of steps, ≥ 10. η grows by the same factor at each.
        max_steps: Of a race: training steps of all rates together, ≥ 20; from the 30th step of the rates on no round
            begins that would exceed them.
        updates_per_step: Optimizer updates behind each loss, ≥ 1; it is their mean. Above 1 for batches so small that
            the loss of one tells little. None for 1, and in a race as many as hold 4 samples.
        train_steps: Optimizer updates of the training that is to follow, ≥ 1: a long one wants a lower rate than a
            short one. It changes what is read off a race, not the race; None where nobody knows.
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
        optimizers: A race is held for the task's own optimizer and for each of these, on the same batches: names such
            as "AdamW" and "SGD with momentum" (0.9), classes of optimizers, functions that take parameter groups and
            make one, or a mapping of names to such; () for the task's own alone. But for η they are as they are made.
        curvature: Whether 2/λmax is estimated after the search, for no longer than that took (see
            ``estimate_curvature``). None: a widget does where that is expected to cost less, ``find_lr`` does not.
    Raises:
        TypeError, ValueError: For a range or a number outside these limits.
    """

    mode: Mode = "race"
    lr_min: float = 1e-5
    lr_max: float = 10.0
    rates: int = 13
    steps: int = 100
    max_steps: int = 400
    updates_per_step: int | None = None
    train_steps: int | None = None
    optimizer: str | None = None
    max_seconds: float | None = None
    validation: Any = field(default=None, compare=False, repr=False)
    validation_batches: int = 4
    repeats: int = 1
    batch_sizes: tuple[int, ...] = ()
    optimizers: tuple[Rival, ...] = ()
    curvature: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "mode", choice("mode", self.mode, ("race", "quick")))
        for name in ("lr_min", "lr_max"):
            object.__setattr__(self, name, rate(name, getattr(self, name)))
        if self.lr_min >= self.lr_max:
            raise ValueError(f"lr_min must be below lr_max, not {format_lr(self.lr_min)} and {format_lr(self.lr_max)}")
        for name, (least, most) in WHOLE.items():
            value = getattr(self, name)
            if value is not None or name not in ("updates_per_step", "train_steps"):
                object.__setattr__(self, name, whole_number(name, value, least=least, most=most))
        object.__setattr__(self, "max_seconds", seconds("max_seconds", self.max_seconds))
        sizes = whole_numbers("batch_sizes", self.batch_sizes, example="[16, 64, 256]")
        object.__setattr__(self, "batch_sizes", tuple(sorted(set(sizes))))
        if self.optimizer is not None:
            text("optimizer", self.optimizer)
        choice("curvature", self.curvature, (True, False, None))
        if self.curvature and self.batch_sizes:
            raise ValueError("curvature is that of one batch size: leave batch_sizes out")
        object.__setattr__(self, "optimizers", rivals_of(self.optimizers))
        self._check_optimizers()

    def _check_optimizers(self) -> None:
        others = {
            "batch_sizes": bool(self.batch_sizes), "optimizer": self.optimizer is not None,
            "curvature": bool(self.curvature), 'mode="quick"': self.mode != "race",
        }  # fmt: skip
        given = [name for name, is_given in others.items() if is_given]
        if self.optimizers and given:
            raise ValueError(f"optimizers are raced against each other, at one batch size: leave {given[0]} out")

    def check(self, task: Task) -> None:
        """Whether they go with ``task``.

        Raises:
            TypeError: For something that is no task.
            ValueError: For validation data that it has no loss for, or an optimizer it does not have.
        """
        checked_task(task, "a search for a learning rate")
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

    @property
    def sweep_lrs(self) -> tuple[float, ...]:
        """The rates of a sweep, rising."""
        growth = (self.lr_max / self.lr_min) ** (1 / (self.steps - 1))
        return tuple(self.lr_min * growth**index for index in range(self.steps))

    def updates_behind_loss(self, samples_per_update: int | None) -> int:
        """Optimizer updates behind each loss.

        Args:
            samples_per_update: Of the task; None where it does not tell.
        Raises:
            ValueError: For no whole number from 1 up.
        """
        if samples_per_update is not None:
            samples_per_update = whole_number("samples_per_update", samples_per_update)
        if self.updates_per_step is not None:
            return self.updates_per_step
        return -(-RACE_SAMPLES // samples_per_update) if self.mode == "race" and samples_per_update else 1
