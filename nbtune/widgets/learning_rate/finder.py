"""The learning-rate finder as a widget."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ...engine import LRCurve, LRSettings, LRStep, RaceStep, Task
from ...engine.learning_rate.by_batch_size import LRByBatchSize
from ...engine.learning_rate.find import lr_result
from ...engine.learning_rate.finding import finding_of, kind_of
from ...engine.learning_rate.search import TheoryRun, search_lr
from ...engine.learning_rate.sweep.classic_rules import classic_rules
from ...engine.task.task import checked_task
from ...engine.training.trainer import LOADING
from ...formats import format_lr
from ...jobs import Finding, Forecast, Job, Progress
from ...plots.learning_rate.by_size.figure import by_size_figures, by_size_view
from ...plots.learning_rate.dispatch import lr_png
from ...plots.learning_rate.race.figure import race_figures, race_view
from ...plots.learning_rate.sweep.figure import lr_figure, lr_view
from ..panel import frontend
from ..panel.bokeh_plot import BokehPlot
from ..panel.panel import IS_RUNNING, Panel, Sentence
from .settings import FIELDS, MODES, SIZES, has_theory, mode_of, settings_from, texts_of
from .words import (
    ESTIMATING,
    IDLE,
    outcome_parts,
    progress_parts,
    result_sentence,
    running_sentence,
    starting_sentence,
)

_BLOCKS: list[dict[str, Any]] = [
    {"name": "course", "kind": "plot", "modes": ["race"], "is_unspoken": True},
    {"name": "scores", "kind": "plot", "modes": ["race"]},
    {"name": "plot", "kind": "plot", "modes": ["quick"]},
    {"name": "curves", "kind": "plot", "modes": [SIZES], "is_unspoken": True},
    {"name": "moves", "kind": "plot", "modes": [SIZES]},
]


class LRFinder(Panel):
    """Watch learning rates race, or the loss while η rises, and read off a learning rate.

    Show it as the last expression of a cell. ``curve = await finder`` in a later cell starts it, if nobody has, and
    gives the ``LRCurve``, or over several batch sizes the ``LRByBatchSize``. The model is afterwards as it was;
    ``result.apply(task)`` or the button sets the rate.

    Args:
        task: What is to be tuned.
        settings: The search's; None for the defaults (a race of 13 rates from 1e-5 to 10).
        **changes: Single settings by name, e.g. ``lr_max=1.0, mode="quick"``; see ``LRSettings``.
    Raises:
        TypeError, ValueError: For wrong settings.
    """

    _css = frontend.style("panel/panel.css", "learning_rate/finder.css")

    def __init__(self, task: Task, settings: LRSettings | None = None, **changes: Any) -> None:
        self.task = checked_task(task, "LRFinder")
        self.settings = replace(settings or LRSettings(), **changes)
        self._kind = self.settings.mode  # what a search over batch sizes does at each
        self._steps: list[Any] = []
        self._adds_theory = self._was_stopped = False
        self._known_total = 1
        super().__init__(
            fields=FIELDS,
            values={
                "rules": "", "theory": "on" if has_theory(self.settings, task) else "", **texts_of(self.settings, task)
            },
            modes=MODES,
            mode=mode_of(self.settings),
            sentence=[*IDLE, *([f" {caveat}", "muted"] for caveat in task.caveats)],
            blocks=_BLOCKS,
            plots={name: BokehPlot(figure) for name, figure in _figures(self.settings, mode_of(self.settings)).items()},
        )  # fmt: skip

    @property
    def plot(self) -> BokehPlot:
        """The live view of loss against η."""
        shown: BokehPlot = self.plots[{"quick": "plot", SIZES: "curves"}.get(self.mode, "scores")]
        return shown

    def _new_run(self) -> Iterator[Any]:
        if self._adds_theory:
            return TheoryRun(self.task, self.result.seconds)
        before = replace(self.settings, mode=self._kind) if self.mode == SIZES else self.settings
        settings = settings_from(self.values, self.mode, before, self.task)
        run = search_lr(self.task, settings)
        has_same_axes = _axes(settings) == _axes(self.settings)
        with self._drawing():
            self.settings, self.values = settings, {**self.values, **texts_of(settings, self.task)}
            self._set_stage(has_new_axis=not has_same_axes)
        return run

    def _set_stage(self, *, has_new_axis: bool = False) -> None:
        """Make the plots of the mode when it first comes into sight: the two of a race take half a second."""
        is_made = all(name in self.plots for name in _plots_in(self.mode))
        if is_made and not has_new_axis:
            return
        figures = _figures(self.settings, self.mode)
        for name in figures.keys() & self.plots.keys():
            self.plots[name].show(figures[name])
        # Those of the other mode are made again, on the new axis, when they are next in sight.
        kept = {name: plot for name, plot in self.plots.items() if name in figures or not has_new_axis}
        made = {name: BokehPlot(figure) for name, figure in figures.items() if name not in kept}
        self.plots = {**kept, **made}

    def _new_job(self) -> Job | None:
        if self._adds_theory:
            return None

        def progress() -> Progress:
            taken, total = self._taken, self._total
            return Progress(taken, total, "steps", min(1.0, taken / total))

        return Job(
            "learning_rate", kind_of(self.settings), progress=progress, stop=self.stop, widget=self.model_id,
            max_seconds=self.settings.max_seconds,
        )  # fmt: skip

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        return finding_of(self.result, self.task, widget=self.model_id), None

    def _changed(self, names: set[str]) -> bool:
        is_running = self.state in IS_RUNNING
        if "mode" in names and is_running:
            self.mode = mode_of(self.settings)  # what runs stays in sight
        self._set_stage()
        if self.result is None or is_running:
            return False
        is_in_sight = mode_of(self.result.settings) == self.mode
        if names & {"rules", "theory"} and is_in_sight:
            self._draw_plots(self.result)
        if names & {"mode", "theory"}:
            self._draw_words(self.result if is_in_sight else None)
        self._adds_theory = "theory" in names and is_in_sight and self._lacks_theory
        return self._adds_theory

    @property
    def _lacks_theory(self) -> bool:
        """Whether the switch asks for what the result in sight does not have."""
        result = self.result
        return bool(self.values["theory"]) and isinstance(result, LRCurve) and result.curvature is None

    def _draw_start(self) -> None:
        if self._adds_theory:
            self.sentence = ESTIMATING
            return
        self._steps = []
        for name in _plots_in(mode_of(self.settings)):
            self.plots[name].clear()
        self._draw_progress("running", *progress_parts(self._curve(), self._total))
        self.sentence = starting_sentence(self.settings)

    def _draw_events(self, events: list[Any]) -> None:
        self._steps += events
        if self._adds_theory:
            return
        curve = self._curve()
        self._draw_plots(curve, running=True)
        self._draw_progress("running", *progress_parts(curve, self._total))
        if self.state == "running":
            self.sentence = running_sentence(curve, self._run)

    def _draw_end(self) -> None:
        if not self._adds_theory:
            self._was_stopped = self._session is not None and self._session.is_stopped
        self._adds_theory = False
        self.result = curve = self._curve()
        self._draw_plots(curve)
        self._draw_words(curve)

    def _draw_words(self, curve: LRCurve | LRByBatchSize | None) -> None:
        """What was found; None while the stage shows another mode, in which nothing was looked for yet."""
        self.apply_label, self.suggestion_action = "", None
        if curve is None:
            self.progress, self.sentence = {**self.progress, "fraction": 0.0, "text": "", "short": ""}, IDLE
            return
        kind = "stopped" if curve.outcome == "stopped" else "done"
        self._draw_progress(kind, *outcome_parts(curve, self._total, is_stopped=self._was_stopped))
        self.sentence = result_sentence(self._shown(curve))
        if isinstance(curve, LRByBatchSize):
            lr = curve.suggestions.get(self.task.samples_per_update or 0)
            self.apply_label = "" if lr is None else f"Apply η = {format_lr(lr)}"
        elif curve.suggestion is not None:
            self.apply_label = f"Apply η = {format_lr(curve.suggestion)}"
        elif curve.retry is not None:
            lr_min, lr_max = map(format_lr, curve.retry)
            values = {"lr_min": lr_min, "lr_max": lr_max}
            self.suggestion_action = {"label": f"Try {lr_min} to {lr_max}", "values": values}

    def _draw_failure(self) -> None:
        self._draw_progress("failed", f"failed at step {self._taken + 1} of {self._total}")

    def _draw_plots(self, curve: LRCurve | LRByBatchSize, *, running: bool = False) -> None:
        views: dict[str, Any]
        if isinstance(curve, LRByBatchSize):
            views = {**by_size_view(curve, running=running)}
        elif curve.settings.mode == "quick":
            rules = classic_rules(curve) if self.values["rules"] and not running else ()
            views = {"plot": lr_view(self._shown(curve), running=running, rules=rules)}
        else:
            views = {**race_view(self._shown(curve), running=running)}
        for name, view in views.items():
            self.plots[name].update(view)

    def _shown(self, curve: Any) -> Any:
        """Without the theory where its switch is off."""
        is_hidden = isinstance(curve, LRCurve) and not self.values["theory"]
        return replace(curve, curvature=None) if is_hidden else curve

    def _draw_progress(self, kind: str, *parts: str) -> None:
        taken = self._taken + (kind == "failed")
        self.progress = {
            "fraction": min(1.0, taken / self._total),
            "text": " · ".join(part for part in parts if part),
            "short": " · ".join(part for part in parts[:2] if part).replace(" steps", ""),
            "kind": kind,
        }

    @property
    def _total(self) -> int:
        # None again as soon as it has ended; an estimate has no steps.
        self._known_total = getattr(self._run, "total", self._known_total)
        return self._known_total

    @property
    def _taken(self) -> int:
        return sum(isinstance(step, LRStep | RaceStep) for step in self._steps)

    def _curve(self) -> LRCurve | LRByBatchSize:
        return lr_result(self._steps, self.task, self.settings)

    def _error_title(self) -> str:
        whose = "data" if getattr(self._run, "waiting_for", "") == LOADING else "model"
        return f"Your {whose} raised an error at step {self._taken + 1}"

    def _picture(self) -> bytes | None:
        return lr_png(self._shown(self.result))

    def _apply(self) -> Sentence:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.result.apply(self.task)
        said = f" the optimizer now uses η = {format_lr(self.task.lr)}."
        return [["Applied:", "strong"], [said, ""], *([f" Note: {w.message}.", "muted"] for w in caught)]


def _axes(settings: LRSettings) -> Any:
    """What the figures' axes are made for."""
    return settings.lr_min, settings.lr_max, settings.batch_sizes


def _figures(settings: LRSettings, mode: str) -> dict[str, Any]:
    """Of the panel's mode, by the names of its blocks."""
    axis, held_out = (settings.lr_min, settings.lr_max), settings.validation is not None
    if mode == SIZES:
        return by_size_figures(*axis, settings.batch_sizes, held_out=held_out)
    if mode == "race":
        return race_figures(*axis, held_out=held_out)
    return {"plot": lr_figure(*axis, held_out=held_out)}


def _plots_in(mode: str) -> list[str]:
    return [str(block["name"]) for block in _BLOCKS if mode in block["modes"]]
