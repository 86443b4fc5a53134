"""What every tool's widget shares: what a user calls, and what the browser sends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ...session import THROTTLE_SECONDS, Session
from . import frontend
from .act import Act
from .life import Life, NewAct
from .message import Message, fitting
from .view import Face, Sentence, View

UNDO = {"label": "Undo", "sends": "undo"}
"""What is offered after an Apply."""


class Panel(Face):
    """Controls over a stage of live plots and tables, one run at a time.

    A tool says what a run is and what is drawn of it (``_new_act``), and what follows from a change. The browser sends
    messages: they may arrive on any thread, and only start and stop runs, or draw what is known in another way. All
    drawing happens under one lock. While a run is under way the settings are locked. For the attributes see ``Face``.

    A second panel on the same model (as when a cell is run again while its run goes on) says that another run is using
    the model, how far that is, and offers its Stop; it can start when that has ended. Starting it sooner, in code,
    fails with ``ModelBusyError``.
    """

    _esm = frontend.script("panel/fields.js", "panel/blocks.js", "panel/problem.js", "panel/panel.js")
    _css = frontend.style("panel/panel.css")

    _throttle_seconds = THROTTLE_SECONDS
    """The least time between two drawings of a run."""

    def __init__(self, **traits: Any) -> None:
        self._view = View(self, self._picture)
        self._life = Life(self._view, refuse=self._draw_refusal, throttle_seconds=self._throttle_seconds)
        super().__init__(tool=type(self).__name__, **traits)
        self.on_msg(self._on_message)

    def start(self) -> None:
        """Start a run with the settings in the fields, and return at once.

        Raises:
            RuntimeError: While a run is under way.
            ValueError: For settings that do not work; the panel says so too.
        """
        error = self._life.start(self._new_act)
        if error is not None:
            raise error

    def stop(self) -> None:
        """Ask the run to end after the step it is at, and return at once. What it found by then is the result.

        Where the panel shows a run of another widget or call on the same model, that one is asked.
        """
        self._life.stop()

    def close(self) -> None:
        """Stop a run under way and take the panel off every page, for good; once more is harmless.

        What the run had found by then is the result, and its picture stays in the notebook. The model is put back when
        the step under way has ended, which is waited for during a second at most (not at all in the run's own thread).
        ``Widget.close_all()`` does the same.
        """
        life = vars(self).get("_life")
        if life is None or self.is_closed:  # the constructor raised, or nothing is left to do
            super().close()
            return
        life.close()
        with self._drawing():
            super().close()
        if not sys.is_finalizing():
            self._view.close()
            life.settle()

    def run(self) -> Any:
        """Start (unless a run is under way) and block until the end; an interrupt stops the run.

        Returns:
            The result.
        Raises:
            KeyboardInterrupt: When interrupted, after the run was closed; ``result`` then holds what was found.
            Exception: Whatever the run raised.
        """
        return self._life.run(self._new_act)

    def __await__(self) -> Generator[Any, None, Any]:
        """The result of the run under way or last ended; an idle widget is started first."""
        return self._life.ended(self._new_act).__await__()

    # What a tool brings

    def _new_act(self) -> Act[Any]:
        """A run with the settings in ``values``; raises ValueError for settings that do not work."""
        raise NotImplementedError

    def _picture(self) -> bytes | None:
        """The finished picture as PNG."""
        raise NotImplementedError

    def _apply(self) -> Sentence:
        """Set what was found, leave in ``_undo`` what takes it back, and say so."""
        raise NotImplementedError

    _undo: Callable[[], None] | None = None
    """Takes the last Apply back; None where there is none, or it was refused."""

    def _changed(self, names: set[str]) -> NewAct | None:
        """Draw what follows from settings (or "mode") just changed; while a run is under way, live ones and the mode.

        Returns:
            What then has to run; None for nothing.
        """
        return None

    def _acted(self, name: str) -> None:
        """Do what a button of the tool's own sends, and draw it."""

    def _picked(self, name: str, value: Any) -> NewAct | None:
        """Draw what was asked for by clicking at ``name`` in the stage.

        Returns:
            What then has to run; None for nothing.
        """
        return None

    def _draw_refusal(self, error: Exception) -> None:
        """Say that these settings do not work."""
        self._view.refuse(error)

    # What a tool uses

    @property
    def _act(self) -> Act[Any] | None:
        """The one under way."""
        return self._life.act

    @property
    def _session(self) -> Session[Any] | None:
        """Of the run under way or last ended."""
        return self._life.session

    def _drawing(self) -> AbstractContextManager[None]:
        return self._view.drawing()

    def _name(self, otherwise: str) -> str:
        """What the notebook calls this widget."""
        try:
            from IPython import get_ipython
        except ImportError:
            return otherwise
        shell = get_ipython()  # type: ignore[no-untyped-call]
        names = [] if shell is None else [name for name, value in shell.user_ns.items() if value is self]
        return next((name for name in names if not name.startswith("_")), otherwise)

    def _ipython_display_(self) -> None:
        self._life.look_for_others()
        self._view.show()

    # The browser

    def _on_message(self, _: Any, content: Any, buffers: Any) -> None:
        message = None if self.is_closed else Message.read(content)
        if message is None:
            return
        actions: dict[str, Callable[[], None]] = {
            "hello": self._greeted,
            "set": lambda: self._clicked_set(message),
            "start": lambda: self._clicked_start(message),
            "try": lambda: self._clicked_start(message),
            "stop": self.stop,
            "apply": self._clicked_apply,
            "undo": self._clicked_undo,
            "pick": lambda: self._clicked_pick(message),
            "leave": self._left,
        }
        if message.type in actions:
            actions[message.type]()
        elif message.type in [action["sends"] for action in self.actions]:
            self._clicked_action(message)

    def _greeted(self) -> None:
        self._life.look_for_others()
        self._view.greet()

    def _take(self, message: Message) -> set[str]:
        """What the browser says stands in the fields; returns what is new."""
        before = {**self.values, "mode": self.mode}
        is_locked = self._life.is_running
        given = fitting(message.values, [field for field in self.fields if field.get("live") or not is_locked])
        with self._drawing():
            if given:
                self.values = {**self.values, **given}
            if message.mode in [name for name, _ in self.modes]:
                self.mode = message.mode
        return {name for name, value in {**self.values, "mode": self.mode}.items() if before.get(name) != value}

    def _clicked_set(self, message: Message) -> None:
        with self._drawing():
            changed = self._take(message)
            new_act = self._changed(changed) if changed else None
        if new_act is not None:
            self._life.start(new_act)

    def _clicked_action(self, message: Message) -> None:
        with self._drawing():
            self._take(message)
            self._acted(message.type)

    def _clicked_start(self, message: Message) -> None:
        if not self._life.is_running:
            self._take(message)
            self._life.start(self._new_act)  # what it returns is on the panel

    def _clicked_pick(self, message: Message) -> None:
        with self._drawing():
            new_act = self._picked(message.name, message.value)
        if new_act is not None:
            self._life.start(new_act)

    def _left(self) -> None:
        """The reader went elsewhere. Not sooner: a new picture makes Lab draw the widget anew under their hands."""
        if not self._view.is_kept and not self._life.is_running:
            self._view.keep_picture()

    def _clicked_apply(self) -> None:
        if self.apply_label and self.state == "done":
            with self._drawing():
                earlier = self._undo if self.suggestion_action == UNDO else None
                self._undo = None
                self.sentence = self._apply()
                if self._undo is not None and earlier is not None:  # a second click takes nothing of the first away
                    self._undo = partial(_one_after_the_other, self._undo, earlier)
                self.suggestion_action = None if self._undo is None else UNDO

    def _clicked_undo(self) -> None:
        undo = self._undo
        if undo is None or self.suggestion_action != UNDO:  # a run has begun, or another answer is in sight
            return
        with self._drawing():
            self._undo = self.suggestion_action = None
            undo()
            self.sentence = [["Undone:", "strong"], [" what Apply had changed is as it was.", ""]]


def _one_after_the_other(*calls: Callable[[], None]) -> None:
    for call in calls:
        call()
