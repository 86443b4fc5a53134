"""One run under way: how far it is, and its Stop."""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Tool = Literal["learning_rate", "batch_size", "comparison"]
# Before this share of a run its speed says little: the first steps warm things up.
_SHARE_BEFORE_ESTIMATE = 0.02
_counter = itertools.count(1)


def new_id() -> str:
    """One that no other job and no finding of this process has."""
    return str(next(_counter))


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is.

    Attributes:
        done: Units so far.
        total: Units in all; None where nobody knows.
        unit: "steps", "batch sizes", or "" where only the share says something.
        share: Of the work done, from 0 to 1; None where nobody knows.
    """

    done: int = 0
    total: int | None = None
    unit: str = ""
    share: float | None = None


class Job:
    """One run under way.

    Attributes:
        task: What is trained; whoever makes the job may say it before it is listed. Not kept alive.
        has_ended: Set when it is off the board.

    Args:
        tool: Whose.
        detail: In words, such as "quick sweep".
        progress: Says how far it is; called from any thread.
        stop: Asks it to stop; called from any thread and returns at once.
        is_blocking: Whether the main thread waits for it.
        widget: Id of the widget that shows it, "" for none.
        max_seconds: It ends after this time at the latest; None for no limit.
    """

    def __init__(
        self,
        tool: Tool,
        detail: str = "",
        *,
        progress: Callable[[], Progress],
        stop: Callable[[], None],
        is_blocking: bool = False,
        widget: str = "",
        max_seconds: float | None = None,
    ) -> None:
        self.id = new_id()
        self.tool, self.detail, self.is_blocking, self.widget = tool, detail, is_blocking, widget
        self.is_stopping = False
        self.task: Callable[[], Any] = lambda: None
        self.has_ended = threading.Event()
        self._progress, self._stop, self._max_seconds = progress, stop, max_seconds
        self._began_at = time.monotonic()
        self._seen: tuple[Progress, float] = (Progress(), self._began_at)

    def stop(self) -> None:
        """Ask the job to end after the step it is at, and return at once."""
        self.is_stopping = True
        self._stop()

    @property
    def progress(self) -> Progress:
        """How far it is now."""
        now = self._progress()
        if now != self._seen[0]:
            self._seen = now, time.monotonic()
        return now

    @property
    def seconds_left(self) -> float | None:
        """By the speed so far, ≥ 0; None where that cannot be told yet. Time passes also during a long step."""
        share, (_, seen_at), now = self.progress.share, self._seen, time.monotonic()
        spent = now - self._began_at
        limit = float("inf") if self._max_seconds is None else max(0.0, self._max_seconds - spent)
        if share is None or share < _SHARE_BEFORE_ESTIMATE:
            return None if limit == float("inf") else limit
        left = (seen_at - self._began_at) * (1 - share) / share - (now - seen_at)
        return min(limit, max(0.0, left))


def reference_to(task: Any) -> Callable[[], Any]:
    """The task for as long as somebody else keeps it."""
    try:
        return weakref.ref(task)
    except TypeError:
        return lambda: None
