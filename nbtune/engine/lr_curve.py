"""What a learning-rate sweep yields (``LRStep``) and what is known after it (``LRCurve``)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from ..formats import format_lr
from . import lr_rules
from .plain_data import json_ready

if TYPE_CHECKING:
    from .task import Task

Outcome = Literal["finished", "diverged", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LRSettings:
    """What a sweep is asked to do; the widget and ``find_lr`` take the same one.

    Args:
        lr_min: η of the first step, > 0.
        lr_max: η of the last step, > ``lr_min``. For several parameter groups η is the rate of the
            first group (whose rate is not 0); the others keep their ratio to it.
        steps: Number of steps, ≥ 10. η grows by the same factor at each.
        updates_per_step: Optimizer updates at each η, ≥ 1; the step's loss is their mean. Above 1 for batches so small
            that the loss of one tells little.
        max_seconds: The sweep stops after the step that exceeds this time; None for no limit.
        validation: Held-out data, in the forms of ``Task``'s ``data``: its first
            ``validation_batches`` batches are kept, and their mean loss in eval mode is measured
            after every step. The suggestion is then read off that loss.
        validation_batches: How many of its batches are kept, ≥ 1.
    Raises:
        ValueError: For a range or a number outside these limits.
    """

    lr_min: float = 1e-5
    lr_max: float = 10.0
    steps: int = 100
    updates_per_step: int = 1
    max_seconds: float | None = None
    validation: Any = field(default=None, compare=False, repr=False)
    validation_batches: int = 4

    def __post_init__(self) -> None:
        for name in ("lr_min", "lr_max"):
            value = getattr(self, name)
            if not isinstance(value, Real) or not math.isfinite(value) or value <= 0:
                raise ValueError(f"{name} must be a number above 0, not {value!r}")
        if self.lr_min >= self.lr_max:
            raise ValueError(f"lr_min must be below lr_max, not {format_lr(self.lr_min)} and {format_lr(self.lr_max)}")
        if not isinstance(self.steps, Integral) or self.steps < 10:
            raise ValueError(f"steps must be a whole number from 10 up, not {self.steps!r}")
        if not isinstance(self.updates_per_step, Integral) or self.updates_per_step < 1:
            raise ValueError(f"updates_per_step must be a whole number from 1 up, not {self.updates_per_step!r}")
        if self.max_seconds is not None and not (isinstance(self.max_seconds, Real) and self.max_seconds > 0):
            raise ValueError(f"max_seconds must be above 0 or None, not {self.max_seconds!r}")
        if not isinstance(self.validation_batches, Integral) or self.validation_batches < 1:
            raise ValueError(f"validation_batches must be a whole number from 1 up, not {self.validation_batches!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LRStep:
    """One η of a sweep.

    Attributes:
        index: 0 for the first step.
        lr: η used in this step.
        loss: The training loss before the update, mean over the batch (and over the step's updates); may be inf or
            NaN in the last step of a sweep that diverged.
        smoothed_loss: What is known of the trend at this step without looking ahead: the end point
            of a straight line fitted to the last 8 losses (fewer at the start). A line has no lag
            on a trend, unlike an exponential average.
        seconds: From the start of the run to the end of this step.
        validation_loss: Mean loss on the held-out part after the step; None without one.
        diverged: True on the step at which the sweep ended itself because the loss rose or was no
            longer finite.
    """

    index: int
    lr: float
    loss: float
    smoothed_loss: float
    seconds: float
    validation_loss: float | None = None
    diverged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LRCurve:
    """What is known after a sweep, a pure fold of its steps (see ``from_steps``).

    Attributes:
        steps: The events, in order.
        settings: What was asked for.
        batch_size: Samples behind one update; None where the data do not tell.
        smoothed_losses: Per step, see ``lr_rules.smooth``: a centred window, so nothing lags.
        start_loss: Smoothed loss at the start.
        suggestion: η for training at a constant rate, or None with ``reason`` saying why.
        peak: η as the ``max_lr`` of a one-cycle schedule; None with ``suggestion``.
        low, high: The usable range: from where the loss is 5 % below its start (or from the suggestion, if
            that is lower) to its minimum. None where it never fell.
            "Usable" is not "safe": near ``high`` longer training may diverge.
        rises_from: η at which the loss clearly rises after its minimum, or None.
        retry: A range (lr_min, lr_max) worth trying next when there is no suggestion.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        outcome: "finished", "diverged" (ended early: the loss rose) or "stopped".
    """

    steps: tuple[LRStep, ...]
    settings: LRSettings
    batch_size: int | None
    smoothed_losses: tuple[float, ...]
    start_loss: float | None
    suggestion: float | None
    peak: float | None
    low: float | None
    high: float | None
    rises_from: float | None
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
        steps: Iterable[LRStep],
        *,
        settings: LRSettings | None = None,
        batch_size: int | None = None,
    ) -> LRCurve:
        """The curve of any number of steps, so that a stopped run is a valid, shorter result.

        Args:
            steps: Events of one sweep, in order, possibly none.
            settings: Those of the sweep; without them the steps are taken for a whole sweep.
            batch_size: Samples behind one update.
        """
        steps = tuple(steps)
        if settings is None:
            settings = _settings_of(steps)
        losses = tuple(s.loss if s.validation_loss is None else s.validation_loss for s in steps)
        lrs = tuple(s.lr for s in steps)
        outcome = _outcome(steps, settings)
        answer = lr_rules.suggest(lrs, losses, settings.lr_min, settings.lr_max, outcome)
        return cls(
            steps=steps, settings=settings, batch_size=batch_size, outcome=outcome, lrs=lrs, losses=losses,
            smoothed_losses=answer.smoothed_losses, start_loss=answer.start_loss,
            suggestion=answer.suggestion, peak=answer.suggestion, low=answer.low, high=answer.high,
            rises_from=answer.rises_from, retry=answer.retry, verdict=answer.verdict, reason=answer.reason,
            limit=answer.limit,
        )  # fmt: skip

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
        task.set_lr(self.suggestion)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields; inf and NaN become None."""
        # Without the data: they would be copied, and are no result.
        plain = asdict(replace(self, settings=replace(self.settings, validation=None)))
        del plain["lrs"], plain["losses"], plain["settings"]["validation"]
        return {"kind": "lr_curve", "schema": 1, **json_ready(plain)}

    def __repr__(self) -> str:
        suggestion = "None" if self.suggestion is None else format_lr(self.suggestion)
        usable = (
            "" if self.low is None or self.high is None else f", usable {format_lr(self.low)} to {format_lr(self.high)}"
        )
        return (
            f"LRCurve(suggestion={suggestion}{usable}, {len(self.steps)} of {self.settings.steps} steps, "
            f"{self.outcome})\n  {self.verdict}{'' if self.verdict.endswith('.') else ':'} {self.reason}"
        )


def _outcome(steps: tuple[LRStep, ...], settings: LRSettings) -> Outcome:
    if steps and steps[-1].diverged:
        return "diverged"
    return "finished" if len(steps) >= settings.steps else "stopped"


def _settings_of(steps: tuple[LRStep, ...]) -> LRSettings:
    if len(steps) < 10:
        return LRSettings()
    return LRSettings(lr_min=steps[0].lr, lr_max=steps[-1].lr, steps=len(steps))
