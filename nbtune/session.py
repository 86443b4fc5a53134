"""Runs an iterator of events in a thread of its own and hands the events on, many at once, 20 times a second.

Standard library only: a session knows neither what an event is nor what is done with it.
"""

from __future__ import annotations

import contextvars
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

Event = TypeVar("Event")
State = Literal["idle", "running", "stopping", "done", "failed"]

THROTTLE_SECONDS = 0.05
QUIET_SECONDS = 1.0
"""Without an event, after which whoever shows a run is told that there is none."""

# An interrupt reaches a waiting main thread only between two of its waits.
_INTERRUPTIBLE_SECONDS = 0.1


@runtime_checkable
class Closable(Protocol):
    """A run that has something to put back."""

    def close(self) -> None:
        """End it and put everything back; harmless when it has ended."""


@runtime_checkable
class Hurriable(Protocol):
    """A run whose piece under way may be long."""

    def hurry(self) -> None:
        """Let that piece end sooner, from any thread."""


class Session(Generic[Event]):
    """One run of an iterator in one daemon thread, which alone advances and closes it.

    The thread takes events until the iterator ends, somebody calls ``stop()``, or something raises. In each case it
    then shows what is left, closes the iterator (where it is ``Closable``), calls ``finish`` and only then says that it
    is done. While it waits for an event that takes long, a second thread shows those before it.

    Args:
        run: Yields the events; nobody else may hold it. It may be ``Closable`` and ``Hurriable``.
        show: Called with the list of events since the last call, at most once in ``throttle_seconds`` and never by
            two threads at once; with an empty one once a second while the next event takes longer than that. What it
            raises ends the run as an error of the run's own would.
        on_state: Called with each new state, by the thread that caused it and in the order of the changes. It must not
            wait for a thread that calls ``start`` or ``stop``.
        finish: Called once, when the iterator is closed and before the state says so. ``error`` is known by then.
        throttle_seconds: The least time between two calls of ``show``.

    Examples:
        >>> shown = []
        >>> session = Session(iter("abc"), shown.append, throttle_seconds=60)
        >>> session.start()
        >>> session.wait()
        True
        >>> shown, session.state
        ([['a'], ['b', 'c']], 'done')
    """

    def __init__(
        self,
        run: Iterator[Event],
        show: Callable[[list[Event]], None],
        *,
        on_state: Callable[[State], None] | None = None,
        finish: Callable[[], None] | None = None,
        throttle_seconds: float = THROTTLE_SECONDS,
    ) -> None:
        self.error: BaseException | None = None
        self._run, self._show_events = run, show
        self._on_state, self._finish = on_state, finish
        self._throttle_seconds = throttle_seconds
        self._state: State = "idle"
        self._lock = threading.RLock()
        self._stop, self._ended = threading.Event(), threading.Event()
        self._unseen: deque[Event] = deque()
        self._showing = threading.Lock()
        self._shown_at = float("-inf")
        self._is_closed = self._is_exhausted = False
        self._owner: int | None = None

    @property
    def is_own_thread(self) -> bool:
        """Whether the caller is the session's thread, which must not wait for its own end."""
        return self._owner == threading.get_ident()

    @property
    def state(self) -> State:
        """idle, running, stopping, then done or failed."""
        return self._state

    @property
    def is_stopped(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stop.is_set()

    @property
    def is_closed(self) -> bool:
        """Whether the iterator was closed, without an error in closing it."""
        return self._is_closed

    @property
    def has_ended(self) -> bool:
        """Whether the run is closed and ``finish`` has returned."""
        return self._ended.is_set()

    def start(self) -> None:
        """Start the thread and return.

        Raises:
            RuntimeError: When it was started before.
        """
        if not self._change("idle", "running"):
            raise RuntimeError("a session runs once; make a new one")
        for target in (self._own, self._show_latecomers):
            # The copied context carries the cell that started the run, where ipykernel then sends the output.
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(target,), name="nbtune-session", daemon=True).start()

    def stop(self) -> None:
        """Ask the run to end after the event it is at, and return at once.

        A second stop is the first one again; one that comes when the run has ended by itself is none.
        """
        with self._lock:
            if self._is_exhausted:
                return
            self._stop.set()
            self._change("running", "stopping")
        run = self._run
        if isinstance(run, Hurriable):
            run.hurry()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end; an interrupt gets through.

        Args:
            timeout: Seconds; None for no limit.
        Returns:
            Whether the run has ended.
        """
        # Not Thread.join: after an interrupted join, Python 3.11's is_alive() says False of a running thread.
        deadline = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._ended.is_set():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            self._ended.wait(min(left, _INTERRUPTIBLE_SECONDS))
        return self._ended.is_set()

    def _own(self) -> None:
        self._owner = threading.get_ident()
        if hasattr(signal, "pthread_sigmask"):
            # An interrupt is the main thread's business. Processes forked here, such as a loader's workers, inherit
            # the mask; without it the kernel's interrupt would kill them and turn a clean stop into an error.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        for part in (self._take_events, self._show_unseen, self._close, self._call_finish):
            try:
                part()
            except BaseException as error:
                self._keep(error)
        # A closed run may still hold the model it trained.
        self._run = iter(())
        try:
            self._change(None, "failed" if self.error else "done")
        finally:
            self._ended.set()

    def _take_events(self) -> None:
        while not self._stop.is_set():
            try:
                event = next(self._run)
            except StopIteration:
                with self._lock:
                    self._is_exhausted = True
                return
            self._unseen.append(event)
            if time.monotonic() - self._shown_at >= self._throttle_seconds:
                self._show_unseen()

    def _show_unseen(self, *, also_none: bool = False) -> None:
        with self._showing:
            events = [self._unseen.popleft() for _ in range(len(self._unseen))]
            if events or also_none:
                self._show_events(events)
                # After the call, so that a slow one cannot take all of the run's time.
                self._shown_at = time.monotonic()

    def _show_latecomers(self) -> None:
        """Events that came too soon after others, when none comes after them for a while; then that there is none."""
        began = time.monotonic()
        while not self._ended.wait(self._throttle_seconds):
            quiet = time.monotonic() - max(self._shown_at, began)
            is_quiet = quiet >= max(QUIET_SECONDS, self._throttle_seconds)
            if is_quiet or (self._unseen and quiet >= 2 * self._throttle_seconds):
                try:
                    self._show_unseen(also_none=is_quiet)
                except BaseException as error:
                    self._keep(error)
                    self.stop()
                    return

    def _close(self) -> None:
        if isinstance(self._run, Closable):
            self._run.close()
        self._is_closed = True

    def _call_finish(self) -> None:
        if self._finish is not None:
            self._finish()

    def _keep(self, error: BaseException) -> None:
        """Keep the first error. Its frames are emptied: they would hold the model's tensors for as long as it lives."""
        if self.error is None:
            self.error = error
        cause: BaseException | None = error
        while cause is not None:
            traceback.clear_frames(cause.__traceback__)
            cause = cause.__cause__ or cause.__context__

    def _change(self, before: State | None, after: State) -> bool:
        with self._lock:
            if before is not None and self._state != before:
                return False
            self._state = after
            if self._on_state is not None:
                self._on_state(after)
            return True
