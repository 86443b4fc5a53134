"""A comparison of batch sizes as a panel's run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...engine import LRStep, Task
from ...engine.comparison.curves import RunFold
from ...engine.comparison.events import LossStep
from ...engine.comparison.finding import finding_of
from ...engine.comparison.result import Comparison
from ...engine.comparison.run import ComparisonRun
from ...engine.training.trainer import LOADING
from ...jobs import Finding, Forecast, Job, Progress
from ..panel.act import Act
from .stage import Stage
from .words import (
    apply_label,
    broken_off_text,
    finding_sentence,
    finding_text,
    next_try,
    remaining,
    result_sentence,
    running_sentence,
    runs_text,
    spent,
)

# A sentence that changes with every drawing can neither be read nor heard.
_SENTENCE_SECONDS = 1.0


class ComparisonAct(Act[LRStep | LossStep]):
    """Curves that grow, maybe behind a search for each k's η.

    Args:
        run: Not yet begun.
        task: What is trained.
        stage: What is drawn on.
    """

    run: ComparisonRun

    def __init__(self, run: ComparisonRun, task: Task, stage: Stage) -> None:
        super().__init__(run)
        self._task, self._stage, self._fold = task, stage, RunFold()
        self._began_at: float | None = None
        self._said_at = 0.0

    def draw_start(self) -> None:
        """Empty curves, and what will be trained."""
        stage, run = self._stage, self.run
        stage.comparison, stage.selected = run.comparison(self._fold), None
        stage.progress("running", run, runs_text(run, run.budget.text))
        stage.face.sentence = running_sentence(run, stage.comparison)
        stage.draw(run)

    def draw_events(self, events: list[LRStep | LossStep]) -> None:
        """What is known by now."""
        losses = [event for event in events if isinstance(event, LossStep)]
        if not losses:
            self._draw_search([event for event in events if isinstance(event, LRStep)])
            return
        stage, run = self._stage, self.run
        self._began_at = self._began_at or time.monotonic()
        for step in losses:
            self._fold.add(step)
        stage.comparison = run.comparison(self._fold)
        left = remaining(time.monotonic() - self._began_at, run.share_done)
        stage.progress("running", run, runs_text(run, spent(run)), left)
        stage.draw(run)
        if stage.face.state == "running" and time.monotonic() - self._said_at > _SENTENCE_SECONDS:
            self._said_at = time.monotonic()
            stage.face.sentence = running_sentence(run, stage.comparison)

    def _draw_search(self, steps: list[LRStep]) -> None:
        """How far the search for η is; no curve grows meanwhile."""
        k = self.run.finding
        if k is None or not steps:
            return  # the last one of the search, seen when the training has begun
        self._stage.progress("running", self.run, finding_text(k, steps[-1].index))
        if self._stage.face.state == "running":
            self._stage.face.sentence = finding_sentence(k, steps[-1].index)

    def draw_end(self, *, is_stopped: bool) -> Comparison:
        """The curves, which are the result, and the k that won."""
        stage, run, face = self._stage, self.run, self._stage.face
        stage.comparison = result = run.comparison(self._fold)
        if result.outcome == "stopped":
            stage.progress("stopped", run, broken_off_text("stopped", run))
        else:
            stage.progress("done", run, runs_text(run, run.budget.text))
        stage.draw()
        face.sentence, face.notes = result_sentence(result), list(result.caveats)
        face.apply_label = apply_label(result, self._task)
        face.suggestion_action = next_try(result, face.values)
        return result

    def draw_failure(self) -> None:
        """How far it came."""
        self._stage.progress("failed", self.run, broken_off_text("failed", self.run))

    @property
    def error_title(self) -> str:
        """Whose code raised, and at which k."""
        whose = "data" if self.run.waiting_for == LOADING else "model"
        k = self.run.at_work
        return f"Your {whose} raised an error{'' if k is None else f' at k = {k}'}"

    def job(self, stop: Callable[[], None], widget: str) -> Job:
        """How it is listed beside the notebook."""
        run = self.run
        return Job(
            "comparison", run.budget.text, progress=lambda: Progress(share=run.share_done), stop=stop, widget=widget
        )

    def found(self, result: Any, widget: str) -> tuple[Finding | None, Forecast | None]:
        """The k and its η."""
        return finding_of(result, self._task, widget=widget), None
