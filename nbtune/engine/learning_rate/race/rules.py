"""What is read off a race of constant rates: the suggestion, its range, and the sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ....formats import format_count, format_lr
from ...direction import DOWN, Direction
from ..reading import BEFORE_ANY_STEP, NOT_FINITE, Answer, Outcome, Reading
from ..schedule import part_of_best
from .candidate import Candidate, begin_of
from .look import Look, weighted_lr
from .standings import END, Standings

LEAST_LOW = 0.4
"""× the minimum: the range begins no higher. Three losses do not place it better."""

FIRST_ANSWER = 12
"""Before this step some of the rates ahead are too high. And a rate that left before it, though it could not be told
from the best, says nothing of the range."""

EARLY_PART = 0.5
"""× the suggestion of a race that is stopped there, or where training has hardly begun."""

REACH = 10.0
"""A rate that left in doubt belongs to the range if it is within this factor of the best. Where training has hardly
begun, the range goes as far down: the first rate to move is often too high."""

LATE_REACH = math.sqrt(REACH)
"""So far the range goes at the least where a race was decided late: on a plateau, the order is young."""

TELLS_MORE = "More steps (max_steps) or a larger k would tell."


def reading_of(
    standings: Standings, *, is_replayed: bool = False, way: Direction = DOWN, train_steps: int | None = None
) -> Reading:
    """What is known of a race as it stands.

    Args:
        standings: Of the race.
        is_replayed: Whether its rates began anew for every round.
        way: Which is better, in words.
        train_steps: Of the training that is to follow; None where nobody knows.
    """
    answer = read(standings, is_stopped=not standings.is_over, way=way, train_steps=train_steps)
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


def read(standings: Standings, *, is_stopped: bool, way: Direction = DOWN, train_steps: int | None = None) -> Answer:
    """What a race says at the end of its last round.

    The best rate is the minimum of a parabola in log η through the lowest loss and its two neighbours (where the lower
    one is in the race to the end); in doubt, the mean in log η of all rates still in, weighted by how well each may be
    the best. The suggestion lies below it, the further the longer the training (``part_of_best``). The range ends
    half-way to the next rate that is worse beyond doubt.

    Args:
        standings: Of the race.
        is_stopped: Whether it ended before its time.
        way: Which is better, in words.
        train_steps: Of the training that is to follow; None where nobody knows.
    """
    lrs, look = list(standings.losses), standings.look
    if _is_never_finite(standings):
        return Answer(verdict=NOT_FINITE, reason=BEFORE_ANY_STEP)
    if is_stopped:
        look = look or standings.early_look()
        if look is None or not look.has_fallen or look.leader not in standings.alive:
            return _stopped(standings, look)
        return _answer(standings, look, way, train_steps)
    if not standings.alive and lrs[0] not in standings.harmful:
        return _diverged_late(standings)
    if lrs[0] in standings.harmful or look is None:
        reason = f"Already {format_lr(lrs[0])}, the lowest rate, {way.raised} the loss."
        return Answer(verdict="No clear answer: the range is too high.", reason=reason, retry=(lrs[0] / 1e4, lrs[0]))
    if not look.has_fallen and not standings.harmful:
        return _flat(standings, way)
    if not standings.is_told_apart:
        return _all_the_same(standings, way)
    return _answer(standings, look, way, train_steps) if look.has_fallen else _no_telling(standings, look, way)


def _is_never_finite(standings: Standings) -> bool:
    """Whether the loss was inf or NaN before any update: without training, or at every rate's first step."""
    firsts = [losses[0] for losses in standings.losses.values() if losses]
    firsts = standings.control[:1] or firsts
    return bool(firsts) and not any(map(math.isfinite, firsts))


def _answer(standings: Standings, look: Look, way: Direction, train_steps: int | None) -> Answer:
    lrs = list(standings.losses)
    within, is_sure = _candidates_for_best(standings, look)
    is_early = not standings.is_over and (look.step < FIRST_ANSWER or not look.has_begun)
    best, fit = _minimum(standings, look) if is_sure and not is_early else (weighted_lr(look), ())
    if is_early:
        best, within = look.leader, (min(within[0], look.leader / REACH), within[1])
    is_sure = is_sure and standings.is_over  # one that was stopped has not seen all that it would have
    early = EARLY_PART if is_early else 1.0
    part, to_peak = (early * part_of_best(kind, train_steps, is_sure=is_sure) for kind in ("constant", "one-cycle"))
    suggestion, peak = part * best, to_peak * best
    low, high = _half_way(lrs, *within)
    low, high = min(low, LEAST_LOW * best), max(high, best)
    above = [lr for lr in lrs if lr in standings.harmful and lr > best]
    said = f"{format_lr(low, 1)} to {format_lr(high, 1)}"
    reason = f"the best lies somewhere from {said}; after {look.step} steps these could not be told apart."
    if is_sure:
        what = f"{way.lowest} loss of {len(lrs)} rates after {look.step} steps"
        reason = f"good from {said}; {what}, moved {part:.2g}× to the safe side."
    return Answer(
        suggestion=suggestion, peak=peak, low=low, high=high, best=best, fit=fit,
        rises_from=min(above, default=None), confidence="sure" if is_sure else "between",
        verdict=use(suggestion, is_sure=is_sure, train_steps=train_steps), reason=reason,
        limit=_limit(standings, look, peak, is_sure=is_sure),
    )  # fmt: skip


