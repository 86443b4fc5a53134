"""How sure a race may be drawn: the one place where the picture learns of doubt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...base.columns import Floats
from .racer import Racer

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

Kind = Literal["open", "sure", "between", "cannot tell"]

LEAST_LOSSES = 4
"""About a straight line, fewer say nothing of their scatter."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a race may claim.

    Attributes:
        kind: "open" while it runs, and where it has neither an answer nor a range; "sure"; "between", an answer in
            doubt; "cannot tell", a range without one.
        suggestion, peak: η; None without an answer.
        low, high: Of the sure the range that trains well, of the others that in which the best lies; None for none.
        errors: η of a rate still in → two standard errors of the difference between its score and the best one's, on
            the same batches; without the best.
        level: The rates still in that could not be told from the best, with it, rising.
    """

    kind: Kind
    suggestion: float | None
    peak: float | None
    low: float | None
    high: float | None
    errors: Mapping[float, float]
    level: tuple[float, ...]

    @property
    def is_sure(self) -> bool:
        return self.kind == "sure"

    @property
    def is_in_doubt(self) -> bool:
        return self.kind in ("between", "cannot tell")

    @property
    def range(self) -> tuple[float, float] | None:
        """``low`` and ``high``, where both are known."""
        return None if self.low is None or self.high is None else (self.low, self.high)


def standing_of(curve: LRCurve, racers: Sequence[Racer], *, running: bool) -> Standing:
    """What the picture of ``curve`` may claim.

    Args:
        curve: Of any length.
        racers: Its candidates, as drawn.
        running: Whether more is coming: then nothing is claimed.
    """
    errors = _errors(racers)
    level = _level(racers, errors)
    if running:
        return Standing("open", None, None, None, None, errors, level)
    return Standing(_kind_of(curve), curve.suggestion, curve.peak, curve.low, curve.high, errors, level)


def _kind_of(curve: LRCurve) -> Kind:
    if curve.suggestion is None:
        return "open" if curve.low is None or curve.high is None else "cannot tell"
    return "sure" if curve.confidence == "sure" else "between"


def _errors(racers: Sequence[Racer]) -> dict[float, float]:
    scored = [r for r in racers if r.left_after is None and r.score is not None and math.isfinite(r.score)]
    best = min(scored, key=lambda r: r.scores[-1], default=None)
    if best is None:
        return {}
    others = [r for r in scored if r.lr != best.lr]
    found = {r.lr: _error(r.last_losses(end) - best.last_losses(end)) for r in others for end in [_both(r, best)]}
    return {lr: 2 * error for lr, error in found.items() if error is not None}


def _both(one: Racer, other: Racer) -> int:
    return min(one.steps, other.steps)


def _error(differences: Floats) -> float | None:
    """Standard error of their mean about a straight line."""
    count = len(differences)
    if count < LEAST_LOSSES or not np.isfinite(differences).all():
        return None
    steps = np.arange(count) - (count - 1) / 2
    rest = differences - differences.sum() / count
    rest -= steps * float(steps @ rest) / float(steps @ steps)
    return math.sqrt(float(rest @ rest) / (count - 2) / count)


def _level(racers: Sequence[Racer], errors: Mapping[float, float]) -> tuple[float, ...]:
    scores = {r.lr: r.score for r in racers if r.left_after is None and r.score is not None}
    best = min(scores.values(), default=math.inf)
    return tuple(sorted(lr for lr, score in scores.items() if score - errors.get(lr, 0.0) <= best < math.inf))
