"""Where jobs and findings are listed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .finding import Finding, Forecast
from .job import Job

RESULTS_KEPT = 6


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
