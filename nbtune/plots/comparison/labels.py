"""The words in the plot of a comparison: names at the ends of the curves, the target, and the fair budget above."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...formats import format_loss, format_target
from ..base.columns import Columns, Floats
from ..base.labels import LINE_PX, Box, Frame, Label, text_px
from ..base.mirror import with_direction
from ..base.scale import TRIANGLE_PX
from .scene import FRAME_HEIGHT, FRAME_WIDTHS, Points, Scene

LABEL_COLOURS = {"low": "series2", "middle": "data", "high": "series3", "rest": "muted", "ink": "ink"}
"""Group of labels → token. The rest's grey of lines is too weak for text."""

COLUMN_PX = 6.0
ON_A_LINE, PER_COLUMN = 40.0, 4.0
"""Hiding a curve is as bad for a name as being this many px away from its own, and more by each column of it."""

MOST_LETTERS = 72
"""Of a caption as wide as the frame."""

STEPS: Floats = np.arange(-FRAME_HEIGHT, FRAME_HEIGHT, LINE_PX / 3)
SEEN_THROUGH = 0.75
"""A name that must lie on a curve does not hide it."""

ENDINGS = ("diverged", "failed")


def comparison_labels(scene: Scene, prefix: str) -> dict[str, Columns]:
    """The label sources of one kind of width, placed in px of the frame and given in the axes' units.

    Args:
        scene: What is drawn.
        prefix: A key of ``FRAME_WIDTHS``.
    """
    frame = Frame.of((FRAME_WIDTHS[prefix], FRAME_HEIGHT), scene.x_range, scene.y_range)
    words = _Words(scene, frame)
    columns = frame.columns(prefix, frame.place(words.labels(), words.taken()), LABEL_COLOURS)
    for one in columns.values():
        one["box_alpha"] *= SEEN_THROUGH
    return columns


@dataclass(frozen=True)
class _Words:
    """What is said of a scene in a frame of some width."""

    scene: Scene
    frame: Frame
    heights: Floats = field(init=False)
    """Of each curve and the target in each column of ``COLUMN_PX``, shape (lines, columns); NaN where there is none."""

    def __post_init__(self) -> None:
        left, right = self.scene.x_range
        columns = np.arange(0.0, self.frame.width, COLUMN_PX) / self.frame.width * (right - left) + left
        rows = [self._rows(np.interp(columns, p.x, p.y, np.nan, np.nan)) for p in self.scene.points]
        rows += [] if self.scene.target is None else [np.full(len(columns), self.frame.y(self.scene.target))]
        object.__setattr__(self, "heights", np.array(rows, dtype=np.float64).reshape(len(rows), len(columns)))

    def _rows(self, y: Floats) -> Floats:
        """px of a whole column."""
        return (self.scene.y_range[1] - y) / self.scene.unit_of_px

    def taken(self) -> Iterator[Box]:
        """The marks at which curves end, and the triangles."""
        for points in self.scene.points:
            x, y = self._end(points)
            yield x - TRIANGLE_PX, y - TRIANGLE_PX, x + TRIANGLE_PX, y + TRIANGLE_PX
            off = points.x[points.y > self.scene.y_range[1]]
            if len(off):
                yield (
                    self.frame.x(float(off[0])) - TRIANGLE_PX,
                    0.0,
                    self.frame.x(float(off[-1])) + TRIANGLE_PX,
                    2 * TRIANGLE_PX,
                )

    def labels(self) -> Iterator[Label]:
        """The most important first: it takes its place before the others."""
        drawn = sorted(self.scene.points, key=lambda points: points.series.slot == "rest")
        yield from (self._name(points) for points in drawn)
        yield from self._pointless()
        if self.scene.target is not None:
            yield self._target(self.scene.target)
        if not self.scene.points and self.scene.running:
            yield Label("no loss yet", "rest", ((self.frame.width / 2, FRAME_HEIGHT / 2, "center"),))

    def _name(self, points: Points) -> Label:
        ending = f" {points.curve.outcome}" if points.curve.outcome in ENDINGS else ""
        text = points.series.text + ending
        x, y = self._end(points)
        # In steps of less than a line, so that two names that must part do not go further than they need.
        rows = np.unique(np.clip(y + STEPS, LINE_PX / 2, FRAME_HEIGHT - LINE_PX / 2))
        sides = [(x + 9, "left", 0.0), (x - 9, "right", 25.0)]
        # A longer name may have no room beside its end.
        sides += [(self.frame.width - 2, "right", 10.0)] if ending else []
        costs, places = [], []
        for px, align, cost in sides:
            hidden = self._hides(px, rows, align, text_px(text, bold=True))
            costs.append(np.abs(rows - y) + cost + ON_A_LINE * (hidden > 0) + PER_COLUMN * hidden)
            places += [(px, row, align) for row in rows.tolist()]
        order = np.argsort(np.concatenate(costs), kind="stable").tolist()
        return Label(text, points.series.slot, tuple(places[i] for i in order), bold=True, boxed=True)

    def _end(self, points: Points) -> tuple[float, float]:
        return self.frame.x(float(points.x[-1])), self.frame.y(self.scene.in_frame(float(points.y[-1])))

    def _hides(self, x: float, rows: Floats, align: str, width: float) -> Floats:
        """In how many columns words in each of ``rows`` would lie on a curve or on the target, shape (rows,)."""
        left = x - {"left": 0.0, "center": width / 2, "right": width}[align]
        near = self.heights[:, max(0, int(left / COLUMN_PX)) : int((left + width) / COLUMN_PX) + 2]
        is_near = np.abs(near[None] - rows[:, None, None]) < LINE_PX / 2 + 2
        return np.asarray(is_near.sum(axis=(1, 2)), dtype=np.float64)

    def _pointless(self) -> Iterator[Label]:
        """Who ended before a first point has no line to stand at."""
        by_size = {one.batch_size: one for one in self.scene.series}
        rows = np.arange(LINE_PX / 2 + 2, FRAME_HEIGHT - LINE_PX / 2, LINE_PX)
        for curve in self.scene.comparison.by_batch_size:
            if not curve.losses and curve.outcome in ENDINGS:
                series = by_size[curve.batch_size]
                text = f"{series.text} {curve.outcome} at once"
                yield Label(
                    text, series.slot, tuple((self.frame.width - 4, y, "right") for y in rows.tolist()), bold=True
                )

    def _target(self, target: float) -> Label:
        text = f"target loss {format_target(self._target_loss)}"
        y = self.frame.y(target)
        ends = [(4.0, "left"), (self.frame.width - 4, "right")]
        starts = ends + [(float(x), "left") for x in range(40, int(self.frame.width), 40)]
        places = [(x, y + below, align) for x, align in starts for below in (12, -11)]
        hides = [self._hides(x, np.array([row]), align, text_px(text))[0] > 0 for x, row, align in places]
        free_first = sorted(range(len(places)), key=hides.__getitem__)
        return Label(text, "ink", tuple(places[i] for i in free_first), droppable=True)

    @property
    def _target_loss(self) -> float:
        comparison = self.scene.comparison
        return (comparison.settings.target_loss if self.scene.running else comparison.target_loss) or 0.0


