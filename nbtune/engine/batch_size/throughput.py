"""How long a training step takes: real steps on borrowed objects, all with the same batch."""

from __future__ import annotations

import statistics
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from ..task.task import Task
from ..training.trainer import Trainer, trainer

FEWEST_STEPS, MOST_STEPS = 3, 30
ENOUGH_SECONDS = 0.3
"""Timed steps go on to ``MOST_STEPS`` while they take less than this together; short steps are noisy ones."""


def step_seconds(
    task: Task,
    batch: Any,
    *,
    max_seconds: float,
    first_step: AbstractContextManager[Any] | None = None,
) -> float:
    """Seconds of one training step with this batch, the median of at least one step after a warm-up one.

    Everything is put back afterwards, as after a sweep.

    Args:
        task: What is trained.
        batch: One batch, on any device.
        max_seconds: No further step is begun after this time.
        first_step: A context around the warm-up step, which is not timed.
    Raises:
        Exception: Whatever a step raises, memory errors included.
    """
    with trainer(on_batch(task, batch)) as made:
        begun = time.perf_counter()
        with first_step or nullcontext():
            _timed_step(made, task)
        times: list[float] = []
        while not times or _goes_on(times, time.perf_counter() - begun, max_seconds):
            times.append(_timed_step(made, task))
    return statistics.median(times)


def on_batch(task: Task, batch: Any) -> Task:
    """The task with this one batch, over and over, for its data."""
    return task.with_(data=[batch], collate_fn=None)


def _timed_step(made: Trainer, task: Task) -> float:
    begun = time.perf_counter()
    made.step(task.lr)
    if task.device.type == "cuda":
        torch.cuda.synchronize(task.device)
    return time.perf_counter() - begun


def _goes_on(times: list[float], spent_seconds: float, max_seconds: float) -> bool:
    if spent_seconds > max_seconds or len(times) >= MOST_STEPS:
        return False
    return len(times) < FEWEST_STEPS or sum(times) < ENOUGH_SECONDS
