"""How far apart two rates are on the same batches, and how much of that may be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

ERRORS = 2.5
"""Standard errors that are beyond doubt: a race asks some forty times, so two would be wrong once in most races."""

TREND_FROM = 8
"""So many steps have a straight line and a memory taken off; fewer would lose both by chance."""

MOST_MEMORY = 0.8
"""A memory from step to step counts up to this."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A mean difference of losses, and the margin beyond which it is no chance; inf without one for a divergence."""

    mean: float
    margin: float

    @property
    def least(self) -> float:
        """What it is at the least."""
        return self.mean - self.margin

    @property
    def most(self) -> float:
        """What it is at the most."""
        return self.mean + self.margin


NONE = Difference(0.0, 0.0)


def of_steps(losses: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> Difference:
    """Of losses on the same steps, in order, shape (steps,): neighbouring steps are no two independent looks.

    The error is that of the mean about a straight line, with n (1 − ρ) / (1 + ρ) steps for n whose residuals have the
    correlation ρ from one to the next.
    """
    found = losses - others
    count = len(found)
    if not np.isfinite(found).all():
        return Difference(math.inf, 0.0)
    if count < 3:
        return Difference(float(found.mean()), math.inf)
    rest, taken, memory = found - found.mean(), 1, 0.0
    if count >= TREND_FROM:
        place = np.arange(count) - (count - 1) / 2
        rest, taken = rest - place * (place @ rest) / (place @ place), 2
        square = float(rest @ rest)
        memory = min(MOST_MEMORY, max(0.0, float(rest[1:] @ rest[:-1]) / square)) if square else 0.0
    longer = (1 + memory) / (1 - memory)
    error = math.sqrt(float(rest @ rest) / (count - taken) / count * longer)
    return Difference(float(found.mean()), errors_for((count - 1) / longer) * error)


def of_batches(losses: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> Difference:
    """Of losses on the same fixed batches, shape (batches,): independent looks at two models as they are."""
    found = losses - others
    if not np.isfinite(found).all():
        return Difference(math.inf, 0.0)
    if len(found) < 2:
        return Difference(float(found.mean()), math.inf)
    error = float(found.std(ddof=1)) / math.sqrt(len(found))
    return Difference(float(found.mean()), errors_for(len(found) - 1) * error)


def errors_for(freedom: float) -> float:
    """So many standard errors are as rare with few degrees of freedom as ``ERRORS`` with many.

    Student's t by the expansion of Cornish and Fisher; too small below two degrees of freedom.
    """
    z, freedom = ERRORS, max(1.0, freedom)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
