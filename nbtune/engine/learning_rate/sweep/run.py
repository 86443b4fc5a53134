"""The exponential learning-rate range test (Smith 2017, arXiv 1506.01186) as a run of events."""

from __future__ import annotations

import math
import time
from collections.abc import Generator

import torch

from ...checks import made_of
from ...run import GeneratorRun
from ...task.task import Task
from ...training.kept import NotEnoughMemoryError
from ...training.loss_reader import LossReader
from ...training.notes import Notes
from ...training.provoked import is_of_memory, may_be_provoked, words_of
from ...training.trainer import LOADING, Trainer, trainer
from ..events import LRStep
from ..settings import LRSettings
from . import rules


def sweep_lr(task: Task, settings: LRSettings | None = None, *, is_fenced: bool = False) -> LRSweep:
    """A sweep, not yet begun: iterating over it trains.

    One update per η (or ``updates_per_step``), from ``settings.lr_min`` to ``settings.lr_max`` by equal factors, on
    batch after batch. The sweep ends itself when the loss diverges (see ``rules.DivergenceWatch``) or
    ``max_seconds`` are over. Whoever iterates closes it, in the same thread; then everything the sweep changed is put
    back. ``is_fenced``: as of ``Trainer``.

    Raises:
        ValueError: For settings that do not go with ``task``.
        ModelBusyError: At the first step, while another run works on the same parameters.
    """
    return LRSweep(task, made_of(LRSettings, settings, {}, taker="sweep_lr"), is_fenced=is_fenced)


class LRSweep(GeneratorRun[LRStep]):
    """A run of ``LRStep``, each of which counts as one.

    Attributes:
        noted: What is to be said besides, by trainer.
    """

    def __init__(self, task: Task, settings: LRSettings, *, is_fenced: bool = False) -> None:
        settings.check(task)
        self._held_out = None if settings.validation is None else task.loader_of(settings.validation)
        self._task, self._settings = task, settings
        self._trainer: Trainer | None = None
        self.noted: list[Notes] = []
        self._is_hurried, self._is_fenced, self._is_out_of_room = False, is_fenced, False
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What the step under way is doing, in words; readable from any thread."""
        return LOADING if self._trainer is None else self._trainer.waiting_for

    @property
    def total(self) -> int:
        """How many steps it takes if it does not end early."""
        return self._settings.steps

    def hurry(self) -> None:
        """Let the check of an error end after the step under way; see ``_comes_from_the_rate``."""
        self._is_hurried = True

    def _events(self) -> Generator[LRStep, None, None]:
        begun, settings = time.perf_counter(), self._settings
        events, failure = _Events(), None
        with trainer(self._task, tuned=settings.optimizer, is_fenced=self._is_fenced) as self._trainer:
            self.noted.append(self._trainer.notes)
            reader, held_out = LossReader(self._task.device), self._fixed_held_out(settings)
            for index, lr in enumerate(settings.sweep_lrs):
                loss, failure = self._tried(lr, held_out)
                if loss is not None:
                    reader.put((index, lr, time.perf_counter() - begun), loss)
                for tag, values in reader.ready():
                    yield (event := events.made(tag, values))
                    if event.diverged:
                        return
                is_late = settings.max_seconds is not None and time.perf_counter() - begun > settings.max_seconds
                if failure is not None or is_late or self._is_out_of_room:
                    break
            for tag, values in reader.ready(everything=True):
                yield (event := events.made(tag, values))
                if event.diverged:
                    return
        if failure is not None:
            # Only here, when the trainer is closed, can the steps be taken anew.
            if not self._comes_from_the_rate(events.count):
                raise failure
            yield events.failed(settings.sweep_lrs[events.count], time.perf_counter() - begun, words_of(failure))

    def _tried(self, lr: float, held_out: list[object]) -> tuple[torch.Tensor | None, Exception | None]:
        """The step's loss, or what it raised where that may be the rate's (see ``training.provoked``)."""
        failure: Exception | None = None
        try:
            return self._step(lr, self._settings.updates_per_step or 1, held_out), None
        except NotEnoughMemoryError as error:
            if self._trainer is None or not self._trainer.steps_taken:
                raise
            self.noted[-1].said.add(f"Ended early: {error}.")
            self._is_out_of_room = True
            return None, None
        except Exception as error:
            failure = error
        assert self._trainer is not None
        if not may_be_provoked(failure, self._trainer):
            raise failure
        return None, failure

    def _comes_from_the_rate(self, steps: int) -> bool:
        """Whether all steps to the one that raised, and that one, go well at the lowest rate.

        Where there is no room for them, that is taken to be so.
        """
        updates = (steps + 1) * (self._settings.updates_per_step or 1)
        try:
            with trainer(self._task, tuned=self._settings.optimizer) as self._trainer:
                return self._goes_well(self._trainer, updates)
        except Exception as error:
            if not is_of_memory(error):
                raise
            return True

    def _goes_well(self, checking: Trainer, updates: int) -> bool:
        for _ in range(updates):
            if self._is_hurried:
                return True  # whoever stops the sweep wants what it found
            try:
                checking.step(self._settings.lr_min)
            except Exception as error:
                return is_of_memory(error)
        return True

    def _step(self, lr: float, updates: int, held_out: list[object]) -> torch.Tensor:
        assert self._trainer is not None
        with self._trainer.stretch(lr):
            losses = [self._trainer.take_step() for _ in range(updates)]
        loss = losses[0] if updates == 1 else torch.stack(losses).mean()
        return torch.stack([loss.float(), self._trainer.evaluate(held_out)]) if held_out else loss

    def _fixed_held_out(self, settings: LRSettings) -> list[object]:
        if self._held_out is None or self._trainer is None:
            return []
        return self._trainer.fixed_batches(self._held_out, settings.validation_batches)


class _Events:
    """Losses become events; what an event says of the past is kept here."""

    def __init__(self) -> None:
        self._watch = rules.DivergenceWatch()
        self._recent: list[float] = []
        self.count = 0

    def made(self, tag: tuple[int, float, float], values: list[float]) -> LRStep:
        index, lr, seconds = tag
        self._recent, self.count = [*self._recent[-7:], values[0]], self.count + 1
        validation = values[1] if len(values) > 1 else None
        return LRStep(
            index=index, lr=lr, loss=values[0], smoothed_loss=rules.line_end(self._recent), seconds=seconds,
            validation_loss=validation, diverged=self._watch.sees(values[0] if validation is None else validation),
        )  # fmt: skip

    def failed(self, lr: float, seconds: float, error: str) -> LRStep:
        return LRStep(
            index=self.count, lr=lr, loss=math.nan, smoothed_loss=math.nan, seconds=seconds, diverged=True, error=error
        )
