"""What a job that has ended found, and what the next larger batch would need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .job import Tool, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a finished job found.

    Attributes:
        tool: Whose.
        lr: η, as text that is also code ("0.02"); "" for none.
        batch_size: k; None for none.
        detail: How it was found, in words.
        optimizer: The name of the only one whose rate ``lr`` is; "" for all.
        model: Class name of the model.
        task: What was tuned; not kept alive.
        widget: Id of the widget that shows it, "" for none.
        cell: Id of the cell that ran it, "" where it is not known.
        job: Id of the job that found it; the board says it.
        id: One of its own.
    """

    tool: Tool
    lr: str = ""
    batch_size: int | None = None
    detail: str = ""
    optimizer: str = ""
    model: str = ""
    task: Callable[[], Any] = lambda: None
    widget: str = ""
    cell: str = ""
    job: str = field(default="", compare=False)
    id: str = field(default_factory=new_id)

    def replaces(self, known: Finding) -> bool:
        """Whether it is the same widget's, or the same cell's when run again."""
        if self.widget or known.widget:
            return self.widget == known.widget
        return bool(self.cell) and (self.tool, self.cell) == (known.tool, known.cell)

    def code(self, task: str = "task") -> str:
        """Python that applies it to the variable ``task``.

        Examples:
            >>> print(Finding(tool="comparison", lr="0.02", batch_size=32).code())
            task = task.with_(batch_size=32)
            task.set_lr(0.02)
            >>> Finding(tool="learning_rate", lr="0.02", optimizer="critic").code()
            "task.set_lr(0.02, optimizer='critic')"
        """
        which = f", optimizer={self.optimizer!r}" if self.optimizer else ""
        size = [] if self.batch_size is None else [f"{task} = {task}.with_(batch_size={self.batch_size})"]
        return "\n".join([*size, *([f"{task}.set_lr({self.lr}{which})"] if self.lr else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What the next larger batch size would need, by the latest estimate for this machine.

    Attributes:
        device: Where: "host", or "cuda:0" ….
        batch_size: The largest power of two that fits; None where none does.
        has_run: Whether that one was really run.
        next_batch_size: The power of two above it.
        next_bytes: What this process would hold of the device at that one's peak.
        held_bytes: The most it had held of the device when that was estimated.
        does_fit: Whether it fits all the same: it was the largest looked at.
        task: What is to be trained; not kept alive.
    """

    device: str
    batch_size: int | None
    has_run: bool
    next_batch_size: int
    next_bytes: int
    held_bytes: int
    does_fit: bool
    task: Callable[[], Any] = lambda: None
