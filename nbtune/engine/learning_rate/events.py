"""What sweeps, races and searches for η yield."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..checks import number
from ..plain_data import check_event


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
        batch_size: k, where a search is over several batch sizes.
        repeat: Which data order, from 0.
        error: What the step raised, where the rate provoked it; then ``loss`` is NaN, and ``diverged`` is True.
        optimizer: The name of the optimizer, where a search is over several.
    """

    index: int
    lr: float
    loss: float
    smoothed_loss: float
    seconds: float
    validation_loss: float | None = None
    diverged: bool = False
    batch_size: int | None = None
    repeat: int = 0
    error: str = ""
    optimizer: str = ""

    def __post_init__(self) -> None:
        check_event(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RaceStep:
    """One step of one rate of a race.

    Attributes:
        lr: Its η; 0 for the control, which is never trained.
        step: Which of its steps, from 1.
        loss: The training loss before the update, mean over the batch (and over the step's updates), or the loss on
            the held-out part after it; may be inf or NaN in the last step of a rate that diverged.
        seconds: From the start of the run to the end of the step.
        fixed_losses: After the step, the loss on each of some batches kept out of the steps, in evaluation mode: at the
            end of a round, where the race cannot tell its rates apart; else ().
        is_replayed: Whether the rate began anew for this round, because copies of all did not fit in memory.
        batch_size, repeat, optimizer: As of ``LRStep``.
        error: What the step raised, where the rate provoked it; then ``loss`` is NaN.
    """

    lr: float
    step: int
    loss: float
    seconds: float
    fixed_losses: tuple[float, ...] = ()
    is_replayed: bool = False
    batch_size: int | None = None
    repeat: int = 0
    error: str = ""
    optimizer: str = ""

    def __post_init__(self) -> None:
        check_event(self)
        losses = (number("fixed_losses", loss, may_be_endless=True) for loss in self.fixed_losses)
        object.__setattr__(self, "fixed_losses", tuple(losses))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A race or a sweep of a search over batch sizes or optimizers ended before its time.

    Attributes:
        batch_size, repeat, optimizer: Of which.
        reason: Why, in a few words.
    """

    batch_size: int | None
    repeat: int
    reason: str
    optimizer: str = ""


def is_training_step(event: Any) -> bool:
    """Whether an event counts as a step, an update of weights: a race's control only looks, and an ``Ended`` is none.

    Everything that says how many steps there were, or are to come, counts these.
    """
    return isinstance(event, LRStep | RaceStep) and event.lr > 0
