"""A search for a batch size, or a sweep over image sizes, as a panel's run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...engine import Task
from ...engine.batch_size.finding import finding_of, forecast_of
from ...engine.batch_size.grid import MemoryGridRow
from ...engine.batch_size.limit import BatchLimit
from ...engine.batch_size.settings import BatchSettings
from ...engine.batch_size.trial import MemoryTrial
from ...engine.batch_size.what_fits.result import MemoryChange
from ...jobs import Finding, Forecast, Job, Progress
from ..panel.act import Act
from .run import ProberEvent, ProberRun
from .stage import Stage
from .words import running_sentence


class ProberAct(Act[ProberEvent]):
    """Bars that grow, and, where it is asked for, a grid or a table of changes behind them.

    Args:
        run: Not yet begun.
        task: What is to be trained.
        settings: What was asked.
        stage: What is drawn on.
    """

    run: ProberRun

    def __init__(self, run: ProberRun, task: Task, settings: BatchSettings, stage: Stage) -> None:
        super().__init__(run)
        self._task, self._settings, self._stage = task, settings, stage

    def draw_start(self) -> None:
        """The card alone; a sweep over image sizes leaves the bars of the search before it."""
        stage = self._stage
        stage.rows, stage.grid, stage.changes, stage.found, stage.refusal = [], None, [], None, ""
        if self.run.probe is not None:
            stage.trials, stage.limit = [], None
            stage.draw_blank(self._settings, running=True)
        self._tell()

    def draw_events(self, events: list[ProberEvent]) -> None:
        """What is known by now."""
        stage = self._stage
        trials = [event for event in events if isinstance(event, MemoryTrial)]
        stage.trials += trials
        stage.rows += [event for event in events if isinstance(event, MemoryGridRow)]
        stage.changes += [event for event in events if isinstance(event, MemoryChange)]
        if trials and self.run.probe is not None:
            stage.draw_limit(self.run.probe.limit(stage.trials, "stopped"), running=True)
        if stage.rows and self.run.sweep is not None:
            stage.grid = self.run.sweep.grid(stage.rows, "stopped")
            stage.draw_grid()
        if stage.changes and self.run.fits is not None:
            stage.found = self.run.fits.result(stage.changes, "stopped")
            stage.draw_changes()
        if stage.face.state == "running":
            self._tell()

    def draw_end(self, *, is_stopped: bool) -> BatchLimit:
        """The limit, which is the result; of a sweep over image sizes that of the search before it."""
        stage, run = self._stage, self.run
        if run.probe is not None:
            stage.limit = run.probe.limit(stage.trials, "stopped" if is_stopped else "finished")
        if stage.rows and run.sweep is not None:
            stage.grid = run.sweep.grid(stage.rows, "stopped" if is_stopped else "finished")
        if run.fits is not None:
            stage.found = run.fits.result(stage.changes, "stopped" if is_stopped else "finished")
        stage.refusal = run.refusal
        assert stage.limit is not None
        stage.draw_known(stage.limit)
        return stage.limit

    def draw_failure(self) -> None:
        """What is drawn is no result."""
        self._stage.limit = None

    @property
    def error_title(self) -> str:
        """What raised."""
        return f"Your model raised an error during {self.run.waiting_for}"

    def job(self, stop: Callable[[], None], widget: str) -> Job:
        """How it is listed beside the notebook."""
        return Job("batch_size", self._settings.strategy, progress=self._progress, stop=stop, widget=widget)

    def found(self, result: Any, widget: str) -> tuple[Finding | None, Forecast | None]:
        """The batch size, and what twice as much would need."""
        return finding_of(result, self._task, widget=widget), forecast_of(result, self._task)

    def _progress(self) -> Progress:
        stage = self._stage
        if stage.rows:
            return Progress(len(stage.rows), unit="image sizes")
        if stage.changes:
            return Progress(len(stage.changes), unit="changes")
        return Progress(len({trial.batch_size for trial in stage.trials}), unit="batch sizes")

    def _tell(self) -> None:
        stage = self._stage
        stage.face.sentence = running_sentence(stage.trials, len(stage.rows), len(stage.changes))
