"""A race of constant rates: who stays, who leaves, and what is read off the scores at its end."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats import format_loss, format_lr

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

TO_SUGGESTION, TO_PEAK = 0.6, 0.7
"""× the minimum of the scores. At 3,000 steps a rate one step too high costs far more than one step too low, and a
one-cycle schedule is at its peak for a short time only. Where each of 23 tasks is left out in turn, the others choose
0.6 or 0.7 for both (``tests/benchmarks/race_rules.py``); between them regret hardly differs."""

KEPT_DROP = 0.85
"""Rates that keep this part of the best drop of the loss are good."""

LEAST_RANGE = (0.4, 1.0)
"""× the minimum: the range that is good at the least. Three scores do not place it better."""

SAME_PART = 1e-4
"""Losses that differ by less than this part of them are the same at every rate."""

FIRST_ANSWER = 12
"""A race that is stopped before this step has no answer: some of the rates ahead there are too high."""


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
    """

    lr: float
    losses: tuple[float, ...]
    left_after: int | None
    is_harmful: bool
    score: float | None
    score_error: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a race says; see ``LRCurve`` for the fields."""

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


class Standings:
    """A race as it goes: losses come in, and at the end of each round rates leave.

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
    """

    def __init__(self, lrs: Sequence[float]) -> None:
        self.losses: dict[float, list[float]] = {lr: [] for lr in lrs}
        self.control: list[float] = []
        self.alive = list(self.losses)
        self.end = ROUNDS[0][0]
        self.rounds: list[tuple[int, int]] = []
        self.is_over = self.has_fallen = self.is_told_apart = False
        self.harmful: set[float] = set()
        self._left: dict[float, int] = {}

    def add(self, lr: float, loss: float) -> None:
        """Take the next loss of a rate, or of the control for η = 0."""
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
    def steps_left(self) -> int:
        """Steps of all rates, and of the control, to the end, as far as can be said now."""
        if self.is_over:
            return 0
        now, alive = self.taken, len(self.alive)
        done = sum(len(self.losses[lr]) - now for lr in self.alive)
        last = (max(self.end, END), 0)
        left = last[0] - len(self.control)
        for at, kept in [*(r for r in ROUNDS if r[0] >= self.end), last]:
            left += alive * (at - now)
            now, alive = at, min(alive, kept)
        return max(0, left - done)

    def candidates(self) -> tuple[Candidate, ...]:
        """Every rate with what it did."""
        return tuple(
            Candidate(
                lr=lr, losses=tuple(losses), left_after=self._left.get(lr),
                is_harmful=lr in self.harmful, **_scored(losses),
            )
            for lr, losses in self.losses.items()
        )  # fmt: skip

    def _leave(self, lrs: list[float]) -> None:
        for lr in lrs:
            self.alive.remove(lr)
            self._left[lr] = len(self.losses[lr])

    def _settle(self) -> None:
        begin = _begin_of(self.end)
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


def read(standings: Standings, *, is_stopped: bool) -> Reading:
    """What the scores of a race say.

    The best rate is the minimum of a parabola in log η through the lowest score and its two neighbours (where the lower
    one is in the race to the end); the suggestion lies below it by ``TO_SUGGESTION``.

    Args:
        standings: Of the race.
        is_stopped: Whether it ended before its time.
    """
    lrs, taken = list(standings.losses), standings.taken
    if standings.control and not math.isfinite(standings.control[0]):
        return Reading(verdict="No clear answer: the loss is not finite.", reason="It is inf or NaN before any step.")
    if is_stopped and (taken < FIRST_ANSWER or not standings.has_fallen):
        return _stopped(standings)
    if not standings.alive or lrs[0] in standings.harmful:
        reason = f"Already {format_lr(lrs[0])}, the lowest rate, raised the loss."
        return Reading(verdict="No clear answer: the range is too high.", reason=reason, retry=_lower(lrs))
    if not standings.has_fallen and not standings.harmful:
        return _flat(standings)
    if not standings.is_told_apart:
        return _all_the_same(standings)
    return _answer(standings)


def _answer(standings: Standings) -> Reading:
    lrs, taken = list(standings.losses), standings.taken
    begin = _begin_of(taken)
    without = float(np.mean(standings.control[begin:taken]))
    scores = {lr: float(np.mean(standings.losses[lr][begin:taken])) for lr in standings.alive}
    best, fit = _minimum(lrs, {**_left_above(standings, scores), **scores}, without)
    low, high = _good_range(scores, best, without)
    above = [lr for lr in lrs if lr in standings.harmful and lr > best]
    suggestion = TO_SUGGESTION * best
    limits = [f"Peak of a one-cycle schedule: {format_lr(TO_PEAK * best)}."]
    if min(scores, key=scores.__getitem__) == lrs[-1]:
        limits.append("The highest rate did best: a higher one may be better.")
    if not standings.is_over:
        limits.append(f"Stopped after step {taken} of {standings.end if standings.end > END else END}: in doubt.")
    if standings.has_fallen:
        what = f"lowest loss of {len(lrs)} rates after {taken} steps"
    else:
        what = f"a plateau: after {taken} steps the highest of {len(lrs)} rates that did no harm"
    good = f"good from {format_lr(low, 1)} to {format_lr(high, 1)}"
    return Reading(
        suggestion=suggestion, peak=TO_PEAK * best, low=low, high=high, best=best, fit=fit,
        rises_from=min(above, default=None), verdict=f"Use η = {format_lr(suggestion)}",
        reason=f"{good}; {what}, moved {TO_SUGGESTION:g}× to the safe side.", limit=" ".join(limits),
    )  # fmt: skip


def _left_above(standings: Standings, scores: dict[float, float]) -> dict[float, float]:
    """The next rate above the best, where it has left, with its score then; a lower one would have gone on falling."""
    lrs = list(standings.losses)
    above = lrs[lrs.index(min(scores, key=scores.__getitem__)) + 1 :][:1]
    return {lr: _scored(standings.losses[lr])["score"] or math.inf for lr in above if lr not in scores}


def _minimum(
    lrs: list[float], scores: dict[float, float], without: float
) -> tuple[float, tuple[tuple[float, float], ...]]:
    """η of the parabola's minimum, and points of the parabola; none where a neighbour of the best has left."""
    best = min(scores, key=scores.__getitem__)
    place = lrs.index(best)
    around = [lr for lr in lrs[max(0, place - 1) : place + 2] if lr in scores]
    # One that is worse than no training would bend the parabola by its distance alone.
    values = [min(scores[lr], max(without, scores[best])) for lr in around]
    if len(around) < 3:
        return best, ()
    logs = np.log10(around)
    bend, slope, level = np.polyfit(logs - logs[1], values, 2)
    at = -slope / 2 / bend if bend > 0 else 0.0
    at = min(max(at, logs[0] - logs[1]), logs[2] - logs[1])
    course = np.linspace(logs[0] - logs[1], logs[2] - logs[1], 25)
    fit = tuple((float(10 ** (logs[1] + x)), float(bend * x * x + slope * x + level)) for x in course)
    return float(10 ** (logs[1] + at)), fit


