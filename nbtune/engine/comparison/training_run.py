"""One training run of a comparison, taken a slice at a time."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack

import torch

from ..device import out_of_memory
from ..task.task import Task
from ..training.feeds import LoaderFeed
from ..training.loader_state import LoaderState
from ..training.provoked import goes_well_at_the_start, may_be_provoked, words_of
from ..training.trainer import Trainer
from ..training.workpiece import Backups, lent
from .budget import Budget
from .curves import DIVERGED, FINISHED, ONE_SAMPLE, OUT_OF_MEMORY
from .events import LossStep, Run

SLICE_SECONDS = 0.03
"""Long enough that changing from run to run costs little, short enough that a stop is felt at once."""

FIRST_SAMPLES = 16
"""Samples behind the first point of a curve, at least: the loss of one tells nothing."""

GROWTH = 1.2
"""From point to point: twelve in a decade, evenly on a log axis."""

HELD_OUT_EVERY = 2


def next_point(updates: int, batch_size: int) -> int:
    """Updates at the end of the point that follows the one ending at ``updates``.

    Examples:
        >>> [next_point(u, 1) for u in (0, 16, 100, 1000)], next_point(0, 512)
        ([16, 32, 120, 1200], 1)
    """
    return max(updates + math.ceil(FIRST_SAMPLES / batch_size), math.ceil(GROWTH * updates - 1e-9))


class TrainingRun:
    """A model on its way, from the task's present state to the end of a budget.

    It depends on nothing but its arguments, so that runs may as well go on elsewhere.

    Args:
        run: k, η and seed.
        task: With the run's own data: batches of k samples in the seed's order.
        budget: In samples, updates or seconds.
        loader_state: Of the user's own loader.
        backups: Of the runs that train the model itself, one after the other.
        is_fenced: As of ``Trainer``.
        held_out: Batches that are evaluated at every second point.
    Attributes:
        is_copy: Whether it trains a copy; else no other run may be open.
        ended: Why it has ended, as in ``LossStep``; "" before.
        error: What η made a step raise, where that ended it.
    """

    def __init__(
        self, run: Run, task: Task, budget: Budget, loader_state: LoaderState, *,
        backups: Backups | None = None, is_fenced: bool = False,
    ) -> None:  # fmt: skip
        self.run, self.ended = run, ""
        self.error: Exception | None = None
        self.held_out: list[object] = []
        self._budget = budget
        self._updates, self._seconds, self._point = 0, 0.0, 0
        self._total = budget.updates_of(run.batch_size)
        self._point_end = self._end_of_point()
        self._task, self._device = task, task.device
        self._undo = ExitStack()
        workpiece = self._undo.enter_context(lent(task, backups=backups))
        self.is_copy = workpiece.is_copy
        try:
            self.trainer = Trainer(
                task, workpiece, LoaderFeed(task.loader, loader_state), run.seed, is_fenced=is_fenced
            )
        except BaseException:
            self._undo.close()
            raise
        self._undo.callback(self.trainer.close)

    @property
    def share_done(self) -> float:
        """The part of the budget that is spent; 1 when the run has ended."""
        return 1.0 if self.ended else self._budget.share_spent(self.run.batch_size, self._updates, self._seconds)

    def close(self) -> None:
        """Let go of the model; harmless when done before."""
        self._undo.close()

    def slice(self) -> LossStep:
        """Go on training, for at most ``SLICE_SECONDS`` and within one point of the curve.

        Memory that runs out, a BatchNorm that refuses a single sample, and an error that η provokes end the run and
        say so.

        Raises:
            Exception: Whatever else the user's code raises.
        """
        failure: Exception | None = None
        try:
            return self._trained()
        except Exception as error:
            failure = error
        # Only here, after the except block, does nothing hold the step's tensors any more.
        self.ended = reason_to_end(failure) or self._provoked(failure)
        if not self.ended:
            raise failure
        self.close()
        out_of_memory.released(self._device, 0, failure)
        return self._event(math.nan)

    def _provoked(self, error: Exception) -> str:
        """What ends the run where its η made the step raise (see ``training.provoked``); "" for the user's own."""
        is_own = may_be_provoked(error, self.trainer)
        # In place there is no second model to ask; then the others' ends tell, see ``ComparisonRun``.
        if is_own and self.is_copy:
            is_own = goes_well_at_the_start(self._task, self.trainer.batches_of_step, self.run.lr)
        if is_own:
            self.error = error
        return f"{words_of(error).rstrip('.')}." if is_own else ""

    def _trained(self) -> LossStep:
        losses: list[torch.Tensor] = []
        begun = time.perf_counter()
        with self.trainer.stretch(self.run.lr):
            for _ in range(self._point_end - self._updates):
                losses.append(self.trainer.take_step())
                if time.perf_counter() - begun > SLICE_SECONDS:
                    break
        loss = float(torch.stack(losses).double().mean())  # on an accelerator this waits for the steps
        self._seconds += time.perf_counter() - begun
        self._updates += len(losses)
        self._judge(loss)
        return self._event(loss, self._evaluated() if math.isfinite(loss) else None)

    def _judge(self, loss: float) -> None:
        if not math.isfinite(loss):
            self.ended = DIVERGED
        elif self._budget.share_spent(self.run.batch_size, self._updates, self._seconds) >= 1:
            self.ended = FINISHED

    def _event(self, loss: float, held_out_loss: float | None = None) -> LossStep:
        step = LossStep(
            run=self.run, samples_seen=self._updates * self.run.batch_size, updates=self._updates, loss=loss,
            seconds=self._seconds, point=self._point, held_out_loss=held_out_loss, ended=self.ended,
        )  # fmt: skip
        if self._updates == self._point_end:
            self._point, self._point_end = self._point + 1, self._end_of_point()
        return step

    def _end_of_point(self) -> int:
        following = next_point(self._updates, self.run.batch_size)
        return following if self._total is None else min(self._total, following)

    def _evaluated(self) -> float | None:
        is_due = self._updates == self._point_end and self._point % HELD_OUT_EVERY == 0
        if not self.held_out or not (is_due or self.ended):
            return None
        return float(self.trainer.evaluate(self.held_out))


def interleaved(runs: list[TrainingRun]) -> Iterator[LossStep]:
    """Slices of several runs: always of the one that has spent the least of its budget, so that all grow together."""
    active = list(runs)
    while active:
        run = min(active, key=lambda one: one.share_done)
        step = run.slice()
        if run.ended:
            active.remove(run)
            run.close()
        yield step


def reason_to_end(error: Exception) -> str | None:
    """Why a run ends that the others outlive; None for an error of the user's own."""
    kind = out_of_memory.kind_of(error)
    if kind == "batch norm":
        return ONE_SAMPLE
    return OUT_OF_MEMORY if kind in ("out of memory", "ambiguous") else None