def use(suggestion: float, *, is_sure: bool, train_steps: int | None) -> str:
    """The verdict of an answer."""
    length = "" if train_steps is None else f" for {format_count(train_steps)} steps"
    return f"{'Use' if is_sure else 'In doubt: use'} η = {format_lr(suggestion)}{length}"


def _limit(standings: Standings, look: Look, peak: float, *, is_sure: bool) -> str:
    limits = [f"Peak of a one-cycle schedule: {format_lr(peak)}."]
    if look.leader == list(standings.losses)[-1]:
        limits.append("The highest rate did best: a higher one may be better.")
    if not standings.is_over:
        when = f"after step {standings.taken} of {standings.last}" if standings.rounds else "in the first round"
        limits.append(f"Stopped {when}: in doubt.")
    elif not is_sure:
        limits.append(TELLS_MORE)
    return " ".join(limits)


def _candidates_for_best(standings: Standings, look: Look) -> tuple[tuple[float, float], bool]:
    """The lowest and the highest rate that may be the best, and whether there is no doubt that it lies there."""
    left = [
        lr for lr, at in standings.in_doubt.items()
        if at >= FIRST_ANSWER and look.leader / REACH < lr * 1.1 and lr / 1.1 < look.leader * REACH
    ]  # fmt: skip
    low, high = min([*look.close, *left]), max([*look.close, *left])
    is_late = standings.is_late or look.step > END
    if is_late:
        low, high = min(low, look.leader / LATE_REACH), max(high, look.leader * LATE_REACH)
    if not look.has_begun:
        low = min(low, look.leader / REACH)
    return (low, high), look.is_settled and look.has_begun and not is_late and high <= 1.01 * REACH * low


def _half_way(lrs: list[float], low: float, high: float) -> tuple[float, float]:
    """The ends moved by half of what lies between two rates."""
    half = (lrs[-1] / lrs[0]) ** (0.5 / (len(lrs) - 1))
    return low / half, high * half


def _no_telling(standings: Standings, look: Look, way: Direction) -> Answer:
    """No rate has lowered the loss beyond doubt, and some raised it: of the highest that did not, noise may hide it."""
    low, high = _unharmed(standings, look)
    said = f"from {format_lr(low, 1)} to {format_lr(high, 1)}"
    return Answer(
        low=low, high=high, verdict="Cannot tell: the noise hides what η does.",
        reason=f"After {look.step} steps no rate was better than no training beyond doubt; if one is, it lies {said}.",
        limit=TELLS_MORE,
    )  # fmt: skip


def _unharmed(standings: Standings, look: Look) -> tuple[float, float]:
    """The range of rates that have not raised the loss, as far down as a better one may lie."""
    left = [lr for lr, at in standings.in_doubt.items() if at >= FIRST_ANSWER]
    unharmed = [*look.unharmed, *left] or [min(look.below)]
    return _half_way(list(standings.losses), max(min(unharmed), max(unharmed) / REACH**2), max(unharmed))


def _minimum(standings: Standings, look: Look) -> tuple[float, tuple[tuple[float, float], ...]]:
    """η of the parabola's minimum, and points of the parabola; none where a lower neighbour of the best has left.

    An upper one that has left counts with what it was then; a lower one would have gone on falling.
    """
    lrs, leader = list(standings.losses), look.leader
    place, drop = lrs.index(leader), -look.drop
    losses = {lr: look.below[lr].mean for lr in look.below}
    losses |= {lr: standings.below_at_last.get(lr, math.inf) for lr in lrs[place + 1 :][:1] if lr not in losses}
    around = [lr for lr in lrs[max(0, place - 1) : place + 2] if lr in losses]
    # One that is worse than no training would bend the parabola by its distance alone.
    values = [min(losses[lr], max(0.0, drop)) for lr in around]
    if len(around) < 3:
        return leader, ()
    logs = np.log10(around)
    bend, slope, level = np.polyfit(logs - logs[1], values, 2)
    at = -slope / 2 / bend if bend > 0 else 0.0
    at = min(max(at, logs[0] - logs[1]), logs[2] - logs[1])
    course = np.linspace(logs[0] - logs[1], logs[2] - logs[1], 25)
    level += np.mean(standings.control[begin_of(look.step) : look.step])
    fit = tuple((float(10 ** (logs[1] + x)), float(bend * x * x + slope * x + level)) for x in course)
    # On the fixed batches it lies elsewhere than the scores, which are those of the steps.
    return float(10 ** (logs[1] + at)), () if look.is_fixed else fit


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


def _stopped(standings: Standings, look: Look | None) -> Answer:
    reason, low, high = f"All rates still in have reached step {standings.taken} of {standings.last}.", None, None
    if not standings.rounds:
        reason = "Not all rates had got through the first round."
    if look is not None and look.unharmed:
        low, high = _unharmed(standings, look)
        reason = (
            f"{reason} If one is better than no training, it lies from {format_lr(low, 1)} to {format_lr(high, 1)}."
        )
    return Answer(
        verdict="Stopped before the race was decided: no suggestion yet.", reason=reason, low=low, high=high,
        limit="Your model is as it was.",
    )  # fmt: skip
