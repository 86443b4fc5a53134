"""The life of a panel's runs: one at a time, from its start to its place on the board's list of what was found."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ...engine.interrupts import Interrupted, has_failed_to_put_back
from ...engine.training.workpiece import ModelBusyError
from ...jobs import BOARD, Finding, Forecast, Job, reference_to
from ...session import Session
from .act import Act
from .other_run import UNKNOWN, OtherRun
from .view import IS_RUNNING, View

CLOSING_SECONDS = 1.0
"""So long whoever closes a panel waits for the step under way."""

NewAct = Callable[[], Act[Any]]
"""Makes the act of a run that begins; raises ValueError for settings that do not work."""


class Life:
    """Starts, stops and awaits runs, and says on the view how each one goes.

    States go from idle or an end to "running", maybe to "stopping", and to "done" or "failed". All of it may be
    called from any thread; the run itself belongs to its session's.

    Args:
        view: What is drawn on.
        refuse: Shows why a run did not begin.
        throttle_seconds: The least time between two drawings of a run.
    Attributes:
        act: The one under way; None before the first and after each end.
    """

    def __init__(self, view: View, *, refuse: Callable[[Exception], None], throttle_seconds: float) -> None:
        self.act: Act[Any] | None = None
        self._view, self._face, self._refuse = view, view.face, refuse
        self._throttle_seconds = throttle_seconds
        self._session: Session[Any] | None = None
        self._job: Job | None = None
        self._other = OtherRun(view)
        self._starting = threading.Lock()
        self._is_closed = False

    @property
    def is_running(self) -> bool:
        """Whether a run is under way; one that is being stopped is."""
        return self._face.state in IS_RUNNING

    @property
    def session(self) -> Session[Any] | None:
        """Of the run under way or last ended; None before the first."""
        return self._session

    def start(self, new_act: NewAct) -> Exception | None:
        """Start a run and return at once.

        Returns:
            Why it did not start, which then is on the panel too unless another run is under way; None where it did.
        """
        with self._starting:
            too_early = self._not_now()
            if too_early is not None:
                return too_early
            try:
                act = new_act()
            except Exception as error:
                self._refuse(error)
                return error
            self._begin(act)
            return None

    def look_for_others(self) -> None:
        """Before the first run: whether somebody else's is using the model, which is then shown."""
        if self._face.state == "idle" and not self._is_closed:
            self._other.look()

    def stop(self) -> None:
        """Ask the run that is shown to end after the step it is at, and return at once; nothing where none is."""
        if not self.is_running:
            self._other.stop()
        self._stop_own()

    def _stop_own(self) -> None:
        job, session = self._job, self._session
        if job is not None:
            job.is_stopping = True
        if session is not None:
            session.stop()

    def close(self) -> None:
        """Ask the run to end, and start none any more."""
        self._is_closed = True
        BOARD.forget(self._face.widget_id)
        self._stop_own()  # another widget's run, which this one only shows, goes on

    def settle(self) -> None:
        """Wait a little for the end of a run that was asked to; not in its own thread."""
        session, deadline = self._session, time.monotonic() + CLOSING_SECONDS
        if session is not None and not session.is_own_thread:
            # A closed run's end is the picture's, which nobody has to wait for; one that could not be closed has ended.
            while not (session.is_closed or session.has_ended) and time.monotonic() < deadline:
                session.wait(0.02)

    def run(self, new_act: NewAct) -> Any:
        """Start, unless a run is under way, and wait for the end; an interrupt stops the run and waits as well.

        A second interrupt gives the caller back while the run still ends by itself.
        """
        try:
            session = self._begun(new_act) if not self.is_running else self._session
            assert session is not None
            if self._job is not None:
                self._job.is_blocking = True
            session.wait()
        except KeyboardInterrupt:
            self.stop()
        else:
            return self._outcome()
        with suppress(KeyboardInterrupt):
            if self._session is not None:
                self._session.wait()
        raise Interrupted(self._how_it_stopped())

    async def ended(self, new_act: NewAct) -> Any:
        """The result of the run under way or last ended; where there was none yet, one is started."""
        session = self._begun(new_act) if self._face.state == "idle" else self._session
        assert session is not None
        try:
            while not session.has_ended:
                await asyncio.sleep(0.02)
        except (asyncio.CancelledError, KeyboardInterrupt) as error:
            kind = Interrupted if isinstance(error, KeyboardInterrupt) else Cancelled
        else:
            return self._outcome()
        self.stop()
        deadline = time.monotonic() + CLOSING_SECONDS
        while self.is_running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        raise kind(self._how_it_stopped())

    def _begun(self, new_act: NewAct) -> Session[Any]:
        error = self.start(new_act)
        if error is not None:
            raise error
        assert self._session is not None
        return self._session

    def _how_it_stopped(self) -> str:
        if not self.is_running:
            return "the run was stopped, and everything is put back; what it found is the widget's result."
        return "the run ends after the step it is at; what it found is then the widget's result."

    def _outcome(self) -> Any:
        assert self._session is not None
        if self._session.error is not None:
            raise self._session.error
        return self._face.result

    def _not_now(self) -> RuntimeError | None:
        if self._is_closed:
            return RuntimeError(f"this {type(self._face).__name__} was closed; make a new one")
        if self._session is None or self._session.has_ended:
            return None
        if self.is_running:
            return RuntimeError(f"this {type(self._face).__name__} is running; stop() it first")
        if self._session.is_own_thread:
            return RuntimeError("start it again after the run has ended, not from its own last message")
        self._session.wait()  # it is closed, and only the picture for the saved notebook is still drawn
        return None

    def _begin(self, act: Act[Any]) -> None:
        self._face.result = self._face.error = None
        self.act = act
        with self._view.drawing():
            self._view.begin()
            act.draw_start()
        self._session = Session(
            act.run, self._show, on_state=self._on_state, finish=self._on_end, throttle_seconds=self._throttle_seconds
        )
        self._job = act.job(self.stop, self._face.widget_id)
        if self._job is not None:
            self._job.task = reference_to(self._face.task)
            BOARD.begin(self._job)
        if self._is_closed:  # meanwhile, by another thread or by whoever watches a trait
            self._session.stop()
            self._face.close()
        self._session.start()
        self._view.warm()

    @property
    def _widget_id(self) -> str:
        """What whoever shows a finding can go to; "" when nothing is left to go to."""
        return "" if self._is_closed else self._face.widget_id

    # What the session tells

    def _show(self, events: list[Any]) -> None:
        act = self.act
        with self._view.drawing():
            wait = None if events or act is None else act.run.waits.long
            if wait is not None and self._face.state == "running":
                self._view.say_waiting(wait)
            elif events:
                assert act is not None
                act.draw_events(events)

    def _on_state(self, state: str) -> None:
        assert self.act is not None and self._session is not None
        with self._view.drawing():
            if state == "stopping":
                if self._face.state != "running":
                    return  # its end is drawn already
                if not self.act.stops_at_once:
                    self._view.say_stopping(self.act.run.waiting_for)
            if state == "failed" and self._face.error is not self._session.error:
                self._draw_error(self.act, self._session)  # the end itself could not be drawn
                self._end_job(self.act)
            self._face.state = state
        if state in ("done", "failed"):
            self.act = None

    def _on_end(self) -> None:
        act, session = self.act, self._session
        assert act is not None and session is not None
        with self._view.drawing():
            if session.error is None:
                self._face.result = act.draw_end(is_stopped=session.is_stopped)
                self._face.state = "done"
            else:
                self._draw_error(act, session)
        self._end_job(act)
        self._view.keep_picture()

    def _draw_error(self, act: Act[Any], session: Session[Any]) -> None:
        assert session.error is not None
        is_put_back = session.is_closed and not has_failed_to_put_back(session.error)
        self._view.fail(session.error, act.error_title, is_put_back=is_put_back)
        act.draw_failure()
        self._face.state = "failed"
        if isinstance(session.error, ModelBusyError) and not self._other.look():
            self._face.sentence = UNKNOWN

    def _end_job(self, act: Act[Any]) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        found: tuple[Finding | None, Forecast | None] = (None, None)
        try:
            found = found if self._face.result is None else act.found(self._face.result, self._widget_id)
        finally:
            BOARD.end(job, *found)


class Cancelled(asyncio.CancelledError):
    """An interrupt while a cell awaits; see ``Interrupted``. To asyncio it is what it is: a task that was cancelled."""

    def _render_traceback_(self) -> list[str]:
        return [f"Interrupted: {self}"]
