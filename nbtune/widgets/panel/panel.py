"""What every tool's widget shares: controls, stage, progress, sentence, and the life of a run behind them."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import anywidget
import ipywidgets
import traitlets

from ...jobs import BOARD, Finding, Forecast, Job
from ...session import THROTTLE_SECONDS, Session
from . import frontend
from .bokeh_plot import BokehPlot
from .displays import Displays
from .problem import problem_of

Sentence = list[list[str]]
"""Pieces [text, style]; style is "", "strong", "answer", "muted" or "danger"."""

IS_RUNNING = ("running", "stopping")


class Panel(anywidget.AnyWidget):
    """Controls over a stage of live plots and tables, one run at a time.

    A tool says what a run is (``_new_run``) and what to draw when it begins, goes on and ends. The browser never sets
    a trait, it sends messages: they may arrive on any thread, and only start and stop runs, or draw what is known in
    another way. All drawing happens under one lock. While a run is under way the settings are locked.

    Attributes:
        state: idle, running, stopping, done or failed.
        result: Of the last run, also of a stopped one; None before its end and after an error.
        error: What the last run raised, or None.
        fields: Of the settings: name, label, kind, and short, how the folded settings of a narrow panel show it ("{}"
            is the value); where needed row (1 or 2) and modes, those it belongs to. Kinds: "number", "integer",
            "text"; "choice" and "segments" with options [value, label], a choice where any other value may be typed
            with other (that entry's name) and example; "switch"; "slider", a number with min, max, step and, where
            they exist, limit and limit_text. A live field is about what is shown: it is never locked.
        actions: The buttons: name, sign, label and what each sends. The one named "run" is "Stop" during a run; the one
            named "apply" is labelled by ``apply_label``. With repeats, one that is held down sends again and again.
        values: What stands in the fields, as text; of a switch "on" or "".
        modes: [name, label] of each view or way to run.
        blocks: The places of the stage, in reading order: name, kind ("plot", or what ``contents`` holds: "table",
            "key", "text"), modes, where it does not belong to all, and is_unspoken, where another says the same. A
            style sheet lays them out by name.
        plots: What stands in the blocks of kind "plot".
        contents: What stands in the others; see blocks.js.
        progress: Of the run, or empty for a tool whose plots show it.
        notes: Sentences for those who ask, behind a button after the result's.
        problem: None, or an error's title, text, where and traceback; shown in place of the plot.
        suggestion_action: None, or what to try next: its label and the values it starts with.
    """

    _esm = frontend.script("panel/fields.js", "panel/blocks.js", "panel/problem.js", "panel/panel.js")
    _css = frontend.style("panel/panel.css")

    _throttle_seconds = THROTTLE_SECONDS
    """The least time between two drawings of a run."""

    tool = traitlets.Unicode().tag(sync=True)
    state = traitlets.Enum(["idle", *IS_RUNNING, "done", "failed"], "idle").tag(sync=True)
    fields: traitlets.List[Any] = traitlets.List().tag(sync=True)
    actions: traitlets.List[Any] = traitlets.List(
        [{"name": "run", "sign": "▶", "label": "Start", "sends": "start"}, {"name": "apply", "sends": "apply"}]
    ).tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    modes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    mode = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Dict({"fraction": 0.0, "text": "", "short": "", "kind": "running"}).tag(sync=True)
    sentence: traitlets.List[Any] = traitlets.List().tag(sync=True)
    notes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    suggestion_action = traitlets.Instance(dict, allow_none=True).tag(sync=True)
    apply_label = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Instance(dict, allow_none=True).tag(sync=True)
    blocks: traitlets.List[Any] = traitlets.List([{"name": "plot", "kind": "plot"}]).tag(sync=True)
    plots = traitlets.Dict(value_trait=traitlets.Instance(BokehPlot)).tag(sync=True, **ipywidgets.widget_serialization)
    contents = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._run: Any = None
        self._session: Session[Any] | None = None
        self._job: Job | None = None
        self._starting, self._drawing_lock = threading.Lock(), threading.RLock()
        self._displays, self._is_kept = Displays(self._widget_view), True
        super().__init__(tool=type(self).__name__, **traits)
        self.on_msg(self._on_message)

    def start(self) -> None:
        """Start a run with the settings in the fields, and return at once.

        Raises:
            RuntimeError: While a run is under way.
            ValueError: For settings that do not work; the panel says so too.
        """
        error = self._try_to_start()
        if error is not None:
            raise error

    def stop(self) -> None:
        """Ask the run to end after the step it is at, and return at once. What it found by then is the result."""
        job, session = self._job, self._session
        if job is not None:
            job.is_stopping = True
        if session is not None:
            session.stop()
            # For what cannot be ended between two events.
            getattr(self._run, "hurry", lambda: None)()

    def run(self) -> Any:
        """Start (unless a run is under way) and block until the end; an interrupt stops the run.

        Returns:
            The result.
        Raises:
            KeyboardInterrupt: When interrupted, after the run was closed; ``result`` then holds what was found.
            Exception: Whatever the run raised.
        """
        try:
            if self.state not in IS_RUNNING:
                self.start()
            assert self._session is not None
            if self._job is not None:
                self._job.is_blocking = True
            self._session.wait()
        except KeyboardInterrupt:
            self.stop()
            if self._session is not None:
                self._session.wait()
            raise
        return self._outcome()

    def __await__(self) -> Generator[Any, None, Any]:
        """The result of the run under way or last ended; an idle widget is started first."""
        return self._ended().__await__()

    async def _ended(self) -> Any:
        if self.state == "idle":
            self.start()
        assert self._session is not None
        try:
            while not self._session.has_ended:
                await asyncio.sleep(0.02)
        except (asyncio.CancelledError, KeyboardInterrupt):
            self.stop()
            raise
        return self._outcome()

    def _outcome(self) -> Any:
        assert self._session is not None
        if self._session.error is not None:
            raise self._session.error
        return self.result

    # What a tool brings

    def _new_run(self) -> Iterator[Any]:
        """A run with the settings in ``values``; raises ValueError for settings that do not work."""
        raise NotImplementedError

    def _draw_start(self) -> None:
        raise NotImplementedError

    def _draw_events(self, events: list[Any]) -> None:
        raise NotImplementedError

    def _draw_end(self) -> None:
        """After a run without error: set ``result`` and draw it."""
        raise NotImplementedError

    def _draw_failure(self) -> None:
        """After a run that raised: draw progress. The problem and the sentence are the panel's."""
        raise NotImplementedError

    def _error_title(self) -> str:
        raise NotImplementedError

    def _picture(self) -> bytes | None:
        """The finished picture as PNG."""
        raise NotImplementedError

    def _apply(self) -> Sentence:
        """Set what was found, and say so."""
        raise NotImplementedError

    def _changed(self, names: set[str]) -> bool:
        """Draw what follows from settings (or "mode") just changed; while a run is under way, live ones and the mode.

        Returns:
            Whether that needs a new run, which then starts.
        """
        return False

    def _acted(self, name: str) -> None:
        """Do what a button of the tool's own sends, and draw it."""

    def _picked(self, name: str, value: Any) -> None:
        """Draw what was asked for by clicking at ``name`` in the stage."""

    def _new_job(self) -> Job | None:
        """How the run that begins is listed beside the notebook; None for a run too short to be."""
        return None

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        """What ``result`` says there."""
        return None, None

    # The life of a run

    def _try_to_start(self) -> Exception | None:
        with self._starting:
            if self._session is not None and not self._session.has_ended:
                if self.state in IS_RUNNING:
                    return RuntimeError(f"this {type(self).__name__} is running; stop() it first")
                if self._session.is_own_thread:
                    return RuntimeError("start it again after the run has ended, not from its own last message")
                self._session.wait()  # it is closed, and only the picture for the saved notebook is still drawn
            try:
                self._run = self._new_run()
            except Exception as error:
                self._draw_refusal(error)
                return error
            self.result = self.error = None
            self._session = Session(
                self._run, self._on_events, on_state=self._on_state, finish=self._on_end,
                throttle_seconds=self._throttle_seconds,
            )  # fmt: skip
            with self._drawing():
                self.problem, self.suggestion_action, self.apply_label, self.notes = None, None, "", []
                self._draw_start()
            self._job = self._new_job()
            if self._job is not None:
                BOARD.begin(self._job)
            self._session.start()
            return None

    def _on_events(self, events: list[Any]) -> None:
        with self._drawing():
            self._draw_events(events)

    def _on_state(self, state: str) -> None:
        assert self._session is not None
        with self._drawing():
            if state == "stopping":
                if self.state != "running":
                    return  # its end is drawn already
                self._draw_stopping()
            if state == "failed" and self.error is not self._session.error:
                self._draw_error()  # the end itself could not be drawn
                self._end_job()
            self.state = state

    def _on_end(self) -> None:
        assert self._session is not None
        with self._drawing():
            if self._session.error is None:
                self._draw_end()
            else:
                self._draw_error()
            self.state = "done" if self._session.error is None else "failed"
        self._run = None
        self._end_job()
        self._keep_picture()

    def _end_job(self) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        found: tuple[Finding | None, Forecast | None] = (None, None)
        try:
            found = found if self.result is None else self._found()
        finally:
            BOARD.end(job, *found)

    def _keep_picture(self) -> None:
        self._is_kept = True
        self._displays.keep(self._picture_or_warning(), "".join(text for text, _ in self.sentence))

    def _picture_or_warning(self) -> bytes | None:
        if self.result is None:
            return None
        try:
            return self._picture()
        except Exception as error:  # the run itself went well
            warnings.warn(f"no picture for the saved notebook: {error!r}", stacklevel=2)
            return None

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        with self._drawing_lock, self.hold_sync():
            yield

    def _draw_stopping(self) -> None:
        waiting_for = getattr(self._run, "waiting_for", "the step under way")
        self.sentence = [
            ["Stopping.", "strong"],
            [f" Waiting for {waiting_for}; nothing is put back until it returns.", ""],
        ]

    def _draw_error(self) -> None:
        assert self._session is not None and self._session.error is not None
        self.error, self.result = self._session.error, None
        self.problem = problem_of(self.error, self._error_title())
        self._draw_failure()
        restored = " Model, optimizer and random state are as they were before Start."
        broken = " Putting things back failed: build the model and the optimizer anew."
        self.sentence = [["Failed.", "danger"], [restored if self._session.is_closed else broken, ""]]

    def _draw_refusal(self, error: Exception) -> None:
        with self._drawing():
            self.problem = {"title": "The settings do not work", "text": str(error), "where": "", "traceback": ""}
            self.sentence = [["Not started.", "danger"], [" Change the settings and press Start.", ""]]
            self.suggestion_action = None

    def _name(self, otherwise: str) -> str:
        """What the notebook calls this widget."""
        try:
            from IPython import get_ipython
        except ImportError:
            return otherwise
        shell = get_ipython()  # type: ignore[no-untyped-call]
        names = [] if shell is None else [name for name, value in shell.user_ns.items() if value is self]
        return next((name for name in names if not name.startswith("_")), otherwise)

    # The browser

    def _on_message(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        actions = {
            "hello": lambda: self._displays.greet(),
            "set": lambda: self._clicked_set(content),
            "start": lambda: self._clicked_start(content),
            "try": lambda: self._clicked_start(content),
            "stop": self.stop,
            "apply": self._clicked_apply,
            "pick": lambda: self._clicked_pick(content),
            "leave": self._left,
        }
        kind = content.get("type", "")
        if kind in actions:
            actions[kind]()
        elif kind in [action["sends"] for action in self.actions]:
            self._clicked_action(kind, content)

    def _take(self, content: dict[str, Any]) -> set[str]:
        """What the browser says stands in the fields; returns what is new."""
        before = {**self.values, "mode": self.mode}
        is_locked, given = self.state in IS_RUNNING, content.get("values", {})
        names = [field["name"] for field in self.fields if field.get("live") or not is_locked]
        with self._drawing():
            if names:
                self.values = {**self.values, **{name: str(given[name]) for name in names if name in given}}
            if content.get("mode") in [name for name, _ in self.modes]:
                self.mode = content["mode"]
        return {name for name, value in {**self.values, "mode": self.mode}.items() if before.get(name) != value}

    def _clicked_set(self, content: dict[str, Any]) -> None:
        with self._drawing():
            changed = self._take(content)
            needs_run = bool(changed) and self._changed(changed)
        if needs_run:
            self._try_to_start()

    def _clicked_action(self, kind: str, content: dict[str, Any]) -> None:
        with self._drawing():
            self._take(content)
            self._acted(kind)

    def _clicked_start(self, content: dict[str, Any]) -> None:
        if self.state not in IS_RUNNING:
            self._take(content)
            self._try_to_start()  # what it returns is on the panel

    def _clicked_pick(self, content: dict[str, Any]) -> None:
        with self._drawing():
            self._picked(str(content.get("name", "")), content.get("value"))

    def _left(self) -> None:
        """The reader went elsewhere. Not sooner: a new picture makes Lab draw the widget anew under their hands."""
        if not self._is_kept and self.state not in IS_RUNNING:
            self._keep_picture()

    def _clicked_apply(self) -> None:
        if self.apply_label and self.state == "done":
            with self._drawing():
                self.sentence, self.suggestion_action = self._apply(), None

    def _widget_view(self) -> dict[str, Any]:
        bundle = self._repr_mimebundle_()
        without_result = f"{type(self).__name__} of nbtune, without a result so far. Run this cell for the widget."
        return {} if bundle is None else {**bundle[0], "text/plain": without_result}

    def _ipython_display_(self) -> None:
        self._displays.show()
