"""What a comparison yields, and of which run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..checks import shown
from ..plain_data import check_event


class Run(NamedTuple):
    """One training run of a comparison: all that tells it from the others.

    Attributes:
        batch_size: k, samples behind one update.
        lr: η, constant.
        seed: Decides the order of the data and the run's random numbers; the weights at the start are the same.
    """

    batch_size: int
    lr: float
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LossStep:
    """A stretch of one training run, since the run's event before it.

    Attributes:
        run: Which one.
        samples_seen: By its end, since the run's start.
        updates: The same in updates; ``samples_seen`` is k times as many.
        loss: Mean training loss over the stretch, each batch's before its update.
        seconds: What the run's own steps have taken by its end, the loading of the data included.
        point: Which point of the run's curve it adds to, from 0: a point may be made of several events.
        held_out_loss: After the stretch, where it was evaluated.
        ended: Why the run ended here before its budget was spent: "diverged" (the loss is not finite), or a sentence.
    """

    run: Run
    samples_seen: int
    updates: int
    loss: float
    seconds: float
    point: int
    held_out_loss: float | None = None
    ended: str = ""

    def __post_init__(self) -> None:
        check_event(self)
        if not isinstance(self.run, Run):
            raise TypeError(f"run must be a Run (batch_size, lr, seed), not {shown(self.run)}")
