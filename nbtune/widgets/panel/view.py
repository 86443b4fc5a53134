"""What a panel shows, whatever the tool: traits that the browser draws, and the one lock under which they change."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

import ipywidgets
import traitlets

from ...engine.waits import Trace, Wait
from .bokeh_plot import BokehPlot
from .displays import Displays
from .one_way import OneWay
from .problem import problem_of

Sentence = list[list[str]]
"""Pieces [text, style]; style is "", "strong", "answer", "muted" or "danger"."""

IS_RUNNING = ("running", "stopping")


class Face(OneWay):
    """The part of a panel that the browser reads. It never sets a trait.

    Attributes:
        state: idle, running, stopping, done or failed.
        task: What is tuned; None for a tool without one.
        result: Of the last run, also of a stopped one; None before its end and after an error.
        error: What the last run raised, or None.
        fields: Of the settings: name, label, kind, and short, how the folded settings of a narrow panel show it ("{}"
            is the value); where needed row (1 or 2) and modes, those it belongs to. Kinds: "number", "integer",
            "text"; "choice" and "segments" with options [value, label], a choice where any other value may be typed
            with other (that entry's name) and example; "switch"; "slider", a number with min, max, step and, where
            they exist, limit and limit_text. A live field is about what is shown: it is never locked. One that may be
            empty has a placeholder.
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
        code: Empty, or what to write: its title, and text behind it, which can be copied.
        problem: None, or an error's title, text, where and traceback; shown in place of the plot.
        kept: Picture and sentence for when it is drawn no more, see ``Displays``.
        other_run: None, or whether the run of somebody else's that is using the model ``is_stopping``; the button
            named "run" is then its "Stop".
        suggestion_action: None, or what to do next: its label, and what it sends, "try" where it does not say, with the
            values it starts with.
    """

    tool = traitlets.Unicode().tag(sync=True)
    state = traitlets.Enum(["idle", *IS_RUNNING, "done", "failed"], "idle").tag(sync=True)
    fields: traitlets.List[Any] = traitlets.List().tag(sync=True)
    actions: traitlets.List[Any] = traitlets.List(
        [{"name": "run", "sign": "▶", "label": "Start", "sends": "start"}, {"name": "apply", "sends": "apply"}]
    ).tag(sync=True)
    values = traitlets.Dict(key_trait=traitlets.Unicode(), value_trait=traitlets.Unicode()).tag(sync=True)
    modes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    mode = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Dict({"fraction": 0.0, "text": "", "short": "", "kind": "running"}).tag(sync=True)
    sentence: traitlets.List[Any] = traitlets.List().tag(sync=True)
    notes: traitlets.List[Any] = traitlets.List().tag(sync=True)
    code = traitlets.Dict(value_trait=traitlets.Unicode()).tag(sync=True)
    suggestion_action = traitlets.Instance(dict, allow_none=True).tag(sync=True)
    kept = traitlets.Dict().tag(sync=True)
    other_run = traitlets.Instance(dict, allow_none=True).tag(sync=True)
    apply_label = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Instance(dict, allow_none=True).tag(sync=True)
    blocks: traitlets.List[Any] = traitlets.List([{"name": "plot", "kind": "plot"}]).tag(sync=True)
    plots = traitlets.Dict(value_trait=traitlets.Instance(BokehPlot)).tag(sync=True, **ipywidgets.widget_serialization)
    contents = traitlets.Dict().tag(sync=True)

    task: Any = None
    result: Any = None
    error: BaseException | None = None

    def _parts(self) -> Iterable[ipywidgets.Widget]:
        return (*self.plots.values(), *super()._parts())

    @traitlets.validate("mode")
    def _known(self, proposal: dict[str, Any]) -> str:
        mode: str = proposal["value"]
        names = [name for name, _ in self.modes]
        if names and mode not in names:
            raise traitlets.TraitError(f"mode must be one of {', '.join(names)}, not {mode!r}")
        return mode

    @traitlets.validate("values")
    def _whole(self, proposal: dict[str, Any]) -> dict[str, str]:
        values: dict[str, str] = proposal["value"]
        missing = [field["name"] for field in self.fields if field["name"] not in values]
        if missing:
            raise traitlets.TraitError(f"values must have a text for every field, and {missing[0]} is missing")
        return values


def _load_matplotlib() -> None:
    with suppress(Exception):  # whoever draws says what is wrong with it
        import_module("matplotlib.figure")


def _without_rest(text: str) -> str:
    done, _, left = text.rpartition(" · ")
    return done if left.endswith(" left") else text


class View:
    """Draws on a face what is the same for every tool, and keeps its picture for when it can be drawn no more.

    Args:
        face: What is drawn on.
        picture: Draws the face's result as PNG; None where there is no picture.
    Attributes:
        is_kept: Whether the picture is that of what is shown.
    """

    def __init__(self, face: Face, picture: Callable[[], bytes | None]) -> None:
        self.face, self.is_kept = face, True
        self._picture = picture
        self._lock = threading.RLock()
        self._displays = Displays(self._live)

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Everything that draws does so in here: messages and a run's events come on different threads."""
        with self._lock, self.face.hold_sync():
            yield

    def warm(self) -> None:
        """Load what draws the picture while the run goes on, so that a notebook saved soon after its end has one."""
        if self._displays.is_shown and "matplotlib.figure" not in sys.modules:
            threading.Thread(target=_load_matplotlib, name="nbtune-picture", daemon=True).start()

    def begin(self) -> None:
        """Take away what the last run left."""
        face = self.face
        face.problem, face.suggestion_action, face.apply_label, face.notes = None, None, "", []
        face.code = {}
        face.other_run = None

    def say_stopping(self, waiting_for: str) -> None:
        """Between a stop and the end."""
        self.face.sentence = [
            ["Stopping.", "strong"],
            [f" Waiting for {waiting_for}; nothing is put back until it returns.", ""],
        ]

    def say_waiting(self, wait: Wait | Trace) -> None:
        """No batch comes, for whatever reason, or a trace takes long; the next events say again how the run goes."""
        head, colon, rest = wait.text.partition(":")
        face = self.face
        face.sentence = [[head.capitalize() + colon, "strong"], [f"{rest}.", ""]]
        if face.progress:  # what is left of a run that waits, nobody knows
            told = {name: _without_rest(str(face.progress[name])) for name in ("text", "short")}
            face.progress = {**face.progress, **told}

    def fail(self, error: BaseException, title: str, *, is_put_back: bool) -> None:
        """Show an error that ended a run, in place of a result."""
        face = self.face
        face.error, face.result = error, None
        face.problem = problem_of(error, title)
        restored = " Model, optimizer and random state are as they were before Start."
        broken = " Putting things back failed: build the model and the optimizer anew."
        face.sentence = [["Failed.", "danger"], [restored if is_put_back else broken, ""]]

    def refuse(self, error: Exception) -> None:
        """Show why no run began."""
        with self.drawing():
            face = self.face
            face.problem = {"title": "The settings do not work", "text": str(error), "where": "", "traceback": ""}
            face.sentence = [["Not started.", "danger"], [" Change the settings and press Start.", ""]]
            face.suggestion_action = None

    def show(self) -> None:
        """One more output, in the cell that is running."""
        self._displays.show()

    def greet(self) -> None:
        """A browser shows it."""
        self._displays.greet()
        self.face.kept = self._displays.kept

    def close(self) -> None:
        """The face was closed: outputs show what is kept, in place of a widget that no page finds any more."""
        self._displays.redraw()

    def keep_picture(self) -> None:
        """Put the picture of what is shown, and its sentence, into every output."""
        self.is_kept = True
        text = "".join(text for text, _ in self.face.sentence)
        self._displays.keep(self._picture_or_warning(), text)
        self.face.kept = self._displays.kept

    def _picture_or_warning(self) -> bytes | None:
        if self.face.result is None:
            return None
        try:
            return self._picture()
        except Exception as error:  # the run itself went well
            warnings.warn(f"no picture for the saved notebook: {error!r}", stacklevel=2)
            return None

    def _live(self) -> dict[str, Any]:
        name = f"{type(self.face).__name__} of nbtune"
        if self.face.is_closed:
            return {"text/plain": f"{name}, closed. Run this cell for a new one."}
        bundle = self.face._repr_mimebundle_()
        without_result = f"{name}, without a result so far. Run this cell for the widget."
        return {} if bundle is None else {**bundle[0], "text/plain": without_result}
