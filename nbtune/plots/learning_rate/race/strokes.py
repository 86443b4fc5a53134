"""Lines whose parts have colours of their own: each is a segment, cut where it leaves the scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ...base.columns import Columns, Floats, floats

STROKE = ("x0", "y0", "x1", "y1", "lr")
"""A segment, and the η whose colour it has."""


@dataclass(frozen=True, slots=True)
class Line:
    """The way of one rate through a plot: places, and losses that may be inf."""

    lr: float
    x: Sequence[float] | Floats
    y: Sequence[float] | Floats


def strokes(lines: Iterable[Line], ends: tuple[float, float], *, is_log: bool = True) -> Columns:
    """All of ``lines`` in one source.

    Args:
        lines: Each with as many places as losses.
        ends: The losses between which they are drawn.
        is_log: Whether the x axis is, along which a cut is found.
    """
    known = [line for line in lines if len(line.y)]
    if not known:
        return {name: np.empty(0) for name in STROKE}
    # All at once, parted by NaN: a running race asks 20 times a second.
    x, y = (np.concatenate([part for line in known for part in (at(line), GAP)]) for at in (_x, _y))
    lrs = np.repeat([line.lr for line in known], [len(line.y) + 1 for line in known])
    rows = _cut(np.log(x) if is_log else x, y, ends)
    kept = rows[0] == rows[0]
    x0, y0, x1, y1 = (row[kept] for row in rows)
    x0, x1 = (np.exp(x0), np.exp(x1)) if is_log else (x0, x1)
    return dict(zip(STROKE, (x0, y0, x1, y1, lrs[:-1][kept]), strict=True))


GAP = np.array([np.nan])


def _x(line: Line) -> Floats:
    return np.asarray(line.x, dtype=np.float64)


def _y(line: Line) -> Floats:
    return np.asarray(line.y, dtype=np.float64)


def _cut(x: Floats, y: Floats, ends: tuple[float, float]) -> tuple[Floats, Floats, Floats, Floats]:
    """x0, y0, x1, y1 of each part within ``ends``, shape (places − 1,); NaN for one that lies outside."""
    low, high = ends
    far = 1e3 * (high - low)
    y = np.minimum(np.maximum(y, low - far), high + far)
    x0, y0, run, rise = x[:-1], y[:-1], x[1:] - x[:-1], y[1:] - y[:-1]
    is_level = rise == 0
    slope = np.where(is_level, 1.0, rise)
    at_low, at_high = (low - y0) / slope, (high - y0) / slope
    begin, end = np.maximum(np.minimum(at_low, at_high), 0), np.minimum(np.maximum(at_low, at_high), 1)
    begin, end = np.where(is_level, 0.0, begin), np.where(is_level, (low <= y0) & (y0 <= high), end)
    begin = np.where(begin < end, begin, np.nan)
    return x0 + begin * run, y0 + begin * rise, x0 + end * run, y0 + end * rise


def points(places: Iterable[tuple[float, float, float]]) -> Columns:
    """Places (x, loss, η) as columns x, y and lr."""
    rows = list(places)
    return {name: floats(row[i] for row in rows) for i, name in enumerate(("x", "y", "lr"))}
