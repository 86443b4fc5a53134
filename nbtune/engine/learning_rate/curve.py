"""What a sweep and a race of learning rates yield, and what is known after them (``LRCurve``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from ...formats import format_lr
from ..curvature.estimate import Curvature
from ..plain_data import json_ready
from .events import LRStep, RaceStep
from .orders import pooled
from .race import rules as race_rules
from .race.standings import Candidate, Standings
from .settings import LRSettings
from .sweep import rules as lr_rules

if TYPE_CHECKING:
    from ..task.task import Task

Outcome = Literal["finished", "diverged", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LRCurve:
    """What is known after a race or a sweep, a pure fold of its steps (see ``from_steps``).

    Attributes:
        steps: The training steps, in order: ``RaceStep`` or ``LRStep``.
        settings: What was asked for.
        batch_size: Samples behind one update; None where the data do not tell.
        orders: Of a search over several data orders: the curve of each, from the second on. Rates are then medians
            over the orders; losses are means over those in which a rate stayed longest, or medians of a sweep.
        curvature: 2/λmax at the start, where it was asked for.
        lrs: η, rising: of each step of a sweep, of each rate of a race that has a score.
        losses: The loss of each: the step's, or the rate's score (see ``Candidate``); inf where it diverged.
        smoothed_losses: Per step, see ``lr_rules.smooth``: a centred window, so nothing lags; of a race, the scores.
        start_loss: Smoothed loss at the start; of a race, the mean loss without training.
        suggestion: η for training at a constant rate, or None with ``reason`` saying why.
        peak: η as the ``max_lr`` of a one-cycle schedule; None with ``suggestion``.
        low, high: Of a race: the good range, within which nearly all rates come close to the best after some 200 and
            after 3,000 steps (``tests/benchmarks/README.md``). Of a sweep: the usable range, from where the loss is
            5 % below its start (or from the suggestion, if that is lower) to its minimum; "usable" is not "safe": near
            ``high`` longer training may diverge. None without a suggestion or where the loss never fell.
        rises_from: η at which the loss clearly rises after its minimum, or None.
        candidates: Of a race: every rate with its losses.
        rounds: Of a race: (step, rates that left after it), for each round that has ended.
        best: Of a race: η of the lowest score, by a parabola through it and its neighbours.
        fit: That parabola as points (η, loss); empty where it has none.
        retry: A range (lr_min, lr_max) worth trying next when there is no suggestion.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        outcome: "finished", "diverged" (ended early: the loss rose) or "stopped".
    """

    steps: tuple[Any, ...]
    settings: LRSettings
    batch_size: int | None
    smoothed_losses: tuple[float, ...]
    start_loss: float | None
    suggestion: float | None
    peak: float | None
    low: float | None
    high: float | None
    rises_from: float | None
    candidates: tuple[Candidate, ...] = ()
    rounds: tuple[tuple[int, int], ...] = ()
    best: float | None = None
    fit: tuple[tuple[float, float], ...] = ()
    orders: tuple[LRCurve, ...] = ()
    curvature: Curvature | None = None
    retry: tuple[float, float] | None
    verdict: str
    reason: str
    limit: str
    outcome: Outcome
    lrs: tuple[float, ...] = field(repr=False)
    losses: tuple[float, ...] = field(repr=False)

    @classmethod
    def from_steps(
        cls,
        steps: Iterable[Any],
        *,
        settings: LRSettings | None = None,
        batch_size: int | None = None,
    ) -> LRCurve:
        """The curve of any number of steps, so that a stopped run is a valid, shorter result.

        Args:
            steps: Events of one race or one sweep, in order, possibly none.
            settings: Those of the run; without them the steps are taken for a whole sweep (a race needs them).
            batch_size: Samples behind one update.
        """
        every = tuple(steps)
        curvature = next((step for step in every if isinstance(step, Curvature)), None)
        taken = tuple(step for step in every if isinstance(step, LRStep | RaceStep))
        if settings is None:
            settings = _settings_of(taken)
        orders = _orders(taken, settings, batch_size)
        if len(orders) > 1:
            known = {**pooled(orders, settings.repeats), "orders": orders}
        else:
            known = _of_race(taken, settings) if settings.mode == "race" else _of_sweep(taken, settings)
        return cls(steps=taken, settings=settings, batch_size=batch_size, curvature=curvature, **known)

    @property
    def is_held_out(self) -> bool:
        """Whether the losses are those of held-out data."""
        return any(getattr(step, "validation_loss", None) is not None for step in self.steps[:1]) or (
            self.settings.validation is not None
        )

    @property
    def updates(self) -> int:
        """Training steps in all; those of the control, which does not train, are not among them."""
        return sum(step.lr > 0 for step in self.steps)

    @property
    def theory(self) -> str:
        """What the curvature says, in a sentence; "" where it was not asked for."""
        return "" if self.curvature is None else self.curvature.sentence

    @property
    def seconds(self) -> float:
        """From the start of the run to its last step."""
        return self.steps[-1].seconds if self.steps else 0.0

    def apply(self, task: Task) -> None:
        """Set the optimizer's learning rate to the suggestion; groups keep their ratios.

        Raises:
            ValueError: When there is no suggestion.
        """
        if self.suggestion is None:
            raise ValueError(f"there is no suggestion to apply. {self.verdict} {self.reason}")
        task.set_lr(self.suggestion, optimizer=self.settings.optimizer)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; inf and NaN become None."""
        # Without the data: they would be copied, and are no result.
        plain = asdict(replace(self, settings=replace(self.settings, validation=None)))
        del plain["lrs"], plain["losses"], plain["settings"]["validation"]
        return {"kind": "lr_curve", "schema": 1, **json_ready(plain)}

    def __repr__(self) -> str:
        suggestion = "None" if self.suggestion is None else format_lr(self.suggestion)
        is_race = self.settings.mode == "race"
        usable = ""
        if self.low is not None and self.high is not None:
            usable = f", {'good' if is_race else 'usable'} {format_lr(self.low)} to {format_lr(self.high)}"
        is_whole = is_race or self.orders
        taken = f"{self.updates} steps" if is_whole else f"{len(self.steps)} of {self.settings.steps} steps"
        return (
            f"LRCurve(suggestion={suggestion}{usable}, {taken}, "
            f"{self.outcome})\n  {self.verdict}{'' if self.verdict.endswith('.') else ':'} {self.reason}"
        )


