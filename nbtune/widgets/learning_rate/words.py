"""What the learning-rate finder says: while it runs, and of what it found."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ...engine import LRCurve, LRSettings
from ...engine.learning_rate.finding import LRResult
from ...engine.learning_rate.search import LRSearch
from ...engine.learning_rate.several import SeveralCurves
from ...formats import format_lr, format_remaining, format_seconds
from ...plots.base.sentence import Answer
from ...plots.base.typed_again import CLEAR_PART
from ...plots.learning_rate.race.told import told_of
from ..panel.view import Sentence

ESTIMATING: Sentence = [["Estimating 2/λmax from a few Hessian-vector products.", "muted"]]

# Before this many steps their mean says little: the first ones warm things up.
_STEPS_BEFORE_ESTIMATE = 5
_ROUNDS_BEFORE_LEADER = 2


def starting_sentence(settings: LRSettings) -> Sentence:
    """Before the first step."""
    if settings.batch_sizes:
        return [[f"One search for each of {len(settings.batch_sizes)} batch sizes.", "muted"]]
    if settings.optimizers:
        return [
            [f"One race for yours and for each of {len(settings.optimizers)} others, on the same batches.", "muted"]
        ]
    if settings.mode == "quick":
        return [["Raising η step by step.", "muted"]]
    return [[f"Racing {settings.rates} rates on the same batches.", "muted"]]


def running_sentence(curve: LRResult, run: LRSearch) -> Sentence:
    """While steps are coming; no number that may still change is told as an answer."""
    if run.is_estimating:
        return ESTIMATING
    if isinstance(curve, SeveralCurves):
        is_by_name = bool(curve.settings.optimizers)
        through = [
            f"η = {format_lr(lr)} with {key}" if is_by_name else f"{format_lr(lr)} at k = {key}"
            for key, lr in _through(curve).items()
        ]
        what = "One race for each optimizer." if is_by_name else "One search for each batch size."
        return [[what, "muted"], [f" So far {', '.join(through)}." if through else "", ""]]
    curve = curve.orders[-1] if curve.orders else curve
    if curve.settings.mode == "quick":
        fall = "fall" if curve.sign > 0 else "rise"
        fall = "" if curve.low is None else f" The loss has begun to {fall} at about η = {format_lr(curve.low)}."
        return [[f"Raising η step by step.{fall}", "muted"]]
    replay = ""
    if run.is_replaying:
        replay = " Each round begins anew: copies of the model for all rates do not fit in memory."
    return [[f"Racing.{_ahead(curve)}{replay}", "muted"]]


def result_sentence(curve: LRResult) -> Sentence:
    """Verdict in bold, then the evidence, then in muted ink the limit and the theory."""
    if isinstance(curve, SeveralCurves):
        return [[f"{curve.verdict}.", "strong"], [f" {curve.reason}", ""], [f" {curve.limit}", "muted"]]
    if curve.settings.mode == "race":
        told = told_of(curve)
        return _said(told.line, (told.line.limit,), is_sure=told.is_sure)
    return _said(curve, (curve.limit, curve.theory), is_sure=curve.suggestion is not None)


def folded(curve: LRResult) -> list[str]:
    """What stands behind the answer's line for those who ask."""
    if isinstance(curve, SeveralCurves) or curve.settings.mode != "race":
        return []
    return list(told_of(curve).why)


def _said(told: Answer, more: Iterable[str], *, is_sure: bool) -> Sentence:
    head, mark, value = told.verdict.partition("η = ")
    if not mark:
        verdict = [[told.verdict, "strong"], [f" {told.reason}", ""]]
    else:
        verdict = [[head, "strong"], [mark + value, "answer" if is_sure else "strong"], [f": {told.reason}", ""]]
    return [*verdict, *([f" {text}", "muted"] for text in more if text)]


def progress_parts(curve: LRResult, total: int) -> tuple[str, ...]:
    """How far a run is, the most important first."""
    left = _time_left(curve.updates, curve.seconds, total, curve.settings)
    if isinstance(curve, SeveralCurves):
        begun, count = list(curve.curves), _count(curve)
        name = "" if not begun else f"k = {begun[-1]}" if curve.settings.batch_sizes else str(begun[-1])
        return f"{name} ({len(begun)} of {count})" if begun else _parts(curve, count), left
    if curve.settings.repeats > 1:
        return f"data order {max(1, len(curve.orders))} of {curve.settings.repeats}", left
    if curve.settings.mode == "quick":
        return f"step {len(curve.steps)} of {total}", left
    alive = [candidate for candidate in curve.candidates if candidate.left_after is None]
    step = max((len(candidate.losses) for candidate in alive), default=0)
    return f"step {step} · {len(alive)} of {len(curve.candidates)} rates left", left


def outcome_parts(curve: LRResult, total: int, *, is_stopped: bool) -> tuple[str, ...]:
    """How a run ended."""
    taken, is_race = curve.updates, curve.settings.mode == "race"
    if isinstance(curve, SeveralCurves) or curve.settings.repeats > 1:
        is_race, amount = True, f"{taken} steps in all · {_parts(curve)}"
    elif is_race:
        amount = f"{taken} steps in all · {curve.settings.rates} rates"
    else:
        amount = f"{taken} of {total} steps"
    if curve.outcome == "finished":
        return amount, "finished"
    if curve.outcome == "diverged":
        return amount, *(() if is_race else (format_seconds(curve.seconds),)), "ended early, loss rising"
    if is_stopped:
        return (f"stopped after {amount}" if is_race else f"stopped at step {taken} of {total}",)
    return amount, "time is up"


def _ahead(curve: LRCurve) -> str:
    if len(curve.rounds) < _ROUNDS_BEFORE_LEADER:
        return ""
    alive = [c for c in curve.candidates if c.left_after is None and c.score is not None]
    leader = min(alive, key=lambda candidate: math.inf if candidate.score is None else candidate.score, default=None)
    start = curve.start_loss
    if leader is None or leader.score is None or start is None or start - leader.score < CLEAR_PART * abs(start):
        return ""
    return f" Ahead so far: η = {format_lr(leader.lr)}; too early to say by how much."


def _parts(curve: LRResult, count: int | None = None) -> str:
    if isinstance(curve, SeveralCurves):
        what = "batch sizes" if curve.settings.batch_sizes else "optimizers"
        return f"{len(curve.curves) if count is None else count} {what}"
    return f"{max(1, len(curve.orders))} data orders"


def _count(curve: SeveralCurves[Any]) -> int:
    """How many there are in all."""
    return len(curve.settings.batch_sizes) or 1 + len(curve.settings.optimizers)


def _through(result: SeveralCurves[Any]) -> dict[Any, float]:
    """The suggestions of those that are searched to their end."""
    done = {k: one.suggestion for k, one in result.curves.items() if one.outcome != "stopped"}
    return {k: lr for k, lr in done.items() if lr is not None}


def _time_left(taken: int, seconds: float, total: int, settings: LRSettings) -> str:
    if taken < _STEPS_BEFORE_ESTIMATE:
        return ""
    left = seconds / taken * (total - taken)
    if settings.max_seconds is not None:
        left = min(left, max(0.0, settings.max_seconds - seconds))
    return format_remaining(left)
