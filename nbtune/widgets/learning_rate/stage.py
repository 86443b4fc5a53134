"""What the learning-rate finder shows of a search: its plots, its progress and its words."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...engine import LRCurve, LRSettings
from ...engine.learning_rate.by_batch_size import LRByBatchSize
from ...engine.learning_rate.sweep.classic_rules import classic_rules
from ...formats import format_lr
from ...plots.learning_rate.by_size.figure import by_size_figures, by_size_view
from ...plots.learning_rate.race.figure import race_figures, race_view
from ...plots.learning_rate.sweep.figure import lr_figure, lr_view
from ..panel.blank import Blank
from ..panel.bokeh_plot import BokehPlot
from ..panel.view import Face
from .searched import Searched
from .settings import SIZES
from .words import IDLE, outcome_parts, result_sentence

BLOCKS: list[dict[str, Any]] = [
    {"name": "course", "kind": "plot", "modes": ["race"], "is_unspoken": True},
    {"name": "scores", "kind": "plot", "modes": ["race"]},
    {"name": "plot", "kind": "plot", "modes": ["quick"]},
    {"name": "curves", "kind": "plot", "modes": [SIZES], "is_unspoken": True},
    {"name": "moves", "kind": "plot", "modes": [SIZES]},
]


class Stage:
    """Draws on the finder's panel.

    Args:
        face: The panel.
    """

    def __init__(self, face: Face) -> None:
        self.face = face

    def set_up(self, settings: LRSettings, mode: str, *, has_new_axis: bool = False) -> None:
        """Make the plots of the mode when it first comes into sight: the two of a race take half a second."""
        face = self.face
        is_made = all(name in face.plots for name in _plots_in(mode))
        if is_made and not has_new_axis:
            return
        figures = figures_of(settings, mode)
        for name in figures.keys() & face.plots.keys():
            face.plots[name].show(figures[name])
        # Those of the other mode are made again, on the new axis, when they are next in sight.
        kept = {name: plot for name, plot in face.plots.items() if name in figures or not has_new_axis}
        made = {name: BokehPlot(figure) for name, figure in figures.items() if name not in kept}
        face.plots = {**kept, **made}

    def clear(self, mode: str) -> None:
        """Empty the plots of a mode."""
        for name in _plots_in(mode):
            self.face.plots[name].clear()

    def draw(self, curve: LRCurve | LRByBatchSize, *, running: bool = False) -> None:
        """Draw a result in the plots of its mode."""
        views: dict[str, Any]
        if isinstance(curve, LRByBatchSize):
            views = {**by_size_view(curve, running=running)}
        elif curve.settings.mode == "quick":
            rules = classic_rules(curve) if self.face.values["rules"] and not running else ()
            views = {"plot": lr_view(self.shown(curve), running=running, rules=rules)}
        else:
            views = {**race_view(self.shown(curve), running=running)}
        for name, view in views.items():
            self.face.plots[name].update(view)

    def shown(self, curve: Any) -> Any:
        """Without the theory where its switch is off."""
        is_hidden = isinstance(curve, LRCurve) and not self.face.values["theory"]
        return replace(curve, curvature=None) if is_hidden else curve

    def tell(self, curve: LRCurve | LRByBatchSize, searched: Searched) -> None:
        """Say what was found, and what can be done with it."""
        face = self.face
        face.apply_label, face.suggestion_action = "", None
        kind = "stopped" if curve.outcome == "stopped" else "done"
        parts = outcome_parts(curve, searched.total, is_stopped=searched.is_stopped)
        self.progress(kind, searched.taken, searched.total, *parts)
        face.sentence = result_sentence(self.shown(curve))
        if isinstance(curve, LRByBatchSize):
            lr = curve.suggestions.get(searched.task.samples_per_update or 0)
            face.apply_label = "" if lr is None else f"Apply η = {format_lr(lr)}"
        elif curve.suggestion is not None:
            face.apply_label = f"Apply η = {format_lr(curve.suggestion)}"
        elif curve.retry is not None:
            lr_min, lr_max = map(format_lr, curve.retry)
            values = {"lr_min": lr_min, "lr_max": lr_max}
            face.suggestion_action = {"label": f"Try {lr_min} to {lr_max}", "values": values}

    def tell_nothing(self) -> None:
        """The stage shows a mode in which nothing was looked for yet."""
        face = self.face
        face.apply_label, face.suggestion_action = "", None
        face.progress, face.sentence = {**face.progress, "fraction": 0.0, "text": "", "short": ""}, IDLE

    def progress(self, kind: str, taken: int, total: int, *parts: str) -> None:
        """How far a search is, in a bar and in words."""
        self.face.progress = {
            "fraction": min(1.0, taken / total),
            "text": " · ".join(part for part in parts if part),
            "short": " · ".join(part for part in parts[:2] if part).replace(" steps", ""),
            "kind": kind,
        }


def figures_of(settings: LRSettings, mode: str) -> dict[str, Blank]:
    """The figures of the panel's mode, empty, by the names of its blocks."""
    sizes = settings.batch_sizes if mode == SIZES else ()
    return _figures_of(mode, settings.lr_min, settings.lr_max, sizes, held_out=settings.validation is not None)


@lru_cache(maxsize=16)
def _figures_of(mode: str, lr_min: float, lr_max: float, sizes: tuple[int, ...], *, held_out: bool) -> dict[str, Blank]:
    if mode == SIZES:
        figures = by_size_figures(lr_min, lr_max, sizes, held_out=held_out)
    elif mode == "race":
        figures = race_figures(lr_min, lr_max, held_out=held_out)
    else:
        figures = {"plot": lr_figure(lr_min, lr_max, held_out=held_out)}
    return {name: Blank.of(figure) for name, figure in figures.items()}


def axes_of(settings: LRSettings) -> Any:
    """What the figures' axes are made for."""
    return settings.lr_min, settings.lr_max, settings.batch_sizes


def _plots_in(mode: str) -> list[str]:
    return [str(block["name"]) for block in BLOCKS if mode in block["modes"]]
