"""What every tool's finding says of the task it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from ..jobs import BOARD, reference_to


class HasModels(Protocol):
    """A task, as far as a finding names it."""

    @property
    def models(self) -> Mapping[str, Any]:
        """By name."""


def about(task: HasModels, widget: str) -> dict[str, Any]:
    """Those fields of a ``Finding`` that say what was tuned and where.

    Args:
        task: What was tuned.
        widget: Id of the widget that shows it; "" for a call, which is then looked for in its cell.
    """
    return {
        "model": " + ".join(type(model).__name__ for model in task.models.values()), "task": reference_to(task),
        "widget": widget, "cell": "" if widget else BOARD.here(),
    }  # fmt: skip
