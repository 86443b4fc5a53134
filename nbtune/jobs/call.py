"""Headless calls on the board."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from .board import BOARD
from .finding import Finding, Forecast
from .job import Job, Progress, Tool, reference_to


class Call(Job):
    """A job that the caller's own loop carries out.

    Attributes:
        now: How far it is; the loop sets it.
        is_stopped: Whether somebody asked it to stop; the loop then ends with what it has.

    Args:
        hurry: Lets the piece under way end sooner when it is asked to stop; called from any thread.
    """

    def __init__(
        self,
        tool: Tool,
        detail: str = "",
        *,
        max_seconds: float | None = None,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self.now, self.is_stopped, self._hurry = Progress(), False, hurry
        self._found: tuple[Finding | None, Forecast | None] = (None, None)
        super().__init__(
            tool, detail, progress=lambda: self.now, stop=self._end_soon, is_blocking=True, max_seconds=max_seconds
        )

    def found(self, finding: Finding | None, forecast: Forecast | None = None) -> None:
        """Say what came of it."""
        self._found = finding, forecast

    def _end_soon(self) -> None:
        self.is_stopped = True
        self._hurry()


@contextmanager
def listed(tool: Tool, detail: str = "", *, task: Any = None, **changes: Any) -> Iterator[Call]:
    """A call on the board for as long as the block runs.

    Args:
        tool, detail, **changes: As in ``Call``.
        task: What is trained, None for nothing; not kept alive.

    Examples:
        >>> with listed("learning_rate", "quick sweep") as call:
        ...     call.now = Progress(50, 100, "steps", 0.5)
        ...     [(job.tool, job.progress.done) for job in BOARD.jobs]
        [('learning_rate', 50)]
        >>> BOARD.jobs
        ()
    """
    call = Call(tool, detail, **changes)
    call.task = reference_to(task)  # before anybody can see it
    BOARD.begin(call)
    try:
        yield call
    finally:
        BOARD.end(call, *call._found)
