"""The figure of memory by image size and batch size. A widget draws the same rows as a real table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, FixedTicker
from bokeh.plotting import figure

from ..base.frame import bare_figure, caption, style_words
from ..base.tokens import FONT, themed
from .labels import capacity_in_words
from .rows import GridCell, grid_rows

if TYPE_CHECKING:
    from ...engine.batch_size.grid import MemoryGrid

ROW = 36
STEPS = ("heat0", "heat1", "heat2")


def grid_figure(grid: MemoryGrid) -> figure:
    """The finished figure of ``grid``: its numbers, what does not fit hatched, the largest k of each row framed."""
    rows = grid_rows(grid)
    places = {k: i for i, k in enumerate(sorted({k for row in rows for k in row.batch_sizes}))}
    cells = [
        (places[k], y, cell) for y, row in enumerate(rows) for k, cell in zip(row.batch_sizes, row.cells, strict=True)
    ]
    fig = bare_figure(
        ROW * max(1, len(rows)) + 70, (-0.5, max(1, len(places)) - 0.5), (max(1, len(rows)) - 0.5, -0.5),
        min_border_left=56, min_border_right=10,
    )  # fmt: skip
    for step, token in enumerate(STEPS):
        _boxes(fig, [c for c in cells if c[2].fits and c[2].step == step], fill_color=token, line_color="background")
    _hatched(fig, [cell for cell in cells if not cell[2].fits])
    frames = _boxes(fig, [cell for cell in cells if cell[2].is_largest], line_color="answer")
    frames.glyph.update(fill_color=None, line_width=3)
    _numbers(fig, cells)
    _style_axes(fig, list(places), [row.image_size for row in rows])
    card = "" if grid.capacity_bytes is None else f"; {capacity_in_words(grid.capacity_name, grid.capacity_bytes)}"
    caption(fig, f"GiB at the peak, predicted{card}. Hatched: does not fit. Framed: largest 2ⁿ that fits.", token="ink")
    return fig


Placed = tuple[int, int, GridCell]


def _boxes(fig: figure, cells: list[Placed], **tokens: str) -> Any:
    source = ColumnDataSource({"x": [x for x, _, _ in cells], "y": [y for _, y, _ in cells]})
    boxes = fig.rect("x", "y", width=0.95, height=0.9, source=source)
    themed(boxes.glyph, **tokens)
    return boxes


def _hatched(fig: figure, cells: list[Placed]) -> None:
    boxes = _boxes(fig, cells, hatch_color="danger", line_color="grid")
    boxes.glyph.update(fill_color=None, hatch_pattern="/", hatch_scale=9, hatch_weight=0.6, hatch_alpha=0.5)


def _numbers(fig: figure, cells: list[Placed]) -> None:
    for bold in (False, True):
        for fits in (False, True):
            chosen = [c for c in cells if c[2].is_largest is bold and c[2].fits is fits]
            columns = {
                "x": [x for x, _, _ in chosen],
                "y": [y for _, y, _ in chosen],
                "text": [c.text for *_, c in chosen],
            }
            look: dict[str, Any] = {
                "text_align": "center", "text_baseline": "middle", "text_font": value(FONT), "text_font_size": "13px",
                "text_font_style": "bold" if bold else "normal", "background_fill_alpha": 0.0 if fits else 1.0,
                "padding": (1, 3),
            }  # fmt: skip
            numbers = fig.text("x", "y", "text", source=ColumnDataSource(columns), **look)
            themed(numbers.glyph, text_color="ink" if fits else "muted", background_fill_color="background")


def _style_axes(fig: figure, batch_sizes: list[int], image_sizes: list[int]) -> None:
    for axis, names, title in (
        (fig.xaxis[0], batch_sizes, "batch size k"),
        (fig.yaxis[0], image_sizes, "image side, pixels"),
    ):
        axis.ticker = FixedTicker(ticks=list(range(len(names))))
        axis.major_label_overrides = {i: str(name) for i, name in enumerate(names)}
        axis.update(axis_label=title, axis_line_color=None, major_tick_line_color=None, minor_tick_line_color=None)
        style_words(axis)
    fig.ygrid.visible = False
