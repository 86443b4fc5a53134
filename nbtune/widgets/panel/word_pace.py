"""How often the words in live plots are placed: what moves is drawn at every tick, its names follow more calmly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from ...plots.base.columns import View

WORDS_SECONDS = 0.5
"""From one placing to the next. Finding places for words is half of what drawing a running race costs."""

V = TypeVar("V", bound=Mapping[str, View])


class WordPace:
    """Remembers for which ranges the words in a tool's plots were placed, and when."""

    def __init__(self) -> None:
        self._ranges: dict[str, object] = {}
        self._placed_at = float("-inf")

    def views(self, draw: Callable[[bool], V]) -> V:
        """What ``draw(words)`` gives: without words while those that stand are young and their axes the same.

        Args:
            draw: Draws the plots by name, with their words or without.
        """
        if time.monotonic() - self._placed_at < WORDS_SECONDS:
            views = draw(False)
            if _ranges_of(views) == self._ranges:
                return views
        views = draw(True)
        self._ranges, self._placed_at = _ranges_of(views), time.monotonic()
        return views

    def restart(self) -> None:
        """Let the next words be placed at once: something else stands in the plots now."""
        self._placed_at = float("-inf")


def _ranges_of(views: Mapping[str, View]) -> dict[str, object]:
    return {name: (view.x_range, view.y_range) for name, view in views.items()}
