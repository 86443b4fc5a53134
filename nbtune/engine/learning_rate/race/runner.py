"""One rate of a race on its way."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import torch

from ...task import batches
from ...task.task import Task
from ...training.feeds import SharedBatches
from ...training.provoked import Failure, may_be_provoked
from ...training.trainer import LOADING, Trainer
from ...training.workpiece import Backups, lent
from .standings import CONTROL


class Runner:
    """A model that trains at a constant rate, on batches it shares with others.

    Args:
        lr: η; ``CONTROL`` for one that only looks.
        task: Held by whoever makes it.
        shared: The batches.
        in_place: Whether the model itself is trained, not a copy.
        backups: Of those that train the model itself, one after the other.
        is_first: Whether it takes the first step of the race.
        tuned: The name of the optimizer whose rate is set; None for all.
        has_room: Whether there is memory for a copy, as far as is known; else that is asked.
        is_fenced: As of ``Trainer``.
    Attributes:
        is_copy: Whether it trains a copy; else no other may be open.
        taken: Its steps so far.
        failure: What ended it, where a step raised.
    """

    def __init__(
        self, lr: float, task: Task, shared: SharedBatches, *, in_place: bool, backups: Backups, is_first: bool,
        tuned: str | None, has_room: bool = False, is_fenced: bool = False,
    ) -> None:  # fmt: skip
        self.lr = lr
        self._last_words = LOADING
        self._undo = ExitStack()
        workpiece = self._undo.enter_context(lent(task, in_place=in_place, has_room=has_room, backups=backups))
        self.is_copy = workpiece.is_copy
        try:
            self._trainer: Trainer | None = Trainer(
                task, workpiece, shared.reader(), tuned=tuned, is_first=is_first, is_fenced=is_fenced
            )
        except BaseException:
            self._undo.close()
            raise
        self._undo.callback(self._trainer.close)
        # An update= of the user's own has no loss without a step, so its control takes steps of η = 0.
        self._only_looks = lr == CONTROL and task.update is None
        self.taken = 0
        self.failure: Failure | None = None

    @property
    def trainer(self) -> Trainer:
        assert self._trainer is not None
        return self._trainer

    @property
    def waiting_for(self) -> str:
        """What the step under way, or the last one, is doing: after an error it tells where that came from."""
        return self._last_words if self._trainer is None else self._trainer.waiting_for

    def close(self) -> None:
        """Let go of the model; harmless when done before."""
        self._last_words = self.waiting_for
        self._undo.close()
        self._trainer = None

    def losses(self, count: int, updates: int, held_out: list[Any]) -> torch.Tensor:
        """Of ``count`` steps, each the mean over ``updates`` (or of ``held_out`` after them), shape (count,).

        Shorter where a step raised what its rate may have provoked: then ``failure`` says so.
        """
        losses: list[torch.Tensor] = []
        error: Exception | None = None
        try:
            if held_out:
                losses += (self._held_out_loss(updates, held_out) for _ in range(count))
            else:
                self._train(count * updates, losses)
        except Exception as raised:
            if self.lr == CONTROL:
                raise  # without training, it is no rate's
            error = raised
        if error is not None and not may_be_provoked(error, self.trainer):
            raise error
        whole = len(losses) // (1 if held_out else updates)
        self.taken += whole
        if error is not None:
            self.failure = Failure(self.taken, error)
        if not whole:
            return torch.empty(0, dtype=torch.float64)
        made = torch.stack(losses[: whole * (1 if held_out else updates)]).double()
        return made if held_out or updates == 1 else made.reshape(whole, updates).mean(1)

    def losses_on(self, fixed: list[Any]) -> torch.Tensor:
        """The loss on each of ``fixed`` batches as the model is now, in evaluation mode, shape (batches,).

        Raises:
            ValueError: Where the user's code skips one.
        """
        losses = self.trainer.losses_on([batches.with_own_containers(batch, clones=True) for batch in fixed])
        if len(losses) != len(fixed):
            raise ValueError("a fixed batch was skipped")
        return losses.double()

    def _train(self, count: int, losses: list[torch.Tensor]) -> None:
        take = self.trainer.look if self._only_looks else self.trainer.take_step
        with self.trainer.stretch(self.lr):
            for _ in range(count):
                losses.append(take())

    def _held_out_loss(self, updates: int, held_out: list[Any]) -> torch.Tensor:
        with self.trainer.stretch(self.lr):
            for _ in range(0 if self._only_looks else updates):
                self.trainer.take_step()
        return self.trainer.evaluate(held_out).double()
