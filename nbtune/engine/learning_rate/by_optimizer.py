"""Which optimizer, each at its own best rate: one race for each, on the same batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...formats import format_loss, format_lr
from ..checks import choice, events, whole_number
from ..small_print import small_print
from ..task.task import Task, checked_task
from .curve import LRCurve
from .events import Ended, LRStep, RaceStep
from .race.candidate import Candidate, begin_of
from .race.difference import NONE, Difference, of_batches
from .race.look import TOLD_PART
from .settings import LRSettings
from .several import SeveralCurves, SeveralFold


@dataclass(frozen=True, slots=True, kw_only=True)
class LRByOptimizer(SeveralCurves[str]):
    """What is known after races of several optimizers, a pure fold of their events (see ``from_steps``).

    Attributes:
        curves: The optimizer's name → its race, the task's own first; only those that have begun. The others are those
            of ``SeveralCurves``.
        step: After so many steps those that were raced to the end are compared: as many as all of them took at their
            best rate. Their batches are the same until one of them looks at some kept out of the steps.
        losses: Name → mean training loss of its best rate over the last third of these steps, the lowest first.
        close: Those that could not be told from the first of these, which is among them.
    """

    curves: dict[str, LRCurve]
    ended: dict[str, str]
    step: int
    losses: dict[str, float]
    close: tuple[str, ...]

    @classmethod
    def from_steps(
        cls, steps: Iterable[Any], *, settings: LRSettings, batch_size: int | None = None, sign: int = 1
    ) -> LRByOptimizer:
        """The result of any number of events, in order.

        Args:
            steps: Events of one search.
            settings: Those of the search.
            batch_size: Samples behind one update.
            sign: As of ``LRCurve.from_steps``.
        Raises:
            TypeError, ValueError: For anything else.
        """
        if batch_size is not None:
            batch_size = whole_number("batch_size", batch_size)
        fold = ByOptimizerFold(settings, batch_size, sign=choice("sign", sign, (1, -1)))
        for step in events("steps", steps, (LRStep, RaceStep, Ended)):
            fold.add(step)
        return fold.result()

    @property
    def best(self) -> str | None:
        """The optimizer that is ahead beyond doubt; None where there is none."""
        return self.close[0] if len(self.close) == 1 and len(self.losses) > 1 else None

    @property
    def leaders(self) -> dict[str, Candidate]:
        """Name → the rate that is ahead in its race; without those of which none has a score."""
        return _leaders(self.curves)

    @property
    def own(self) -> str:
        """The name of the task's own optimizer; "" before it has begun."""
        return next(iter(self.curves), "")

    def for_steps(self, train_steps: int | None) -> LRByOptimizer:
        """The same races read for a training of so many optimizer updates; see ``LRCurve.for_steps``."""
        settings = replace(self.settings, train_steps=train_steps)
        ended = [Ended(batch_size=None, repeat=0, reason=reason, optimizer=name) for name, reason in self.ended.items()]
        steps = [step for curve in self.curves.values() for step in curve.steps]
        samples = next((curve.batch_size for curve in self.curves.values()), None)
        read = LRByOptimizer.from_steps([*steps, *ended], settings=settings, batch_size=samples, sign=self.sign)
        return replace(read, caveats=self.caveats, data_form=self.data_form)

    def code(self, name: str) -> str:
        """What makes an optimizer with its rate, in Python; "" for the task's own, or where nobody knows.

        Args:
            name: One of ``curves``.
        Raises:
            ValueError: For another name.
        """
        name = choice("name", name, tuple(self.curves))
        lr = self.curves[name].suggestion
        known = next((rival.code for rival in self.settings.optimizers if rival.name == name), "")
        if lr is None or not known:
            return ""
        return f"optimizer = {known.format(parameters='model.parameters()', lr=format_lr(lr))}"

    def apply(self, task: Task) -> None:
        """Set the rate of the task's own optimizer to what was found for it; another one is for the user to make.

        Raises:
            TypeError: For something that is no task.
            ValueError: When there is no suggestion for it.
        """
        checked_task(task, "apply")
        if self.own not in self.curves:
            raise ValueError("there is no suggestion to apply: no optimizer was raced")
        self.curves[self.own].apply(task)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; ``curves`` as a list, in their order."""
        losses = [list(pair) for pair in self.losses.items()]
        return self._plain("lr_by_optimizer", "optimizers", step=self.step, losses=losses, close=self.close)

    def __repr__(self) -> str:
        found = ", ".join(f"{n}: {'None' if lr is None else format_lr(lr)}" for n, lr in self.suggestions.items())
        return f"LRByOptimizer({{{found}}}, {self.outcome})\n  {self.verdict}. {self.reason}{small_print(self)}"


class ByOptimizerFold(SeveralFold[str]):
    """Events become a result one by one; see ``SeveralFold``.

    Args:
        settings, sign: As of ``SeveralFold``.
        batch_size: Samples behind one update.
    """

    def __init__(self, settings: LRSettings, batch_size: int | None = None, *, sign: int = 1) -> None:
        super().__init__(settings, sign=sign)
        self._batch_size = batch_size

    def _which(self, step: Any) -> str:
        return str(step.optimizer)

    def _samples(self, which: str, step: Any) -> int | None:
        return self._batch_size

    def result(self) -> LRByOptimizer:
        """What is known now."""
        settings, ended = self._settings, dict(self._ended)
        curves = {name: fold.result() for name, fold in self._folds.items()}
        wanted = 1 + len(settings.optimizers)
        through = [name for name in {**curves, **ended} if name in ended or curves[name].outcome != "stopped"]
        step, means, behind = _compared(curves)
        most = TOLD_PART * max(0.0, _drop(curves, means))
        close = tuple(name for name in means if behind[name].least <= most)
        is_whole = len(through) == wanted
        verdict, reason = _words(curves, means, close, step, self._sign, is_whole=is_whole)
        return LRByOptimizer(
            curves=curves, settings=settings, ended=ended, step=step, losses=means, close=close, verdict=verdict,
            reason=reason, limit=_limit(settings, curves, ended, step), sign=self._sign,
            outcome="finished" if is_whole else "stopped",
        )  # fmt: skip


def _leaders(curves: Mapping[str, LRCurve]) -> dict[str, Candidate]:
    found = {}
    for name, curve in curves.items():
        scored = [(c.score, c.lr, c) for c in curve.candidates if c.score is not None and c.left_after is None]
        if scored:
            found[name] = min(scored)[2]
    return found


def _compared(curves: Mapping[str, LRCurve]) -> tuple[int, dict[str, float], dict[str, Difference]]:
    """After how many steps, mean loss by name, the lowest first, and how far each lies behind it."""
    # A race that was stopped is at a few steps, which say little of the others.
    through = {n: curve for n, curve in curves.items() if curve.suggestion is not None and curve.outcome != "stopped"}
    leaders = {name: np.array(leader.losses) for name, leader in _leaders(through).items()}
    if not leaders:
        return 0, {}, {}
    step = min(map(len, leaders.values()))
    parts = {name: losses[begin_of(step) : step] for name, losses in leaders.items()}
    means = dict(sorted(((n, float(part.mean())) for n, part in parts.items()), key=lambda pair: pair[1]))
    first = next(iter(means))
    # With the trend in the error: courses bend too much within a third of a race for it to be taken off.
    behind = {n: NONE if n == first else of_batches(parts[n], parts[first]) for n in means}
    return step, means, behind


def _drop(curves: Mapping[str, LRCurve], means: Mapping[str, float]) -> float:
    starts = [curve.start_loss for curve in curves.values() if curve.start_loss is not None]
    return starts[0] - min(means.values()) if starts and means else 0.0


def _words(
    curves: Mapping[str, LRCurve], means: Mapping[str, float], close: tuple[str, ...], step: int, sign: int,
    *, is_whole: bool,
) -> tuple[str, str]:  # fmt: skip
    rates = {name: curves[name].suggestion or 0.0 for name in means}
    found = ", ".join(f"{format_loss(sign * loss)} with {name}" for name, loss in means.items())
    what = "Held-out" if any(curve.is_held_out for curve in curves.values()) else "Training"
    reason = f"{what} loss after {step} steps, each at its best rate: {found}."
    if not means:
        return "No clear answer: no optimizer has a suggestion", ""
    if len(means) == 1:
        return f"Only {close[0]} has an answer: η = {format_lr(rates[close[0]])}", reason
    if len(close) == 1:
        does_best = "does best" if is_whole else "does best of those raced to the end"
        return f"{close[0]} {does_best}: use it with η = {format_lr(rates[close[0]])}", reason
    *others, last = close
    which = ", ".join(f"η = {format_lr(rates[name])} with {name}" for name in close)
    return f"{', '.join(others)} and {last} cannot be told apart", f"{reason} Use {which}."


def _limit(settings: LRSettings, curves: Mapping[str, LRCurve], ended: Mapping[str, str], step: int) -> str:
    parts = [f"{name}: {reason}." for name, reason in ended.items()]
    known = {n: c for n, c in curves.items() if c.suggestion is not None or c.outcome != "stopped"}
    silent = [name for name, curve in known.items() if curve.suggestion is None and name not in ended]
    if silent:
        parts.append(f"No clear answer with {', '.join(silent)}.")
    if doubtful := [name for name, curve in known.items() if curve.confidence == "between"]:
        parts.append(f"The η is in doubt with {', '.join(doubtful)}.")
    never = [rival.name for rival in settings.optimizers if rival.name not in {**known, **ended}]
    if never:
        parts.append(f"Stopped before {', '.join(never)}.")
    if step:
        parts.append("Another may be ahead after thousands of steps. Of each, η alone was searched.")
    return " ".join(parts)
