"""What is known of the rates of a race at the end of a round, and what is chance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .difference import ERRORS, NONE, Difference, of_batches, of_steps

CLEAR_PART = 0.05
"""Judged by the batches they trained on, rates have lowered or raised the loss from this part of it on."""

TOLD_PART = 0.05
"""What a rate lies behind the best by, as a part of the best one's drop, that makes no odds."""

HARDLY_BEGUN = 0.2
"""A loss that no rate has lowered by this part says little: a rate that is too high is often the first to move it."""

SETTLED_DECADES = 1.0
"""The order is settled where the rates that may be the best lie within this. Half of it, two neighbours of the default
rates, asks for steps that buy nothing: between neighbours regret hardly differs."""

Losses = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The rates that were in at the end of a round.

    Attributes:
        step: At the end of which step.
        is_fixed: Whether by batches kept out of the steps, else by those of the last steps.
        level: Mean loss without training, its sign left out.
        below: η → its loss minus that without training; negative is better.
        behind: η → its loss minus the leader's.
        leader: η of the lowest loss.
        harmful: Those that have raised the loss beyond doubt.
        has_fallen: Whether one has lowered it beyond doubt.
    """

    step: int
    is_fixed: bool
    level: float
    below: Mapping[float, Difference]
    behind: Mapping[float, Difference]
    leader: float
    harmful: frozenset[float]
    has_fallen: bool

    @property
    def drop(self) -> float:
        """By how much the leader has lowered the loss."""
        return -self.below[self.leader].mean

    @property
    def has_begun(self) -> bool:
        """Whether training has got so far that its order says something of later."""
        return self.has_fallen and self.drop >= HARDLY_BEGUN * self.level

    @property
    def close(self) -> tuple[float, ...]:
        """The rates that cannot be told from the best, rising."""
        # Of two that cannot be told apart, one that did harm is not the best where another did good.
        out = self.harmful if self.has_fallen else frozenset[float]()
        most = TOLD_PART * max(0.0, self.drop)
        return tuple(lr for lr, behind in self.behind.items() if behind.least <= most and lr not in out)

    @property
    def is_settled(self) -> bool:
        """Whether more steps would hardly tell more."""
        return self.has_fallen and math.log10(self.close[-1] / self.close[0]) <= SETTLED_DECADES + 1e-3

    @property
    def unharmed(self) -> list[float]:
        """Rising."""
        return [lr for lr in self.below if lr not in self.harmful]


def look_at(
    step: int, trained: Mapping[float, Losses], control: Losses, fixed: Mapping[float, Losses] | None = None,
    fixed_control: Losses | None = None,
) -> Look:  # fmt: skip
    """The look at the end of ``step``.

    Args:
        step: Which.
        trained: η, rising → its losses on the last steps' batches, shape (steps,).
        control: Those without training.
        fixed: η → its losses on the fixed batches, shape (batches,); None where there are none.
        fixed_control: Those without training.
    """
    is_fixed = fixed is not None and fixed_control is not None
    losses, without = (fixed, fixed_control) if is_fixed else (trained, control)
    assert losses is not None and without is not None
    compare: Callable[[Losses, Losses], Difference] = of_batches if is_fixed else of_steps
    below = {lr: compare(own, without) for lr, own in losses.items()}
    leader = min(below, key=lambda lr: below[lr].mean)
    behind = {lr: NONE if lr == leader else compare(own, losses[leader]) for lr, own in losses.items()}
    level = abs(float(without.mean()))
    least = 0.0 if is_fixed else CLEAR_PART * level
    return Look(
        step=step, is_fixed=is_fixed, level=level, below=below, behind=behind, leader=leader,
        harmful=frozenset(lr for lr in below if (below[lr].least > 0 and below[lr].mean >= least)
                          or _is_worse_throughout(losses[lr], without)),
        has_fallen=any(one.most < 0 and one.mean < -least for one in below.values()),
    )  # fmt: skip


def _is_worse_throughout(losses: Losses, control: Losses) -> bool:
    """At each of them by a clear part: what blows up has too large an error for any other test."""
    return bool((losses - control > CLEAR_PART * abs(float(control.mean()))).all())


def weighted_lr(look: Look) -> float:
    """The mean in log η of all rates, each weighted by how well it may be the best, its error being normal."""
    weights = [_weight(max(0.0, behind.mean), behind.margin / ERRORS) for behind in look.behind.values()]
    return float(10 ** np.average(np.log10(list(look.behind)), weights=weights))


def _weight(mean: float, error: float) -> float:
    if not mean:
        return 1.0
    return math.exp(-((mean / error) ** 2) / 2) if error and math.isfinite(mean) else 0.0
