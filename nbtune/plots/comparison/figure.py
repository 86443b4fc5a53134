"""The figure of a comparison: loss against samples, updates or seconds for each batch size, in place from the start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bokeh.models import CustomJS
from bokeh.plotting import figure

from ..base.columns import View
from ..base.frame import caption, fill
from ..base.live import drawn
from ..base.marks import BOTH_WIDTHS, Axis, Hover, Mark, Marks, Panel, Part, labels
from ..base.mirror import mirrored_panel
from ..base.series import DASHES, LOOKS
from .labels import LABEL_COLOURS
from .scene import AXES, EMPTY_Y, HEIGHT, NARROW_BELOW
from .view import SOURCES, comparison_view

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

__all__ = ["comparison_figure", "comparison_panel", "comparison_part", "comparison_plot", "comparison_view"]

WIDE_BORDER, NARROW_BORDER = 70, 50
"""Room for numbers such as 0.001 and, where it is wide, the axis' title: so the frame keeps its place."""

LEFT, TOP, BELOW = 66, 26, 46
"""Room around the frame in a picture."""

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


def _curve(slot: str) -> tuple[Mark, ...]:
    token, marker, dash = LOOKS[slot]
    return (
        Mark("patch", f"band_{slot}", fill=token, alpha=0.15),
        Mark("line", f"held_out_{slot}", line=token, width=1.3, dash=(4, 3)),
        Mark("line", f"line_{slot}", line=token, width=1.6 if slot == "rest" else 2.6, dash=DASHES[dash]),
        Mark("points", f"marks_{slot}", line="background", fill=token, width=1.5, marker=marker, size=9),
    )


MARKS: Marks = (
    Mark("rule", "target", line="ink", width=1.6, dash=(2, 3)),
    # The answer's curve lies above the rest.
    *(mark for slot in ("rest", "high", "low", "middle") for mark in _curve(slot)),
    Mark("points", "off", line="danger", width=1.3, marker="triangle"),
    Mark("points", "ended", line="danger", width=2.4, marker="x", size=10),
    *labels(BOTH_WIDTHS, LABEL_COLOURS),
    Mark("points", "hit", size=11, name="hit"),
)
HOVER = Hover(
    "hit",
    "<div>k @k{0} · loss @loss{custom}@held_out{custom}</div>"
    "<div>@samples{custom} samples, @updates{custom} updates, @seconds{custom}</div>",
    {"@loss": LOSS_JS, "@held_out": HELD_OUT_JS, "@samples": COUNT_JS, "@updates": COUNT_JS, "@seconds": SECONDS_JS},
    is_near=True,
)


def comparison_panel(axis: str = "samples", x_range: tuple[float, float] = (1.0, 5.0), *, sign: int = 1) -> Panel:
    """The figure, with nothing written on its axes yet.

    Args:
        axis: Named until a view brings its words; one of any other axis may be shown in the same figure.
        x_range: Until then.
        sign: −1 where higher is better; see ``Comparison``.
    """
    x = Axis(f"{AXES[axis]} (log scale)", x_range, ticks=(), texts=())
    y = Axis(range=EMPTY_Y, ticks=(), texts=(), has_line=False, title_px=52)
    panel = Panel(SOURCES, MARKS, x, y, HEIGHT, {"left": WIDE_BORDER, "right": 4, "top": 4}, (HOVER,))
    return mirrored_panel(panel, sign)


def comparison_figure(
    axis: str = "samples", x_range: tuple[float, float] = (1.0, 5.0), *, sign: int = 1
) -> figure:  # fmt: skip
    """An empty figure of ``comparison_panel``; ``fill`` or a browser gives it data, and with them its axes.

    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``.
    """
    return _with_axes(comparison_panel(axis, x_range, sign=sign), " ")


def comparison_plot(comparison: Comparison) -> figure:
    """The finished figure of ``comparison``, against samples."""
    held_out = any(loss is not None for curve in comparison.by_batch_size for loss in curve.held_out_losses)
    view = comparison_view(comparison, held_out=held_out)
    # The browser writes the axes again, but not all that read a figure are browsers.
    fig = _with_axes(_panel_of(view, comparison.sign), view.columns["words"]["wide"][0])
    fill(fig, view)
    return fig


def comparison_part(view: View, width: float, *, sign: int = 1) -> Part:
    """What ``view`` shows as a part of a picture, at its upper left corner and ``width`` px wide."""
    panel = replace(_panel_of(view, sign), caption=view.columns["words"]["wide"][0])
    return Part(panel, view, (LEFT, TOP, width - LEFT - 4, HEIGHT - TOP - BELOW))


def _panel_of(view: View, sign: int) -> Panel:
    """With what a view writes on the axes."""
    panel, words = comparison_panel(sign=sign), view.columns["words"]
    x, y = (
        replace(axis, title=words[title][0], ticks=tuple(ticks["at"].tolist()), texts=tuple(ticks["text"]))
        for axis, title, ticks in (
            (panel.x, "x_title", view.columns["ticks"]),
            (panel.y, "y_title", view.columns["y_ticks"]),
        )
    )
    return replace(panel, x=x, y=y)


def _with_axes(panel: Panel, text: str) -> figure:
    """A figure whose axes, and the line above, are written by a view's own words and its width."""
    fig, sources = drawn(panel)
    title = caption(fig, text)
    title.name = "caption"
    only = [mark.only for mark in panel.marks]
    wide, narrow = ([r for r, of in zip(fig.renderers, only, strict=True) if of == kind] for kind in ("wide", "narrow"))
    args = {
        "limit": NARROW_BELOW, "wide_labels": wide, "narrow_labels": narrow, "fig": fig,
        "x_axis": fig.xaxis[0], "y_axis": fig.yaxis[0], "caption": title, "wide_border": WIDE_BORDER,
        "narrow_border": NARROW_BORDER,
        **{name: sources[name] for name in ("ticks", "narrow_ticks", "y_ticks", "words")},
    }  # fmt: skip
    write = CustomJS(args=args, code=AXES_JS)
    fig.js_on_change("outer_width", write)
    # A view's last of the four.
    sources["words"].js_on_change("data", write)
    return fig
