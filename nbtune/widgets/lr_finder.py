"""The learning-rate finder as a widget."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..engine import LRCurve, LRSettings, LRStep, LRSweep, Task, sweep_lr
from ..engine.findings import QUICK_SWEEP, finding_of
from ..engine.training import LOADING
from ..formats import format_lr, format_remaining, format_seconds
from ..jobs import Finding, Forecast, Job, Progress
from ..plots.lr_curve import lr_figure, lr_view
from ..plots.picture import draw_png
from ._panel import Panel, Sentence
from .bokeh_plot import BokehPlot

if TYPE_CHECKING:
    from bokeh.plotting import figure

_FIELDS = [
    {"name": "lr_min", "label": "η from", "kind": "number", "short": "{}"},
    {"name": "lr_max", "label": "to", "kind": "number", "short": " to {}"},
    {"name": "steps", "label": "steps", "kind": "integer", "short": ", {} steps"},
]
# Before this many steps their mean says little: the first ones warm things up.
_STEPS_BEFORE_ESTIMATE = 5


class LRFinder(Panel):
    """Watch the loss while η rises, and read off a learning rate.

    Show it as the last expression of a cell. ``curve = await finder`` in a later cell starts it, if nobody has, and
    gives the ``LRCurve``. The model is afterwards as it was; ``result.apply(task)`` or the button sets the rate.

    Args:
        task: What is to be tuned.
        settings: The sweep's; None for the defaults (100 steps from 1e-5 to 10).
        **changes: Single settings by name, e.g. ``lr_max=1.0``; see ``LRSettings``.
    Raises:
        TypeError, ValueError: For wrong settings.
    """

    def __init__(self, task: Task, settings: LRSettings | None = None, **changes: Any) -> None:
        self.task = task
        self.settings = replace(settings or LRSettings(), **changes)
        self._steps: list[LRStep] = []
        idle = "Press Start. Your model is put back as it was afterwards."
        super().__init__(
            fields=_FIELDS,
            values=_texts(self.settings),
            modes=[["quick", "Quick sweep"]],
            mode="quick",
            sentence=[[idle, ""], *([f" {caveat}", "muted"] for caveat in task.caveats)],
            plots={"plot": BokehPlot(_figure(self.settings))},
        )

    @property
    def plot(self) -> BokehPlot:
        """The live view of the curve."""
        return self.plots["plot"]

    def _new_run(self) -> LRSweep:
        settings = _settings_from(self.values, self.settings)
        run = sweep_lr(self.task, settings)
        has_same_axis = (settings.lr_min, settings.lr_max) == (self.settings.lr_min, self.settings.lr_max)
        with self._drawing():
            self.settings, self.values = settings, _texts(settings)
            if has_same_axis:
                self.plot.clear()
            else:
                self.plot.show(_figure(settings))
        return run

    def _new_job(self) -> Job:
        def progress() -> Progress:
            taken, asked = len(self._steps), self.settings.steps
            return Progress(taken, asked, "steps", taken / asked)

        return Job(
            "learning_rate", QUICK_SWEEP, progress=progress, stop=self.stop, widget=self.model_id,
            max_seconds=self.settings.max_seconds,
        )  # fmt: skip

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        return finding_of(self.result, self.task, widget=self.model_id), None

    def _draw_start(self) -> None:
        self._steps = []
        self._draw_progress("running", f"step 0 of {self.settings.steps}")
        self.sentence = [["Raising η step by step.", "muted"]]

    def _draw_events(self, events: list[LRStep]) -> None:
        self._steps += events
        curve = self._curve()
        self.plot.update(lr_view(curve, running=True))
        self._draw_progress("running", f"step {len(self._steps)} of {self.settings.steps}", self._remaining())
        if self.state == "running":
            fall = "" if curve.low is None else f" The loss has begun to fall at about η = {format_lr(curve.low)}."
            self.sentence = [[f"Raising η step by step.{fall}", "muted"]]

    def _draw_end(self) -> None:
        self.result = curve = self._curve()
        self.plot.update(lr_view(curve))
        self._draw_outcome(curve)
        self.sentence = _sentence(curve)
        if curve.suggestion is not None:
            self.apply_label = f"Apply η = {format_lr(curve.suggestion)}"
        elif curve.retry is not None:
            lr_min, lr_max = map(format_lr, curve.retry)
            values = {"lr_min": lr_min, "lr_max": lr_max}
            self.suggestion_action = {"label": f"Try {lr_min} to {lr_max}", "values": values}

    def _draw_outcome(self, curve: LRCurve) -> None:
        taken, asked = len(curve.steps), self.settings.steps
        if curve.outcome == "diverged":
            seconds = format_seconds(curve.seconds)
            self._draw_progress("done", f"{taken} of {asked} steps", seconds, "ended early, loss rising")
        elif curve.outcome == "finished":
            self._draw_progress("done", f"{taken} of {asked} steps", "finished")
        elif self._session is not None and self._session.is_stopped:
            self._draw_progress("stopped", f"stopped at step {taken} of {asked}")
        else:
            self._draw_progress("stopped", f"{taken} of {asked} steps", "time is up")

    def _draw_failure(self) -> None:
        self._draw_progress("failed", f"failed at step {len(self._steps) + 1} of {self.settings.steps}")

    def _draw_progress(self, kind: str, *parts: str) -> None:
        taken = len(self._steps) + (kind == "failed")
        self.progress = {
            "fraction": taken / self.settings.steps,
            "text": " · ".join(part for part in parts if part),
            "short": " · ".join(part for part in parts[:2] if part).replace(" steps", ""),
            "kind": kind,
        }

    def _remaining(self) -> str:
        taken, spent = len(self._steps), self._steps[-1].seconds
        if taken < _STEPS_BEFORE_ESTIMATE:
            return ""
        left = spent / taken * (self.settings.steps - taken)
        if self.settings.max_seconds is not None:
            left = min(left, max(0.0, self.settings.max_seconds - spent))
        return format_remaining(left)

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
        said = f" the optimizer now uses η = {format_lr(self.task.lr)}."
        return [["Applied:", "strong"], [said, ""], *([f" Note: {w.message}.", "muted"] for w in caught)]


def _figure(settings: LRSettings) -> figure:
    return lr_figure(settings.lr_min, settings.lr_max, held_out=settings.validation is not None)


def _sentence(curve: LRCurve) -> Sentence:
    """Verdict in bold, then the evidence, then in muted ink the limit."""
    head, mark, value = curve.verdict.partition("η = ")
    if curve.suggestion is None or not mark:
        verdict = [[curve.verdict, "strong"], [f" {curve.reason}", ""]]
    else:
        verdict = [[head, "strong"], [mark + value, "answer"], [f": {curve.reason}", ""]]
    return [*verdict, *([[f" {curve.limit}", "muted"]] if curve.limit else [])]


def _texts(settings: LRSettings) -> dict[str, str]:
    return {
        "lr_min": format_lr(settings.lr_min),
        "lr_max": format_lr(settings.lr_max),
        "steps": str(settings.steps),
    }


def _settings_from(texts: dict[str, str], before: LRSettings) -> LRSettings:
    """The settings in the fields. A text nobody changed keeps its number, of which it shows two digits only."""
    shown = _texts(before)
    changes: dict[str, Any] = {}
    for field in _FIELDS:
        name = field["name"]
        if texts[name].strip() != shown[name]:
            changes[name] = _number(texts[name].strip(), field["label"], int if field["kind"] == "integer" else float)
    return replace(before, **changes)


def _number(text: str, label: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        example = "a whole number such as 100" if kind is int else "a number such as 1e-5"
        raise ValueError(f"“{label}” must be {example}, not “{text}”") from None
