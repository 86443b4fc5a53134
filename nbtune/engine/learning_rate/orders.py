"""One answer from the same search over several orders of the data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from ...formats import format_lr
from .race.standings import Candidate

if TYPE_CHECKING:
    from .curve import LRCurve

DISAGREE = 4.0
"""Suggestions that lie farther apart than this factor are said to disagree; the default rates lie 3.2 apart."""


def pooled(orders: Sequence[LRCurve], repeats: int) -> dict[str, Any]:
    """What is known after several orders, as the fields of ``LRCurve``.

    Rates are medians of those orders that have an answer, where that is more than half of them: one that leads astray
    does not move them. Losses are means, of a sweep medians.

    Args:
        orders: At least two, each with some steps.
        repeats: How many were asked for.
    """
    candidates = tuple(map(_pooled_candidate, zip(*(o.candidates for o in orders), strict=True)))
    if candidates:
        scored = [c for c in candidates if c.score is not None]
        lrs = tuple(c.lr for c in scored)
        losses = smoothed = tuple(float(c.score) for c in scored if c.score is not None)
    else:
        losses = _medians([o.losses for o in orders])
        smoothed = _medians([o.smoothed_losses for o in orders])
        lrs = max((o.lrs for o in orders), key=len)[: len(losses)]
    ends = sorted({c.left_after for c in candidates if c.left_after is not None})
    starts = [o.start_loss for o in orders if o.start_loss is not None]
    outcomes = {o.outcome for o in orders}
    is_whole = "stopped" not in outcomes and len(orders) >= repeats
    return {
        **_answer(orders, repeats), "candidates": candidates, "lrs": lrs, "losses": losses,
        "smoothed_losses": smoothed, "start_loss": sum(starts) / len(starts) if starts else None,
        "rounds": tuple((end, sum(c.left_after == end for c in candidates)) for end in ends),
        "outcome": ("diverged" if outcomes == {"diverged"} else "finished") if is_whole else "stopped",
    }  # fmt: skip


def _answer(orders: Sequence[LRCurve], repeats: int) -> dict[str, Any]:
    # One that was stopped before it had an answer says nothing against the others.
    ended = [o for o in orders if o.suggestion is not None or o.outcome != "stopped"] or orders
    answered = [o for o in ended if o.suggestion is not None]
    if 2 * len(answered) <= len(ended):
        without = next(o for o in ended if o.suggestion is None)
        reason = without.reason
        if answered:
            has = f"Only {len(answered)} of {len(ended)} data orders led to one"
            reason = f"{has}. In another: {without.verdict} {reason}"
        verdict = "No clear answer: it depends on the order of the data." if answered else without.verdict
        none = dict.fromkeys(("suggestion", "peak", "low", "high", "best", "rises_from"))
        return {**none, "retry": without.retry, "verdict": verdict, "reason": reason, "limit": without.limit}
    found = {
        name: _middle([getattr(o, name) for o in answered])
        for name in ("suggestion", "peak", "low", "high", "best", "rises_from")
    }
    suggestions = [o.suggestion for o in answered if o.suggestion is not None]
    value, spread = _middle(suggestions) or 0.0, max(suggestions) / min(suggestions)
    limits = [] if found["peak"] is None else [f"Peak of a one-cycle schedule: {format_lr(found['peak'])}."]
    if spread > DISAGREE:
        limits.append(f"The orders disagree by a factor of {spread:.2g}.")
    if len(answered) < len(ended):
        limits.append(f"{len(ended) - len(answered)} of {len(ended)} orders gave no answer.")
    if len(ended) < repeats:
        limits.append(f"Stopped after {len(ended)} of {repeats} orders.")
    low, high, within = found["low"], found["high"], ""
    if low is not None and high is not None:
        good = "good" if orders[0].settings.mode == "race" else "usable"
        within = f"{good} from {format_lr(low, 1)} to {format_lr(high, 1)}; "
    lowest, highest = format_lr(min(suggestions)), format_lr(max(suggestions))
    said = f"{len(answered)} data orders suggest {lowest} to {highest}, this is their median"
    if len(answered) == 1:
        said = "by one data order"
    elif lowest == highest:
        said = f"{len(answered)} data orders agree on it"
    return {
        **found, "retry": None, "verdict": f"Use η = {format_lr(value)}", "limit": " ".join(limits),
        "reason": f"{within}{said}.",
    }  # fmt: skip


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