def captions(scene: Scene) -> dict[str, str]:
    """The line above the frame by kind of width, "wide" and "narrow": what is equal, and what line and band are."""
    budget, asked = scene.comparison.budget, scene.comparison.settings.seeds
    what = "time" if budget.unit == "seconds" else budget.unit
    amount = budget.text if what == "time" else budget.text.rsplit(" ", 1)[0]
    had = [curve.seeds for curve in scene.comparison.by_batch_size]
    seeds = max([*had, asked if scene.running or not had else 1])
    many, few = (f"mean of {seeds} seeds, band: lowest to highest", f"band of {seeds} seeds")
    line, band = (many, few) if seeds > 1 else ("one seed", "one seed")
    fair = f"equal {what}: {amount} each"
    if not scene.held_out:
        whole = f"{fair} · {line}"
        return {
            "wide": whole if len(whole) <= MOST_LETTERS else f"{fair} · {band}",
            "narrow": f"{with_direction('training loss', scene.comparison.sign)} · {fair} · {band}",
        }
    return {"wide": f"{fair} · {band} · thin dashes: held-out", "narrow": f"{fair} · {band} · thin: held-out"}


def y_title(scene: Scene) -> str:
    """Of the loss axis."""
    what = "loss" if scene.held_out else "training loss"
    if scene.comparison.sign < 0:
        return with_direction("loss, log scale" if scene.is_log else what, -1)
    return f"{what} (log scale)" if scene.is_log else what


def in_words(scene: Scene) -> str:
    """The plot for those who cannot see it."""
    sizes = ", ".join(str(one.batch_size) for one in scene.series)
    head = f"Loss against {scene.axis} for k = {sizes}"
    known = {curve.batch_size: _ending(curve, scene) for curve in scene.comparison.by_batch_size}
    ends = ", ".join(known.get(one.batch_size, "nothing yet") for one in scene.series)
    if not known:
        return f"{head}. No losses yet."
    return f"{head}, still running. Now {ends}." if scene.running else f"{head}. At the end {ends}."


def _ending(curve: Any, scene: Scene) -> str:
    if curve.outcome in ENDINGS:
        return str(curve.outcome)
    if not curve.losses:
        return "nothing yet"
    return format_loss(scene.comparison.sign * curve.losses[-1], 3 if scene.running else 2)
