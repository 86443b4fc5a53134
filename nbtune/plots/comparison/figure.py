"""The figure of a comparison: loss against samples, updates or seconds for each batch size, in place from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.models import CustomJS, CustomJSHover, FixedTicker, HoverTool
from bokeh.models.annotations import Title
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from ..base.frame import Sources, bare_figure, caption, draw_labels, fill, sources_of, style_words
from ..base.tokens import themed
from .labels import LABEL_COLOURS
from .rows import LOOKS
from .scene import AXES, EMPTY_Y, FRAME_WIDTHS, HEIGHT, NARROW_BELOW
from .view import SOURCES, ComparisonView, comparison_view

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

__all__ = ["ComparisonView", "comparison_figure", "comparison_plot", "comparison_view", "fill"]

WIDE_BORDER, NARROW_BORDER = 70, 50
"""Room for numbers such as 0.001 and, where it is wide, the axis' title: so the frame keeps its place."""

DASHES: dict[str, list[int] | str] = {"dashed": [9, 4], "solid": "solid", "dotted": [3, 3]}

# Both axes are plain ones of logarithms, so that one figure serves every x axis and every kind of loss: what is
# written on them is data too. A view knows its own width, Python does not.
AXES_JS = """
const width = fig.properties.outer_width  // unset until the figure is laid out, and then it throws
const narrow = !width.is_unset && width.get_value() < limit
for (const renderer of wide_labels) renderer.visible = !narrow
for (const renderer of narrow_labels) renderer.visible = narrow
function write(axis, {at, text}) {
  if (at === undefined || text === undefined) return
  axis.major_label_overrides = new Map(Array.from(at, (tick, i) => [tick, text[i]]))
  axis.ticker.ticks = Array.from(at)
}
write(x_axis, narrow ? narrow_ticks.data : ticks.data)
write(y_axis, y_ticks.data)
const said = words.data
x_axis.axis_label = said.x_title[0] ?? x_axis.axis_label
y_axis.axis_label = narrow ? "" : said.y_title[0] ?? ""
fig.min_border_left = narrow ? narrow_border : wide_border
caption.text = (narrow ? said.narrow[0] : said.wide[0]) ?? caption.text
"""

# As formats.py writes them; text for every point would cost milliseconds an update.
COUNT_JS = "return Math.round(value).toLocaleString('en').replaceAll(',', '\\u202f')"
LOSS_JS = "return String(Number(value.toPrecision(2)))"
HELD_OUT_JS = "return Number.isFinite(value) ? ` · held-out ${Number(value.toPrecision(2))}` : ''"
SECONDS_JS = "return value < 100 ? `${Number(value.toPrecision(2))} s` : `${Math.round(value / 60)} min`"


def comparison_figure(axis: str = "samples", x_range: tuple[float, float] = (1.0, 5.0)) -> figure:
    """An empty figure; ``fill`` or a browser gives it data, and with them its axes.

    Args:
        axis: Named until then; a view of any other axis may be shown in the same figure.
        x_range: Until then.
    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``.
    """
    fig = bare_figure(HEIGHT, x_range, EMPTY_Y, min_border_left=WIDE_BORDER, min_border_right=4, min_border_top=4)
    sources = sources_of(SOURCES)
    target = fig.hspan(y="y", source=sources["target"], line_width=1.6, line_dash=[2, 3])
    themed(target.glyph, line_color="ink")
    # The answer's curve lies above the rest.
    for slot in ("rest", "high", "low", "middle"):
        _draw_curve(fig, sources, slot)
    _draw_endings(fig, sources)
    labels = {
        prefix: list(draw_labels(fig, sources, prefix, not prefix.startswith("narrow"), colours=LABEL_COLOURS))
        for prefix in FRAME_WIDTHS
    }
    _add_hover(fig, sources)
    _style_axes(fig)
    fig.xaxis[0].axis_label = f"{AXES[axis]} (log scale)"
    _write_axes_in_browser(fig, sources, labels, caption(fig, " "))
    return fig


