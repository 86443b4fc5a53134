"""What the batch prober's panel shows: bars, speeds, parts, layers and the grid of image sizes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from ...engine import Task
from ...engine.batch_size.grid import MemoryGrid, MemoryGridRow
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.settings import BatchSettings
from ...engine.batch_size.trial import MemoryTrial
from ...engine.batch_size.what_fits.result import MemoryChange, WhatFits
from ...engine.memory.cards import capacity_name, parse_capacity
from ...engine.memory.replay.timeline import MemoryTimeline
from ...plots.memory.bars import memory_figure, memory_view
from ...plots.memory.layers import treemap_figure, treemap_view
from ...plots.memory.scene import sizes_of
from ...plots.memory.speed import speed_figure, speed_view
from ...plots.memory.timeline import timeline_figure, timeline_view
from ..panel.blank import Blank
from ..panel.bokeh_plot import BokehPlot
from ..panel.view import Face, Sentence
from .run import is_played
from .tables import bars_key, changes_table, grid_key, grid_table, layers_table, parts_table
from .words import NO_ESTIMATE, changes_sentence, grid_sentence, layers_sentence, limit_sentence, timeline_sentence

BLOCKS = [
    {"name": "key", "kind": "key", "modes": ["k"]},
    {"name": "bars", "kind": "plot", "modes": ["k"]},
    {"name": "speed", "kind": "plot", "modes": ["k"]},
    {"name": "parts", "kind": "table", "modes": ["k"]},
    {"name": "grid_key", "kind": "key", "modes": ["grid"]},
    {"name": "grid", "kind": "table", "modes": ["grid"]},
    {"name": "timeline", "kind": "plot", "modes": ["step"]},
    {"name": "changes", "kind": "table", "modes": ["fits"]},
    {"name": "layers", "kind": "table", "modes": ["layers"]},
    {"name": "treemap", "kind": "plot", "modes": ["layers"], "is_unspoken": True},  # the table beside it says it all
]


class Stage:
    """Draws on the prober's panel, and holds what is drawn.

    Args:
        face: The panel.
        task: What is to be trained.
    Attributes:
        limit: Of the last run that ended well, maybe judged anew; None where there is none.
        grid: Of the last sweep over image sizes, also while it goes on.
        found: What makes the batch size wanted fit, likewise.
        timeline: Of one step at the size shown; None where nothing is known, and during a run.
        trials, rows, changes: Those the three are made of.
        refusal: Why no change can be estimated; "" where one can.
    """

    def __init__(self, face: Face, task: Task) -> None:
        self.face = face
        self.limit: BatchLimit | None = None
        self.grid: MemoryGrid | None = None
        self.trials: list[MemoryTrial] = []
        self.rows: list[MemoryGridRow] = []
        self.found: WhatFits | None = None
        self.changes: list[MemoryChange] = []
        self.refusal = ""
        self._is_on_gpu = task.device.type == "cuda"
        self._shown: BatchLimit | None = None
        self._picked: int | None = None
        self.timeline: MemoryTimeline | None = None

    @property
    def place(self) -> str:
        """Where steps are run, in words."""
        return "this GPU" if self._is_on_gpu else "this CPU"

    def plots(self, settings: BatchSettings) -> dict[str, BokehPlot]:
        """The plots by the names of their blocks, empty."""
        return {name: BokehPlot(blank) for name, blank in _blanks(sizes_of(settings), self.place).items()}

    def draw_known(self, limit: BatchLimit) -> None:
        """A result, and what can be done with it."""
        face = self.face
        face.apply_label = self._apply_label(limit)
        self._picked = None
        self.draw_limit(limit)
        self.draw_grid()
        self.draw_changes()
        face.sentence, face.notes = self._sentence(limit), list(limit.caveats)

    def draw_blank(self, settings: BatchSettings, *, running: bool = False) -> None:
        """The card of the fields, and nothing known yet."""
        self._picked, self.face.notes = None, []
        text = self.face.values["capacity"]
        with suppress(ValueError):  # a size being typed; Start says what is wrong with it
            card: dict[str, Any] = {}
            if text:
                card = {"capacity_bytes": parse_capacity(text), "capacity_name": capacity_name(text)}
            self.draw_limit(BatchLimit.from_trials([], settings=settings, **card), running=running)
        self.draw_grid()
        self.draw_changes()

    def draw_limit(self, limit: BatchLimit, *, running: bool = False) -> None:
        """Everything but the grid."""
        plots = self.face.plots
        plots["bars"].update(memory_view(limit, running=running))
        plots["speed"].update(speed_view(limit, running=running))
        k = size_shown(limit)
        estimate = None if k is None else limit.estimate
        plots["treemap"].update(treemap_view(estimate, k))
        is_seen = self.face.mode == "step" and not running
        self.timeline = estimate.timeline(k) if is_seen and estimate is not None and k is not None else None
        plots["timeline"].update(timeline_view(self.timeline, limit.capacity_bytes))
        has_slower = any(trial.is_slower for trial in limit.latest)
        key = bars_key(self.place, is_played=self._is_played(limit.trials), has_slower=has_slower)
        self._put(key=key, layers=layers_table(estimate, k))
        self._shown = limit
        self._draw_parts(limit)

    def draw_grid(self) -> None:
        """Image sizes against batch sizes."""
        self._put(grid_key=grid_key(), grid=grid_table(self.grid))

    def draw_changes(self) -> None:
        """What makes the batch size wanted fit."""
        self._put(changes=changes_table(self.found))

    def pick(self, k: int | None) -> None:
        """Show what takes the memory at this k, where it was tried."""
        if self._shown is not None and k in [trial.batch_size for trial in self.trials]:
            self._picked = k
            self._draw_parts(self._shown)

    def _draw_parts(self, limit: BatchLimit) -> None:
        latest = {trial.batch_size: trial for trial in limit.latest}
        shown = self._picked or size_shown(limit)
        is_host = limit.estimate is not None and limit.estimate.device == "cpu"
        self._put(parts=parts_table(latest.get(shown or 0), sorted(latest), is_host=is_host))

    def _put(self, **contents: Any) -> None:
        self.face.contents = {**self.face.contents, **contents}

    def _apply_label(self, limit: BatchLimit) -> str:
        if self.face.mode == "fits" and self.found is not None:
            smallest = self.found.smallest
            return "" if smallest is None or not smallest.is_the_tasks else f"Apply {smallest.short}"
        return "" if limit.batch_size is None or limit.settings.evaluation else f"Apply k = {limit.batch_size}"

    def _sentence(self, limit: BatchLimit) -> Sentence:
        mode = self.face.mode
        if mode == "fits" and self.found is not None:
            return changes_sentence(self.found)
        if mode == "fits" and self.refusal:
            return [["No change can be estimated:", "strong"], [f" {self.refusal}.", ""]]
        if mode == "step" and limit.trials:
            return NO_ESTIMATE if self.timeline is None else timeline_sentence(self.timeline)
        if mode == "grid" and self.grid is not None:
            return grid_sentence(self.grid)
        if mode == "layers" and limit.trials:
            k = size_shown(limit)
            return NO_ESTIMATE if limit.estimate is None or k is None else layers_sentence(limit.estimate, k)
        return limit_sentence(limit)

    def _is_played(self, trials: Iterable[MemoryTrial]) -> bool:
        has_strategy = self.face.values["strategy"] != "estimate" and not self._is_on_gpu
        return any(map(is_played, trials)) or has_strategy


@lru_cache(maxsize=8)
def _blanks(sizes: tuple[int, ...], place: str) -> dict[str, Blank]:
    figures = {
        "bars": memory_figure(sizes, None, ""),
        "speed": speed_figure(sizes, f"Speed on {place}, samples/s by k"),
        "treemap": treemap_figure(),
        "timeline": timeline_figure(),
    }
    return {name: Blank.of(figure) for name, figure in figures.items()}


def size_shown(limit: BatchLimit) -> int | None:
    """The recommended k; where there is none, the smallest known."""
    smallest = min((trial.batch_size for trial in limit.trials), default=None)
    return limit.batch_size or smallest
