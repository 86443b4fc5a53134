"""What a search for a batch size says to whoever has no room for more: k, and what twice as much would need."""

from __future__ import annotations

import torch

from ...host_memory import host_memory
from ...jobs import Finding, Forecast, reference_to
from ..finding import about
from ..task.task import Task
from .limit import BatchLimit


def finding_of(result: BatchLimit, task: Task, *, widget: str = "") -> Finding | None:
    """The batch size found; None where none fits or none is known, and of an evaluation, with which nobody trains.

    Args:
        result: Of a search for ``task``.
        task: What is to be trained.
        widget: Id of the widget that shows it; "" for a call, which is then looked for in its cell.
    """
    if result.batch_size is None or result.settings.evaluation:
        return None
    return Finding(tool="batch_size", batch_size=result.batch_size, detail=_how(result), **about(task, widget))


def forecast_of(limit: BatchLimit, task: Task) -> Forecast | None:
    """What twice the batch size would need of this machine; None for a result about another card."""
    estimate = limit.estimate
    if estimate is None or limit.settings.capacity is not None or limit.settings.evaluation:
        return None
    latest = {trial.batch_size: trial for trial in limit.latest}
    size = limit.batch_size
    larger = 1 if size is None else 2 * size
    trial = latest.get(larger)
    measured = None if trial is None else trial.peak_bytes
    is_host = estimate.device == "cpu"
    # On a card the context is among the others: nobody can tell it apart afterwards.
    beside = 0 if is_host else estimate.context_bytes
    return Forecast(
        device="host" if is_host else str(task.device), batch_size=size,
        has_run=size is not None and latest[size].is_measured, next_batch_size=larger,
        next_bytes=max(0, (measured or estimate.peak_bytes(larger)) - beside), held_bytes=_held_bytes(task, is_host),
        does_fit=trial.fits if trial is not None else estimate.fits(larger), task=reference_to(task),
    )  # fmt: skip


def _held_bytes(task: Task, is_host: bool) -> int:
    if not is_host:
        return torch.cuda.max_memory_reserved(task.device)
    memory = host_memory()
    return 0 if memory is None else memory.peak_bytes


def _how(limit: BatchLimit) -> str:
    trial = next(trial for trial in limit.latest if trial.batch_size == limit.batch_size)
    # Steps on the host say nothing of a card.
    is_about_host = limit.settings.capacity is None and (limit.estimate is None or limit.estimate.device == "cpu")
    has_run = trial.is_measured and trial.device == ("cpu" if is_about_host else "cuda")
    return f"{limit.capacity_name}, {'measured' if has_run else 'predicted'}"
