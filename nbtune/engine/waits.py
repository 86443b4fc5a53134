"""How long a run has waited for its next batch, and how long that takes as a rule.

A loader that hangs (a worker that died, a disk that sleeps) looks from outside like one that is slow. So whoever draws
a batch says so here, and whoever watches the run from another thread can tell the two apart.
"""

from __future__ import annotations

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


class Waits:
    """Those of one run for its next batch; written by the thread that runs it, read by any.

    Args:
        now: The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began: float | None = None
        self._last: deque[float] = deque(maxlen=_DRAWS_KEPT)

    @property
    def long(self) -> Wait | None:
        """The wait under way, once it is a long one; else None."""
        began, last = self._began, tuple(self._last)
        if began is None:
            return None
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


def current() -> Waits:
    """Those of the run that the caller is a part of; outside any run, some that nobody reads."""
    return _CURRENT.get() or _NOBODYS


_CURRENT: ContextVar[Waits | None] = ContextVar("nbtune_waits", default=None)
_NOBODYS = Waits()
