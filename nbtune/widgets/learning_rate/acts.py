"""The two kinds of runs of the learning-rate finder: a search, and the theory beside one that has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...engine import Curvature
from ...engine.learning_rate.finding import LRResult, finding_of, kind_of
from ...engine.learning_rate.search import LRSearch, TheoryRun
from ...engine.training.trainer import LOADING
from ...jobs import Finding, Forecast, Job, Progress
from ..panel.act import Act
from .searched import Searched
from .settings import mode_of
from .stage import Stage
from .words import ESTIMATING, progress_parts, running_sentence, starting_sentence


class SearchAct(Act[Any]):
    """A search: its plots grow, its progress is told, and its end has an answer.

    Args:
        run: Not yet begun.
        searched: Takes its events.
        stage: What is drawn on.
    """

    run: LRSearch

    def __init__(self, run: LRSearch, searched: Searched, stage: Stage) -> None:
        super().__init__(run)
        self._searched, self._stage = searched, stage

    def draw_start(self) -> None:
        """Empty plots, and what will be done."""
        settings = self._searched.settings
        self._stage.clear(mode_of(settings))
        self._draw_progress(self._searched.curve())
        self._stage.face.sentence = starting_sentence(settings)

    def draw_events(self, events: list[Any]) -> None:
        """What is known by now."""
        self._searched.add(events)
        curve = self._searched.curve()
        self._stage.draw(curve, running=True)
        self._draw_progress(curve)
        if self._stage.face.state == "running":
            self._stage.face.sentence = running_sentence(curve, self.run)

    def draw_end(self, *, is_stopped: bool) -> LRResult:
        """The answer, which is the result."""
        searched, curve = self._searched, self._searched.curve()
        searched.is_stopped, searched.total = is_stopped, self.run.total
        self._stage.draw(curve)
        self._stage.tell(curve, searched)
        return curve

    def draw_failure(self) -> None:
        """How far it came."""
        at, total = self._searched.taken + 1, self.run.total
        self._stage.progress("failed", at, total, f"failed at step {at} of {total}")

    @property
    def error_title(self) -> str:
        """Whose code raised, and when."""
        whose = "data" if self.run.waiting_for == LOADING else "model"
        return f"Your {whose} raised an error at step {self._searched.taken + 1}"

    def job(self, stop: Callable[[], None], widget: str) -> Job:
        """How it is listed beside the notebook."""
        settings = self._searched.settings
        return Job(
            "learning_rate", kind_of(settings), progress=self._progress, stop=stop, widget=widget,
            max_seconds=settings.max_seconds,
        )  # fmt: skip

    def found(self, result: Any, widget: str) -> tuple[Finding | None, Forecast | None]:
        """The rate."""
        return finding_of(result, self._searched.task, widget=widget), None

    def _progress(self) -> Progress:
        taken, total = self._searched.taken, self.run.total
        return Progress(taken, total, "steps", min(1.0, taken / total))

    def _draw_progress(self, curve: LRResult) -> None:
        total = self.run.total
        self._stage.progress("running", self._searched.taken, total, *progress_parts(curve, total))


class TheoryAct(Act[Curvature]):
    """An estimate of the curvature, added to what a search has found.

    Args:
        run: Not yet begun.
        searched: The search, ended.
        stage: What is drawn on.
    """

    def __init__(self, run: TheoryRun, searched: Searched, stage: Stage) -> None:
        super().__init__(run)
        self._searched, self._stage = searched, stage

    def draw_start(self) -> None:
        """What is being done; the plots and the progress stay the search's."""
        self._stage.face.sentence = ESTIMATING

    def draw_events(self, events: list[Curvature]) -> None:
        """Nothing: there is one event, and it is the end."""
        self._searched.add(events)

    def draw_end(self, *, is_stopped: bool) -> LRResult:
        """The search's answer with the theory beside it."""
        curve = self._searched.curve()
        self._stage.draw(curve)
        self._stage.tell(curve, self._searched)
        return curve

    @property
    def error_title(self) -> str:
        """What raised."""
        return f"Your model raised an error during {self.run.waiting_for}"
