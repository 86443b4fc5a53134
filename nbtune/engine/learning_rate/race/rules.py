"""What is read off a race of constant rates: the suggestion, its range, and the sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ....formats import format_lr
from ...direction import DOWN, Direction
from ..reading import BEFORE_ANY_STEP, NOT_FINITE, Answer, Outcome, Reading
from .standings import END, Candidate, Standings, begin_of, score_of

TO_SUGGESTION, TO_PEAK = 0.6, 0.7
"""× the minimum of the scores. At 3,000 steps a rate one step too high costs far more than one step too low, and a
one-cycle schedule is at its peak for a short time only. Where each of 23 tasks is left out in turn, the others choose
0.6 or 0.7 for both (``tests/benchmarks/race_rules.py``); between them regret hardly differs."""

KEPT_DROP = 0.85
"""Rates that keep this part of the best drop of the loss are good."""

LEAST_RANGE = (0.4, 1.0)
"""× the minimum: the range that is good at the least. Three scores do not place it better."""

FIRST_ANSWER = 12
"""A race that is stopped before this step has no answer: some of the rates ahead there are too high."""


def reading_of(standings: Standings, *, is_replayed: bool = False, way: Direction = DOWN) -> Reading:
    """What is known of a race as it stands.

    Args:
        standings: Of the race.
        is_replayed: Whether its rates began anew for every round.
        way: Which is better, in words.
    """
    answer = read(standings, is_stopped=not standings.is_over, way=way)
    candidates = standings.candidates()
    limits = [answer.limit, *raised_by(candidates)]
    if is_replayed:
        limits.append("Each round began anew: copies of the model for all rates did not fit in memory.")
    answer = replace(answer, limit=" ".join(filter(None, limits)))
    scores = {c.lr: c.score for c in candidates if c.score is not None}
    outcome: Outcome = "diverged" if not standings.alive else "finished" if standings.is_over else "stopped"
    return Reading(
        answer=answer, outcome=outcome, lrs=tuple(scores), losses=tuple(scores.values()),
        smoothed_losses=tuple(scores.values()), candidates=candidates, rounds=tuple(standings.rounds),
        start_loss=sum(standings.control) / len(standings.control) if standings.control else None,
    )  # fmt: skip


def raised_by(candidates: Sequence[Candidate]) -> list[str]:
    """A sentence where rates left because their step raised an error: which, and what."""
    failed = [c for c in candidates if c.error]
    if not failed:
        return []
    above = [c for c in candidates if c.lr > failed[0].lr]
    is_all_above = above and all(c.error or not all(map(math.isfinite, c.losses[-1:])) for c in above)
    which = f"{format_lr(failed[0].lr)} and above" if is_all_above else ", ".join(format_lr(c.lr) for c in failed)
    return [f"η = {which}: {failed[0].error.rstrip('.')}."]


def read(standings: Standings, *, is_stopped: bool, way: Direction = DOWN) -> Answer:
    """What the scores of a race say.

    The best rate is the minimum of a parabola in log η through the lowest score and its two neighbours (where the lower
    one is in the race to the end); the suggestion lies below it by ``TO_SUGGESTION``.

    Args:
        standings: Of the race.
        is_stopped: Whether it ended before its time.
        way: Which is better, in words.
    """
    lrs, taken = list(standings.losses), standings.taken
    if _is_never_finite(standings):
        return Answer(verdict=NOT_FINITE, reason=BEFORE_ANY_STEP)
    if is_stopped and (taken < FIRST_ANSWER or not standings.has_fallen):
        return _stopped(standings)
    if not standings.alive and lrs[0] not in standings.harmful:
        return _diverged_late(standings)
    if lrs[0] in standings.harmful:
        reason = f"Already {format_lr(lrs[0])}, the lowest rate, {way.raised} the loss."
        return Answer(verdict="No clear answer: the range is too high.", reason=reason, retry=(lrs[0] / 1e4, lrs[0]))
    if not standings.has_fallen and not standings.harmful:
        return _flat(standings, way)
    if not standings.is_told_apart:
        return _all_the_same(standings, way)
    return _answer(standings, way)


def _is_never_finite(standings: Standings) -> bool:
    """Whether the loss was inf or NaN before any update: without training, or at every rate's first step."""
    firsts = [losses[0] for losses in standings.losses.values() if losses]
    firsts = standings.control[:1] or firsts
    return bool(firsts) and not any(map(math.isfinite, firsts))


def _answer(standings: Standings, way: Direction) -> Answer:
    lrs, taken = list(standings.losses), standings.taken
    begin = begin_of(taken)
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
        limits.append(f"Stopped after step {taken} of {standings.last}: in doubt.")
    if standings.has_fallen:
        what = f"{way.lowest} loss of {len(lrs)} rates after {taken} steps"
    else:
        what = f"a plateau: after {taken} steps the highest of {len(lrs)} rates that did no harm"
    good = f"good from {format_lr(low, 1)} to {format_lr(high, 1)}"
    return Answer(
        suggestion=suggestion, peak=TO_PEAK * best, low=low, high=high, best=best, fit=fit,
        rises_from=min(above, default=None), verdict=f"Use η = {format_lr(suggestion)}",
        reason=f"{good}; {what}, moved {TO_SUGGESTION:g}× to the safe side.", limit=" ".join(limits),
    )  # fmt: skip


def _left_above(standings: Standings, scores: dict[float, float]) -> dict[float, float]:
    """The next rate above the best, where it has left, with its score then; a lower one would have gone on falling."""
    lrs = list(standings.losses)
    above = lrs[lrs.index(min(scores, key=scores.__getitem__)) + 1 :][:1]
    left = {lr: score_of(standings.losses[lr]) for lr in above if lr not in scores}
    return {lr: math.inf if score is None else score for lr, score in left.items()}


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


def _flat(standings: Standings, way: Direction) -> Answer:
    lrs = list(standings.losses)
    level = way.text(float(np.mean(standings.control)))
    stayed = f"From {format_lr(lrs[0])} to {format_lr(lrs[-1])} the loss stayed at {level}."
    if lrs[-1] < 1:
        return Answer(verdict="No clear answer: the range is too low.", reason=stayed, retry=(1e-5, 10.0))
    return Answer(verdict="No clear answer: η does not change the loss.", reason=stayed)


def _all_the_same(standings: Standings, way: Direction) -> Answer:
    lrs = list(standings.losses)
    same = f"From {format_lr(lrs[0])} to {format_lr(lrs[-1])} it {way.fell} by the same: is η used at all?"
    return Answer(verdict="No clear answer: η does not change the loss.", reason=same)


def _diverged_late(standings: Standings) -> Answer:
    """Nobody is left, though the lowest rate has done no harm: it had left for being slow."""
    begin = standings.rounds[-1][0] if standings.rounds else 0
    late = [c for c in standings.candidates() if not math.isfinite(c.losses[-1]) and (c.left_after or 0) >= begin]
    ahead = ", ".join(format_lr(c.lr) for c in late)
    last = max(len(c.losses) for c in late)
    return Answer(
        verdict="No clear answer: the rates that were ahead diverged.",
        reason=f"Those still in after step {begin}, {ahead}, were inf, NaN or raised an error by step {last}.",
        retry=(next(iter(standings.losses)), late[0].lr),
    )  # fmt: skip


def _stopped(standings: Standings) -> Answer:
    return Answer(
        verdict="Stopped before the race was decided: no suggestion yet.",
        reason=f"{standings.taken} of {END} steps were taken.",
        limit="Your model is as it was.",
    )
