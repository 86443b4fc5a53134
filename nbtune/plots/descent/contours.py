"""Lines of equal loss, in as few points as look the same."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.plotting.contour import contour_data

if TYPE_CHECKING:
    from ...engine.descent.surfaces import Surface

GRID = (161, 97)
LEVELS = 8
TOLERANCE = 0.008
"""A fifth of a px, in weights: lines travel with every path, so that a view made later has them too."""


@lru_cache(maxsize=16)
def contours_of(surface: Surface) -> dict[str, Any]:
    """The contours in a surface's picture, columns x and y: one after the other, with a gap (NaN) between.

    Levels rise by the cube: the innermost line is close to the minimum, and the outer ones do not crowd.
    """
    x = np.linspace(*surface.x_range, GRID[0])
    y = np.linspace(*surface.y_range, GRID[1])
    losses = surface.loss(*np.meshgrid(x, y))
    levels = losses.max() * (np.arange(1, LEVELS + 1) / (LEVELS + 1)) ** 3
    lines = contour_data(x, y, losses, levels.tolist(), want_fill=False).line_data
    assert lines is not None
    points = np.concatenate([_split(np.column_stack(line)) for line in zip(lines.xs, lines.ys, strict=True)])
    return {"x": points[:, 0].copy(), "y": points[:, 1].copy()}


def _split(level: Any) -> Any:
    """A level's lines, each made simpler, with a gap after each."""
    gaps = np.flatnonzero(np.isnan(level[:, 0]))
    parts = [part[~np.isnan(part[:, 0])] for part in np.split(level, gaps)]
    gap = np.full((1, 2), np.nan)
    return np.concatenate([piece for part in parts if len(part) > 1 for piece in (_simpler(part), gap)])


def _simpler(line: Any) -> Any:
    """The points without which the line would be off by more than ``TOLERANCE`` (Ramer, Douglas and Peucker)."""
    is_kept = np.zeros(len(line), dtype=bool)
    is_kept[[0, -1]] = True
    stretches = [(0, len(line) // 2), (len(line) // 2, len(line) - 1)]  # halves: a closed line ends where it begins
    while stretches:
        first, last = stretches.pop()
        is_kept[[first, last]] = True
        off = _distances(line[first], line[last], line[first + 1 : last])
        if len(off) and off.max() > TOLERANCE:
            middle = first + 1 + int(off.argmax())
            stretches += [(first, middle), (middle, last)]
    return line[is_kept]


def _distances(start: Any, end: Any, points: Any) -> Any:
    """Of each point from the line through ``start`` and ``end``."""
    way, ways = end - start, points - start
    length = float(np.hypot(*way))
    if length == 0:
        return np.hypot(ways[:, 0], ways[:, 1])
    return np.abs(way[0] * ways[:, 1] - way[1] * ways[:, 0]) / length
