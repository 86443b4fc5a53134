"""Ranges and round numbers of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

TRIANGLE_PX = 7.0
"""Half of the mark at the edge of a frame, with room around it."""

EMPTY_RANGE = (0.0, 3.1)
"""Of losses before the first: that of ten classes, so that for many nothing moves when it comes."""


def loss_range(start: float, lowest: float) -> tuple[float, float]:
    """The loss axis: from 0 to 1.35 × the loss at the start where losses are positive, so that divergence is cut."""
    if lowest >= 0 and start > 0:
        return 0.0, 1.35 * start
    # A level curve must look level: its noise is not blown up to the height of the plot.
    spread = max(start - lowest, 0.1 * abs(start)) or 1.0
    # The labels along the bottom edge take a tenth of the height: the minimum stays above them.
    return min(lowest, start) - 0.2 * spread, start + 0.35 * spread


def x_edges(lr_min: float, lr_max: float) -> tuple[float, float]:
    """The range of a search for η and a little more on both sides, so that the end labels fit."""
    margin = (lr_max / lr_min) ** 0.016
    return lr_min / margin, lr_max * margin


def decades(lr_min: float, lr_max: float) -> list[float]:
    """The powers of ten inside a range; its ends as well where there are fewer than two.

    Examples:
        >>> decades(1e-3, 10.0), decades(0.02, 0.5)
        ([0.001, 0.01, 0.1, 1.0, 10.0], [0.02, 0.1, 0.5])
    """
    first, last = math.ceil(math.log10(lr_min) - 1e-9), math.floor(math.log10(lr_max) + 1e-9)
    ticks = [float(f"1e{power}") for power in range(first, last + 1)]
    return ticks if len(ticks) >= 2 else sorted({lr_min, *ticks, lr_max})


def at_most(ticks: Sequence[float], most: int) -> tuple[float, ...]:
    """``ticks`` if they are no more than ``most``, else every second, third … of them from the first on.

    Examples:
        >>> at_most([1, 2, 3, 4, 5], 3)
        (1, 3, 5)
    """
    return tuple(ticks[:: max(1, -(-len(ticks) // most))])


def round_ticks(bottom: float, top: float, mantissas: Sequence[float] = (1, 2, 3, 5), count: int = 3) -> list[float]:
    """Multiples of the round interval that comes nearest to ``count`` in all, by the rule of Bokeh's ticker.

    Examples:
        >>> round_ticks(0.0, 3.1), round_ticks(0.0, 116.0, (1, 2, 4, 5, 8))
        ([0.0, 1.0, 2.0, 3.0], [0.0, 40.0, 80.0])
    """
    power = 10.0 ** math.floor(math.log10((top - bottom) / count))
    interval = min((power * m for m in (*mantissas, 10)), key=lambda step: abs((top - bottom) / step - count))
    return [interval * i for i in range(math.ceil(bottom / interval), math.floor(top / interval) + 1)]


def tick_number(tick: float) -> str:
    """A round number as an axis writes it."""
    return f"{tick:g}".replace("-", "−")
