"""A comparison ready to be drawn: thinned, on axes that stay where they are. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..base.columns import Floats
from ..base.labels import text_px
from ..base.scale import TRIANGLE_PX
from ..base.series import Series
from ..base.typed_again import FIRST_SAMPLES
from .rows import series_of, sizes_of
from .ticks import round_down, round_up

if TYPE_CHECKING:
    from ...engine.comparison.curves import BatchCurve
    from ...engine.comparison.result import Comparison

AXES = {"samples": "samples seen", "updates": "updates", "seconds": "seconds of the run's own"}
"""Name of an x axis → its title."""

MAX_POINTS = 2000
HEIGHT = 262
FRAME_HEIGHT = 186.0

NARROW_BELOW = 500
FRAME_WIDTHS = {"labels": 425.0, "narrow_labels": 390.0}
"""Labels are placed at the least width of their kind: in a figure of 500 px, and of 450. More only parts them."""

OFF_SCALE = 2.0
"""The loss axis ends at this many times the loss at the start."""

EMPTY_Y = (-1.0, 0.5)
EMPTY_DECADES = 1000
EMPTY_SECONDS = (0.01, 1.0)


@dataclass(frozen=True, slots=True)
class Points:
    """One k's curve in the units of the axes: log10, where the axis is logarithmic; all of shape (points,).

    Attributes:
        series: How the k is told from the others.
        curve: What is drawn.
        kept: Which of its points.
        x, y, low, high: Their places.
        held_out: NaN where it was not evaluated.
    """

    series: Series
    curve: BatchCurve
    kept: NDArray[np.intp]
    x: Floats
    y: Floats
    low: Floats
    high: Floats
    held_out: Floats

    @property
    def has_band(self) -> bool:
        return self.curve.seeds > 1


@dataclass(frozen=True)
class Scene:
    """All curves, and the ranges they are seen in: log10 of the axes' own numbers, or plain losses."""

    comparison: Comparison
    axis: str
    held_out: bool
    running: bool
    is_log: bool
    series: tuple[Series, ...]
    points: tuple[Points, ...]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    @property
    def unit_of_px(self) -> float:
        """One px of the frame's height on the loss axis."""
        return (self.y_range[1] - self.y_range[0]) / FRAME_HEIGHT

    @cached_property
    def target(self) -> float | None:
        """Where the target lies; None where there is none yet, or it is off the scale."""
        comparison = self.comparison
        shown = comparison.settings.target_loss if self.running else comparison.target_loss
        loss = None if shown is None else comparison.sign * shown
        if loss is None or (self.is_log and loss <= 0):
            return None
        y = math.log10(loss) if self.is_log else loss
        return y if self.y_range[0] < y < self.y_range[1] else None

    def in_frame(self, y: float) -> float:
        """``y``, or the nearest place at which a mark is whole."""
        margin = TRIANGLE_PX * self.unit_of_px
        return min(max(y, self.y_range[0] + margin), self.y_range[1] - margin)


def scene_of(
    comparison: Comparison, *, axis: str, held_out: bool, selected: int | None, running: bool, x_end: float | None
) -> Scene:
    """See ``comparison_view``."""
    if axis not in AXES:
        raise ValueError(f"axis must be one of {', '.join(AXES)}, not {axis!r}")
    series = tuple(series_of(comparison, selected, running=running))
    is_log = _is_log(comparison)
    y_range = _y_range(comparison, is_log, held_out)
    drawn = [curve for curve in comparison.by_batch_size if curve.losses]
    most = MAX_POINTS // max(1, sum(5 if curve.seeds > 1 else 3 for curve in drawn))
    by_size = {one.batch_size: one for one in series}
    points = tuple(_points(curve, by_size[curve.batch_size], axis, most, y_range, is_log) for curve in drawn)
    x_range = x_range_of(comparison, axis, x_end)
    return Scene(comparison, axis, held_out, running, is_log, series, points, x_range, y_range)


def _start_of(comparison: Comparison) -> float | None:
    """As the curves have it."""
    start = comparison.start_loss
    return None if start is None else comparison.sign * start


def _is_log(comparison: Comparison) -> bool:
    """Unless a loss is below 0. One of exactly 0, as float32 gives of a model that knows its data, lies at the edge."""
    start = _start_of(comparison)
    lows = [low for curve in comparison.by_batch_size for low in curve.lows]
    return (start is None or start > 0) and min(lows, default=0.0) >= 0


