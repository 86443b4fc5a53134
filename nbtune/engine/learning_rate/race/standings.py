"""A race of constant rates as it goes: losses come in, and at the end of each round rates leave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ROUNDS = ((5, 6), (12, 4), (30, 3))
"""After this many steps, this many rates stay."""

END, PLATEAU_END = 45, 100
"""The last step; a race in which training has hardly begun by then goes on to the second."""

HARDLY_BEGUN = 0.2
"""A loss that no rate has lowered by this part says little: a rate that is too high is often the first to move it."""

PLATEAU_UNTIL = 12
"""Up to this step a race in which no rate has lowered the loss keeps the highest that did no harm: the lowest rates are
ahead there by doing nothing."""

CLEAR_PART, CLEAR_ERRORS = 0.05, 2.0
"""A loss is clearly lower or higher than without training from this part of it on, and this many standard errors."""

SAME_PART = 1e-4
"""Losses that differ by less than this part of them are the same at every rate."""


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


class Standings:
    """Who is in a race and what they did; fed loss by loss (``add``).

    The rates are trained on the same batches, so five steps tell them apart. ``control`` is the loss of the same
    batches without any training: what a rate has done shows in the difference, free of the batches' own noise.

    Args:
        lrs: The rates, rising.
    Attributes:
        losses: η → its losses so far.
        control: Losses without training.
        alive: The rates still in, rising.
        end: The step at which the present round ends.
        rounds: (step, rates that left after it) of each round that has ended.
        is_over: Whether nothing is left to run.
        has_fallen: Whether, when the last round ended, a rate had clearly lowered the loss.
        harmful: The rates that have clearly raised the loss, or made it not finite.
        is_told_apart: Whether the rates have led to different losses.
        errors: η → what its last step raised.
    """

    def __init__(self, lrs: Sequence[float]) -> None:
        self.losses: dict[float, list[float]] = {lr: [] for lr in lrs}
        self.control: list[float] = []
        self.alive = list(self.losses)
        self.end = ROUNDS[0][0]
        self.rounds: list[tuple[int, int]] = []
        self.is_over = self.has_fallen = self.is_told_apart = False
        self.harmful: set[float] = set()
        self.errors: dict[float, str] = {}
        self._left: dict[float, int] = {}
        self._candidates: dict[float, Candidate] = {}

    def add(self, lr: float, loss: float, error: str = "") -> None:
        """Take the next loss of a rate, or of the control for η = 0.

        Args:
            lr: Whose.
            loss: The loss; NaN for a step that raised.
            error: What it raised.
        """
        if error:
            self.errors[lr] = error
        (self.losses[lr] if lr else self.control).append(loss)
        if not math.isfinite(loss) and lr in self.alive:
            self.harmful.add(lr)
            self.is_told_apart = True
            self._leave([lr])
            self.is_over = not self.alive
        while not self.is_over and self.taken >= self.end:
            self._settle()

    @property
    def taken(self) -> int:
        """Steps that the control and every rate still in have taken."""
        return min([len(self.control), *(len(self.losses[lr]) for lr in self.alive)])

    @property
    def last(self) -> int:
        """The step at which the race ends, as far as can be said now."""
        return max(self.end, END)

    @property
    def updates(self) -> int:
        """Training steps of all rates so far: the control does not train."""
        return sum(map(len, self.losses.values()))

    @property
    def updates_left(self) -> int:
        """Training steps of all rates to the end, as far as can be said now."""
        if self.is_over:
            return 0
        now, alive = self.taken, len(self.alive)
        done = sum(len(self.losses[lr]) - now for lr in self.alive)
        left = 0
        for at, kept in [*(r for r in ROUNDS if r[0] >= self.end), (self.last, 0)]:
            left += alive * (at - now)
            now, alive = at, min(alive, kept)
        return max(0, left - done)

    def candidates(self) -> tuple[Candidate, ...]:
        """Every rate with what it did."""
        return tuple(map(self._candidate, self.losses))

    def _candidate(self, lr: float) -> Candidate:
        losses, left_after, is_harmful = self.losses[lr], self._left.get(lr), lr in self.harmful
        known = self._candidates.get(lr)
        # A live plot asks 20 times a second, and most rates wait for their turn meanwhile.
        if known and (len(known.losses), known.left_after, known.is_harmful) == (len(losses), left_after, is_harmful):
            return known
        self._candidates[lr] = Candidate(
            lr=lr, losses=tuple(losses), left_after=left_after, is_harmful=is_harmful, score=score_of(losses),
            score_error=_error_of(losses), error=self.errors.get(lr, ""),
        )  # fmt: skip
        return self._candidates[lr]

    def _leave(self, lrs: list[float]) -> None:
        for lr in lrs:
            self.alive.remove(lr)
            self._left[lr] = len(self.losses[lr])

    def _settle(self) -> None:
        begin = begin_of(self.end)
        control = np.array(self.control[begin : self.end])
        means, clearly = {}, dict[float, int]()
        for lr in self.alive:
            losses = np.array(self.losses[lr][begin : self.end])
            means[lr] = float(losses.mean())
            clearly[lr] = _clear_sign(losses - control, abs(float(control.mean())))
        self.has_fallen = -1 in clearly.values()
        self.harmful |= {lr for lr, sign in clearly.items() if sign > 0}
        spread = max(means.values(), default=0.0) - min(means.values(), default=0.0)
        lowest = min((mean for mean in means.values() if math.isfinite(mean)), default=math.inf)
        level = float(control.mean())
        has_begun = self.has_fallen and level - lowest >= HARDLY_BEGUN * abs(level)
        self.is_told_apart |= spread > SAME_PART * max(map(abs, means.values()), default=0.0)
        self._let_leave(means, clearly)
        later = [at for at, _ in ROUNDS if at > self.end] or [END]
        if not self.alive or self.end == PLATEAU_END or (self.end == END and has_begun):
            self.is_over = True
        else:
            self.end = PLATEAU_END if self.end == END else later[0]

    def _let_leave(self, means: dict[float, float], clearly: dict[float, int]) -> None:
        before, kept = len(self.alive), dict(ROUNDS).get(self.end)
        if kept is not None:
            unharmed = [lr for lr in self.alive if clearly[lr] <= 0]
            if not self.has_fallen and self.end <= PLATEAU_UNTIL and unharmed:
                staying = unharmed[-kept:]
            else:
                staying = sorted(self.alive, key=means.__getitem__)[:kept]
            self._leave([lr for lr in self.alive if lr not in staying])
            self.rounds.append((self.end, before - len(self.alive)))


def begin_of(end: int) -> int:
    """Where the steps begin that are judged at ``end``: the last third, three at the least."""
    return max(0, end - max(3, end // 3))


def _clear_sign(differences: np.ndarray[Any, Any], level: float) -> int:
    """Whether losses are clearly lower (-1) or higher (1) than without training; 0 for neither."""
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    least, mean = max(CLEAR_PART * level, CLEAR_ERRORS * error), float(differences.mean())
    return 1 if mean >= least and mean > 0 else -1 if mean < -least else 0


def score_of(losses: Sequence[float]) -> float | None:
    """Mean loss over the last third of the steps; inf where one is not finite, None for fewer than three steps."""
    if len(losses) < 3:
        return None
    part = losses[begin_of(len(losses)) :]
    return float(np.mean(part)) if all(map(math.isfinite, part)) else math.inf


def _error_of(losses: Sequence[float]) -> float | None:
    """Standard error of the score about a straight line; None where it has fewer than four steps to go by."""
    part = np.array(losses[begin_of(len(losses)) :])
    if len(part) < 4 or not np.isfinite(part).all():
        return None
    steps = np.arange(len(part))
    trend = np.polyval(np.polyfit(steps, part, 1), steps)
    return math.sqrt(float(((part - trend) ** 2).sum()) / (len(part) - 2) / len(part))
