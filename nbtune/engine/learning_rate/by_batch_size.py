"""How the learning rate moves with the batch size: one curve per k."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...formats import format_lr
from ..checks import choice, events
from ..small_print import small_print
from ..task.task import Task, checked_task
from .curve import LRCurve
from .events import Ended, LRStep, RaceStep
from .settings import LRSettings
from .several import SeveralCurves, SeveralFold

LEAST_MOVE = 2.0
"""By less than this factor, the suggestions' own uncertainty, η is not said to move with k."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LRByBatchSize(SeveralCurves[int]):
    """What is known after a search for η at several batch sizes, a pure fold of its events (see ``from_steps``).

    Attributes:
        curves: k → what was found there, rising; only those k that have begun. The others are those of
            ``SeveralCurves``.
        exponent: a of η ∝ k^a, by least squares through the suggestions; None with fewer than two.
    """

    curves: dict[int, LRCurve]
    ended: dict[int, str]
    exponent: float | None

    @classmethod
    def from_steps(cls, steps: Iterable[Any], *, settings: LRSettings, sign: int = 1) -> LRByBatchSize:
        """The result of any number of events, in order.

        Args:
            steps: Events of one search.
            settings: Those of the search.
            sign: As of ``LRCurve.from_steps``.
        Raises:
            TypeError, ValueError: For anything else.
        """
        fold = BySizeFold(settings, sign=choice("sign", sign, (1, -1)))
        for step in events("steps", steps, (LRStep, RaceStep, Ended)):
            fold.add(step)
        return fold.result()

    @property
    def does_move(self) -> bool:
        """Whether from the smallest to the largest k the suggestions move by more than single ones are sure to."""
        answers = {k: lr for k, lr in self.suggestions.items() if lr is not None}
        return _does_move(answers, self.exponent)

    def for_steps(self, train_steps: int | None) -> LRByBatchSize:
        """The same search read for a training of so many optimizer updates; see ``LRCurve.for_steps``."""
        settings = replace(self.settings, train_steps=train_steps)
        ended = [Ended(batch_size=k, repeat=0, reason=reason) for k, reason in self.ended.items()]
        steps = [step for curve in self.curves.values() for step in curve.steps]
        read = LRByBatchSize.from_steps([*steps, *ended], settings=settings, sign=self.sign)
        return replace(read, caveats=self.caveats, data_form=self.data_form)

    def apply(self, task: Task) -> None:
        """Set the optimizer's learning rate to the suggestion for the task's own batch size.

        Raises:
            TypeError: For something that is no task.
            ValueError: When that k is not among ``curves``, or has no suggestion.
        """
        own = checked_task(task, "apply").samples_per_update
        if own not in self.curves:
            known = ", ".join(map(str, self.curves))
            raise ValueError(f"the task's batch size is {own}; rates were looked for at {known}")
        self.curves[own].apply(task)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; ``curves`` as a list, by rising k."""
        return self._plain("lr_by_batch_size", "batch_sizes", exponent=self.exponent)

    def __repr__(self) -> str:
        found = ", ".join(f"{k}: {'None' if lr is None else format_lr(lr)}" for k, lr in self.suggestions.items())
        return f"LRByBatchSize({{{found}}}, {self.outcome})\n  {self.verdict}. {self.reason}{small_print(self)}"


class BySizeFold(SeveralFold[int]):
    """Events become a result one by one; see ``SeveralFold``."""

    def _which(self, step: Any) -> int:
        return step.batch_size or 0

    def _samples(self, which: int, step: Any) -> int:
        return which

    def result(self) -> LRByBatchSize:
        """What is known now."""
        settings, ended = self._settings, dict(self._ended)
        curves = {k: self._folds[k].result() for k in sorted(self._folds)}
        answers = {k: c.suggestion for k, c in curves.items() if c.suggestion is not None}
        is_whole = all(k in ended or (k in curves and curves[k].outcome != "stopped") for k in settings.batch_sizes)
        exponent = _exponent(answers)
        verdict, reason = _words(curves, answers, exponent)
        return LRByBatchSize(
            curves=curves, settings=settings, ended=ended, exponent=exponent, verdict=verdict, reason=reason,
            limit=_limit(settings, curves, ended), outcome="finished" if is_whole else "stopped", sign=self._sign,
        )  # fmt: skip


def _exponent(answers: dict[int, float]) -> float | None:
    if len(answers) < 2:
        return None
    return float(np.polyfit(np.log(list(answers)), np.log(list(answers.values())), 1)[0])


def _words(curves: dict[int, LRCurve], answers: dict[int, float], exponent: float | None) -> tuple[str, str]:
    found = ", ".join(f"{format_lr(lr)} at k = {k}" for k, lr in answers.items())
    if len(curves) == 1 and answers:
        return f"Use η = {found}", ""
    if exponent is None:
        return "No clear answer: fewer than two batch sizes have one", f"Found: {found}." if found else ""
    if not _does_move(answers, exponent):
        is_known = any(curve.confidence == "sure" or curve.settings.mode == "quick" for curve in curves.values())
        return "η hardly moves with k" if is_known else "Cannot tell whether η moves with k", f"Suggested: {found}."
    power = f"{exponent:.1f}".replace("-", "−")
    return f"η {'grows' if exponent > 0 else 'falls'} as about k^{power}", f"Suggested: {found}."


def _does_move(answers: dict[int, float], exponent: float | None) -> bool:
    if exponent is None:
        return False
    return abs(exponent) * math.log(max(answers) / min(answers)) >= math.log(LEAST_MOVE)


def _limit(settings: LRSettings, curves: dict[int, LRCurve], ended: dict[int, str]) -> str:
    parts = [f"k = {k}: {reason}." for k, reason in ended.items()]
    known = {k: curve for k, curve in curves.items() if curve.suggestion is not None or curve.outcome != "stopped"}
    silent = [k for k, curve in known.items() if curve.suggestion is None and k not in ended]
    if silent:
        parts.append(f"No clear answer at k = {', '.join(map(str, silent))}.")
    if doubtful := [k for k, c in known.items() if c.confidence == "between" and settings.mode == "race"]:
        parts.append(f"In doubt at k = {', '.join(map(str, doubtful))}.")
    never = [k for k in settings.batch_sizes if k not in known and k not in ended]
    if never:
        parts.append(f"Stopped before k = {', '.join(map(str, never))}.")
    if len(curves) > 1:
        parts.append("Every k took as many steps, so a larger one saw more samples.")
    return " ".join(parts)
