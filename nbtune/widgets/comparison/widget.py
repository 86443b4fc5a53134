"""The comparison of batch sizes as a widget."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from ...engine import LRStep, Task
from ...engine.comparison.curves import RunFold
from ...engine.comparison.events import LossStep
from ...engine.comparison.finding import finding_of
from ...engine.comparison.run import ComparisonRun, train_batch_sizes
from ...engine.comparison.settings import ComparisonSettings
from ...engine.task.task import checked_task
from ...engine.training.trainer import LOADING
from ...jobs import Finding, Forecast, Job, Progress
from ...plots.comparison.figure import comparison_figure, comparison_view
from ...plots.comparison.picture import comparison_png
from ..panel import frontend
from ..panel.bokeh_plot import BokehPlot
from ..panel.panel import IS_RUNNING, Panel, Sentence
from .settings import AXES, SHOWN, fields_of, settings_from, texts_of
from .table import caption_of, summary_table
from .words import (
    IDLE,
    applied_sentence,
    apply_label,
    broken_off_text,
    finding_sentence,
    finding_text,
    next_try,
    remaining,
    result_sentence,
    running_sentence,
    runs_text,
    spent,
)

_BLOCKS = [
    {"name": "curves", "kind": "plot"},
    {"name": "summary", "kind": "summary"},
    {"name": "lines", "kind": "text"},
]
# A sentence that changes with every drawing can neither be read nor heard.
_SENTENCE_SECONDS = 1.0
# The part of the budget from which the length of an axis can be told.
_SHARE_BEFORE_ESTIMATE = 0.02


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
        self.settings = self._given = replace(settings or ComparisonSettings(), **changes)
        run = train_batch_sizes(task, self.settings)
        self._fold, self._comparison = RunFold(), run.comparison([])
        self._texts = texts_of(self.settings, run)
        self._selected: int | None = None
        self._began_at: float | None = None
        self._said_at = 0.0
        super().__init__(
            fields=fields_of(task, self._given),
            values={"axis": AXES[0], "held_out": "", **self._texts},
            modes=[["curves", "Curves"]],
            mode="curves",
            blocks=_BLOCKS,
            plots={"curves": BokehPlot(comparison_figure())},
            sentence=[*IDLE, *([f" {caveat}", "muted"] for caveat in task.caveats)],
        )
        self._draw_curves()

    @property
    def plot(self) -> BokehPlot:
        """The live view of the curves."""
        shown: BokehPlot = self.plots["curves"]
        return shown

    # The life of a run

    def _new_run(self) -> ComparisonRun:
        settings, run = self._planned()
        self.settings, self._texts = settings, texts_of(settings, run)
        self.values = {**self.values, **self._texts}
        return run

    def _planned(self) -> tuple[ComparisonSettings, ComparisonRun]:
        """What stands in the fields, ready to be run."""
        settings = settings_from(self.values, self.settings, self._texts, self._given)
        return settings, train_batch_sizes(self.task, settings)

    def _new_job(self) -> Job:
        run: ComparisonRun = self._run
        return Job(
            "comparison", run.budget.text, progress=lambda: Progress(share=run.share_done), stop=self.stop,
            widget=self.model_id,
        )  # fmt: skip

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        return finding_of(self.result, self.task, widget=self.model_id), None

    def _draw_start(self) -> None:
        self._fold, self._began_at, self._said_at = RunFold(), None, 0.0
        self._comparison, self._selected = self._run.comparison(self._fold), None
        self._draw_progress("running", runs_text(self._run, self._run.budget.text))
        self.sentence = running_sentence(self._run, self._comparison)
        self._draw_curves(running=True)

    def _draw_events(self, events: list[LRStep | LossStep]) -> None:
        losses = [event for event in events if isinstance(event, LossStep)]
        if not losses:
            self._draw_search(events)
            return
        self._began_at = self._began_at or time.monotonic()
        for step in losses:
            self._fold.add(step)
        self._comparison = self._run.comparison(self._fold)
        left = remaining(time.monotonic() - self._began_at, self._run.share_done)
        self._draw_progress("running", runs_text(self._run, spent(self._run)), left)
        self._draw_curves(running=True)
        if self.state == "running" and time.monotonic() - self._said_at > _SENTENCE_SECONDS:
            self._said_at = time.monotonic()
            self.sentence = running_sentence(self._run, self._comparison)

    def _draw_search(self, events: list[Any]) -> None:
        """How far the search for η is; no curve grows meanwhile."""
        k = self._run.finding
        if k is None or not events:
            return  # the last one of the search, seen when the training has begun
        self._draw_progress("running", finding_text(k, events[-1].index))
        if self.state == "running":
            self.sentence = finding_sentence(k, events[-1].index)

    def _draw_end(self) -> None:
        self.result = self._comparison = self._run.comparison(self._fold)
        if self._comparison.outcome == "stopped":
            self._draw_progress("stopped", broken_off_text("stopped", self._run))
        else:
            self._draw_progress("done", runs_text(self._run, self._run.budget.text))
        self._draw_curves()
        self.sentence, self.notes = result_sentence(self._comparison), list(self._comparison.caveats)
        self.apply_label = apply_label(self._comparison, self.task)
        self.suggestion_action = next_try(self._comparison, self.values)

    def _draw_failure(self) -> None:
        self._draw_progress("failed", broken_off_text("failed", self._run))

    def _error_title(self) -> str:
        whose = "data" if getattr(self._run, "waiting_for", "") == LOADING else "model"
        k = getattr(self._run, "at_work", None)
        return f"Your {whose} raised an error{'' if k is None else f' at k = {k}'}"

    def _picture(self) -> bytes | None:
        return comparison_png(self.result, axis=self.values["axis"], held_out=self._shows_held_out)

    def _apply(self) -> Sentence:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                self.task = self.result.apply(self.task)
            except ValueError as error:
                return [["Not applied:", "danger"], [f" {error}", ""]]
        self.fields = fields_of(self.task, self._given)
        return applied_sentence(self._name("comparison"), self.task, [str(warning.message) for warning in caught])

    # What follows from a change

    def _changed(self, names: set[str]) -> bool:
        is_running = self.state in IS_RUNNING
        if names & SHOWN:
            self._is_kept = self._is_kept and (is_running or self.result is None)
        elif self.result is None and not is_running:
            with suppress(TypeError, ValueError):  # a number being typed; Start says what is wrong with it
                self._comparison = self._planned()[1].comparison([])
        self._draw_curves(running=is_running)
        return False

    def _picked(self, name: str, value: Any) -> None:
        if name == "summary" and isinstance(value, int):
            self._selected = None if value == self._selected else value
            self._draw_curves(running=self.state in IS_RUNNING)

    # What is drawn

    @property
    def _shows_held_out(self) -> bool:
        return bool(self.values["held_out"])

    def _draw_curves(self, *, running: bool = False) -> None:
        comparison, held_out = self._comparison, self._shows_held_out
        axis = self.values["axis"]
        view = comparison_view(
            comparison, axis=axis, held_out=held_out, selected=self._selected, running=running,
            x_end=self._expected_end(axis) if running else None,
        )  # fmt: skip
        self.plot.update(view)
        table = summary_table(comparison, self._selected, running=running)
        self.contents = {"summary": table, "lines": caption_of(comparison)}

    def _expected_end(self, axis: str) -> float | None:
        """Of an axis that the budget does not bound, so that curves grow into known space."""
        share = self._run.share_done if self._run is not None else 0.0
        name = "samples_seen" if axis == "samples" else axis
        ends = [getattr(curve, name)[-1] for curve in self._comparison.by_batch_size if curve.losses]
        return max(ends) / share if ends and share > _SHARE_BEFORE_ESTIMATE else None

    def _draw_progress(self, kind: str, *parts: str) -> None:
        text = " · ".join(part for part in parts if part)
        self.progress = {"fraction": self._run.share_done, "text": text, "short": parts[-1] or text, "kind": kind}
