"""What a result says to whoever has no room for more: one number or two, and what the next batch size would need."""

from __future__ import annotations

from typing import Any

import torch

from ..formats import format_lr
from ..host_memory import host_memory
from ..jobs import BOARD, Finding, Forecast, reference_to
from .batch_size.limit import BatchLimit
from .comparison.result import Comparison
from .learning_rate.by_batch_size import LRByBatchSize
from .learning_rate.curve import LRCurve
from .learning_rate.settings import LRSettings
from .task.task import Task


def kind_of(settings: LRSettings) -> str:
    """What a search for η is called where a job or a result is listed."""
    return "race" if settings.mode == "race" else "quick sweep"


def finding_of(
    result: LRCurve | LRByBatchSize | BatchLimit | Comparison, task: Task, *, widget: str = ""
) -> Finding | None:
    """The answer of a result; None for a result without one.

    Args:
        result: Of any tool.
        task: What was tuned.
        widget: Id of the widget that shows it; "" for a call, which is then looked for in its cell.
    """
    about: dict[str, Any] = {
        "model": " + ".join(type(model).__name__ for model in task.models.values()), "task": reference_to(task),
        "widget": widget, "cell": "" if widget else BOARD.here(),
    }  # fmt: skip
    if isinstance(result, LRByBatchSize):
        own = result.curves.get(task.samples_per_update or 0)
        return None if own is None else finding_of(own, task, widget=widget)
    if isinstance(result, LRCurve):
        if result.suggestion is None:
            return None
        return Finding(
            tool="learning_rate", lr=format_lr(result.suggestion), optimizer=result.settings.optimizer or "",
            detail=kind_of(result.settings), **about,
        )  # fmt: skip
    if result.batch_size is None:
        return None
    if isinstance(result, BatchLimit):
        return Finding(tool="batch_size", batch_size=result.batch_size, detail=_how(result), **about)
    lr = "" if result.lr is None else format_lr(result.lr)
    return Finding(tool="comparison", batch_size=result.batch_size, lr=lr, detail=result.budget.text, **about)


def forecast_of(limit: BatchLimit, task: Task) -> Forecast | None:
    """What twice the batch size would need of this machine; None for a result about another card."""
    estimate = limit.estimate
    if estimate is None or limit.settings.capacity is not None:
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
