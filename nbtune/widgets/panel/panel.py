"""What every tool's widget shares: what a user calls, and what the browser sends."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

from ...session import THROTTLE_SECONDS
from . import frontend
from .act import Act
from .life import Life, NewAct
from .view import Face, Sentence, View


class Panel(Face):
    """Controls over a stage of live plots and tables, one run at a time.

    A tool says what a run is and what is drawn of it (``_new_act``), and what follows from a change. The browser sends
    messages: they may arrive on any thread, and only start and stop runs, or draw what is known in another way. All
    drawing happens under one lock. While a run is under way the settings are locked. For the attributes see ``Face``.
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
        """Ask the run to end after the step it is at, and return at once. What it found by then is the result."""
        self._life.stop()

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
        """Set what was found, and say so."""
        raise NotImplementedError

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
        self._view.show()

    # The browser

    def _on_message(self, _: Any, content: dict[str, Any], buffers: Any) -> None:
        actions: dict[str, Callable[[], None]] = {
            "hello": self._view.greet,
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
        is_locked, given = self._life.is_running, content.get("values", {})
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
            new_act = self._changed(changed) if changed else None
        if new_act is not None:
            self._life.start(new_act)

    def _clicked_action(self, kind: str, content: dict[str, Any]) -> None:
        with self._drawing():
            self._take(content)
            self._acted(kind)

    def _clicked_start(self, content: dict[str, Any]) -> None:
        if not self._life.is_running:
            self._take(content)
            self._life.start(self._new_act)  # what it returns is on the panel

    def _clicked_pick(self, content: dict[str, Any]) -> None:
        with self._drawing():
            new_act = self._picked(str(content.get("name", "")), content.get("value"))
        if new_act is not None:
            self._life.start(new_act)

    def _left(self) -> None:
        """The reader went elsewhere. Not sooner: a new picture makes Lab draw the widget anew under their hands."""
        if not self._view.is_kept and not self._life.is_running:
            self._view.keep_picture()

    def _clicked_apply(self) -> None:
        if self.apply_label and self.state == "done":
            with self._drawing():
                self.sentence, self.suggestion_action = self._apply(), None
