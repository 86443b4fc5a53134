"""The figure of speed by batch size, and the knee beyond which larger ones gain little."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ...formats import format_loss
from ..base.columns import Columns, View, floats, table
from ..base.labels import LABEL_COLOURS, Box, Frame, Label
from ..base.live import drawn
from ..base.marks import LABEL, Axis, Hover, Mark, Marks, Panel, labels
from .scene import MOST_SIZES, sizes_of, sizes_up_to

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


MARKS: Marks = (
    Mark("rule", "near_best", line="axis", width=1.2, dash=(2, 4)),
    Mark("line", "speed", line="data", width=2.2),
    Mark("points", "speed", fill="data", name="dots"),
    Mark("points", "knee", line="ink", fill="background", width=2, marker="diamond", size=15),
    *labels({"labels": ""}, LABEL_COLOURS),
)
HOVERS = (Hover("dots", "<div>@head</div><div>@detail</div>"),)


def speed_panel(batch_sizes: Sequence[int], title: str = "Speed, samples/s by k") -> Panel:
    """The figure over the doublings of the batch size.

    Args:
        batch_sizes: Those that have a place, as in the plot of memory.
        title: Above it, such as "Speed on this CPU, samples/s by k".
    """
    ticks = tuple(speed_ticks(batch_sizes))
    x = Axis(range=speed_x_edges(batch_sizes), ticks=ticks, texts=tuple(str(2**i) for i in ticks))
    y = Axis(range=(0.0, EMPTY_TOP), mantissas=(1, 2, 5), count=2, has_line=False)
    borders = {"left": 34, "right": 10}
    return Panel(SOURCES, MARKS, x, y, HEIGHT, borders, HOVERS, caption=title, caption_token="ink")


def speed_figure(batch_sizes: Sequence[int] = sizes_up_to(MOST_SIZES), title: str = "Speed, samples/s by k") -> figure:
    """A figure of ``speed_panel`` that says that nothing is known; ``fill`` or a browser gives it data."""
    fig, sources = drawn(speed_panel(batch_sizes, title))
    for name, columns in _label_columns([_hint()], (), _frame(batch_sizes, EMPTY_TOP)).items():
        sources[name].data = columns
    return fig


def _frame(batch_sizes: Sequence[int], top: float) -> Frame:
    return Frame.of(FRAME, speed_x_edges(batch_sizes), (0.0, top))


def speed_x_edges(batch_sizes: Sequence[int]) -> tuple[float, float]:
    """Both ends of the axis, in doublings of the batch size."""
    return -0.5, max(math.log2(max(batch_sizes)), 1.0) + 0.5


def speed_ticks(batch_sizes: Sequence[int]) -> list[int]:
    """Doublings that are labelled: six or fewer.

    Examples:
        >>> speed_ticks((1, 2, 4)), speed_ticks((1, 512))
        ([0, 1, 2], [0, 2, 4, 6, 8])
    """
    doublings = list(range(int(math.log2(max(batch_sizes))) + 1))
    return doublings[:: -(-len(doublings) // 6)]


def speed_view(limit: BatchLimit, running: bool = False) -> View:
    """Every mark of the figure; only sizes that were run are in it.

    Args:
        limit: Of any number of trials, also none.
        running: Whether more are coming: then no knee is marked.
    """
    speeds = {t.batch_size: t.samples_per_second for t in limit.latest if t.samples_per_second}
    best = max(speeds.values(), default=0.0)
    top = 1.35 * best or EMPTY_TOP
    frame = _frame(sizes_of(limit.settings), top)
    knee = None if running or limit.knee not in speeds else limit.knee
    points = [(math.log2(k), speed) for k, speed in speeds.items()]
    said = list(_labels(limit, speeds, frame, running)) if speeds else [_hint(running)]
    columns = {
        "speed": {
            **_xy(points),
            "head": [f"k {k} · {format_loss(speed)} samples/s" for k, speed in speeds.items()],
            "detail": [f"{format_loss(1000 * k / speed)} ms a step" for k, speed in speeds.items()],
        },
        "near_best": {"y": floats([NEAR_BEST * best] if best else [])},
        "knee": _xy([] if knee is None else [(math.log2(knee), speeds[knee])]),
        **_label_columns(said, _boxes(points, frame), frame),
    }
    return View(columns, (0.0, top), _in_words(limit, speeds, knee, running))


def _hint(running: bool = False) -> Label:
    text = "measuring …" if running else "no step run yet"
    return Label(text, "muted", ((FRAME[0] / 2, FRAME[1] / 2, "center"),), boxed=True)


def _labels(limit: BatchLimit, speeds: dict[int, float], frame: Frame, running: bool) -> Iterator[Label]:
    if not running and limit.knee in speeds and limit.knee is not None:
        x, y = frame.x(math.log2(limit.knee)), frame.y(speeds[limit.knee])
        rows = (y + 18, y - 18, y + 34)
        places = tuple((px, row, align) for row in rows for px, align in ((x, "center"), (x - 8, "left"), (2, "left")))
        yield Label(f"knee: k = {limit.knee}", "ink", places, bold=True, boxed=True)
    elif not running and limit.is_still_rising:
        x, y = frame.x(math.log2(max(speeds))), frame.y(speeds[max(speeds)])
        places = ((x + 10, y, "left"), (x - 10, y - 14, "right"), (x, y + 16, "center"))
        yield Label("still rising", "ink", places, boxed=True)
    line = frame.y(NEAR_BEST * max(speeds.values()))
    ends = tuple((px, line + dy, align) for px, align in ((FRAME[0] - 2, "right"), (2, "left")) for dy in (-10, 11))
    yield Label("90 % of best", "muted", ends, droppable=True)


def _boxes(points: list[tuple[float, float]], frame: Frame) -> list[Box]:
    """The dots, which no label may hide."""
    return [(x - 4, y - 4, x + 4, y + 4) for x, y in ((frame.x(at), frame.y(speed)) for at, speed in points)]


def _label_columns(words: list[Label], taken: Sequence[Box], frame: Frame) -> dict[str, Columns]:
    return frame.columns("labels", frame.place(words, taken))


def _xy(points: list[tuple[float, float]]) -> Columns:
    return table(points, ("x", "y"))


def _in_words(limit: BatchLimit, speeds: dict[int, float], knee: int | None, running: bool) -> str:
    if not speeds:
        return "Speed by batch size. No step run yet."
    fastest = max(speeds, key=lambda k: speeds[k])
    words = f"Speed by batch size, {min(speeds)} to {max(speeds)}. Best {format_loss(speeds[fastest])} samples/s"
    words += f" at k = {fastest}."
    if knee is not None:
        return f"{words} Knee at k = {knee}."
    return f"{words} Still rising." if limit.is_still_rising and not running else words
