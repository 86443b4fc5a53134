"""The comparison of batch sizes as a widget."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

from ...engine import Task
from ...engine.checks import made_of
from ...engine.comparison.run import ComparisonRun, train_batch_sizes
from ...engine.comparison.settings import ComparisonSettings
from ...engine.small_print import collected
from ...engine.task.rates import kept
from ...engine.task.task import checked_task
from ...plots.comparison.figure import comparison_figure
from ...plots.comparison.picture import comparison_png
from ..panel import frontend
from ..panel.blank import Blank
from ..panel.bokeh_plot import BokehPlot
from ..panel.panel import Panel
from ..panel.view import IS_RUNNING, Sentence
from ..panel.words import idle_sentence
from .act import ComparisonAct
from .settings import AXES, SHOWN, fields_of, settings_from, texts_of
from .stage import Stage
from .words import applied_sentence

_BLOCKS = [
    {"name": "curves", "kind": "plot"},
    {"name": "summary", "kind": "summary"},
    {"name": "lines", "kind": "text"},
]


class BatchComparison(Panel):
    """Watch copies of the model train side by side at several batch sizes, from the same start.

    Show it as the last expression of a cell. ``duel = await comparison`` in a later cell starts it, if nobody has, and
    gives the ``Comparison``. The x axis changes between samples, updates and seconds at any time, also during a run.
    The button puts a task with the batch size found into ``task`` and sets the η it was trained at.

    Args:
        task: What is to be trained; it is left as it is.
        batch_sizes: The k to compare, such as ``[1, 32, 512]``; "full" for all samples at once. None for 1, 8, 64 and
            "full" (at most 2,048 samples).
        settings: The comparison's; None for the defaults.
        **changes: Single settings by name, e.g. ``seeds=3, budget="10 s"``; see ``ComparisonSettings``.
    Raises:
        TypeError, ValueError: For wrong settings, batch sizes the data do not hold, or a loader that cannot be rebuilt.
    """

    _esm = frontend.script(
        "panel/fields.js", "panel/blocks.js", "comparison/summary.js", "panel/problem.js", "panel/panel.js"
    )
    _css = frontend.style("panel/panel.css", "panel/blocks.css", "comparison/comparison.css")

    # A dozen curves and a table take 6 ms to draw, and on a log axis little moves in this time.
    _throttle_seconds = 0.15

    def __init__(
        self,
        task: Task,
        batch_sizes: Iterable[int | str] | None = None,
        settings: ComparisonSettings | None = None,
        **changes: Any,
    ) -> None:
        if batch_sizes is not None:
            changes["batch_sizes"] = batch_sizes
        self.task = checked_task(task, "BatchComparison")
        self.settings = self._given = made_of(ComparisonSettings, settings, changes, taker="BatchComparison")
        run = train_batch_sizes(task, self.settings)
        self._texts = texts_of(self.settings, run)
        self._stage = Stage(self, run.comparison([]))
        super().__init__(
            fields=fields_of(task, self._given),
            values={"axis": AXES[0], "held_out": "", **self._texts},
            modes=[["curves", "Curves"]],
            mode="curves",
            blocks=_BLOCKS,
            plots={"curves": BokehPlot(_blank(task.sign_of()))},
            sentence=idle_sentence(task),
        )
        self._stage.draw()

    @property
    def plot(self) -> BokehPlot:
        """The live view of the curves."""
        plot: BokehPlot = self.plots["curves"]
        return plot

    def _new_act(self) -> ComparisonAct:
        settings, run = self._planned()
        self.settings, self._texts = settings, texts_of(settings, run)
        self.values = {**self.values, **self._texts}
        return ComparisonAct(run, self.task, self._stage)

    def _planned(self) -> tuple[ComparisonSettings, ComparisonRun]:
        """What stands in the fields, ready to be run."""
        settings = settings_from(self.values, self.settings, self._texts, self._given)
        return settings, train_batch_sizes(self.task, settings)

    @property
    def _run_under_way(self) -> ComparisonRun | None:
        act = self._act if self.state in IS_RUNNING else None
        return act.run if isinstance(act, ComparisonAct) else None

    def _changed(self, names: set[str]) -> None:
        is_running = self.state in IS_RUNNING
        if names & SHOWN:
            self._view.is_kept = self._view.is_kept and (is_running or self.result is None)
        elif self.result is None and not is_running:
            with suppress(TypeError, ValueError):  # a number being typed; Start says what is wrong with it
                self._stage.comparison = self._planned()[1].comparison([])
        self._stage.draw(self._run_under_way)

    def _picked(self, name: str, value: Any) -> None:
        if name == "summary" and isinstance(value, int):
            self._stage.selected = None if value == self._stage.selected else value
            self._stage.draw(self._run_under_way)

    def _picture(self) -> bytes | None:
        return comparison_png(self.result, axis=self.values["axis"], held_out=self._stage.shows_held_out)

    def _apply(self) -> Sentence:
        before, put_back = self.task, kept(self.task.optimizers.values())
        with collected() as notes:
            try:
                self.task = self.result.apply(self.task)
            except ValueError as error:
                return [["Not applied:", "danger"], [f" {error}", ""]]
        self._undo = lambda: self._take_back(before, put_back)
        self.fields = fields_of(self.task, self._given)
        return applied_sentence(self._name("comparison"), self.task, notes)

    def _take_back(self, before: Task, put_back: Callable[[], None]) -> None:
        put_back()
        self.task = before
        self.fields = fields_of(self.task, self._given)


@cache
def _blank(sign: int) -> Blank:
    return Blank.of(comparison_figure(sign=sign))