def _orders(steps: tuple[Any, ...], settings: LRSettings, batch_size: int | None) -> tuple[LRCurve, ...]:
    if settings.repeats == 1:
        return ()
    alone, of_order = replace(settings, repeats=1), dict[int, list[Any]]()
    for step in steps:
        of_order.setdefault(step.repeat, []).append(step)
    return tuple(LRCurve.from_steps(part, settings=alone, batch_size=batch_size) for part in of_order.values())


def _of_sweep(steps: tuple[Any, ...], settings: LRSettings) -> dict[str, Any]:
    losses = tuple(s.loss if s.validation_loss is None else s.validation_loss for s in steps)
    lrs = tuple(s.lr for s in steps)
    outcome: Outcome = "finished" if len(steps) >= settings.steps else "stopped"
    if steps and steps[-1].diverged:
        outcome = "diverged"
    answer = lr_rules.suggest(lrs, losses, settings.lr_min, settings.lr_max, outcome)
    return {
        "outcome": outcome, "lrs": lrs, "losses": losses, "smoothed_losses": answer.smoothed_losses,
        "start_loss": answer.start_loss, "suggestion": answer.suggestion, "peak": answer.suggestion, "low": answer.low,
        "high": answer.high, "rises_from": answer.rises_from, "retry": answer.retry, "verdict": answer.verdict,
        "reason": answer.reason, "limit": answer.limit,
    }  # fmt: skip


def _of_race(steps: tuple[Any, ...], settings: LRSettings) -> dict[str, Any]:
    standings = Standings(settings.race_lrs)
    for step in steps:
        standings.add(step.lr, step.loss)
    reading = race_rules.read(standings, is_stopped=not standings.is_over)
    candidates = standings.candidates()
    scored = [c for c in candidates if c.score is not None]
    losses = tuple(float(c.score) for c in scored if c.score is not None)
    outcome: Outcome = "diverged" if not standings.alive else "finished" if standings.is_over else "stopped"
    limit = reading.limit
    if steps and steps[-1].is_replayed:
        limit += " Each round began anew: copies of the model for all rates did not fit in memory."
    return {
        "outcome": outcome, "lrs": tuple(c.lr for c in scored), "losses": losses, "smoothed_losses": losses,
        "start_loss": sum(standings.control) / len(standings.control) if standings.control else None,
        "suggestion": reading.suggestion, "peak": reading.peak, "low": reading.low, "high": reading.high,
        "rises_from": reading.rises_from, "candidates": candidates, "rounds": tuple(standings.rounds),
        "best": reading.best, "fit": reading.fit, "retry": reading.retry, "verdict": reading.verdict,
        "reason": reading.reason, "limit": limit.strip(),
    }  # fmt: skip


def _settings_of(steps: tuple[Any, ...]) -> LRSettings:
    if len(steps) < 10:
        return LRSettings(mode="quick")
    return LRSettings(mode="quick", lr_min=steps[0].lr, lr_max=steps[-1].lr, steps=len(steps))
