"""What a search for η has said, while it runs and after its end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...engine import LRSettings
from ...engine.learning_rate.find import lr_fold, with_small_print
from ...engine.learning_rate.finding import LRResult
from ...engine.learning_rate.search import LRSearch


class Searched:
    """The events of one search, to which an estimate of the curvature may be added later.

    Attributes:
        task, settings: Whose search it is, and what was asked.
        run: The search itself.
        total: How many steps it has in all, as far as was known last.
        is_stopped: Whether somebody ended it.
    """

    def __init__(self, run: LRSearch, settings: LRSettings) -> None:
        self.run, self.task, self.settings, self.total = run, run.task, settings, run.total
        self.is_stopped = False
        self._fold = lr_fold(run.task, settings)

    def add(self, events: list[Any]) -> None:
        """Take what came next."""
        for event in events:
            self._fold.add(event)

    def read_for(self, train_steps: int | None) -> None:
        """Take what is known, and what comes, for a training of so many optimizer updates."""
        self.settings = replace(self.settings, train_steps=train_steps)
        self._fold.read_for(train_steps)

    @property
    def taken(self) -> int:
        """Training steps so far."""
        return self._fold.taken

    def curve(self) -> LRResult:
        """What the events say so far."""
        result: LRResult = with_small_print(self._fold.result(), self.run)
        return result
