"""What a comparison of batch sizes says to whoever has no room for more: k and its η."""

from __future__ import annotations

from ...formats import format_lr
from ...jobs import Finding
from ..finding import about
from ..task.task import Task
from .result import Comparison


def finding_of(result: Comparison, task: Task, *, widget: str = "") -> Finding | None:
    """The k that won and the η it was trained at; None where none won.

    Args:
        result: Of a comparison for ``task``.
        task: What was trained.
        widget: Id of the widget that shows it; "" for a call, which is then looked for in its cell.
    """
    if result.batch_size is None:
        return None
    lr = "" if result.lr is None else format_lr(result.lr)
    return Finding(
        tool="comparison", batch_size=result.batch_size, lr=lr, detail=result.budget.text, **about(task, widget)
    )
