"""The descent explorer as a widget."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ...engine.checks import made_of
from ...engine.descent.path import DescentPath
from ...engine.descent.settings import DescentSettings
from ...engine.descent.surfaces import SAMPLES, SURFACES, Surface, lr_limit
from ...formats import format_loss, format_lr
from ...plots.descent.figure import descent_figure
from ...plots.descent.picture import descent_png
from ...plots.descent.strip import NAMES, strip_figure, strip_view
from ...plots.descent.view import family_of, path_title, path_view
from ..panel import frontend
from ..panel.blank import Blank
from ..panel.bokeh_plot import BokehPlot
from ..panel.numbers import number_in
from ..panel.panel import Panel
from ..panel.view import IS_RUNNING, Sentence
from .play import PlayAct, Steps

SHARES = {"small": 0.06, "good": 0.72}
"""Of the limit: the η that are always shown beside the reader's own."""

SLIDER_SHARE = 1.5
"""Of the limit: where the slider ends."""

_BLOCKS = [
    *({"name": f"{name}{part}", "kind": kind} for name in NAMES for part, kind in (("_title", "text"), ("", "plot"))),
    {"name": "strip", "kind": "plot"},
]
_ACTIONS = [
    {"name": "run", "sign": "▶", "label": "Step", "sends": "step", "repeats": True},
    {"name": "reset", "sign": "↺", "label": "Reset", "sends": "reset"},
]


