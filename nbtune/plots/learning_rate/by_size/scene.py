"""A search over batch sizes ready to be drawn: how each k is told from the others, and the ranges it is seen in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...base.series import Series, series_of_sizes
from ..several import Curves

if TYPE_CHECKING:
    from ....engine.learning_rate.by_batch_size import LRByBatchSize
    from ....engine.learning_rate.curve import LRCurve

NOTHING_YET = (1e-3, 1.0)
"""The axis of suggestions before there is one."""

LEAST_DECADES = 1.2
"""Of the axis of suggestions: less would make chance look like a trend."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One k's suggestion, with its good range where that is known."""

    series: Series
    lr: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class BySizeScene:
    """What is known, with the ranges it is seen in.

    Attributes:
        result: What is known.
        running: Whether more is coming.
        series: How each k asked for is told from the others.
        left: The curves that have begun.
        sizes: Ends of the axis of k.
        suggested: Ends of the axis of suggestions.
    """

    result: LRByBatchSize
    running: bool
    series: tuple[Series, ...]
    left: Curves
    sizes: tuple[float, float]
    suggested: tuple[float, float]

    @property
    def curves(self) -> tuple[tuple[Series, LRCurve], ...]:
        """Those k that have begun, rising."""
        return self.left.shown

    @property
    def answers(self) -> list[Answer]:
        """Those k that have a suggestion; while it runs, the ones that are through."""
        known = [(s, c) for s, c in self.curves if c.suggestion is not None]
        through = [(s, c) for s, c in known if c.outcome != "stopped" or not self.running]
        return [Answer(s, float(c.suggestion or 0.0), c.low, c.high) for s, c in through]


def by_size_scene(result: LRByBatchSize, running: bool) -> BySizeScene:
    """The scene of ``result``, with any number of k."""
    settings = result.settings
    sizes = settings.batch_sizes or tuple(result.curves)
    series = tuple(series_of_sizes(sizes))
    left = Curves.of(((s, result.curves[s.batch_size]) for s in series if s.batch_size in result.curves), settings)
    scene = BySizeScene(result, running, series, left, size_edges(sizes), NOTHING_YET)
    seen = [lr for a in scene.answers for lr in (a.lr, a.low, a.high) if lr is not None]
    if not seen:
        return scene
    return replace(scene, suggested=_around(min(seen), max(seen), 0.2))


def size_edges(sizes: Sequence[int]) -> tuple[float, float]:
    """Ends of the k axis."""
    return _around(min(sizes, default=8), max(sizes, default=128), 0.25)


def size_ticks(sizes: tuple[int, ...]) -> list[float]:
    """Ticks of the k axis: the k themselves, or every second one."""
    return [float(k) for k in sizes[:: max(1, -(-len(sizes) // 7))]]


def lr_ticks(low: float, high: float) -> list[float]:
    """Ticks of the axis of suggestions: the powers of ten, and three times them."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = [float(f"{m}e{power}") for power in range(first, last + 1) for m in (1, 3)]
    return [tick for tick in every if low <= tick <= high]


def _around(low: float, high: float, margin: float) -> tuple[float, float]:
    """The two and ``margin`` decades more on either side, at the least ``LEAST_DECADES`` in all."""
    more = max(margin, (LEAST_DECADES - math.log10(high / low)) / 2)
    return low / 10**more, high * 10**more
