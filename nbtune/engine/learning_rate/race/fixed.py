"""Batches kept out of the steps of their epoch, by which a race judges what its steps cannot tell apart."""

from __future__ import annotations

import math
from typing import Any

import torch

from ...device import out_of_memory
from ...task import batches
from ...task.loaders import samples_in
from ...task.task import Task
from ...training.feeds import SharedBatches
from .runner import Runner
from .standings import CONTROL, Standings

SAMPLES = 256
"""So many are looked at, in as many batches as hold them."""

LEAST, WANTED, MOST = 4, 8, 64
"""Batches: at the least; at the least where they are small; at the most. Their differences give the error."""

WANTED_BYTES = 2**26
"""More than the least are not kept beyond this."""


class FixedBatches:
    """Drawn once, when a race finds that it cannot tell its rates apart: those that come next.

    A rate that begins anew passes them over at the same place, so that all train on the same batches.

    Args:
        task: Whose batches they are.
        standings: Of the race.
        may_be: Whether they are of use: not where every step is judged by held-out data, nor where the user's own
            ``update`` has no loss without a step.
    Attributes:
        at: After this step of each rate they come; 0 before they are asked for.
    """

    def __init__(self, task: Task, standings: Standings, *, may_be: bool) -> None:
        self.at = 0
        self._task, self._standings = task, standings
        self._may_be = may_be and self._there_are() >= LEAST
        self._kept: list[Any] | None = None  # [] where the user's code has no loss in evaluation mode
        self._count = 0

    def ask(self) -> None:
        """Let them come at the present step, where the race wants them and they have no place yet."""
        if self._standings.wants_fixed and self._may_be and not self.at:
            self.at = self._standings.taken

    def _there_are(self) -> float:
        """Batches of one epoch: more would be the same samples again, and no further looks."""
        samples, size = samples_in(self._task.loader), self._task.batch_size
        return math.inf if samples is None or not size else samples // size

    def draw(self, shared: SharedBatches, runner: Runner) -> bool:
        """Take them out of ``shared``, at their place.

        Args:
            shared: Whose next batches they are.
            runner: Of a rate that does no harm, or the control: what cannot be evaluated with it, cannot be at all.
        """
        shared.advance(1)
        found = list(shared.window)
        self._count = self._count or self._counted(found[0])
        shared.advance(self._count - 1)
        if self._kept is None:
            self._kept = [*found, *shared.window]
            try:
                if not torch.isfinite(runner.losses_on(self._kept)).all():
                    self._kept = []
            except Exception as error:
                if out_of_memory.kind_of(error) in ("out of memory", "ambiguous"):
                    raise
                self._kept = []  # a model that returns something else than a loss there, or needs a gradient
        return True

    def losses_of(self, runner: Runner) -> torch.Tensor:
        """At the end of a round, shape (batches,); else, or where there are none, (0,)."""
        device = self._task.device
        if not self._kept or runner.failure is not None or runner.taken != self._standings.end:
            return torch.empty(0, dtype=torch.float64, device=device)
        try:
            return runner.losses_on(self._kept).to(device)
        except Exception as error:
            if runner.lr == CONTROL or out_of_memory.kind_of(error) != "other":
                raise
            # It was possible before, so this rate has blown up.
            return torch.full((len(self._kept),), math.nan, dtype=torch.float64, device=device)

    def _counted(self, first: Any) -> int:
        # By the batch alone, not by the memory there is: the answer must not depend on that.
        samples = self._task.batch_size
        wanted = max(WANTED, math.ceil(SAMPLES / samples)) if samples else WANTED
        fits = WANTED_BYTES // max(1, sum(tensor.nbytes for tensor in batches.tensors_of(first)))
        return int(max(LEAST, min(MOST, wanted, fits, self._there_are())))
