"""The learning-rate finder as a widget."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from ..engine import LRCurve, LRRace, LRSettings, LRSweep, Task
from ..engine.classic_rules import classic_rules
from ..engine.find_lr import search_lr
from ..engine.findings import finding_of, kind_of
from ..engine.training import LOADING
from ..formats import format_lr
from ..jobs import Finding, Forecast, Job, Progress
from ..plots.lr_curve import lr_figure, lr_view
from ..plots.picture import draw_png
from ..plots.race import race_figures, race_view
from . import _frontend
from ._lr_settings import FIELDS, MODES, settings_from, texts_of
from ._lr_words import IDLE, outcome_parts, progress_parts, result_sentence, running_sentence, starting_sentence
from ._panel import IS_RUNNING, Panel, Sentence
from .bokeh_plot import BokehPlot

_BLOCKS = [
    {"name": "course", "kind": "plot", "modes": ["race"], "is_unspoken": True},
    {"name": "scores", "kind": "plot", "modes": ["race"]},
    {"name": "plot", "kind": "plot", "modes": ["quick"]},
]


class LRFinder(Panel):
    """Watch learning rates race, or the loss while η rises, and read off a learning rate.

    Show it as the last expression of a cell. ``curve = await finder`` in a later cell starts it, if nobody has, and
    gives the ``LRCurve``. The model is afterwards as it was; ``result.apply(task)`` or the button sets the rate.

    Args:
        task: What is to be tuned.
        settings: The search's; None for the defaults (a race of 13 rates from 1e-5 to 10).
        **changes: Single settings by name, e.g. ``lr_max=1.0, mode="quick"``; see ``LRSettings``.
    Raises:
        TypeError, ValueError: For wrong settings.
    """

    _css = _frontend.style("panel.css", "lr_finder.css")

    def __init__(self, task: Task, settings: LRSettings | None = None, **changes: Any) -> None:
        self.task = task
        self.settings = replace(settings or LRSettings(), **changes)
        self._steps: list[Any] = []
        self._known_total = 1
        super().__init__(
            fields=FIELDS,
            values={"rules": "", **texts_of(self.settings)},
            modes=MODES,
            mode=self.settings.mode,
            sentence=[*IDLE, *([f" {caveat}", "muted"] for caveat in task.caveats)],
            blocks=_BLOCKS,
            plots={name: BokehPlot(figure) for name, figure in _figures(self.settings).items()},
        )

    @property
    def plot(self) -> BokehPlot:
        """The live view of loss against η."""
        return self.plots["plot" if self.mode == "quick" else "scores"]

    def _new_run(self) -> LRRace | LRSweep:
        settings = settings_from(self.values, self.mode, self.settings)
        run = search_lr(self.task, settings)
        has_same_axis = (settings.lr_min, settings.lr_max) == (self.settings.lr_min, self.settings.lr_max)
        with self._drawing():
            self.settings, self.values = settings, {**self.values, **texts_of(settings)}
            self._set_stage(has_new_axis=not has_same_axis)
        return run

    def _set_stage(self, *, has_new_axis: bool = False) -> None:
        """Make the plots of the mode when it first comes into sight: the two of a race take half a second."""
        is_made = all(name in self.plots for name in _plots_in(self.mode))
        if is_made and not has_new_axis:
            return
        figures = _figures(replace(self.settings, mode=self.mode))
        for name in figures.keys() & self.plots.keys():
            self.plots[name].show(figures[name])
        # Those of the other mode are made again, on the new axis, when they are next in sight.
        kept = {name: plot for name, plot in self.plots.items() if name in figures or not has_new_axis}
        made = {name: BokehPlot(figure) for name, figure in figures.items() if name not in kept}
        self.plots = {**kept, **made}

    def _new_job(self) -> Job:
        def progress() -> Progress:
            taken, total = len(self._steps), self._total
            return Progress(taken, total, "steps", taken / total)

        return Job(
            "learning_rate", kind_of(self.settings), progress=progress, stop=self.stop, widget=self.model_id,
            max_seconds=self.settings.max_seconds,
        )  # fmt: skip

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        return finding_of(self.result, self.task, widget=self.model_id), None

    def _changed(self, names: set[str]) -> bool:
        if "mode" in names and self.state in IS_RUNNING:
            self.mode = self.settings.mode  # what runs stays in sight
        self._set_stage()
        if "rules" in names and self.result is not None and self.result.settings.mode == "quick":
            self._draw_plots(self.result)
        elif "mode" in names and self.result is not None and self.state not in IS_RUNNING:
            self._draw_words(self.result if self.result.settings.mode == self.mode else None)
        return False

    def _draw_start(self) -> None:
        self._steps = []
        for name in _plots_in(self.settings.mode):
            self.plots[name].clear()
        self._draw_progress("running", *progress_parts(self._curve(), self._total))
        self.sentence = starting_sentence(self.settings)

    def _draw_events(self, events: list[Any]) -> None:
        self._steps += events
        curve = self._curve()
        self._draw_plots(curve, running=True)
        self._draw_progress("running", *progress_parts(curve, self._total))
        if self.state == "running":
            self.sentence = running_sentence(curve, self._run)

    def _draw_end(self) -> None:
        self.result = curve = self._curve()
        self._draw_plots(curve)
        self._draw_words(curve)

    def _draw_words(self, curve: LRCurve | None) -> None:
        """What was found; None while the stage shows the other mode, in which nothing was looked for yet."""
        self.apply_label, self.suggestion_action = "", None
        if curve is None:
            self.progress, self.sentence = {**self.progress, "fraction": 0.0, "text": "", "short": ""}, IDLE
            return
        is_stopped = self._session is not None and self._session.is_stopped
        kind = "stopped" if curve.outcome == "stopped" else "done"
        self._draw_progress(kind, *outcome_parts(curve, self._total, is_stopped=is_stopped))
        self.sentence = result_sentence(curve)
        if curve.suggestion is not None:
            self.apply_label = f"Apply η = {format_lr(curve.suggestion)}"
        elif curve.retry is not None:
            lr_min, lr_max = map(format_lr, curve.retry)
            values = {"lr_min": lr_min, "lr_max": lr_max}
            self.suggestion_action = {"label": f"Try {lr_min} to {lr_max}", "values": values}

    def _draw_failure(self) -> None:
        self._draw_progress("failed", f"failed at step {len(self._steps) + 1} of {self._total}")

    def _draw_plots(self, curve: LRCurve, *, running: bool = False) -> None:
        if curve.settings.mode == "quick":
            rules = classic_rules(curve) if self.values["rules"] and not running else ()
            self.plots["plot"].update(lr_view(curve, running=running, rules=rules))
            return
        for name, view in race_view(curve, running=running).items():
            self.plots[name].update(view)

    def _draw_progress(self, kind: str, *parts: str) -> None:
        taken = len(self._steps) + (kind == "failed")
        self.progress = {
            "fraction": taken / self._total,
            "text": " · ".join(part for part in parts if part),
            "short": " · ".join(part for part in parts[:2] if part).replace(" steps", ""),
            "kind": kind,
        }

    @property
    def _total(self) -> int:
        if self._run is not None:  # None again as soon as it has ended
            self._known_total = self._run.total
        return self._known_total

    def _curve(self) -> LRCurve:
        return LRCurve.from_steps(self._steps, settings=self.settings, batch_size=self.task.samples_per_update)

    def _error_title(self) -> str:
        whose = "data" if getattr(self._run, "waiting_for", "") == LOADING else "model"
        return f"Your {whose} raised an error at step {len(self._steps) + 1}"

    def _picture(self) -> bytes | None:
        return draw_png(self.result)

    def _apply(self) -> Sentence:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.result.apply(self.task)
        said = f" the optimizer now uses η = {format_lr(self.result.suggestion)}."
        return [["Applied:", "strong"], [said, ""], *([f" Note: {w.message}.", "muted"] for w in caught)]


def _figures(settings: LRSettings) -> dict[str, Any]:
    """Of the mode, by the names of its blocks."""
    axis, held_out = (settings.lr_min, settings.lr_max), settings.validation is not None
    if settings.mode == "race":
        return race_figures(*axis, held_out=held_out)
    return {"plot": lr_figure(*axis, held_out=held_out)}


def _plots_in(mode: str) -> list[str]:
    return [str(block["name"]) for block in _BLOCKS if mode in block["modes"]]