class DescentExplorer(Panel):
    """Move η and the batch size k, and see at once where the weights go.

    Show it as the last expression of a cell. Three paths descend on one surface: at a small η, at a good one, and at
    the one in the field; below, their losses step by step. Any change draws the whole path anew; Step draws one step
    after another, ``start()`` plays them all, and ``path = await explorer`` gives the ``DescentPath`` of the η in the
    field.

    Args:
        settings: Of the reader's descent; None for the defaults (the narrow valley, η a little above its limit).
        **changes: Single settings by name, e.g. ``surface="two minima"``; see ``DescentSettings``.
    Raises:
        TypeError, ValueError: For wrong settings.
    """

    _css = frontend.style("panel/panel.css", "panel/blocks.css", "descent/explorer.css")

    def __init__(self, settings: DescentSettings | None = None, **changes: Any) -> None:
        self.settings = made_of(DescentSettings, settings, changes, taker="DescentExplorer")
        self._shown: int | None = None  # steps; None for all
        self._paths: dict[str, DescentPath] = {}
        super().__init__(
            fields=_fields(self.settings),
            actions=_ACTIONS,
            values=_texts(self.settings),
            blocks=_BLOCKS,
            plots=_plots(self.settings),
            progress={},
        )
        self._walk(NAMES)
        self._draw(NAMES)

    # The life of a run

    def _new_act(self) -> PlayAct:
        self._use(_settings_from(self.values, self.settings))
        return PlayAct(Steps(self.settings.steps), self._show)

    def _show(self, until: int | None) -> DescentPath:
        self._shown = until
        self._draw(NAMES)
        return self._until_shown("yours")

    def _picture(self) -> bytes | None:
        return descent_png([self._until_shown(name) for name in NAMES])

    def _ipython_display_(self) -> None:
        # It has something to show before any run.
        if not self._view.is_kept:
            self._view.keep_picture()
        super()._ipython_display_()

    # What follows from a change

    def _changed(self, names: set[str]) -> None:
        if self.state in IS_RUNNING:
            return
        if "surface" in names:
            share = self.settings.rate / self.settings.limit
            limit = lr_limit(SURFACES[self.values["surface"]])
            self.values = {**self.values, "lr": format_lr(share * limit)}
        try:
            settings = _settings_from(self.values, self.settings)
        except ValueError as error:
            self._draw_refusal(error)
            return
        new, was_whole = self._use(settings), self._shown is None
        self._shown = None
        self._draw(new if was_whole else NAMES)

    def _acted(self, name: str) -> None:
        if self.state in IS_RUNNING:
            return
        last = self.settings.steps
        at = last if self._shown is None else self._shown
        self._shown = 0 if name == "reset" else 1 if at >= last else at + 1
        self._draw(NAMES)

    def _draw_refusal(self, error: Exception) -> None:
        # The picture stays: it shows the last settings that worked.
        with self._drawing():
            self.sentence = [["Not drawn:", "danger"], [f" {error}.", ""]]

    # What is drawn

    def _use(self, settings: DescentSettings) -> tuple[str, ...]:
        """Walk with these settings; returns the names of the paths that are new."""
        before, self.settings = self.settings, settings
        if settings.surface != before.surface:
            self.fields = _fields(settings)
        is_same_ground = replace(settings, lr=1.0) == replace(before, lr=1.0)
        return self._walk(NAMES[-1:] if is_same_ground else NAMES)

    def _walk(self, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            at = self.settings.at_share(SHARES[name]) if name in SHARES else self.settings
            self._paths[name] = DescentPath.of(at)
        return names

    def _draw(self, names: tuple[str, ...]) -> None:
        paths, until = self._paths, self._shown
        for name in names:
            self.plots[name].update(path_view(paths[name], until, self._family(name)))
        self.plots["strip"].update(strip_view([paths[name] for name in NAMES], until))
        self.contents = {f"{name}_title": self._title(name) for name in NAMES}
        self.result, self._view.is_kept = self._until_shown("yours"), False
        self.sentence = self._sentence()

    def _family(self, name: str) -> str:
        return {"small": "data", "good": "answer"}.get(name) or family_of(self._paths[name])

    def _title(self, name: str) -> Sentence:
        return [[path_title(self._paths[name], name, self._shown), self._family(name)]]

    def _until_shown(self, name: str) -> DescentPath:
        path = self._paths[name]
        return path if self._shown is None else path.until(self._shown)

    def _sentence(self) -> Sentence:
        path, until = self._paths["yours"], self._shown
        if until is None or until >= self.settings.steps:
            limit = [[f" {path.limit}", "muted"]] if path.limit else []
            return [[f"{path.verdict}:", "strong"], [f" {path.reason}", ""], *limit]
        if until == 0:
            start = format_loss(path.steps[0].loss)
            return [["At the start:", "strong"], [f" loss {start}. Press Step, or hold it down.", ""]]
        taken = [self._until_shown(name) for name in NAMES]
        losses = [f"{format_loss(path.steps[-1].loss)} at η = {path.rate_text}" for path in taken]
        return [[f"Step {until} of {self.settings.steps}:", "strong"], [f" loss {', '.join(losses)}.", ""]]


def _plots(settings: DescentSettings) -> dict[str, BokehPlot]:
    return {name: BokehPlot(blank) for name, blank in _blanks(settings.landscape, settings.steps).items()}


@lru_cache(maxsize=8)
def _blanks(surface: Surface, steps: int) -> dict[str, Blank]:
    first, other = (Blank.of(descent_figure(surface, is_first=is_first)) for is_first in (True, False))
    return {"small": first, "good": other, "yours": other, "strip": Blank.of(strip_figure(steps))}


def _fields(settings: DescentSettings) -> list[dict[str, Any]]:
    limit = settings.limit
    # A power of ten, so that a slider's number is one that could have been typed.
    step = 10.0 ** math.floor(math.log10(limit / 100))
    sizes = [[str(SAMPLES), "all data (no noise)"], *([str(k), str(k)] for k in (16, 4, 1))]
    slider = {"min": step, "max": round(SLIDER_SHARE * limit / step) * step, "step": step, "limit": limit}
    return [
        {"name": "surface", "label": "surface", "kind": "choice", "options": [[n, n] for n in SURFACES], "short": "{}"},
        {
            "name": "lr", "label": "η", "kind": "slider", "short": ", η = {}", **slider,
            "limit_text": f"limit 2/λmax = {format_lr(limit, 3)}",
        },
        {"name": "batch_size", "label": "k", "kind": "choice", "options": sizes, "short": ", k: {}"},
    ]  # fmt: skip


def _texts(settings: DescentSettings) -> dict[str, str]:
    return {
        "surface": settings.surface, "lr": format_lr(settings.rate, 4), "batch_size": str(settings.batch_size),
    }  # fmt: skip


def _settings_from(texts: dict[str, str], before: DescentSettings) -> DescentSettings:
    """The settings in the fields; a text that nobody changed keeps its number.

    Raises:
        ValueError: For an η that is no number above 0.
    """
    changes: dict[str, Any] = {
        "surface": texts["surface"],
        "batch_size": number_in(texts["batch_size"], "k", int, "a whole number such as 16"),
    }
    if texts["lr"].strip() != _texts(before)["lr"]:
        changes["lr"] = _rate(texts["lr"].strip())
    return replace(before, **changes)


def _rate(text: str) -> float:
    try:
        return DescentSettings(lr=float(text)).rate
    except ValueError:
        raise ValueError(f"η must be a number above 0, such as 0.1, not “{text}”") from None
