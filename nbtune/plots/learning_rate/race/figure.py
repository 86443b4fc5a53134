"""The two figures of a race on one loss axis: every rate's way on the left, the scores against η on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.models import ColumnDataSource, CustomJS, CustomJSHover, FixedTicker, HoverTool
from bokeh.plotting import figure

from ....formats import format_lr
from ...base.frame import LABEL, bare_figure, draw_labels, fill, sources_of, style_axes
from ...base.tokens import themed
from ..orders_band import BAND
from ..overlays import draw_band, draw_theory, draw_ticks
from ..sweep.labels import LABEL_COLOURS
from ..sweep.scene import EMPTY_RANGE, decades, x_edges
from .scene import FADES, FRAME_WIDTHS, HEIGHT, NAMES_SHARE, NARROW_BELOW, ROUND_ENDS, STEPS
from .view import RaceView, race_view

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

__all__ = ["RaceView", "race_figures", "race_plot", "race_view"]

UPRIGHT = ("x", "bottom", "top")
SHARED: dict[str, tuple[str, ...]] = {
    "start": ("y",), "crosses": ("x", "y"), "worse_crosses": ("x", "y"), "off": ("x", "y"), "alive": ("x", "y"),
    "leader": ("x", "y"), **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}  # fmt: skip
COURSE = {
    **SHARED, **{f"out{group}": ("x", "y") for group in range(FADES)}, "worse": ("x", "y"), "head": ("x", "y"),
    "leading_head": ("x", "y"), "rounds": UPRIGHT,
}  # fmt: skip
SCORES = {
    **SHARED, "first": ("x", "y"), "fit": ("x", "y"), "whisker": ("x", "low", "high"),
    "band": ("left", "right", "bottom", "top"), "suggestion": UPRIGHT, "peak": UPRIGHT, "theory": UPRIGHT,
    "orders": BAND, "order_ticks": UPRIGHT,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""

# A view knows its own width, Python does not: each one switches between its two sets of labels.
NARROW_JS = """
const narrow = cb_obj.outer_width < limit
for (const renderer of wide) renderer.visible = !narrow
for (const renderer of narrow_ones) renderer.visible = narrow
x_axis.axis_label = narrow ? short : long
"""

FADE_ALPHAS = (0.35, 0.6, 0.85)

LR_JS = "return value < 1e-3 ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(2)))"
LOSS_JS = "return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : String(value)"


def race_figures(lr_min: float, lr_max: float, *, held_out: bool = False) -> dict[str, figure]:
    """Two empty figures, "course" and "scores"; ``fill`` or a browser gives them data.

    Args:
        lr_min: The lowest rate.
        lr_max: The highest.
        held_out: Whether the loss shown is that of held-out data.
    """
    loss = "held-out loss" if held_out else "training loss"
    return {"course": _course_figure(loss), "scores": _scores_figure(lr_min, lr_max, loss)}


def race_plot(curve: LRCurve) -> Any:
    """Both figures of ``curve`` side by side."""
    settings = curve.settings
    figures = race_figures(settings.lr_min, settings.lr_max, held_out=curve.is_held_out)
    for name, view in race_view(curve).items():
        fill(figures[name], view)
    return row(list(figures.values()), sizing_mode="stretch_width")


def _course_figure(loss: str) -> figure:
    fig = half_figure((0.0, NAMES_SHARE * ROUND_ENDS[-1]), min_border_right=4)
    sources = sources_of(COURSE)
    rounds = fig.segment("x", "bottom", "x", "top", source=sources["rounds"], line_width=1.2, line_dash=[2, 4])
    themed(rounds.glyph, line_color="axis")
    _draw_start(fig, sources)
    for group, alpha in zip(range(FADES), FADE_ALPHAS, strict=True):
        line = fig.line("x", "y", source=sources[f"out{group}"], line_width=1.6, line_alpha=alpha, line_join="round")
        themed(line.glyph, line_color="axis")
    worse = fig.line("x", "y", source=sources["worse"], line_width=1.4, line_alpha=0.6, line_dash=[5, 3])
    themed(worse.glyph, line_color="danger")
    for name, token, width in (("alive", "data", 2.4), ("leader", "answer", 3.2)):
        line = fig.line("x", "y", source=sources[name], line_width=width, line_join="round")
        themed(line.glyph, line_color=token)
    for name, token in (("head", "data"), ("leading_head", "answer")):
        head = fig.scatter("x", "y", source=sources[name], size=8, line_width=1.5)
        themed(head.glyph, fill_color=token, line_color="background")
    _draw_losers(fig, sources)
    draw_words(fig, sources, "training step, the same batches for every rate")
    fig.xaxis[0].ticker = FixedTicker(ticks=list(STEPS))
    fig.yaxis[0].axis_label = loss
    style_axes(fig, [1, 2, 3, 5])
    return fig


def _scores_figure(lr_min: float, lr_max: float, loss: str) -> figure:
    fig = half_figure(x_edges(lr_min, lr_max), x_axis_type="log", min_border_right=14)
    sources = sources_of(SCORES)
    band = fig.quad(
        left="left", right="right", bottom="bottom", top="top", line_color=None, source=sources["band"], fill_alpha=0.15
    )
    themed(band.glyph, fill_color="answer")
    draw_band(fig, sources["orders"])
    _draw_start(fig, sources)
    first = fig.line("x", "y", source=sources["first"], line_width=1.4, line_join="round")
    themed(first.glyph, line_color="axis")
    draw_theory(fig, sources["theory"])
    line = fig.segment("x", "bottom", "x", "top", source=sources["suggestion"], line_width=2.4)
    themed(line.glyph, line_color="answer")
    fit = fig.line("x", "y", source=sources["fit"], line_width=1.8, line_dash=[6, 4])
    themed(fit.glyph, line_color="answer")
    _draw_losers(fig, sources)
    # Behind the dots: a doubt that cannot be seen is smaller than its dot.
    whisker = fig.segment("x", "low", "x", "high", source=sources["whisker"], line_width=1.6)
    themed(whisker.glyph, line_color="ink")
    for end in ("low", "high"):
        cap = fig.scatter("x", end, source=sources["whisker"], marker="dash", size=9, line_width=1.6)
        themed(cap.glyph, line_color="ink")
    for name, token in (("alive", "data"), ("leader", "answer")):
        dots = fig.scatter("x", "y", source=sources[name], size=10, line_width=1.5, name="scores")
        themed(dots.glyph, fill_color=token, line_color="background")
    draw_ticks(fig, sources["order_ticks"])
    peak = fig.segment("x", "bottom", "x", "top", source=sources["peak"], line_width=2, line_alpha=0.7)
    themed(peak.glyph, line_color="answer")
    draw_words(fig, sources, "learning rate η (log scale)")
    _add_hover(fig)
    style_rates(fig, lr_min, lr_max, loss)
    return fig


def style_rates(fig: figure, lr_min: float, lr_max: float, loss: str) -> None:
    """The axes of loss against η in half of the stage."""
    ticks = decades(lr_min, lr_max)
    # Every second one: half the width of a sweep's plot.
    fig.xaxis[0].ticker = FixedTicker(ticks=ticks[:: -(-len(ticks) // 7)])
    fig.xaxis[0].major_label_overrides = {tick: format_lr(tick) for tick in ticks}
    fig.yaxis[0].axis_label = loss
    style_axes(fig, [1, 2, 3, 5])


def half_figure(x_range: tuple[float, float], y_range: tuple[float, float] = EMPTY_RANGE, **more: Any) -> figure:
    """One of two figures side by side, of the same height and left edge."""
    return bare_figure(HEIGHT, x_range, y_range, min_border_left=48, min_border_top=6, **more)


def _draw_start(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    start = fig.hspan(y="y", source=sources["start"], line_width=1.2, line_dash=[2, 4])
    themed(start.glyph, line_color="axis")


def _draw_losers(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    for name, token in (("crosses", "muted"), ("worse_crosses", "danger")):
        cross = fig.scatter("x", "y", source=sources[name], marker="x", size=8, line_width=1.8, name="losers")
        themed(cross.glyph, line_color=token)
    off = fig.scatter("x", "y", source=sources["off"], marker="triangle", size=8, fill_color=None, line_width=1.3)
    themed(off.glyph, line_color="danger")


def draw_words(
    fig: figure, sources: dict[str, ColumnDataSource], x_label: str, colours: Mapping[str, str] = LABEL_COLOURS
) -> None:
    """The words, at both widths, and the x axis' title, whose part before the comma stands where it is narrow."""
    wide, narrow = (
        list(draw_labels(fig, sources, prefix, prefix == "labels", colours=colours)) for prefix in FRAME_WIDTHS
    )
    args = {
        "limit": NARROW_BELOW, "wide": wide, "narrow_ones": narrow, "x_axis": fig.xaxis[0], "long": x_label,
        "short": x_label.partition(",")[0],
    }  # fmt: skip
    fig.xaxis[0].axis_label = x_label
    fig.js_on_change("outer_width", CustomJS(args=args, code=NARROW_JS))


def _add_hover(fig: figure) -> None:
    formatters: dict[str, Any] = {"@x": CustomJSHover(code=LR_JS), "@y": CustomJSHover(code=LOSS_JS)}
    for name, word in (("scores", "score"), ("losers", "left at")):
        renderers: Any = [renderer for renderer in fig.renderers if renderer.name == name]
        tooltips = f"<div>η @x{{custom}} · {word} @y{{custom}}</div>"
        fig.add_tools(HoverTool(renderers=renderers, tooltips=tooltips, formatters=formatters))