def _points(
    curve: BatchCurve, series: Series, axis: str, most: int, y_range: tuple[float, float], is_log: bool
) -> Points:
    n = len(curve.losses)
    # At least the ends: a line needs two points.
    kept = np.arange(n) if n <= most else np.linspace(0, n - 1, max(2, most)).round().astype(np.intp)

    def placed(losses: Iterable[float | None]) -> Floats:
        values = np.array([math.nan if loss is None else loss for loss in losses], dtype=np.float64)[kept]
        # Canvas coordinates are 32 bits: what is far outside would bend the line on its way out of the frame.
        far = 5 * (y_range[1] - y_range[0])
        heights = np.log10(np.maximum(values, 1e-300)) if is_log else values
        return np.clip(heights, y_range[0] - far, y_range[1] + far)

    along = {"samples": curve.samples_seen, "updates": curve.updates, "seconds": curve.seconds}[axis]
    x = np.log10(np.maximum(np.array(along, dtype=np.float64)[kept], 1e-9))
    rows = (placed(losses) for losses in (curve.losses, curve.lows, curve.highs, curve.held_out_losses))
    return Points(series, curve, kept, x, *rows)


def _y_range(comparison: Comparison, is_log: bool, held_out: bool) -> tuple[float, float]:
    """The same for every x axis; while curves fall it follows in steps of about half a decade."""
    start = _start_of(comparison)
    losses = [loss for curve in comparison.by_batch_size for loss in curve.lows]
    if held_out:
        losses += [loss for curve in comparison.by_batch_size for loss in curve.held_out_losses if loss is not None]
    seen = [loss for loss in losses if math.isfinite(loss) and (loss > 0 or not is_log)]
    if start is None or not seen:
        return EMPTY_Y
    if is_log:
        lowest = min(0.7 * min(seen), 0.5 * start)
        # A loss of 1e-12 is not worth a dozen decades.
        return math.log10(max(round_down(lowest, (1, 3)), 1e-8 * start)), math.log10(OFF_SCALE * start)
    spread = max(start - min(seen), 0.1 * abs(start)) or 1.0
    return start - 1.15 * spread, start + 0.5 * spread


def x_range_of(comparison: Comparison, axis: str, x_end: float | None = None) -> tuple[float, float]:
    """From the first point that a curve can have to the budget's end and room for the labels there, as log10.

    What the budget does not tell, the data do: then the end grows in steps of 1, 2, 5 per decade.

    Args:
        comparison: Of any length.
        axis: A key of ``AXES``.
        x_end: Where the axis is expected to end, if somebody knows.
    """
    seen = [getattr(curve, "samples_seen" if axis == "samples" else axis) for curve in comparison.by_batch_size]
    ends = [float(along[i]) for along in seen if along for i in (0, -1) if along[i] > 0]
    sizes = sizes_of(comparison) or (1,)
    left, right = _first(axis, sizes), _end(comparison, axis, sizes)
    if right is None:
        empty = EMPTY_SECONDS[1] if left is None else EMPTY_DECADES * left
        right = round_up(max([x_end or 0.0, *ends]) or empty, (1, 2, 5))
    if left is None:
        left = round_down(min(ends, default=EMPTY_SECONDS[0]), (1, 2, 5))
    low, high = math.log10(min([left, *ends])), math.log10(max([right, *ends]))
    return _with_room(low, max(high, low + 0.3), sizes)


def _first(axis: str, sizes: Sequence[int]) -> float | None:
    """The first point of the k that has the earliest."""
    updates = {k: -(-FIRST_SAMPLES // k) for k in sizes}
    if axis == "seconds":
        return None
    return float(min(n * k if axis == "samples" else n for k, n in updates.items()))


def _end(comparison: Comparison, axis: str, sizes: Sequence[int]) -> float | None:
    """Where the budget ends; None where it is in other terms."""
    budget = comparison.budget
    if (budget.unit == "seconds") != (axis == "seconds"):
        return None
    if axis == "seconds":
        return budget.amount
    updates = {k: budget.updates_of(k) or 0 for k in sizes}
    return float(max(n * k if axis == "samples" else n for k, n in updates.items()))


def _with_room(low: float, high: float, sizes: Sequence[int]) -> tuple[float, float]:
    """A little on the left, and on the right as much as the names of the curves take at the least width."""
    frame = min(FRAME_WIDTHS.values())
    name = max(text_px(f"k = {k}", bold=True) for k in sizes) + 16
    unit = (high - low) / (frame - name - 8)
    return low - 8 * unit, high + name * unit
