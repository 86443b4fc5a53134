"""What only a view knows, in the browser's language: its own width, and numbers as a tooltip writes them."""

from __future__ import annotations

from typing import Any

from bokeh.models import CustomJS
from bokeh.models.annotations import Title
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from .marks import Panel

# A view knows its own width, Python does not: each one switches between its two sets of labels, ticks and titles.
WIDTH_JS = """
const narrow = cb_obj.outer_width < limit
for (const renderer of wide) renderer.visible = !narrow
for (const renderer of narrow_ones) renderer.visible = narrow
if (titles) x_axis.axis_label = titles[narrow ? 1 : 0]
if (ticks) {
  const every = Math.max(1, Math.ceil(crowd / (cb_obj.outer_width - border)))
  x_axis.ticker.ticks = ticks[narrow ? 1 : 0].filter((_, i) => i % every === 0)
}
if (caption) {
  y_axis.axis_label = narrow ? "" : caption.text
  caption.visible = narrow
}
"""

# As formats.py writes them; a string per point would cost a millisecond an update.
LR_JS = "return value < 1e-3 ? Number(value.toPrecision(2)).toExponential() : String(Number(value.toPrecision(2)))"
LOSS_JS = "return Number.isFinite(value) ? String(Number(value.toPrecision(3))) : String(value)"
STEP_JS = "return `${value} of ${run.data.steps[0] ?? ''}`"

FRAME_BORDER = 62
"""About what a figure is wider than its frame."""


def crowd_of(panel: Panel, ticks: tuple[float, ...]) -> float:
    """px of a frame in which every tick of the x axis has its room."""
    left, right = panel.x.range
    return panel.x.apart * (right - left) / (ticks[1] - ticks[0]) if len(ticks) > 1 else 0.0


def follow_width(
    fig: figure, panel: Panel, renderers: dict[str, list[GlyphRenderer[Any]]], title: Title | None
) -> None:
    """Let every view of ``fig`` choose what suits its width.

    Args:
        fig: Of ``panel``.
        panel: What changes below ``narrow_below`` px.
        renderers: Those for "wide" and for "narrow" views alone.
        title: Stands above the frame in a narrow view, in place of the y axis' own.
    """
    x = panel.x
    follows = x.narrow_ticks is not None or x.apart > 0
    args: dict[str, Any] = {
        "limit": panel.narrow_below, "wide": renderers["wide"], "narrow_ones": renderers["narrow"],
        "x_axis": fig.xaxis[0], "y_axis": fig.yaxis[0], "caption": title, "border": FRAME_BORDER,
        "titles": None if x.narrow_title is None else [x.title, x.narrow_title],
        "ticks": [list(x.ticks or ()), list(x.narrow_ticks or x.ticks or ())] if follows else None,
        "crowd": crowd_of(panel, x.ticks or ()),
    }  # fmt: skip
    fig.js_on_change("outer_width", CustomJS(args=args, code=WIDTH_JS))
