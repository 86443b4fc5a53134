"""The figure of a learning-rate sweep: loss against η, all marks in place from the first step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bokeh.models import ColumnDataSource, CustomJS, CustomJSHover, FixedTicker, HoverTool
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from ....formats import format_lr
from ...base.frame import LABEL, bare_figure, caption, draw_labels, fill, sources_of, style_axes
from ...base.tokens import themed
from ..orders_band import BAND
from ..overlays import draw_band, draw_theory, draw_ticks
from ..race.figure import race_plot
from .labels import FRAME_WIDTHS, LABEL_COLOURS, NARROW_BELOW
from .rule_marks import RULES, UPRIGHT, Rule
from .scene import EMPTY_RANGE, HEIGHT, decades, x_edges
from .view import LRView, lr_view

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

__all__ = ["LRView", "fill", "lr_curve_figure", "lr_figure", "lr_view"]

REGION = ("left", "right", "bottom", "top")
SOURCES: dict[str, tuple[str, ...]] = {
    "raw": ("x", "y", "step"),
    "smooth": ("x", "y"),
    "rising": ("x", "y"),
    "off": ("x", "y", "loss", "step"),
    "start": ("y",),
    "suggestion": ("x", "y", "bottom", "top"),
    "head": ("x", "y"),
    "run": ("steps",),
    "band": REGION,
    "hatch": REGION,
    "untried": REGION,
    "theory": UPRIGHT,
    "orders": BAND,
    "order_ticks": UPRIGHT,
    **dict.fromkeys(RULES.values(), UPRIGHT),
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

# A view knows its own width, Python does not: each one switches between its two sets of labels and ticks.
NARROW_JS = """
const narrow = cb_obj.outer_width < limit
for (const renderer of wide_labels) renderer.visible = !narrow
for (const renderer of narrow_labels) renderer.visible = narrow
x_axis.ticker.ticks = narrow ? narrow_ticks : ticks
y_axis.axis_label = narrow ? "" : caption.text
caption.visible = narrow
"""

# As formats.py writes them; a string per point would cost a millisecond an update.
LR_JS = "return value < 1e-3 ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(2)))"
LOSS_JS = "return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : String(value)"
STEP_JS = "return `${value} of ${run.data.steps[0] ?? ''}`"


def lr_figure(lr_min: float, lr_max: float, *, held_out: bool = False) -> figure:
    """An empty figure whose x axis is the whole sweep; ``fill`` or a browser gives it data.

    Args:
        lr_min: The sweep's first η.
        lr_max: Its last.
        held_out: Whether the loss shown is that of held-out data.
    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``.
    """
    fig = bare_figure(
        HEIGHT, x_edges(lr_min, lr_max), EMPTY_RANGE, x_axis_type="log", min_border_left=48, min_border_right=10,
        min_border_top=6,
    )  # fmt: skip
    sources = sources_of(SOURCES)
    _draw_regions(fig, sources)
    _draw_lines(fig, sources)
    poles = {prefix: _draw_poles(fig, sources, prefix) for prefix in FRAME_WIDTHS}
    _draw_marks(fig, sources)
    labels = {
        prefix: [*draw_labels(fig, sources, prefix, prefix == "labels"), poles[prefix]] for prefix in FRAME_WIDTHS
    }
    _add_hover(fig, sources)
    ticks = decades(lr_min, lr_max)
    _style_axes(fig, ticks)
    _follow_width(fig, ticks, labels, "held-out loss" if held_out else "training loss")
    return fig


def lr_curve_figure(curve: LRCurve, *, rules: Sequence[Rule] = ()) -> Any:
    """The finished figure of ``curve``; of a race, both of its figures side by side.

    Args:
        curve: Of any length.
        rules: Of a sweep: whose η is marked as well, such as ``nbtune.engine.classic_rules(curve)``.
    """
    if curve.settings.mode == "race":
        return race_plot(curve)
    held_out = curve.is_held_out
    fig = lr_figure(curve.settings.lr_min, curve.settings.lr_max, held_out=held_out)
    fill(fig, lr_view(curve, rules=rules))
    return fig


def _draw_regions(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    edges: dict[str, Any] = {"left": "left", "right": "right", "bottom": "bottom", "top": "top", "line_color": None}
    band = fig.quad(**edges, source=sources["band"], fill_alpha=0.15)
    themed(band.glyph, fill_color="answer")
    # Bokeh strokes its first lines up to three times over, so this alpha is seen as about twice as much.
    hatch = fig.quad(
        **edges, source=sources["hatch"], fill_color=None, hatch_pattern="/", hatch_scale=13, hatch_weight=1,
        hatch_alpha=0.25,
    )  # fmt: skip
    themed(hatch.glyph, hatch_color="danger")
    untried = fig.quad(
        **edges, source=sources["untried"], fill_color=None, hatch_pattern=".", hatch_scale=9, hatch_alpha=0.4
    )
    themed(untried.glyph, hatch_color="axis")


def _draw_lines(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    draw_band(fig, sources["orders"])
    start = fig.hspan(y="y", source=sources["start"], line_width=1.2, line_dash=[2, 4])
    themed(start.glyph, line_color="axis")
    raw = fig.scatter("x", "y", source=sources["raw"], size=5, fill_alpha=0.4, line_color=None, name="raw points")
    themed(raw.glyph, fill_color="data")
    smooth = fig.line("x", "y", source=sources["smooth"], line_width=2.6, line_join="round")
    themed(smooth.glyph, line_color="data")
    rising = fig.line("x", "y", source=sources["rising"], line_width=2.6, line_dash=[6, 3])
    themed(rising.glyph, line_color="danger")


def _draw_marks(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    off = fig.scatter(
        "x", "y", source=sources["off"], marker="triangle", size=8, fill_color=None, line_width=1.3, name="off points"
    )
    themed(off.glyph, line_color="danger")
    draw_theory(fig, sources["theory"])
    draw_ticks(fig, sources["order_ticks"])
    edge = fig.segment("left", "bottom", "left", "top", source=sources["untried"], line_width=1.5)
    themed(edge.glyph, line_color="ink")
    line = fig.segment("x", "bottom", "x", "top", source=sources["suggestion"], line_width=2.2)
    themed(line.glyph, line_color="answer")
    diamond = fig.scatter("x", "y", source=sources["suggestion"], marker="diamond", size=12, line_width=1.5)
    themed(diamond.glyph, fill_color="answer", line_color="background")
    head = fig.scatter("x", "y", source=sources["head"], size=10, line_width=2)
    themed(head.glyph, fill_color="data", line_color="background")


def _draw_poles(fig: figure, sources: dict[str, ColumnDataSource], prefix: str) -> GlyphRenderer[Any]:
    pole = fig.segment("x", "bottom", "x", "top", source=sources[RULES[prefix]], line_width=1.4)
    pole.visible = prefix == "labels"
    themed(pole.glyph, line_color="muted")
    return pole


def _add_hover(fig: figure, sources: dict[str, ColumnDataSource]) -> None:
    formatters: dict[str, Any] = {
        "@x": CustomJSHover(code=LR_JS),
        "@y": CustomJSHover(code=LOSS_JS),
        "@loss": CustomJSHover(code=LOSS_JS),
        "@step": CustomJSHover(code=STEP_JS, args={"run": sources["run"]}),
    }
    for renderer_name, loss in (("raw points", "@y"), ("off points", "@loss")):
        tooltip = f"<div>η @x{{custom}} · loss {loss}{{custom}}</div><div>step @step{{custom}}</div>"
        renderers: Any = [r for r in fig.renderers if r.name == renderer_name]
        fig.add_tools(HoverTool(renderers=renderers, tooltips=tooltip, formatters=formatters))


def _style_axes(fig: figure, ticks: list[float]) -> None:
    x_axis = fig.xaxis[0]
    x_axis.ticker = FixedTicker(ticks=_at_most(ticks, 13))
    x_axis.major_label_overrides = {tick: format_lr(tick) for tick in ticks}
    x_axis.axis_label = "learning rate η (log scale)"
    # Four ticks or fewer on any range.
    style_axes(fig, [1, 2, 3, 5])


def _follow_width(fig: figure, ticks: list[float], labels: dict[str, list[GlyphRenderer[Any]]], y_label: str) -> None:
    x_axis, y_axis = fig.xaxis[0], fig.yaxis[0]
    y_axis.axis_label = y_label
    args = {
        "limit": NARROW_BELOW, "wide_labels": labels["labels"], "narrow_labels": labels["narrow_labels"],
        "x_axis": x_axis, "y_axis": y_axis, "caption": caption(fig, y_label, visible=False),
        "ticks": _at_most(ticks, 13), "narrow_ticks": _at_most(ticks, 4),
    }  # fmt: skip
    fig.js_on_change("outer_width", CustomJS(args=args, code=NARROW_JS))


def _at_most(ticks: list[float], most: int) -> list[float]:
    """``ticks`` if they are no more than ``most``, else every second, third … of them from the first on."""
    return ticks[:: -(-len(ticks) // most)]
