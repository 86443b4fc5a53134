"""The descent, step by step, as a panel's run."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

from ...engine.descent.path import DescentPath
from ...engine.run import GeneratorRun
from ..panel.act import Act

PAUSE_SECONDS = 0.05


class Steps(GeneratorRun[int]):
    """How many steps are shown, one more now and then."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """The pause between two steps."""
        return "the next step"

    @property
    def total(self) -> int:
        """How many steps there are."""
        return self._steps

    def _events(self) -> Generator[int, None, None]:
        for index in range(1, self._steps + 1):
            time.sleep(PAUSE_SECONDS)
            yield index


class PlayAct(Act[int]):
    """Three paths that grow.

    Args:
        run: Not yet begun.
        show: Draws so many steps, None for all, and returns the reader's path that far.
    """

    stops_at_once = True

    def __init__(self, run: Steps, show: Callable[[int | None], DescentPath]) -> None:
        super().__init__(run)
        self._show, self._shown = show, 0

    def draw_start(self) -> None:
        """The start alone."""
        self._show(0)

    def draw_events(self, events: list[int]) -> None:
        """As far as it is."""
        self._shown = events[-1]
        self._show(self._shown)

    def draw_end(self, *, is_stopped: bool) -> DescentPath:
        """The whole, or what there was when it was stopped."""
        return self._show(self._shown if is_stopped else None)

    @property
    def error_title(self) -> str:
        """Of what cannot be the user's code."""
        return "The descent raised an error"
