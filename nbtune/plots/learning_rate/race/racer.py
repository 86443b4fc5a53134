"""One rate of a race as it is drawn: its losses, and its score after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...base.columns import Floats

if TYPE_CHECKING:
    from ....engine.learning_rate.race.candidate import Candidate

LEAST_STEPS = 3
"""A score is the mean of the last third of the steps, and of no fewer than these."""


@dataclass(frozen=True)  # without slots, for its score
class Racer:
    """A rate with what it did.

    Attributes:
        lr: Its η.
        losses: As drawn, shape (steps it took,).
        scores: The score as of each of these steps; inf where a loss in it is not finite.
        left_after: The step after which it left; None for one that is still in, or was to the end.
        is_refined: Whether it was added between the rates that were asked for.
    """

    lr: float
    losses: Floats
    scores: Floats
    left_after: int | None
    is_refined: bool

    @classmethod
    def of(cls, candidate: Candidate, noise: Floats, *, is_refined: bool) -> Racer:
        """Of a candidate.

        Args:
            candidate: Of the race.
            noise: What is taken off its losses: the batches' own, or nothing; shape (≥ steps it took,), or empty.
            is_refined: See above.
        """
        losses = np.array(candidate.losses, dtype=np.float64)
        losses[: len(noise)] -= noise[: len(losses)]
        losses[~np.isfinite(losses)] = math.inf
        return cls(candidate.lr, losses, scores_of(losses), candidate.left_after, is_refined)

    @property
    def steps(self) -> int:
        """It took so many."""
        return len(self.losses)

    @cached_property
    def score(self) -> float | None:
        """Its last; None before the third step. One that diverged in its first steps has none either."""
        return self.score_at(self.steps)

    def score_at(self, step: int) -> float | None:
        """That of then; None where it took no such step, or too few before."""
        return float(self.scores[step - 1]) if LEAST_STEPS <= step <= self.steps else None

    def last_losses(self, end: int) -> Floats:
        """Those that the score of a step is the mean of."""
        return self.losses[begin_of(end) : end]


def begin_of(end: int) -> int:
    """Where the steps begin whose mean is the score after step ``end``."""
    return max(0, end - max(LEAST_STEPS, end // 3))


def scores_of(losses: Floats) -> Floats:
    """The mean of the last third at each step; of the first ones, of all there are.

    Examples:
        >>> scores_of(np.array([4.0, 2.0, 0.0, 0.0])).round(2).tolist()
        [4.0, 3.0, 2.0, 0.67]
    """
    ends = np.arange(1, len(losses) + 1)
    begins = np.maximum(0, ends - np.maximum(LEAST_STEPS, ends // 3))
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    with np.errstate(invalid="ignore"):  # inf − inf
        means = (sums[ends] - sums[begins]) / (ends - begins)
    means[np.isnan(means)] = math.inf
    return np.asarray(means)
