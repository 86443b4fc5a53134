"""How long a run has waited for its next batch, how long that takes as a rule, and what a long trace is at.

A loader that hangs (a worker that died, a disk that sleeps) looks from outside like one that is slow. So whoever draws
a batch says so here, and whoever watches the run from another thread can tell the two apart.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from statistics import median

from ..formats import format_seconds

LONG_SECONDS, LONG_FACTOR = 2.0, 3
"""From so long on, and from so many times the usual on, a wait is worth a word."""

FIRST_SECONDS = 5.0
"""The same for the first one, before anything is usual: workers start, disks wake up."""

TRACE_SECONDS = 10.0
"""From so long on, a trace of the model says what it is at. Traces that follow each other count as one."""

_SAME_TRACE_SECONDS = 1.0
_DRAWS_KEPT = 32


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that takes long.

    Attributes:
        seconds: So far.
        usual_seconds: The median of those before; None for the first one.
    """

    seconds: float
    usual_seconds: float | None

    @property
    def text(self) -> str:
        """In words.

        Examples:
            >>> Wait(9.4, 0.2).text
            'waiting for the data: no batch for 9 s (usually 0.2 s)'
            >>> Wait(150, None).text
            'waiting for the data: no batch for 2 min'
        """
        so_far = f"{int(self.seconds)} s" if self.seconds < 100 else format_seconds(self.seconds)
        if self.usual_seconds is None:
            usual = ""
        elif self.usual_seconds < 0.01:
            usual = " (usually less than 0.01 s)"
        else:
            usual = f" (usually {float(f'{self.usual_seconds:.1g}'):g} s)"
        return f"waiting for the data: no batch for {so_far}{usual}"


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace of the model that takes long.

    Attributes:
        seconds: So far.
        at: Where it is, in words.
    """

    seconds: float
    at: str

    @property
    def text(self) -> str:
        """In words.

        Examples:
            >>> Trace(12.3, "forward pass at k = 3, in layers.7").text
            'tracing the model: forward pass at k = 3, in layers.7, 12 s so far'
        """
        return f"tracing the model: {self.at}, {format_seconds(self.seconds)} so far"


class Waits:
    """Those of one run for its next batch, or for a trace; written by the thread that runs it, read by any.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began: float | None = None
        self._last: deque[float] = deque(maxlen=_DRAWS_KEPT)
        self._trace: Callable[[], str] | None = None
        self._trace_began = self._trace_ended = -math.inf

    @property
    def long(self) -> Wait | Trace | None:
        """The wait under way, once it is a long one; else None."""
        began, last, trace = self._began, tuple(self._last), self._trace
        if began is None:
            seconds = self._now() - self._trace_began
            return None if trace is None or seconds < TRACE_SECONDS else Trace(seconds, trace())
        wait = Wait(self._now() - began, median(last) if last else None)
        usual = wait.usual_seconds
        least = FIRST_SECONDS if usual is None else max(LONG_SECONDS, LONG_FACTOR * usual)
        return wait if wait.seconds >= least else None

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """What is drawn in the block is this run's, unless the run is itself a part of another one."""
        token = None if _CURRENT.get() is not None else _CURRENT.set(self)
        try:
            yield
        finally:
            if token is not None:
                _CURRENT.reset(token)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Around the drawing of one batch."""
        self._began = began = self._now()
        try:
            yield
        finally:
            self._began = None
            self._last.append(self._now() - began)

    @contextmanager
    def tracing(self, at: Callable[[], str]) -> Iterator[None]:
        """Around a trace of the model.

        Args:
            at: Says where it is; called by any thread.
        """
        if self._trace is not None:  # a part of another one
            yield
            return
        if self._now() - self._trace_ended > _SAME_TRACE_SECONDS:
            self._trace_began = self._now()
        self._trace = at
        try:
            yield
        finally:
            self._trace, self._trace_ended = None, self._now()


def is_in_run() -> bool:
    """Whether somebody who watches a run is told."""
    return _CURRENT.get() is not None


def current() -> Waits:
    """Those of the run that the caller is a part of; outside any run, some that nobody reads."""
    return _CURRENT.get() or _NOBODYS


_CURRENT: ContextVar[Waits | None] = ContextVar("nbtune_waits", default=None)
_NOBODYS = Waits()
