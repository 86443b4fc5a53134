"""The two figures of a search over batch sizes: one curve of loss against η per k, and how the suggestion moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.models import ColumnDataSource, FixedTicker
from bokeh.plotting import figure

from ....formats import format_lr
from ...base.frame import LABEL, fill, sources_of, style_axes
from ...base.tokens import themed
from ...comparison.figure import DASHES
from ...comparison.rows import LOOKS
from ..race.figure import draw_words, half_figure, style_rates
from ..race.scene import FRAME_WIDTHS
from ..sweep.scene import x_edges
from .scene import NOTHING_YET, lr_ticks, size_edges, size_ticks
from .view import COLOURS, by_size_view

if TYPE_CHECKING:
    from ....engine.learning_rate.by_batch_size import LRByBatchSize

__all__ = ["by_size_figures", "by_size_plot", "by_size_view"]

_WORDS = {f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in COLOURS}
CURVES: dict[str, tuple[str, ...]] = {
    **{f"line_{slot}": ("x", "y") for slot in LOOKS}, **{f"marks_{slot}": ("x", "y") for slot in LOOKS},
    "start": ("y",), **_WORDS,
}  # fmt: skip
MOVES: dict[str, tuple[str, ...]] = {
    **{f"marks_{slot}": ("x", "y") for slot in LOOKS}, **{f"range_{slot}": ("x", "low", "high") for slot in LOOKS},
    "trend": ("x", "y"), **_WORDS,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""


def by_size_figures(
    lr_min: float, lr_max: float, batch_sizes: tuple[int, ...], *, held_out: bool = False
) -> dict[str, figure]:
    """Two empty figures, "curves" and "moves"; ``fill`` or a browser gives them data.

    Args:
        lr_min: The lowest rate.
        lr_max: The highest.
        batch_sizes: The k, rising.
        held_out: Whether the loss shown is that of held-out data.
    """
    loss = "held-out loss" if held_out else "training loss"
    return {"curves": _curves_figure(lr_min, lr_max, loss), "moves": _moves_figure(lr_min, lr_max, batch_sizes)}


def by_size_plot(result: LRByBatchSize) -> Any:
    """Both figures of ``result`` side by side."""
    settings = result.settings
    figures = by_size_figures(
        settings.lr_min, settings.lr_max, settings.batch_sizes, held_out=settings.validation is not None
    )
    for name, view in by_size_view(result).items():
        fill(figures[name], view)
    return row(list(figures.values()), sizing_mode="stretch_width")


def _curves_figure(lr_min: float, lr_max: float, loss: str) -> figure:
    fig = half_figure(x_edges(lr_min, lr_max), x_axis_type="log", min_border_right=4)
    sources = sources_of(CURVES)
    start = fig.hspan(y="y", source=sources["start"], line_width=1.2, line_dash=[2, 4])
    themed(start.glyph, line_color="axis")
    for slot, (token, _, dash) in LOOKS.items():
        line = fig.line(
            "x", "y", source=sources[f"line_{slot}"], line_width=1.6 if slot == "rest" else 2.4, line_join="round",
            line_dash=DASHES[dash],
        )  # fmt: skip
        themed(line.glyph, line_color=token)
    _draw_marks(fig, sources)
    draw_words(fig, sources, "learning rate η (log scale)", COLOURS)
    style_rates(fig, lr_min, lr_max, loss)
    return fig


def _moves_figure(lr_min: float, lr_max: float, batch_sizes: tuple[int, ...]) -> figure:
    fig = half_figure(size_edges(batch_sizes), NOTHING_YET, x_axis_type="log", y_axis_type="log", min_border_right=14)
    sources = sources_of(MOVES)
    trend = fig.line("x", "y", source=sources["trend"], line_width=1.8, line_dash=[6, 4])
    themed(trend.glyph, line_color="answer")
    for slot, (token, *_) in LOOKS.items():
        span = fig.segment("x", "low", "x", "high", source=sources[f"range_{slot}"], line_width=5, line_alpha=0.35)
        themed(span.glyph, line_color=token)
    _draw_marks(fig, sources)
    draw_words(fig, sources, "batch size k (log scale)", COLOURS)
    style_axes(fig, [1, 2, 3, 5])
    fig.xaxis[0].ticker = FixedTicker(ticks=size_ticks(batch_sizes))
    fig.xaxis[0].major_label_overrides = {float(k): f"{k:,}" for k in batch_sizes}
    # A suggestion may lie below the lowest rate.
    ticks = lr_ticks(lr_min / 100, 10 * lr_max)
    fig.yaxis[0].ticker = FixedTicker(ticks=ticks)
    fig.yaxis[0].major_label_overrides = {tick: format_lr(tick) for tick in ticks}
    fig.yaxis[0].axis_label = "suggested η"
    return fig


def _draw_marks(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    for slot, (token, marker, _) in LOOKS.items():
        marks = fig.scatter("x", "y", source=sources[f"marks_{slot}"], marker=marker, size=9, line_width=1.5)
        themed(marks.glyph, fill_color=token, line_color="background")
