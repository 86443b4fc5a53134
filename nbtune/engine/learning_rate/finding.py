"""What a search for η says to whoever has no room for more: one number."""

from __future__ import annotations

from ...formats import format_lr
from ...jobs import Finding
from ..finding import about
from ..task.task import Task
from .by_batch_size import LRByBatchSize
from .by_optimizer import LRByOptimizer
from .curve import LRCurve
from .settings import LRSettings

LRResult = LRCurve | LRByBatchSize | LRByOptimizer
"""What a search for η may find."""


def kind_of(settings: LRSettings) -> str:
    """What a search for η is called where a job or a result is listed."""
    return "race" if settings.mode == "race" else "quick sweep"


def finding_of(result: LRResult, task: Task, *, widget: str = "") -> Finding | None:
    """The η found, of several batch sizes or optimizers that of the task's own; None for a result without one.

    Args:
        result: Of a search for ``task``.
        task: What was tuned.
        widget: Id of the widget that shows it; "" for a call, which is then looked for in its cell.
    """
    curve: LRCurve | None
    if isinstance(result, LRByBatchSize):
        curve = result.curves.get(task.samples_per_update or 0)
    else:
        curve = result.curves.get(result.own) if isinstance(result, LRByOptimizer) else result
    if curve is None or curve.suggestion is None:
        return None
    return Finding(
        tool="learning_rate", lr=format_lr(curve.suggestion), optimizer=curve.settings.optimizer or "",
        detail=kind_of(curve.settings), **about(task, widget),
    )  # fmt: skip
