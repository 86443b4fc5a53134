"""How η should move over a training whose length is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch

from ...formats import format_count, format_lr
from ..checks import choice, rate, whole_number
from ..task.rates import set_lr

Kind = Literal["constant", "decay", "one-cycle"]
KINDS: tuple[Kind, ...] = ("constant", "decay", "one-cycle")

WARM_UP, COOL_DOWN = 0.05, 0.3
"""Parts of the steps in which "decay" rises to its peak, and in which it falls to 0."""

PARTS: dict[Kind, dict[int, float]] = {
    "constant": {200: 0.65, 1000: 0.6, 3000: 0.5},
    "decay": {200: 1.0, 1000: 0.8, 3000: 0.7},
    "one-cycle": {200: 1.0, 1000: 0.9, 3000: 0.7},
}
"""Length → the peak, × the rate that was best in a race: the longer, the lower. On the cautious side of what was best
on average (``tests/benchmarks/schedules.py``), since just above it single tasks fail."""

UNKNOWN: dict[Kind, float] = {"constant": 0.6, "decay": 0.7, "one-cycle": 0.7}
"""The same where nobody knows how long."""

_NAMES: dict[Kind, str] = {"constant": "constant", "decay": "warm-up, constant, decay", "one-cycle": "one cycle"}

RISE, START_PART, END_PART = 0.3, 25.0, 250_000.0
"""Of "one-cycle", as OneCycleLR has them: the part of the steps in which it rises, and its peak over its ends."""


def part_of_best(kind: Kind, steps: int | None, *, is_sure: bool = True) -> float:
    """The peak for a training of so many steps, × the rate that was best in a race.

    Args:
        kind: Of the schedule.
        steps: Of the training; None where nobody knows.
        is_sure: Whether there is no doubt about the best; else a short training is no reason for a higher rate.

    Examples:
        >>> part_of_best("constant", 100) > part_of_best("constant", 1000) > part_of_best("constant", 3000)
        True
    """
    if steps is None:
        return UNKNOWN[kind]
    known = PARTS[kind]
    part = float(np.interp(math.log(steps), [math.log(length) for length in known], list(known.values())))
    return part if is_sure else min(part, UNKNOWN[kind])


@dataclass(frozen=True, slots=True)
class Schedule:
    """η at every step of a training.

    Args:
        kind: "constant"; "decay": a linear warm-up over the first ``WARM_UP`` of the steps, constant, and linear to 0
            over the last ``COOL_DOWN`` (the trapezoid of Zhai et al. 2022; Hägele et al. 2024); "one-cycle": a cosine
            from ``peak`` / 25 up and one down to nearly 0 (Smith and Topin 2019), momentum left as it is.
        steps: Optimizer updates of the whole training, ≥ 1.
        peak: The highest η, that of the first parameter group whose rate is not 0.
    Raises:
        TypeError, ValueError: For anything else.
    """

    kind: Kind
    steps: int
    peak: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", choice("kind", self.kind, KINDS))
        object.__setattr__(self, "steps", whole_number("steps", self.steps, most=10**9))
        object.__setattr__(self, "peak", rate("peak", self.peak))

    def lr_at(self, step: int) -> float:
        """η of the update with this number, from 0 on; after the last one, that of the last."""
        return self.peak * _share_at(self.kind, self.steps, step)

    def scheduler(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        """The same for torch: call its ``step()`` after each ``optimizer.step()``.

        The rates of ``optimizer`` are set to the first of the schedule; groups keep their ratios.

        Raises:
            TypeError: For something that is no optimizer.
            ValueError: For one that chooses its rate itself (``lr=None``).
        """
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"scheduler takes a torch.optim.Optimizer, not {type(optimizer).__name__}")
        if any(group["lr"] is None for group in optimizer.param_groups):
            raise ValueError(f"{type(optimizer).__name__} chooses its own rate (lr=None); give it an lr to schedule")
        set_lr([optimizer], self.peak)
        for group in optimizer.param_groups:
            # Of an earlier scheduler: LambdaLR would multiply that.
            group["initial_lr"] = float(group["lr"])
        # No lambda: a scheduler is saved with pickle too.
        return torch.optim.lr_scheduler.LambdaLR(optimizer, partial(_share_at, self.kind, self.steps))

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        peak = f"η = {format_lr(self.peak)}" if self.kind == "constant" else f"up to η = {format_lr(self.peak)}"
        return f"{_NAMES[self.kind]} over {format_count(self.steps)} steps, {peak}"

    @property
    def code(self) -> str:
        """The same in torch's words, for an optimizer with one rate."""
        lr = format_lr(self.peak, 3)
        if self.kind == "one-cycle":
            return (
                "scheduler = torch.optim.lr_scheduler.OneCycleLR(\n"
                f"    optimizer, max_lr={lr}, total_steps={self.steps}, cycle_momentum=False\n"
                ")  # after each optimizer.step(): scheduler.step()"
            )
        groups = "for group in optimizer.param_groups:\n    "
        if self.kind == "constant":
            return f'{groups}group["lr"] = {lr}'
        up, down = _lengths(self.steps)
        return (
            f'{groups}group["lr"] = group["initial_lr"] = {lr}\n'  # an earlier scheduler's would be multiplied
            f"scheduler = torch.optim.lr_scheduler.LambdaLR(\n"
            f"    optimizer, lambda step: max(0.0, min(1.0, (step + 1) / {up}, ({self.steps} - step) / {down}))\n"
            ")  # after each optimizer.step(): scheduler.step()"
        )

    def __repr__(self) -> str:
        return f"Schedule: {self.title}\n{self.code}"


def _share_at(kind: Kind, steps: int, step: int) -> float:
    """η as a part of the peak; before the first step and after the last, that of the ends."""
    step = min(max(step, 0), steps - 1)
    if kind == "constant":
        return 1.0
    if kind == "one-cycle":
        return _one_cycle(step, steps)
    up, down = _lengths(steps)
    return min(1.0, (step + 1) / up, (steps - step) / down)


def _lengths(steps: int) -> tuple[int, int]:
    return max(1, round(WARM_UP * steps)), max(1, round(COOL_DOWN * steps))


def _one_cycle(step: int, steps: int) -> float:
    top = RISE * steps - 1
    if step <= top:
        return _cosine(1 / START_PART, 1.0, step / top if top > 0 else 1.0)
    last = steps - 1 - top
    return _cosine(1.0, 1 / END_PART, (step - top) / last if last > 0 else 1.0)


def _cosine(begin: float, end: float, share: float) -> float:
    return end + (begin - end) * (1 + math.cos(math.pi * share)) / 2
