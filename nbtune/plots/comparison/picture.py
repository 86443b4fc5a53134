"""The picture of a comparison for notebooks without a browser's view: the figure's columns and the table beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.sentence import (
    COLOURS,
    POINT,
    SMALL,
    WIDTH,
    Picture,
    can_draw,
    draw_labels,
    picture_of,
    style_axes,
    words_of,
)
from .labels import LABEL_COLOURS
from .rows import LOOKS, Series, series_of, summary_rows
from .scene import HEIGHT
from .view import Columns, ComparisonView, comparison_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...engine.comparison.result import Comparison

PLOT = 496
LEFT, TOP, BELOW = 66, 26, 46
ROW = 24
NAMES = 160
HEAD_PX, SWATCH_PX = 7.4, 14.0
MOST_BESIDE = 3
"""More columns than these do not fit beside the plot: the table goes below it."""

DASHES: dict[str, Any] = {"dashed": (0, (3.6, 1.4)), "solid": "-", "dotted": (0, (1.1, 1.2))}
MARKERS = {"square": "s", "circle": "o", "triangle": "^"}
WORD = {"series2": "series2", "data": "data", "series3": "series3", "axis": "muted"}
"""Token of a series → that of its name, since the grey of lines is too weak for text."""


def draw_comparison_png(comparison: Comparison, *, axis: str = "samples", held_out: bool = False) -> bytes | None:
    """The light picture of ``comparison``: curves, table and the sentence; 820 px wide, twice the resolution.

    Args:
        comparison: Of any length.
        axis: "samples", "updates" or "seconds".
        held_out: Whether the held-out losses are drawn.
    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if not can_draw():
        return None
    series, rows = series_of(comparison), summary_rows(comparison)
    is_beside = len(series) <= MOST_BESIDE
    table = ROW * (len(rows) + 1) + 10
    words = words_of(comparison, "ink")
    with picture_of(max(HEIGHT, table) if is_beside else HEIGHT + 8 + table, words) as picture:
        width = PLOT if is_beside else WIDTH
        _draw_plot(picture, comparison_view(comparison, axis=axis, held_out=held_out), width)
        _draw_table(picture, series, rows, (PLOT + 10, 0) if is_beside else (0, HEIGHT + 8))
        return picture.png()


def _draw_plot(picture: Picture, view: ComparisonView, width: int) -> None:
    words = {name: texts[0] for name, texts in view.columns["words"].items()}
    picture.text(LEFT, 12, words["wide"], color=COLOURS["muted"], **SMALL)
    axes = picture.add_axes(LEFT, TOP, width - LEFT - 4, HEIGHT - TOP - BELOW)
    axes.set(xlim=view.x_range, ylim=view.y_range)
    style_axes(axes)
    axes.set_xticks(view.columns["ticks"]["at"], view.columns["ticks"]["text"])
    axes.set_yticks(view.columns["y_ticks"]["at"], view.columns["y_ticks"]["text"])
    axes.set_xlabel(words["x_title"], color=COLOURS["muted"], **SMALL)
    axes.set_ylabel(words["y_title"], color=COLOURS["muted"], **SMALL)
    axes.yaxis.set_label_coords(-52 / (width - LEFT - 4), 0.5)
    for y in view.columns["target"]["y"]:
        axes.axhline(y, color=COLOURS["ink"], linewidth=1.6 * POINT, linestyle=(0, (1.2, 1.8)))
    for slot in ("rest", "high", "low", "middle"):
        _draw_curve(axes, view.columns, slot)
    _draw_endings(axes, view.columns)
    for colour, token in LABEL_COLOURS.items():
        draw_labels(axes, view.columns[f"labels_{colour}"], COLOURS[token])


def _draw_curve(axes: Axes, columns: dict[str, Columns], slot: str) -> None:
    token, marker, dash = LOOKS[slot]
    band, held_out = columns[f"band_{slot}"], columns[f"held_out_{slot}"]
    line, marks = columns[f"line_{slot}"], columns[f"marks_{slot}"]
    look: dict[str, Any] = {"color": COLOURS[token], "zorder": 2.5}
    axes.fill(band["x"], band["y"], color=COLOURS[token], alpha=0.15, linewidth=0)
    axes.plot(held_out["x"], held_out["y"], linewidth=1.3 * POINT, linestyle=(0, (3, 2.3)), **look)
    width = (1.6 if slot == "rest" else 2.6) * POINT
    axes.plot(line["x"], line["y"], linewidth=width, linestyle=DASHES[dash], **look)
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT}
    axes.plot(marks["x"], marks["y"], MARKERS[marker], markersize=9 * POINT, **look, **halo)


def _draw_endings(axes: Axes, columns: dict[str, Columns]) -> None:
    off, ended = columns["off"], columns["ended"]
    hollow: dict[str, Any] = {"color": COLOURS["danger"], "markerfacecolor": "none", "markeredgewidth": 1.3 * POINT}
    axes.plot(off["x"], off["y"], "^", markersize=8 * POINT, zorder=3, **hollow)
    cross: dict[str, Any] = {"color": COLOURS["danger"], "markeredgewidth": 2.4 * POINT, "markersize": 9 * POINT}
    axes.plot(ended["x"], ended["y"], "x", zorder=3, **cross)


def _draw_table(
    picture: Picture, series: list[Series], rows: list[tuple[str, list[str]]], corner: tuple[int, int]
) -> None:
    left, top = corner
    right = WIDTH - 6
    ends = _column_ends(series, right) if left else _even_ends(len(series), right)
    for one, x in zip(series, ends, strict=True):
        _draw_head(picture, one, x, top + ROW / 2)
    _draw_rule(picture, left, right, top + ROW, "axis")
    for i, (name, cells) in enumerate(rows):
        y = top + ROW * (i + 1.5) + 2
        picture.text(left, y, name, color=COLOURS["muted"], **SMALL)
        for cell, x in zip(cells, ends, strict=True):
            picture.text(x, y, cell, ha="right", color=COLOURS["ink"], **SMALL)
        _draw_rule(picture, left, right, y + ROW / 2, "grid")


def _column_ends(series: list[Series], right: float) -> list[float]:
    """Each column as wide as its head, where there is no room to spare; the first may reach over the rows' names."""
    ends = [right]
    for one in reversed(series[1:]):
        ends.insert(0, ends[0] - HEAD_PX * len(one.text) - SWATCH_PX - 6)
    return ends


def _even_ends(count: int, right: float) -> list[float]:
    column = min(120.0, (right - NAMES) / max(1, count))
    return [right - column * (count - 1 - i) for i in range(count)]


def _draw_head(picture: Picture, one: Series, x: float, y: float) -> None:
    look: dict[str, Any] = {"ha": "right", "fontweight": "bold", **SMALL}
    picture.text(x, y, one.text, color=COLOURS[WORD[one.token]], **look)
    swatch = picture.add_axes(x - HEAD_PX * len(one.text) - SWATCH_PX, y - 6, 12, 12)
    swatch.plot([0], [0], MARKERS[one.marker], color=COLOURS[one.token], markersize=8 * POINT)
    swatch.axis("off")


def _draw_rule(picture: Picture, left: float, right: float, y: float, token: str) -> None:
    axes = picture.add_axes(left, y - 1, right - left, 2)
    axes.axhline(0, color=COLOURS[token], linewidth=1 * POINT)
    axes.axis("off")