def comparison_plot(comparison: Comparison) -> figure:
    """The finished figure of ``comparison``, against samples."""
    held_out = any(loss is not None for curve in comparison.by_batch_size for loss in curve.held_out_losses)
    view = comparison_view(comparison, held_out=held_out)
    fig = comparison_figure(x_range=view.x_range)
    fill(fig, view)
    # The browser writes them again, but not all that read a figure are browsers.
    words = {name: texts[0] for name, texts in view.columns["words"].items()}
    for axis, ticks in ((fig.xaxis[0], view.columns["ticks"]), (fig.yaxis[0], view.columns["y_ticks"])):
        axis.major_label_overrides = dict(zip(ticks["at"].tolist(), ticks["text"], strict=True))
        axis.ticker = FixedTicker(ticks=ticks["at"].tolist())
    fig.yaxis[0].axis_label = words["y_title"]
    title: Any = fig.select_one({"type": Title, "name": "caption"})
    title.text = words["wide"]
    return fig


def _draw_curve(fig: figure, sources: Sources, slot: str) -> None:
    token, marker, dash = LOOKS[slot]
    band = fig.patch("x", "y", source=sources[f"band_{slot}"], fill_alpha=0.15, line_color=None)
    themed(band.glyph, fill_color=token)
    held_out = fig.line("x", "y", source=sources[f"held_out_{slot}"], line_width=1.3, line_dash=[4, 3])
    themed(held_out.glyph, line_color=token)
    line = fig.line(
        "x", "y", source=sources[f"line_{slot}"], line_width=1.6 if slot == "rest" else 2.6, line_join="round",
        line_dash=DASHES[dash],
    )  # fmt: skip
    themed(line.glyph, line_color=token)
    marks = fig.scatter("x", "y", source=sources[f"marks_{slot}"], marker=marker, size=9, line_width=1.5)
    themed(marks.glyph, fill_color=token, line_color="background")


def _draw_endings(fig: figure, sources: Sources) -> None:
    off = fig.scatter("x", "y", source=sources["off"], marker="triangle", size=8, fill_color=None, line_width=1.3)
    themed(off.glyph, line_color="danger")
    ended = fig.scatter("x", "y", source=sources["ended"], marker="x", size=10, line_width=2.4)
    themed(ended.glyph, line_color="danger")


def _add_hover(fig: figure, sources: Sources) -> None:
    hit = fig.scatter("x", "y", source=sources["hit"], size=11, fill_alpha=0, line_alpha=0, name="hit")
    codes = {
        "@loss": LOSS_JS, "@held_out": HELD_OUT_JS, "@samples": COUNT_JS, "@updates": COUNT_JS, "@seconds": SECONDS_JS,
    }  # fmt: skip
    tooltip = (
        "<div>k @k{0} · loss @loss{custom}@held_out{custom}</div>"
        "<div>@samples{custom} samples, @updates{custom} updates, @seconds{custom}</div>"
    )
    formatters: dict[str, Any] = {name: CustomJSHover(code=code) for name, code in codes.items()}
    renderers: Any = [hit]
    fig.add_tools(HoverTool(renderers=renderers, tooltips=tooltip, formatters=formatters, point_policy="snap_to_data"))


def _style_axes(fig: figure) -> None:
    x_axis, y_axis = fig.xaxis[0], fig.yaxis[0]
    x_axis.update(ticker=FixedTicker(ticks=[]), major_tick_in=0, major_tick_out=4)
    y_axis.update(ticker=FixedTicker(ticks=[]), axis_line_color=None, major_tick_line_color=None)
    fig.ygrid[0].axis = y_axis
    themed(x_axis, axis_line_color="axis", major_tick_line_color="axis")
    themed(fig.ygrid[0], grid_line_color="grid")
    for axis in (x_axis, y_axis):
        style_words(axis)


def _write_axes_in_browser(
    fig: figure, sources: Sources, labels: dict[str, list[GlyphRenderer[Any]]], title: Title
) -> None:
    title.name = "caption"
    args = {
        "limit": NARROW_BELOW, "wide_labels": labels["labels"], "narrow_labels": labels["narrow_labels"], "fig": fig,
        "x_axis": fig.xaxis[0], "y_axis": fig.yaxis[0], "caption": title, "wide_border": WIDE_BORDER,
        "narrow_border": NARROW_BORDER,
        **{name: sources[name] for name in ("ticks", "narrow_ticks", "y_ticks", "words")},
    }  # fmt: skip
    write = CustomJS(args=args, code=AXES_JS)
    fig.js_on_change("outer_width", write)
    # A view's last of the four.
    sources["words"].js_on_change("data", write)
