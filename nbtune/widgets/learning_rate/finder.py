"""The learning-rate finder as a widget."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...engine import LRCurve, LRSettings, Task
from ...engine.checks import made_of
from ...engine.learning_rate.search import TheoryRun, search_lr
from ...engine.small_print import collected
from ...engine.task.loaders import check_within_data
from ...engine.task.rates import kept, rates_in
from ...engine.task.task import checked_task
from ...formats import format_lr
from ...plots.learning_rate.dispatch import lr_png
from ..panel import frontend
from ..panel.bokeh_plot import BokehPlot
from ..panel.life import NewAct
from ..panel.panel import Panel
from ..panel.view import IS_RUNNING, Sentence
from ..panel.words import idle_sentence
from .acts import SearchAct, TheoryAct
from .searched import Searched
from .settings import (
    FIELDS,
    MODES,
    OPTIMIZERS,
    SIZES,
    has_theory,
    mode_of,
    settings_from,
    texts_in,
    texts_of,
    train_steps_from,
)
from .stage import BLOCKS, Stage, axes_of, figures_of


class LRFinder(Panel):
    """Watch learning rates race, or the loss while η rises, and read off a learning rate.

    Show it as the last expression of a cell. ``curve = await finder`` in a later cell starts it, if nobody has, and
    gives the ``LRCurve``, over several batch sizes the ``LRByBatchSize``, over optimizers the ``LRByOptimizer``. The
    model is afterwards as it was; ``result.apply(task)`` or the button sets the rate.

    Args:
        task: What is to be tuned.
        settings: The search's; None for the defaults (a race of 13 rates from 1e-5 to 10).
        **changes: Single settings by name, e.g. ``lr_max=1.0, mode="quick"``; see ``LRSettings``.
    Raises:
        TypeError, ValueError: For wrong settings, such as a k of more samples than there are.
    """

    _css = frontend.style("panel/panel.css", "learning_rate/finder.css")

    def __init__(self, task: Task, settings: LRSettings | None = None, **changes: Any) -> None:
        self.task = checked_task(task, "LRFinder")
        self.settings = self._given = made_of(LRSettings, settings, changes, taker="LRFinder")
        check_within_data(self.settings.batch_sizes, task.loader)
        sign = task.sign_of(self.settings.optimizer) if self.settings.optimizer in (None, *task.optimizers) else 1
        self._stage = Stage(self, sign)
        self._searched: Searched | None = None
        mode = mode_of(self.settings)
        super().__init__(
            fields=FIELDS,
            values={
                "rules": "", "theory": "on" if has_theory(self.settings, task) else "", **texts_of(self.settings, task)
            },
            modes=MODES,
            mode=mode,
            sentence=idle_sentence(task),
            blocks=BLOCKS,
            plots={name: BokehPlot(figure) for name, figure in figures_of(self.settings, mode, sign).items()},
        )  # fmt: skip

    @property
    def plot(self) -> BokehPlot:
        """The live view of loss against η."""
        plot: BokehPlot = self.plots[{"quick": "plot", SIZES: "curves", OPTIMIZERS: "valleys"}.get(self.mode, "scores")]
        return plot

    def _new_act(self) -> SearchAct:
        before = self.settings
        if self.mode == SIZES:  # what a search over batch sizes does at each was said when the finder was made
            before = replace(before, mode=self._given.mode, optimizers=())
        elif self.mode == OPTIMIZERS:
            rivals = {rival.name: rival for rival in (*self._given.optimizers, *before.optimizers)}
            before = replace(before, mode="race", batch_sizes=(), curvature=None, optimizers=tuple(rivals.values()))
        settings = settings_from(self.values, self.mode, before, self.task)
        run = search_lr(self.task, settings)
        has_new_axis = axes_of(settings) != axes_of(self.settings)
        with self._drawing():
            self.settings, self.values = settings, {**self.values, **texts_in(self.mode, settings, self.task)}
            self._stage.set_up(settings, self.mode, has_new_axis=has_new_axis)
        self._searched = Searched(run, settings)
        return SearchAct(run, self._searched, self._stage)

    def _new_theory(self) -> TheoryAct:
        assert self._searched is not None
        return TheoryAct(TheoryRun(self.task, self.result.seconds), self._searched, self._stage)

    def _changed(self, names: set[str]) -> NewAct | None:
        is_running = self.state in IS_RUNNING
        if "mode" in names and is_running:
            self.mode = mode_of(self.settings)  # what runs stays in sight
        self._stage.set_up(self.settings, self.mode)
        if self._searched is None or (self.result is None and not is_running):  # there is nothing to read anew
            return None
        is_read = "train_steps" not in names or self._read_anew(self._searched)
        if self.result is None or is_running or not is_read:
            return None
        is_in_sight = mode_of(self.result.settings) == self.mode
        if names & {"mode", "rules", "theory", "train_steps"} and is_in_sight:  # what changed in another mode, too
            self._stage.draw(self.result)
        if names & {"mode", "theory", "train_steps"} and is_in_sight:
            self._stage.tell(self.result, self._searched)
        elif names & {"mode", "theory"}:
            self._stage.tell_nothing(self.task)
        return self._new_theory if "theory" in names and is_in_sight and self._lacks_theory else None

    def _read_anew(self, searched: Searched) -> bool:
        """Take what was found for a training of the length that stands in its field; False where that is none."""
        try:
            train_steps = train_steps_from(self.values["train_steps"])
        except ValueError as error:
            self.sentence = [["Not read anew:", "danger"], [f" {error}.", ""]]
            return False
        self.settings = replace(self.settings, train_steps=train_steps)
        searched.read_for(train_steps)
        if self.result is not None and self.state not in IS_RUNNING:
            self.result, self._view.is_kept = searched.curve(), False
        return True

    @property
    def _lacks_theory(self) -> bool:
        """Whether the switch asks for what the result in sight does not have."""
        result = self.result
        return bool(self.values["theory"]) and isinstance(result, LRCurve) and result.curvature is None

    def _picture(self) -> bytes | None:
        return lr_png(self._stage.shown(self.result))

    def _apply(self) -> Sentence:
        optimizers = list(self.task.optimizers.values())
        before, undo = rates_in(optimizers), kept(optimizers)
        own = self.task.lr
        with collected() as notes:
            self.result.apply(self.task)
        self._undo = undo
        said = f" the optimizer now uses η = {format_lr(self.task.lr)}, before {format_lr(own)}."
        if len(before) > 1:
            pairs = zip(before, rates_in(optimizers), strict=True)
            said += f" Groups: {', '.join(f'{format_lr(old)} → {format_lr(new)}' for old, new in pairs)}."
        return [["Applied:", "strong"], [said, ""], *([f" Note: {note}.", "muted"] for note in notes)]
