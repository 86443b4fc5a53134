"""One run of a panel, together with what is drawn of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ...engine.run import Run
from ...jobs import Finding, Forecast, Job

Event = TypeVar("Event")


class Act(ABC, Generic[Event]):
    """What a tool brings for one kind of run; a tool with two kinds of runs has two.

    An act is made for each run and left at its end. Its ``draw_…`` methods are called under the panel's lock.

    Args:
        run: Not yet begun.
    Attributes:
        stops_at_once: Whether a stop needs no words, since nothing is waited for.
    """

    stops_at_once = False

    def __init__(self, run: Run[Event]) -> None:
        self.run = run

    @abstractmethod
    def draw_start(self) -> None:
        """Before the first event."""

    @abstractmethod
    def draw_events(self, events: list[Event]) -> None:
        """What is new since the last call."""

    @abstractmethod
    def draw_end(self, *, is_stopped: bool) -> Any:
        """After a run without error: draw the result, and return it."""

    def draw_failure(self) -> None:
        """After a run that raised: draw what the panel does not; the problem and the sentence are its own."""

    @property
    @abstractmethod
    def error_title(self) -> str:
        """Of the problem, when the user's code raised."""

    def job(self, stop: Callable[[], None], widget: str) -> Job | None:
        """How the run is listed beside the notebook; None for a run too short to be.

        Args:
            stop: Stops it.
            widget: The panel's id.
        """
        return None

    def found(self, result: Any, widget: str) -> tuple[Finding | None, Forecast | None]:
        """What the result says there."""
        return None, None
