"""The exponential learning-rate range test (Smith 2017, arXiv 1506.01186) as a run of events."""

from __future__ import annotations

import time
from collections.abc import Generator

import torch

from ...device.default_device import CallersDevice
from ...run import GeneratorRun
from ...task.task import Task
from ...training.loss_reader import LossReader
from ...training.trainer import LOADING, Trainer, trainer
from ..events import LRStep
from ..settings import LRSettings
from . import rules as lr_rules


def sweep_lr(task: Task, settings: LRSettings | None = None) -> LRSweep:
    """A sweep, not yet begun: iterating over it trains.

    One update per η (or ``updates_per_step``), from ``settings.lr_min`` to ``settings.lr_max`` by equal factors, on
    batch after batch. The sweep ends itself when the loss diverges (see ``lr_rules.DivergenceWatch``) or
    ``max_seconds`` are over. Whoever iterates closes it, in the same thread; then everything the sweep changed is put
    back.

    Raises:
        ValueError: For settings that do not go with ``task``.
        ModelBusyError: At the first step, while another run works on the same parameters.
    """
    return LRSweep(task, settings or LRSettings())


class LRSweep(GeneratorRun[LRStep]):
    """A run of ``LRStep``, each of which counts as one."""

    def __init__(self, task: Task, settings: LRSettings) -> None:
        settings.check(task)
        self._held_out = None if settings.validation is None else task.loader_of(settings.validation)
        self._task, self._settings = task, settings
        self._callers_device = CallersDevice()
        self._trainer: Trainer | None = None
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What the step under way is doing, in words; readable from any thread."""
        return LOADING if self._trainer is None else self._trainer.waiting_for

    @property
    def total(self) -> int:
        """How many steps it takes if it does not end early."""
        return self._settings.steps

    def _events(self) -> Generator[LRStep, None, None]:
        begun, task, settings = time.perf_counter(), self._task, self._settings
        reader, events = LossReader(task.device), _Events()
        with trainer(task, tuned=settings.optimizer) as self._trainer:
            held_out = self._fixed_held_out(settings)
            growth = (settings.lr_max / settings.lr_min) ** (1 / (settings.steps - 1))
            for index in range(settings.steps):
                lr = settings.lr_min * growth**index
                loss = self._step(lr, settings.updates_per_step or 1, held_out)
                reader.put((index, lr, time.perf_counter() - begun), loss)
                for tag, values in reader.ready():
                    yield (event := events.made(tag, values))
                    if event.diverged:
                        return
                if settings.max_seconds is not None and time.perf_counter() - begun > settings.max_seconds:
                    break
            for tag, values in reader.ready(everything=True):
                yield (event := events.made(tag, values))
                if event.diverged:
                    return

    def _step(self, lr: float, updates: int, held_out: list[object]) -> torch.Tensor:
        assert self._trainer is not None
        with self._callers_device.in_force():
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
        self._watch = lr_rules.DivergenceWatch()
        self._recent: list[float] = []

    def made(self, tag: tuple[int, float, float], values: list[float]) -> LRStep:
        index, lr, seconds = tag
        self._recent = [*self._recent[-7:], values[0]]
        validation = values[1] if len(values) > 1 else None
        return LRStep(
            index=index, lr=lr, loss=values[0], smoothed_loss=lr_rules.line_end(self._recent), seconds=seconds,
            validation_loss=validation, diverged=self._watch.sees(values[0] if validation is None else validation),
        )  # fmt: skip
