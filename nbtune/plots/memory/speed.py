"""The figure of speed by batch size, and the knee beyond which larger ones gain little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import FixedTicker, HoverTool
from bokeh.plotting import figure

from ...formats import format_loss
from ..base.frame import LABEL, bare_figure, caption, draw_labels, sources_of, style_axes
from ..base.labels import Box, Label, label_columns, place
from ..base.tokens import themed
from ..learning_rate.sweep.labels import LABEL_COLOURS
from .scene import MOST_SIZES, sizes_of, sizes_up_to
from .view import Columns, MemoryView

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit

HEIGHT = 128
FRAME = (200.0, 78.0)
"""Width and height of the frame in px, at the least width of the whole, 250."""

NEAR_BEST = 0.9
EMPTY_TOP = 13.0
SOURCES: dict[str, tuple[str, ...]] = {
    "speed": ("x", "y", "head", "detail"),
    "near_best": ("y",),
    "knee": ("x", "y"),
    **{f"labels_{colour}": LABEL for colour in LABEL_COLOURS},
}


def speed_figure(batch_sizes: Sequence[int] = sizes_up_to(MOST_SIZES), title: str = "Speed, samples/s by k") -> figure:
    """An empty figure over the doublings of the batch size; ``fill`` or a browser gives it data.

    Args:
        batch_sizes: Those that have a place, as in the plot of memory.
        title: Above it, such as "Speed on this CPU, samples/s by k".
    """
    fig = bare_figure(HEIGHT, speed_x_edges(batch_sizes), (0.0, EMPTY_TOP), min_border_left=34, min_border_right=10)
    sources = sources_of(SOURCES)
    near_best = fig.hspan(y="y", source=sources["near_best"], line_width=1.2, line_dash=[2, 4])
    themed(near_best.glyph, line_color="axis")
    line = fig.line("x", "y", source=sources["speed"], line_width=2.2, line_join="round")
    themed(line.glyph, line_color="data")
    dots = fig.scatter("x", "y", source=sources["speed"], size=8, line_color=None)
    themed(dots.glyph, fill_color="data")
    knee = fig.scatter("x", "y", source=sources["knee"], marker="diamond", size=15, line_width=2)
    themed(knee.glyph, fill_color="background", line_color="ink")
    list(draw_labels(fig, sources, "labels"))
    renderers: Any = [dots]
    fig.add_tools(HoverTool(renderers=renderers, tooltips="<div>@head</div><div>@detail</div>"))
    _style_axes(fig, batch_sizes)
    caption(fig, title, token="ink")
    for colour, columns in _label_columns([_hint()], (), _Scale(*speed_x_edges(batch_sizes), EMPTY_TOP)).items():
        sources[colour].data = columns
    return fig


def speed_x_edges(batch_sizes: Sequence[int]) -> tuple[float, float]:
    """Both ends of the axis, in doublings of the batch size."""
    return -0.5, max(math.log2(max(batch_sizes)), 1.0) + 0.5


def _style_axes(fig: figure, batch_sizes: Sequence[int]) -> None:
    style_axes(fig, [1, 2, 5], ticks=2)
    ticks = speed_ticks(batch_sizes)
    fig.xaxis[0].ticker = FixedTicker(ticks=ticks)
    fig.xaxis[0].major_label_overrides = {i: str(2**i) for i in ticks}


def speed_ticks(batch_sizes: Sequence[int]) -> list[int]:
    """Doublings that are labelled: six or fewer.

    Examples:
        >>> speed_ticks((1, 2, 4)), speed_ticks((1, 512))
        ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    doublings = list(range(int(math.log2(max(batch_sizes))) + 1))
    return doublings[:: -(-len(doublings) // 6)]


class _Scale:
    """px of the frame ↔ log2 k and samples per second."""

    def __init__(self, left: float, right: float, top: float) -> None:
        self.left, self.right, self.top = left, right, top

    def px(self, x: float, y: float) -> tuple[float, float]:
        return (x - self.left) / (self.right - self.left) * FRAME[0], (1 - y / self.top) * FRAME[1]

    def data(self, columns: Columns) -> Columns:
        x, y = (np.array(columns[name], dtype=np.float64) for name in ("x", "y"))
        columns["x"] = self.left + x / FRAME[0] * (self.right - self.left)
        columns["y"] = (1 - y / FRAME[1]) * self.top
        columns["box_alpha"] = np.array(columns["box_alpha"], dtype=np.float64)
        return columns


def speed_view(limit: BatchLimit, running: bool = False) -> MemoryView:
    """Every mark of the figure; only sizes that were run are in it.

    Args:
        limit: Of any number of trials, also none.
        running: Whether more are coming: then no knee is marked.
    """
    speeds = {t.batch_size: t.samples_per_second for t in limit.latest if t.samples_per_second}
    best = max(speeds.values(), default=0.0)
    scale = _Scale(*speed_x_edges(sizes_of(limit.settings)), 1.35 * best or EMPTY_TOP)
    knee = None if running or limit.knee not in speeds else limit.knee
    points = [(math.log2(k), speed) for k, speed in speeds.items()]
    labels = list(_labels(limit, speeds, scale, running)) if speeds else [_hint(running)]
    columns = {
        "speed": {
            **_xy(points),
            "head": [f"k {k} · {format_loss(speed)} samples/s" for k, speed in speeds.items()],
            "detail": [f"{format_loss(1000 * k / speed)} ms a step" for k, speed in speeds.items()],
        },
        "near_best": {"y": np.array([NEAR_BEST * best] if best else [], dtype=np.float64)},
        "knee": _xy([] if knee is None else [(math.log2(knee), speeds[knee])]),
        **_label_columns(labels, _boxes(points, scale), scale),
    }
    return MemoryView(columns, (0.0, scale.top), _in_words(limit, speeds, knee, running))


def _hint(running: bool = False) -> Label:
    text = "measuring …" if running else "no step run yet"
    return Label(text, "muted", ((FRAME[0] / 2, FRAME[1] / 2, "center"),), boxed=True)


def _labels(limit: BatchLimit, speeds: dict[int, float], scale: _Scale, running: bool) -> Iterator[Label]:
    if not running and limit.knee in speeds and limit.knee is not None:
        x, y = scale.px(math.log2(limit.knee), speeds[limit.knee])
        rows = (y + 18, y - 18, y + 34)
        places = tuple((px, row, align) for row in rows for px, align in ((x, "center"), (x - 8, "left"), (2, "left")))
        yield Label(f"knee: k = {limit.knee}", "ink", places, bold=True, boxed=True)
    elif not running and limit.is_still_rising:
        x, y = scale.px(math.log2(max(speeds)), speeds[max(speeds)])
        places = ((x + 10, y, "left"), (x - 10, y - 14, "right"), (x, y + 16, "center"))
        yield Label("still rising", "ink", places, boxed=True)
    line = scale.px(0.0, NEAR_BEST * max(speeds.values()))[1]
    ends = tuple((px, line + dy, align) for px, align in ((FRAME[0] - 2, "right"), (2, "left")) for dy in (-10, 11))
    yield Label("90 % of best", "muted", ends, droppable=True)


def _boxes(points: list[tuple[float, float]], scale: _Scale) -> list[Box]:
    """The dots, which no label may hide."""
    return [(x - 4, y - 4, x + 4, y + 4) for x, y in (scale.px(*point) for point in points)]


def _label_columns(labels: list[Label], taken: Sequence[Box], scale: _Scale) -> dict[str, Columns]:
    placed = place(labels, *FRAME, taken)
    return {f"labels_{colour}": scale.data(label_columns(placed, colour)) for colour in LABEL_COLOURS}


def _xy(points: list[tuple[float, float]]) -> Columns:
    table = np.array(points, dtype=np.float64).reshape(-1, 2)
    return {"x": table[:, 0].copy(), "y": table[:, 1].copy()}


def _in_words(limit: BatchLimit, speeds: dict[int, float], knee: int | None, running: bool) -> str:
    if not speeds:
        return "Speed by batch size. No step run yet."
    fastest = max(speeds, key=lambda k: speeds[k])
    words = f"Speed by batch size, {min(speeds)} to {max(speeds)}. Best {format_loss(speeds[fastest])} samples/s"
    words += f" at k = {fastest}."
    if knee is not None:
        return f"{words} Knee at k = {knee}."
    return f"{words} Still rising." if limit.is_still_rising and not running else words
