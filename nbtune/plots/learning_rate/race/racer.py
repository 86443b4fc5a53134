"""One rate of a race as it is drawn: its losses, and its score after every step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...base.columns import Floats
from ..scoring import LEAST_STEPS, begin_of, scores_of

if TYPE_CHECKING:
    from ....engine.learning_rate.race.candidate import Candidate


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
