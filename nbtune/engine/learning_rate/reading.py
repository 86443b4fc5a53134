"""What is read off the steps of a race or a sweep: the answer, and the curve that it was read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .race.candidate import Candidate

Outcome = Literal["finished", "diverged", "stopped"]
Confidence = Literal["sure", "between", "cannot tell"]

NOT_FINITE, BEFORE_ANY_STEP = "No clear answer: the loss is not finite.", "It is inf or NaN before any step."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Which η, and why; see ``LRCurve`` for the fields."""

    suggestion: float | None = None
    peak: float | None = None
    low: float | None = None
    high: float | None = None
    best: float | None = None
    rises_from: float | None = None
    fit: tuple[tuple[float, float], ...] = ()
    retry: tuple[float, float] | None = None
    verdict: str
    reason: str
    limit: str = ""
    confidence: Confidence = "cannot tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """An answer with the losses behind it; see ``LRCurve`` for the fields.

    ``lrs``, ``losses`` and ``smoothed_losses`` have shape (steps,) for a sweep and (rates with a score,) for a race.
    """

    answer: Answer
    outcome: Outcome
    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed_losses: tuple[float, ...]
    start_loss: float | None
    candidates: tuple[Candidate, ...] = ()
    rounds: tuple[tuple[int, int], ...] = ()
