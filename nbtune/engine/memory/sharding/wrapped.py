"""Whether a task is divided among several devices already, told by the classes that PyTorch divides with."""

from __future__ import annotations

from ...task.task import Task


def check_unwrapped(task: Task) -> None:
    """Placeholder."""
