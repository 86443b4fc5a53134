"""One rate of a race, and how its losses are judged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One rate of a race.

    Attributes:
        lr: Its constant η.
        losses: Before each update, mean over the batch, shape (steps it took,).
        left_after: The step after which it left; None for one that is still in, or was to the end.
        is_harmful: Whether it has clearly raised the loss, compared with no training on the same batches.
        score: Mean loss over the last third of its steps; inf if one is not finite, None before the first round's end.
        score_error: Standard error of ``score`` about a straight line; None where it has too few steps.
        error: What its last step raised, where it did; then the last loss is NaN.
    """

    lr: float
    losses: tuple[float, ...]
    left_after: int | None
    is_harmful: bool
    score: float | None
    score_error: float | None
    error: str = ""


def begin_of(end: int) -> int:
    """Where the steps begin that are judged at ``end``: the last third, three at the least."""
    return max(0, end - max(3, end // 3))


def score_of(losses: Sequence[float]) -> float | None:
    """Mean loss over the last third of the steps; inf where one is not finite, None for fewer than three steps."""
    if len(losses) < 3:
        return None
    part = losses[begin_of(len(losses)) :]
    return float(np.mean(part)) if all(map(math.isfinite, part)) else math.inf


def error_of(losses: Sequence[float]) -> float | None:
    """Standard error of the score about a straight line; None where it has fewer than four steps to go by."""
    part = np.array(losses[begin_of(len(losses)) :])
    if len(part) < 4 or not np.isfinite(part).all():
        return None
    steps = np.arange(len(part))
    trend = np.polyval(np.polyfit(steps, part, 1), steps)
    return math.sqrt(float(((part - trend) ** 2).sum()) / (len(part) - 2) / len(part))
