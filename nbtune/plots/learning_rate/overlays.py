"""What races and sweeps share beside their own marks: theory's line, the band over data orders and its ticks."""

from __future__ import annotations

from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from ..base.tokens import themed


def draw_theory(fig: figure, source: ColumnDataSource) -> None:
    """The line, from the columns x, bottom and top."""
    line = fig.segment("x", "bottom", "x", "top", source=source, line_width=1.2, line_dash=[8, 3, 2, 3])
    themed(line.glyph, line_color="ink")


def draw_band(fig: figure, source: ColumnDataSource) -> None:
    """The band, from the columns x, low and high."""
    area = fig.varea("x", "low", "high", source=source, fill_alpha=0.22)
    themed(area.glyph, fill_color="data")


def draw_ticks(fig: figure, source: ColumnDataSource) -> None:
    """A tick for each order's suggestion, from the columns x, bottom and top."""
    tick = fig.segment("x", "bottom", "x", "top", source=source, line_width=1.6)
    themed(tick.glyph, line_color="answer")
