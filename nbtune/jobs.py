"""What runs and what was found in this process, for whoever shows it beside the notebook. Standard library only.

Tools write on the board, nobody needs to read it: a job says how far it is only when it is asked.
"""

from __future__ import annotations

import itertools
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Tool = Literal["learning_rate", "batch_size", "comparison"]
RESULTS_KEPT = 6
# Before this share of a run its speed says little: the first steps warm things up.
_SHARE_BEFORE_ESTIMATE = 0.02
_counter = itertools.count(1)


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
        self.id = str(next(_counter))
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
    id: str = field(default_factory=lambda: str(next(_counter)))

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


class Board:
    """The jobs under way and the last findings of this process.

    Attributes:
        forecast: The latest, or None.
        on_change: Called (from any thread) when something was added or taken away.
        here: Says in which cell the caller runs, "" where that is not known.
    """

    def __init__(self) -> None:
        self.forecast: Forecast | None = None
        self.on_change: Callable[[], None] = lambda: None
        self.here: Callable[[], str] = lambda: ""
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._findings: deque[Finding] = deque(maxlen=RESULTS_KEPT)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those under way, the oldest first."""
        with self._lock:
            return tuple(self._jobs.values())

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The last ones, the newest first; a widget's newer one replaces its older one."""
        with self._lock:
            return tuple(reversed(self._findings))

    def job_on(self, task: Any, *, but: str = "") -> Job | None:
        """The oldest job that trains any of the parameters of ``task``, other than the widget's ``but``; or None."""
        wanted = {id(parameter) for parameter in task.parameters}
        for job in self.jobs:
            other = job.task()
            is_another = not but or job.widget != but
            if is_another and other is not None and not wanted.isdisjoint(map(id, other.parameters)):
                return job
        return None

    def begin(self, job: Job) -> None:
        """List a job."""
        with self._lock:
            self._jobs[job.id] = job
        self.on_change()

    def end(self, job: Job, finding: Finding | None = None, forecast: Forecast | None = None) -> None:
        """Take a job off, and list what it found, if anything."""
        with self._lock:
            self._jobs.pop(job.id, None)
            if finding is not None:
                finding = replace(finding, job=job.id)
                kept = [known for known in self._findings if not finding.replaces(known)]
                self._findings = deque([*kept, finding], maxlen=RESULTS_KEPT)
            self.forecast = forecast or self.forecast
        job.has_ended.set()
        self.on_change()

    def forget(self, widget: str) -> None:
        """A widget was closed: what it found stays, and names no widget any more."""
        with self._lock:
            if all(known.widget != widget for known in self._findings):
                return
            kept = [replace(known, widget="") if known.widget == widget else known for known in self._findings]
            self._findings = deque(kept, maxlen=RESULTS_KEPT)
        self.on_change()

    def stop(self, job_id: str) -> bool:
        """Ask a job to stop; returns whether there is one of this id."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is not None:
            job.stop()
            self.on_change()
        return job is not None


BOARD = Board()
"""This process's: a notebook has one kernel, and whoever looks wants all of it."""


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


def reference_to(task: Any) -> Callable[[], Any]:
    """The task for as long as somebody else keeps it."""
    try:
        return weakref.ref(task)
    except TypeError:
        return lambda: None
