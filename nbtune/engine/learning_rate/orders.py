"""One answer from the same search over several orders of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from ...formats import format_lr
from .race.candidate import Candidate
from .race.rules import TELLS_MORE, use
from .reading import Answer, Confidence, Outcome, Reading
from .settings import LRSettings
from .sweep.rules import attempt

DISAGREE = 4.0
"""Suggestions that lie farther apart than this factor are said to disagree; the default rates lie 3.2 apart."""


def pooled(orders: Sequence[Reading], settings: LRSettings) -> Reading:
    """What is known after several orders.

    Rates are medians of those orders that have an answer, where that is more than half of them: one that leads astray
    does not move them. Losses are means, of a sweep medians.

    Args:
        orders: At least two, each with some steps.
        settings: Of the search: how many were asked for, and for what training.
    """
    repeats = settings.repeats
    candidates = tuple(map(_pooled_candidate, zip(*(o.candidates for o in orders), strict=True)))
    if candidates:
        scores = {c.lr: c.score for c in candidates if c.score is not None}
        lrs, losses, smoothed = tuple(scores), tuple(scores.values()), tuple(scores.values())
    else:
        losses = _medians([o.losses for o in orders])
        smoothed = _medians([o.smoothed_losses for o in orders])
        lrs = max((o.lrs for o in orders), key=len)[: len(losses)]
    ends = sorted({c.left_after for c in candidates if c.left_after is not None})
    starts = [o.start_loss for o in orders if o.start_loss is not None]
    return Reading(
        answer=_answer(orders, settings), outcome=_outcome(orders, repeats), candidates=candidates, lrs=lrs,
        losses=losses, smoothed_losses=smoothed, start_loss=sum(starts) / len(starts) if starts else None,
        rounds=tuple((end, sum(c.left_after == end for c in candidates)) for end in ends),
    )  # fmt: skip


def _outcome(orders: Sequence[Reading], repeats: int) -> Outcome:
    outcomes = {o.outcome for o in orders}
    if "stopped" in outcomes or len(orders) < repeats:
        return "stopped"
    return "diverged" if outcomes == {"diverged"} else "finished"


def _answer(orders: Sequence[Reading], settings: LRSettings) -> Answer:
    # One that was stopped says nothing against those that were not.
    ended = [o for o in orders if o.outcome != "stopped"]
    ended = ended or [o for o in orders if o.answer.suggestion is not None] or list(orders)
    answered = [o.answer for o in ended if o.answer.suggestion is not None]
    if 2 * len(answered) <= len(ended):
        return _no_answer([o.answer for o in ended], len(answered))
    suggestions = [a.suggestion for a in answered if a.suggestion is not None]
    value, peak = _middle(suggestions) or 0.0, _middle([a.peak for a in answered])
    low, high, within = _middle([a.low for a in answered]), _middle([a.high for a in answered]), ""
    confidence, is_race = _confidence(answered, len(ended)), bool(orders[0].candidates)
    is_doubtful = is_race and any(a.confidence != "sure" for a in answered)
    if low is not None and high is not None:
        low, high = min(low, value), max(high, value)  # of a sweep on a plateau no range is known
        word = "the best lies somewhere" if is_doubtful else "good" if is_race else "usable"
        within = f"{word} from {format_lr(low, 1)} to {format_lr(high, 1)}; "
    train_steps = settings.train_steps if is_race else None
    limit = _limit(suggestions, peak, len(ended), settings.repeats)
    return Answer(
        suggestion=value, peak=peak, low=low, high=high, best=_middle([a.best for a in answered]),
        rises_from=_middle([a.rises_from for a in answered]), confidence=confidence,
        verdict=use(value, is_sure=not is_doubtful, train_steps=train_steps) if is_race else attempt(value),
        reason=f"{within}{_agreement(suggestions)}.",
        limit=f"{limit} {TELLS_MORE}".strip() if is_doubtful else limit,
    )  # fmt: skip


def _no_answer(ended: Sequence[Answer], answered: int) -> Answer:
    without = next(answer for answer in ended if answer.suggestion is None)
    if not answered:
        return replace(without, best=None, rises_from=None, fit=())
    has = f"Only {answered} of {len(ended)} data orders led to one"
    return Answer(
        verdict="No clear answer: it depends on the order of the data.",
        reason=f"{has}. In another: {without.verdict} {without.reason}", limit=without.limit, retry=without.retry,
    )  # fmt: skip


def _confidence(answered: Sequence[Answer], ended: int) -> Confidence:
    """Sure only where every order was, and they agree."""
    suggestions = [a.suggestion for a in answered if a.suggestion is not None]
    is_sure = all(a.confidence == "sure" for a in answered) and len(answered) == ended
    return "sure" if is_sure and max(suggestions) <= DISAGREE * min(suggestions) else "between"


def _agreement(suggestions: Sequence[float]) -> str:
    lowest, highest = format_lr(min(suggestions)), format_lr(max(suggestions))
    if len(suggestions) == 1:
        return "by one data order"
    if lowest == highest:
        return f"{len(suggestions)} data orders agree on it"
    return f"{len(suggestions)} data orders suggest {lowest} to {highest}, this is their median"


def _limit(suggestions: Sequence[float], peak: float | None, ended: int, repeats: int) -> str:
    limits = [] if peak is None else [f"Peak of a one-cycle schedule: {format_lr(peak)}."]
    spread = max(suggestions) / min(suggestions)
    if spread > DISAGREE:
        limits.append(f"The orders disagree by a factor of {spread:.2g}.")
    if len(suggestions) < ended:
        limits.append(f"{ended - len(suggestions)} of {ended} orders gave no answer.")
    limits.append(stopped_after(ended, repeats))
    return " ".join(filter(None, limits))


def stopped_after(ended: int, repeats: int) -> str:
    """A sentence where a search has not been through all data orders; else ""."""
    return f"Stopped after {ended} of {repeats} orders." if ended < repeats else ""


def _pooled_candidate(same: Sequence[Candidate]) -> Candidate:
    """One rate over all orders: those in which it stayed longest, since scores at other steps cannot be compared."""
    longest = max(len(c.losses) for c in same)
    stayed = [c for c in same if len(c.losses) == longest]
    scores = [c.score for c in stayed if c.score is not None]
    errors = [c.score_error for c in stayed if c.score_error is not None]
    error = errors[0] if errors else None
    if len(scores) > 1 and all(map(math.isfinite, scores)):
        error = float(np.std(scores, ddof=1) / math.sqrt(len(scores)))
    # It is out only where it has left in every order in which it stayed so long.
    left = None if any(c.left_after is None for c in stayed) else longest
    return replace(
        stayed[0], losses=_means(c.losses for c in stayed), left_after=left, score_error=error,
        score=sum(scores) / len(scores) if scores else None, is_harmful=all(c.is_harmful for c in stayed),
    )  # fmt: skip


def _means(rows: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """Place by place, over the rows that are so long."""
    columns = ([value for value in column if value is not None] for column in zip_longest(*rows))
    return tuple(sum(column) / len(column) for column in columns)


def _medians(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Place by place, as far as more than half of the rows go: those that have diverged count as higher."""
    far = sorted(map(len, rows))[(len(rows) - 1) // 2]
    columns = ([row[i] if i < len(row) and not math.isnan(row[i]) else math.inf for row in rows] for i in range(far))
    return tuple(float(np.median(column)) for column in columns)


def _middle(values: Sequence[float | None]) -> float | None:
    """The median in log η."""
    known = [math.log(value) for value in values if value is not None]
    return math.exp(float(np.median(known))) if known else None
