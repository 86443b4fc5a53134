"""The batch prober as a widget."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from ...engine import Task
from ...engine.batch_size.grid import MemoryGrid, sweep_image_sizes
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.probe import probe_batch_sizes
from ...engine.batch_size.settings import BatchSettings
from ...engine.batch_size.what_fits.result import WhatFits
from ...engine.checks import made_of
from ...engine.memory.samples import image_size_of, sequence_length_of
from ...engine.task.task import checked_task
from ...plots.memory.changes import changes_png
from ...plots.memory.picture import grid_png, layers_png, memory_png
from ...plots.memory.scene import sizes_of
from ...plots.memory.timeline import timeline_png
from ..panel import frontend
from ..panel.life import NewAct
from ..panel.panel import Panel
from ..panel.view import IS_RUNNING, Sentence
from ..panel.words import idle_sentence
from .act import ProberAct
from .run import ProberRun, judged
from .settings import EVALUATES, PLANNED, fields_of, settings_from, texts_of, texts_of_changes, wanted_from
from .stage import BLOCKS, Stage, size_shown
from .words import applied_sentence, running_sentence

_MODES = [
    ["k", "Batch sizes"], ["grid", "Image size × k"], ["layers", "What takes it"], ["step", "Over one step"],
    ["fits", "What makes it fit"]
]  # fmt: skip


MADE_OF_THE_PREDICTION = ("grid", "fits")
"""Views that begin where a prediction ends, and have nothing to run."""


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
        found: The ``WhatFits`` of the view of changes; None until it was looked for with the present settings.
        grid: The ``MemoryGrid`` of the view of image sizes; None until it was swept with the present settings.
    """

    _css = frontend.style("panel/panel.css", "panel/blocks.css", "batch_size/prober.css")

    def __init__(self, task: Task, settings: BatchSettings | None = None, **changes: Any) -> None:
        self.task = checked_task(task, "BatchProber")
        self.settings = made_of(BatchSettings, settings, changes, taker="BatchProber")
        self._stage = Stage(self, task)
        image_size = image_size_of(task)
        super().__init__(
            fields=fields_of(task, image_size, sequence_length_of(task)),
            values=texts_of(self.settings, task),
            modes=[mode for mode in _MODES if mode[0] != "grid" or image_size is not None],
            mode="k",
            blocks=BLOCKS,
            plots=self._stage.plots(self.settings),
            progress={},
            sentence=idle_sentence(task),
        )
        self._stage.draw_blank(self.settings)

    @property
    def grid(self) -> MemoryGrid | None:
        """Of the view of image sizes; None until it was swept with the present settings."""
        return self._stage.grid

    @property
    def found(self) -> WhatFits | None:
        """What makes the batch size wanted fit; None until it was looked for with the present settings."""
        return self._stage.found

    def _new_act(self, *, is_preview: bool = False) -> ProberAct:
        settings = self._asked()
        known, wants_more = self._stage.limit, self.mode in MADE_OF_THE_PREDICTION
        wanted = wanted_from(self.values) if self.mode == "fits" else None
        is_known = known is not None and _plan(known.settings) == _plan(settings) and _is_of(known, self.task)
        seconds = 0.0 if is_preview or wants_more else settings.measure_seconds
        needs_probe = not (is_known and wants_more)
        probe = probe_batch_sizes(self.task, replace(settings, measure_seconds=seconds)) if needs_probe else None
        self.settings = settings
        sweep = sweep_image_sizes(self.task, settings) if self.mode == "grid" else None
        run = ProberRun(probe, sweep, wanted=wanted, estimate=None if known is None else known.estimate)
        return ProberAct(run, self.task, settings, self._stage)

    def _asked(self) -> BatchSettings:
        """The settings in the fields that the view shows.

        Raises:
            ValueError: For a card that is neither a size nor a known name.
        """
        settings = settings_from(self.values, self.settings, self.task)
        return settings if self.mode in EVALUATES else replace(settings, evaluation=False)

    def _new_preview(self) -> ProberAct:
        """A run that predicts alone."""
        return self._new_act(is_preview=True)

    def _picture(self) -> bytes | None:
        if self.mode == "grid" and self.grid is not None:
            return grid_png(self.grid)
        if self.mode == "fits" and self.found is not None:
            return changes_png(self.found)
        if self.mode == "step" and self._stage.timeline is not None:
            return timeline_png(self._stage.timeline, self.result.capacity_bytes)
        if self.mode == "layers" and self.result.estimate is not None:
            return layers_png(self.result.estimate, size_shown(self.result) or 1)
        return memory_png(self.result)

    def _apply(self) -> Sentence:
        found, before = self.found if self.mode == "fits" else None, self.task
        try:
            # To the task that was judged: a second click sets the same again, not four times as many batches.
            self.task = self.result.apply(self.task) if found is None else found.apply(self.result.estimate.task)
        except ValueError as error:
            return [["Not applied:", "danger"], [f" {error}", ""]]
        self._undo = partial(setattr, self, "task", before)
        return applied_sentence(self._name("prober"), self.settings, self.task)

    # What follows from a change

    def _changed(self, names: set[str]) -> NewAct | None:
        stage = self._stage
        if self.state in IS_RUNNING:
            self.sentence = running_sentence(stage.trials, len(stage.rows))
            return None
        if stage.limit is None:
            stage.draw_blank(self.settings)
            return None
        self._view.is_kept = False
        # The host's memory and a card's are two predictions; one card's serves for any with the same kernels.
        changes_place = "capacity" in names and self._changes_place()
        if "capacity" in names and not changes_place:
            self._judge_anew()
        if "wanted" in names:
            stage.found = None
        needs_sweep = (self.mode, None) in (("grid", stage.grid), ("fits", stage.found))
        is_evaluation = self.mode in EVALUATES and bool(self.values["evaluation"])
        if names & PLANNED or needs_sweep or changes_place or stage.limit.settings.evaluation != is_evaluation:
            return self._new_preview
        stage.draw_known(stage.limit)
        return None

    def _changes_place(self) -> bool:
        limit = self._stage.limit
        if self.task.device.type == "cuda" or limit is None:
            return False
        was_host = limit.estimate is None or limit.estimate.device == "cpu"
        if was_host or not self.values["capacity"]:
            return was_host != (not self.values["capacity"])
        with suppress(ValueError):  # Start says what is wrong with it
            return not limit.estimate.serves(self.values["capacity"])
        return False

    def _judge_anew(self) -> None:
        try:
            settings = self._asked()
        except ValueError as error:
            self._draw_refusal(error)
            return
        stage, grid, limit = self._stage, self.grid, self._stage.limit
        # A grid of the host's memory says nothing of a card, nor the other way round.
        stage.grid = stage.found = None
        if grid is not None and grid.settings.capacity is not None and settings.capacity is not None:
            stage.grid = grid.with_capacity(settings.capacity)
        self.settings, self.problem = settings, None
        if limit is not None and limit.estimate is not None:
            self.result = stage.limit = judged(limit, settings.capacity)
            stage.trials = list(stage.limit.trials)

    def _picked(self, name: str, value: Any) -> NewAct | None:
        if name == "changes":
            return self._try(value)
        self._stage.pick(_at(sizes_of(self.settings), value) if name == "bars" else value)
        return None

    def _try(self, place: Any) -> NewAct | None:
        """Predict with a change of the table, as if its fields had been set."""
        rows = () if self.found is None else self.found.changes
        if self.state in IS_RUNNING or not isinstance(place, int) or not 0 <= place < len(rows):
            return None
        self.mode, self.values = "k", {**self.values, **texts_of_changes(dict(rows[place].changes))}
        return self._new_preview


def _plan(settings: BatchSettings) -> BatchSettings:
    """What a prediction depends on."""
    return replace(settings, strategy="estimate", measure_seconds=0, target_batch_size=None)


def _is_of(limit: BatchLimit, task: Task) -> bool:
    """Whether it holds for what the task has become: another batch size is only a row, these two train otherwise."""
    judged_for = None if limit.estimate is None else limit.estimate.task
    return judged_for is None or (judged_for.accumulate, judged_for.amp) == (task.accumulate, task.amp)


def _at(sizes: tuple[int, ...], place: Any) -> int | None:
    index = round(place) if isinstance(place, int | float) else -1
    return sizes[index] if 0 <= index < len(sizes) else None
