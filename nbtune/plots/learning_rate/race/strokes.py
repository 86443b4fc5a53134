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
        lines: Each with at least as many places as losses.
        ends: The losses between which they are drawn.
        is_log: Whether the x axis is, along which a cut is found.
    """
    parts = [np.column_stack([_cut(line, ends, is_log), np.full(max(0, len(line.y) - 1), line.lr)]) for line in lines]
    rows = np.concatenate([np.empty((0, 5)), *parts])
    rows = rows[~np.isnan(rows).any(axis=1)]
    return {name: rows[:, i].copy() for i, name in enumerate(STROKE)}


def _cut(line: Line, ends: tuple[float, float], is_log: bool) -> Floats:
    """x0, y0, x1, y1 of each part within ``ends``; NaN for one that lies outside."""
    low, high = ends
    far = 1e3 * (high - low)
    y = np.clip(np.asarray(line.y, dtype=np.float64), low - far, high + far)
    x = np.asarray(line.x, dtype=np.float64)[: len(y)]
    x = np.log(x) if is_log else x
    rise, run = np.diff(y), np.diff(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        at_ends = np.sort(np.stack([(low - y[:-1]) / rise, (high - y[:-1]) / rise]), axis=0)
    is_level, is_in = rise == 0, (y[:-1] >= low) & (y[:-1] <= high)
    begin = np.where(is_level, np.where(is_in, 0.0, 2.0), np.clip(at_ends[0], 0, None))
    end = np.where(is_level, 1.0, np.clip(at_ends[1], None, 1))
    begin = np.where(begin < end, begin, np.nan)
    cut = np.column_stack(
        [x[:-1] + begin * run, y[:-1] + begin * rise, x[:-1] + end * run, y[:-1] + end * rise]
    )  # fmt: skip
    if is_log:
        cut[:, [0, 2]] = np.exp(cut[:, [0, 2]])
    return cut


def points(places: Iterable[tuple[float, float, float]]) -> Columns:
    """Places (x, loss, η) as columns x, y and lr."""
    rows = list(places)
    return {name: floats(row[i] for row in rows) for i, name in enumerate(("x", "y", "lr"))}
