"""What the learning-rate finder shows of a search: its plots, its progress and its words."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...engine import LRCurve, LRSettings, Task
from ...engine.learning_rate.by_batch_size import LRByBatchSize
from ...engine.learning_rate.by_optimizer import LRByOptimizer
from ...engine.learning_rate.finding import LRResult
from ...engine.learning_rate.sweep.classic_rules import classic_rules
from ...formats import format_lr
from ...plots.base.columns import View
from ...plots.learning_rate.by_optimizer.figure import by_optimizer_figures, by_optimizer_view
from ...plots.learning_rate.by_size.figure import by_size_figures, by_size_view
from ...plots.learning_rate.race.figure import race_figures, race_view
from ...plots.learning_rate.sweep.figure import lr_figure, lr_view
from ..panel.blank import Blank
from ..panel.bokeh_plot import BokehPlot
from ..panel.view import Face
from ..panel.word_pace import WordPace
from ..panel.words import idle_sentence
from .searched import Searched
from .settings import OPTIMIZERS, SIZES
from .words import folded, outcome_parts, result_sentence

BLOCKS: list[dict[str, Any]] = [
    {"name": "course", "kind": "plot", "modes": ["race"], "is_unspoken": True},
    {"name": "standings", "kind": "plot", "modes": ["race"]},
    {"name": "scores", "kind": "plot", "modes": ["race"]},
    {"name": "plot", "kind": "plot", "modes": ["quick"]},
    {"name": "curves", "kind": "plot", "modes": [SIZES], "is_unspoken": True},
    {"name": "moves", "kind": "plot", "modes": [SIZES]},
    {"name": "valleys", "kind": "plot", "modes": [OPTIMIZERS], "is_unspoken": True},
    {"name": "courses", "kind": "plot", "modes": [OPTIMIZERS]},
]


class Stage:
    """Draws on the finder's panel.

    Args:
        face: The panel.
        sign: As of ``LRCurve``.
    """

    def __init__(self, face: Face, sign: int) -> None:
        self.face, self._sign, self._pace = face, sign, WordPace()

    def set_up(self, settings: LRSettings, mode: str, *, has_new_axis: bool = False) -> None:
        """Make the plots of the mode when it first comes into sight: few readers look at all modes."""
        face = self.face
        is_made = all(name in face.plots for name in _plots_in(mode))
        if is_made and not has_new_axis:
            return
        figures = figures_of(settings, mode, self._sign)
        for name in figures.keys() & face.plots.keys():
            face.plots[name].show(figures[name])
        # Those of the other mode are made again, on the new axis, when they are next in sight.
        kept = {name: plot for name, plot in face.plots.items() if name in figures or not has_new_axis}
        made = {name: BokehPlot(figure) for name, figure in figures.items() if name not in kept}
        dropped = [plot for name, plot in face.plots.items() if name not in kept]
        face.plots = {**kept, **made}
        for plot in dropped:
            plot.close()

    def clear(self, mode: str) -> None:
        """Empty the plots of a mode."""
        self._pace.restart()
        for name in _plots_in(mode):
            self.face.plots[name].clear()

    def draw(self, curve: LRResult, *, running: bool = False) -> None:
        """Draw a result in the plots of its mode; while it runs, its words now and then."""

        def draw(words: bool) -> dict[str, View]:
            return self._views(curve, running=running, words=words)

        if not running:
            self._pace.restart()
        for name, view in self._pace.views(draw).items():
            if view.columns:  # standings are words alone
                self.face.plots[name].update(view)

    def _views(self, curve: LRResult, *, running: bool, words: bool) -> dict[str, View]:
        if isinstance(curve, LRByBatchSize):
            return by_size_view(curve, running=running, words=words)
        if isinstance(curve, LRByOptimizer):
            return by_optimizer_view(curve, running=running, words=words)
        if curve.settings.mode == "quick":
            rules = classic_rules(curve) if self.face.values["rules"] and not running else ()
            return {"plot": lr_view(self.shown(curve), running=running, rules=rules, words=words)}
        return race_view(self.shown(curve), running=running, words=words)

    def shown(self, curve: Any) -> Any:
        """Without the theory where its switch is off."""
        is_hidden = isinstance(curve, LRCurve) and not self.face.values["theory"]
        return replace(curve, curvature=None) if is_hidden else curve

    def tell(self, curve: LRResult, searched: Searched) -> None:
        """Say what was found, and what can be done with it."""
        face = self.face
        face.apply_label, face.suggestion_action, face.code = "", None, {}
        kind = "stopped" if curve.outcome == "stopped" else "done"
        parts = outcome_parts(curve, searched.total, is_stopped=searched.is_stopped)
        self.progress(kind, searched.taken, searched.total, *parts)
        shown = self.shown(curve)
        face.sentence, face.notes = result_sentence(shown), [*folded(shown), *curve.caveats]
        if isinstance(curve, LRByBatchSize):
            lr = curve.suggestions.get(searched.task.samples_per_update or 0)
            face.apply_label = "" if lr is None else f"Apply η = {format_lr(lr)}"
        elif isinstance(curve, LRByOptimizer):
            self._tell_optimizers(curve)
        elif curve.suggestion is not None:
            face.apply_label = f"Apply η = {format_lr(curve.suggestion)}"
            if curve.settings.train_steps is not None:
                schedule = curve.schedule()
                face.code = {"title": f"schedule: {schedule.title}", "text": schedule.code}
        elif curve.retry is not None:
            lr_min, lr_max = map(format_lr, curve.retry)
            values = {"lr_min": lr_min, "lr_max": lr_max}
            face.suggestion_action = {"label": f"Try {lr_min} to {lr_max}", "values": values}

    def _tell_optimizers(self, result: LRByOptimizer) -> None:
        lr, best = result.suggestions.get(result.own), result.best
        self.face.apply_label = "" if lr is None else f"Apply η = {format_lr(lr)}"
        code = "" if best is None else result.code(best)
        self.face.code = {"title": f"{best} with its η", "text": code} if code else {}

    def tell_nothing(self, task: Task) -> None:
        """The stage shows a mode in which nothing was looked for yet."""
        face = self.face
        face.apply_label, face.suggestion_action = "", None
        face.progress, face.sentence = {**face.progress, "fraction": 0.0, "text": "", "short": ""}, idle_sentence(task)
        face.notes, face.code = [], {}

    def progress(self, kind: str, taken: int, total: int, *parts: str) -> None:
        """How far a search is, in a bar and in words."""
        self.face.progress = {
            "fraction": min(1.0, taken / total),
            "text": " · ".join(part for part in parts if part),
            "short": " · ".join(part for part in parts[:2] if part),
            "kind": kind,
        }


def figures_of(settings: LRSettings, mode: str, sign: int) -> dict[str, Blank]:
    """The figures of the panel's mode, empty, by the names of its blocks; ``sign`` as of ``LRCurve``."""
    axis, held_out = (settings.lr_min, settings.lr_max), settings.validation is not None
    return _figures_of(mode, axis, settings.batch_sizes if mode == SIZES else (), held_out=held_out, sign=sign)


@lru_cache(maxsize=16)
def _figures_of(
    mode: str, axis: tuple[float, float], batch_sizes: tuple[int, ...], *, held_out: bool, sign: int
) -> dict[str, Blank]:
    if mode == SIZES:
        figures = by_size_figures(*axis, batch_sizes, held_out=held_out, sign=sign)
    elif mode == OPTIMIZERS:
        figures = by_optimizer_figures(*axis, held_out=held_out, sign=sign)
    elif mode == "race":
        figures = race_figures(*axis, held_out=held_out, sign=sign)
    else:
        figures = {"plot": lr_figure(*axis, held_out=held_out, sign=sign)}
    return {name: Blank.of(drawn) for name, drawn in figures.items()}


def axes_of(settings: LRSettings) -> Any:
    """What the figures' axes are made for."""
    return settings.lr_min, settings.lr_max, settings.batch_sizes


def _plots_in(mode: str) -> list[str]:
    return [str(block["name"]) for block in BLOCKS if mode in block["modes"]]