def _good_range(scores: dict[float, float], best: float, without: float) -> tuple[float, float]:
    lrs = sorted(scores)
    lowest = min(scores.values())
    course = np.linspace(math.log10(lrs[0]), math.log10(lrs[-1]), 200)
    losses = np.interp(course, np.log10(lrs), [scores[lr] for lr in lrs])
    good = course[losses <= without - KEPT_DROP * (without - lowest)]
    ends = (float(10 ** good[0]), float(10 ** good[-1])) if len(good) else (best, best)
    return min(TO_SUGGESTION * ends[0], LEAST_RANGE[0] * best), max(TO_SUGGESTION * ends[1], LEAST_RANGE[1] * best)


def _flat(standings: Standings) -> Reading:
    lrs = list(standings.losses)
    level = format_loss(float(np.mean(standings.control)))
    stayed = f"From {format_lr(lrs[0])} to {format_lr(lrs[-1])} the loss stayed at {level}."
    if lrs[-1] < 1:
        return Reading(verdict="No clear answer: the range is too low.", reason=stayed, retry=(1e-5, 10.0))
    return Reading(verdict="No clear answer: η does not change the loss.", reason=stayed)


def _all_the_same(standings: Standings) -> Reading:
    lrs = list(standings.losses)
    same = f"From {format_lr(lrs[0])} to {format_lr(lrs[-1])} it fell by the same: is η used at all?"
    return Reading(verdict="No clear answer: η does not change the loss.", reason=same)


def _stopped(standings: Standings) -> Reading:
    return Reading(
        verdict="Stopped before the race was decided: no suggestion yet.",
        reason=f"{standings.taken} of {END} steps were taken.",
        limit="Your model is as it was.",
    )


def _lower(lrs: list[float]) -> tuple[float, float]:
    return lrs[0] / 1e4, lrs[0]


def _clear_sign(differences: np.ndarray[Any, Any], level: float) -> int:
    """Whether losses are clearly lower (-1) or higher (1) than without training; 0 for neither."""
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    least, mean = max(CLEAR_PART * level, CLEAR_ERRORS * error), float(differences.mean())
    return 1 if mean >= least and mean > 0 else -1 if mean < -least else 0


def _begin_of(end: int) -> int:
    """Where the steps begin that are judged at ``end``: the last third, three at the least."""
    return max(0, end - max(3, end // 3))


def _scored(losses: Sequence[float]) -> dict[str, Any]:
    if len(losses) < 3:
        return {"score": None, "score_error": None}
    part = np.array(losses[_begin_of(len(losses)) :])
    if not np.isfinite(part).all():
        return {"score": math.inf, "score_error": None}
    steps = np.arange(len(part))
    trend = np.polyval(np.polyfit(steps, part, 1), steps)
    error = math.sqrt(float(((part - trend) ** 2).sum()) / (len(part) - 2) / len(part)) if len(part) > 3 else None
    return {"score": float(part.mean()), "score_error": error}
