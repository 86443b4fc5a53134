"""The batch prober as a widget."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...engine import Task
from ...engine.batch_size.finding import finding_of, forecast_of
from ...engine.batch_size.grid import MemoryGrid, MemoryGridRow, sweep_image_sizes
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.probe import PREDICTING, BatchProbe, probe_batch_sizes
from ...engine.batch_size.settings import BatchSettings
from ...engine.batch_size.trial import MemoryTrial
from ...engine.memory.cards import capacity_name, parse_capacity
from ...engine.memory.samples import image_size_of
from ...engine.task.task import checked_task
from ...jobs import Finding, Forecast, Job, Progress
from ...plots.memory.bars import memory_figure, memory_view
from ...plots.memory.layers import treemap_figure, treemap_view
from ...plots.memory.picture import grid_png, layers_png, memory_png
from ...plots.memory.scene import sizes_of
from ...plots.memory.speed import speed_figure, speed_view
from ..panel import frontend
from ..panel.bokeh_plot import BokehPlot
from ..panel.panel import IS_RUNNING, Panel, Sentence
from .run import ProberRun, is_played, judged
from .settings import PLANNED, fields_of, settings_from, texts_of
from .tables import bars_key, grid_key, grid_table, layers_table, parts_table
from .words import (
    IDLE,
    NO_ESTIMATE,
    applied_sentence,
    grid_sentence,
    layers_sentence,
    limit_sentence,
    running_sentence,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_MODES = [["k", "Batch sizes"], ["grid", "Image size × k"], ["layers", "What takes it"]]
_BLOCKS = [
    {"name": "key", "kind": "key", "modes": ["k"]},
    {"name": "bars", "kind": "plot", "modes": ["k"]},
    {"name": "speed", "kind": "plot", "modes": ["k"]},
    {"name": "parts", "kind": "table", "modes": ["k"]},
    {"name": "grid_key", "kind": "key", "modes": ["grid"]},
    {"name": "grid", "kind": "table", "modes": ["grid"]},
    {"name": "layers", "kind": "table", "modes": ["layers"]},
    {"name": "treemap", "kind": "plot", "modes": ["layers"], "is_unspoken": True},  # the table beside it says it all
]


class BatchProber(Panel):
    """See which batch sizes fit, what each leaves free, and what takes the memory.

    Show it as the last expression of a cell. ``limit = await prober`` in a later cell starts it, if nobody has, and
    gives the ``BatchLimit``. A change of the card judges the result anew; any other change predicts again. The button
    puts a task with the batch size found into ``task``; nothing of yours is changed.

    Args:
        task: What is to be trained.
        settings: The search's; None for the defaults (up to k = 512 on this GPU, or in this machine's memory).
        **changes: Single settings by name, e.g. ``capacity="8 GB"``; see ``BatchSettings``.
    Raises:
        TypeError, ValueError: For wrong settings.

    Attributes:
        grid: The ``MemoryGrid`` of the view of image sizes; None until it was swept with the present settings.
    """

    _css = frontend.style("panel/panel.css", "panel/blocks.css", "batch_size/prober.css")

    def __init__(self, task: Task, settings: BatchSettings | None = None, **changes: Any) -> None:
        self.task = checked_task(task, "BatchProber")
        self.settings = replace(settings or BatchSettings(), **changes)
        self.grid: MemoryGrid | None = None
        self._limit: BatchLimit | None = None
        self._trials: list[MemoryTrial] = []
        self._rows: list[MemoryGridRow] = []
        self._picked_size: int | None = None
        self._is_preview = False
        image_size = image_size_of(task)
        super().__init__(
            fields=fields_of(task, image_size),
            values=texts_of(self.settings, task),
            modes=[mode for mode in _MODES if mode[0] != "grid" or image_size is not None],
            mode="k",
            blocks=_BLOCKS,
            plots=_plots(self.settings, self._place),
            progress={},
            sentence=[*IDLE, *([f" {caveat}", "muted"] for caveat in task.caveats)],
        )
        self._draw_blank()

    @property
    def _place(self) -> str:
        return "this GPU" if self.task.device.type == "cuda" else "this CPU"

    # The life of a run

    def _new_run(self) -> ProberRun:
        is_preview, self._is_preview = self._is_preview, False
        settings = settings_from(self.values, self.settings, self.task)
        wants_grid = self.mode == "grid"
        is_known = self._limit is not None and _plan(self._limit.settings) == _plan(settings)
        seconds = 0.0 if is_preview or wants_grid else settings.measure_seconds
        needs_probe = not (is_known and wants_grid)
        probe = probe_batch_sizes(self.task, replace(settings, measure_seconds=seconds)) if needs_probe else None
        self.settings = settings
        return ProberRun(probe, sweep_image_sizes(self.task, settings) if wants_grid else None)

    def _new_job(self) -> Job:
        return Job("batch_size", self.settings.strategy, progress=self._progress, stop=self.stop, widget=self.model_id)

    def _progress(self) -> Progress:
        if self._rows:
            return Progress(len(self._rows), unit="image sizes")
        return Progress(len({trial.batch_size for trial in self._trials}), unit="batch sizes")

    def _found(self) -> tuple[Finding | None, Forecast | None]:
        return finding_of(self.result, self.task, widget=self.model_id), forecast_of(self.result, self.task)

    def _draw_start(self) -> None:
        self._rows, self.grid = [], None
        if self._run.probe is not None:
            self._trials, self._limit = [], None
            self._draw_blank(running=True)
        self.sentence = running_sentence(self._trials, len(self._rows))

    def _draw_events(self, events: list[Any]) -> None:
        trials = [event for event in events if isinstance(event, MemoryTrial)]
        self._trials += trials
        self._rows += [event for event in events if not isinstance(event, MemoryTrial)]
        if trials:
            self._draw_limit(self._known_limit("stopped"), running=True)
        if self._rows:
            self.grid = self._run.sweep.grid(self._rows, "stopped")
            self._draw_grid()
        if self.state == "running":
            self.sentence = running_sentence(self._trials, len(self._rows))

    def _draw_end(self) -> None:
        outcome = "stopped" if self._session is not None and self._session.is_stopped else "finished"
        if self._run.probe is not None:
            self._limit = self._known_limit(outcome)
        if self._rows:
            self.grid = self._run.sweep.grid(self._rows, outcome)
        self.result = self._limit
        self._draw_known()

    def _draw_failure(self) -> None:
        self._limit = None

    def _error_title(self) -> str:
        waiting_for = getattr(self._run, "waiting_for", PREDICTING)
        return f"Your model raised an error during {waiting_for}"

    def _picture(self) -> bytes | None:
        if self.mode == "grid" and self.grid is not None:
            return grid_png(self.grid)
        if self.mode == "layers" and self.result.estimate is not None:
            return layers_png(self.result.estimate, _size_shown(self.result) or 1)
        return memory_png(self.result)

    def _apply(self) -> Sentence:
        try:
            self.task = self.result.apply(self.task)
        except ValueError as error:
            return [["Not applied:", "danger"], [f" {error}", ""]]
        return applied_sentence(self._name("prober"), self.settings, self.task)

    # What follows from a change

    def _changed(self, names: set[str]) -> bool:
        if self.state in IS_RUNNING:
            self.sentence = running_sentence(self._trials, len(self._rows))
            return False
        if self._limit is None:
            self._draw_blank()
            return False
        self._is_kept = False
        # The host's memory and a card's are two predictions; one card's serves for any other.
        changes_place = "capacity" in names and self._changes_place()
        if "capacity" in names and not changes_place:
            self._judge_anew()
        needs_sweep = self.mode == "grid" and self.grid is None
        self._is_preview = bool(names & PLANNED) or needs_sweep or changes_place
        if not self._is_preview:
            self._draw_known()
        return self._is_preview

    def _changes_place(self) -> bool:
        if self.task.device.type == "cuda" or self._limit is None:
            return False
        was_host = self._limit.estimate is None or self._limit.estimate.device == "cpu"
        return was_host != (not self.values["capacity"])

    def _judge_anew(self) -> None:
        try:
            settings = settings_from(self.values, self.settings, self.task)
        except ValueError as error:
            self._draw_refusal(error)
            return
        # A grid of the host's memory says nothing of a card, nor the other way round.
        if self.grid is not None and self.grid.settings.capacity is not None and settings.capacity is not None:
            self.grid = self.grid.with_capacity(settings.capacity)
        else:
            self.grid = None
        self.settings, self.problem = settings, None
        if self._limit is not None and self._limit.estimate is not None:
            self.result = self._limit = judged(self._limit, settings.capacity)
            self._trials = list(self._limit.trials)

    def _picked(self, name: str, value: Any) -> None:
        sizes = [trial.batch_size for trial in self._trials]
        k = _at(sizes_of(self.settings), value) if name == "bars" else value
        if k in sizes:
            self._picked_size = k
            self._draw_parts(self._limit or self._known_limit("stopped"))

    # What is drawn

    def _draw_known(self) -> None:
        assert self._limit is not None
        self.apply_label = "" if self._limit.batch_size is None else f"Apply k = {self._limit.batch_size}"
        self._picked_size = None
        self._draw_limit(self._limit)
        self._draw_grid()
        self.sentence, self.notes = self._known_sentence(self._limit), list(self._limit.caveats)

    def _known_sentence(self, limit: BatchLimit) -> Sentence:
        if self.mode == "grid" and self.grid is not None:
            return grid_sentence(self.grid)
        if self.mode == "layers" and limit.trials:
            k = _size_shown(limit)
            return NO_ESTIMATE if limit.estimate is None or k is None else layers_sentence(limit.estimate, k)
        return limit_sentence(limit)

    def _draw_blank(self, *, running: bool = False) -> None:
        """The card of the fields, and nothing known yet."""
        self._picked_size, self.notes = None, []
        text = self.values["capacity"]
        with suppress(ValueError):  # a size being typed; Start says what is wrong with it
            card: dict[str, Any] = (
                {"capacity_bytes": parse_capacity(text), "capacity_name": capacity_name(text)} if text else {}
            )
            self._draw_limit(BatchLimit.from_trials([], settings=self.settings, **card), running=running)
        self._draw_grid()

    def _draw_limit(self, limit: BatchLimit, *, running: bool = False) -> None:
        self.plots["bars"].update(memory_view(limit, running=running))
        self.plots["speed"].update(speed_view(limit, running=running))
        k = _size_shown(limit)
        estimate = None if k is None else limit.estimate
        self.plots["treemap"].update(treemap_view(estimate, k))
        is_played = self._is_played(limit.trials)
        self._put(key=bars_key(self._place, is_played=is_played), layers=layers_table(estimate, k))
        self._draw_parts(limit)

    def _draw_parts(self, limit: BatchLimit) -> None:
        latest = {trial.batch_size: trial for trial in limit.latest}
        shown = self._picked_size or _size_shown(limit)
        is_host = limit.estimate is not None and limit.estimate.device == "cpu"
        self._put(parts=parts_table(latest.get(shown or 0), sorted(latest), is_host=is_host))

    def _draw_grid(self) -> None:
        self._put(grid_key=grid_key(), grid=grid_table(self.grid))

    def _put(self, **contents: Any) -> None:
        self.contents = {**self.contents, **contents}

    # What is known

    def _known_limit(self, outcome: Any) -> BatchLimit:
        probe: BatchProbe = self._run.probe
        return probe.limit(self._trials, outcome)

    def _is_played(self, trials: Iterable[MemoryTrial]) -> bool:
        has_strategy = self.values["strategy"] != "estimate" and self.task.device.type != "cuda"
        return any(map(is_played, trials)) or has_strategy


def _plots(settings: BatchSettings, place: str) -> dict[str, BokehPlot]:
    sizes = sizes_of(settings)
    return {
        "bars": BokehPlot(memory_figure(sizes, None, "")),
        "speed": BokehPlot(speed_figure(sizes, f"Speed on {place}, samples/s by k")),
        "treemap": BokehPlot(treemap_figure()),
    }


def _plan(settings: BatchSettings) -> BatchSettings:
    """What a prediction depends on."""
    return replace(settings, strategy="estimate", measure_seconds=0, target_batch_size=None)


def _size_shown(limit: BatchLimit) -> int | None:
    """The recommended k; where there is none, the smallest known."""
    smallest = min((trial.batch_size for trial in limit.trials), default=None)
    return limit.batch_size or smallest


def _at(sizes: tuple[int, ...], place: Any) -> int | None:
    index = round(place) if isinstance(place, int | float) else -1
    return sizes[index] if 0 <= index < len(sizes) else None
