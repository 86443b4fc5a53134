"""The figure of memory by batch size: stacks under the capacity of a card, and what each leaves free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bokeh.models import ColumnDataSource, CustomJS, FixedTicker, HoverTool
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from ..base.frame import LABEL, Sources, bare_figure, caption, draw_labels, fill, sources_of, style_axes
from ..base.tokens import themed
from ..learning_rate.sweep.labels import LABEL_COLOURS
from .labels import FRAME_WIDTHS, NARROW_BELOW, x_edges
from .scene import BAR, HEIGHT, MANTISSAS, PARTS, MemoryScene, scene_of, scene_of_estimate
from .view import EDGES, MemoryView, memory_view, view_of

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit
    from ...engine.memory import MemoryEstimate

__all__ = ["MemoryView", "estimate_figure", "fill", "limit_figure", "memory_figure", "memory_view"]

BOX = ("x", "top")
SOURCES: dict[str, tuple[str, ...]] = {
    "measured": ("x", *EDGES),
    "predicted": ("x", *EDGES),
    "measured_whole": BOX,
    "predicted_whole": BOX,
    "outline": BOX,
    "too_big": BOX,
    "partings": ("left", "right", "y"),
    "capacity": ("y",),
    "headroom": (*BOX, "capacity"),
    "best": (*BOX, "capacity"),
    "hit": (*BOX, "head", "detail"),
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

# A view knows its own width, Python does not. Batch sizes stay apart.
WIDTH_JS = """
const narrow = cb_obj.outer_width < limit
for (const renderer of wide_labels) renderer.visible = !narrow
for (const renderer of narrow_labels) renderer.visible = narrow
const every = Math.ceil(apart * span / (cb_obj.outer_width - 62))
x_axis.ticker.ticks = ticks.filter((_, i) => i % every === 0)
y_axis.axis_label = narrow ? "" : caption.text
caption.visible = narrow
"""


def memory_figure(batch_sizes: Sequence[int], capacity_bytes: int | None, capacity_name: str) -> figure:
    """An empty figure with a place for each batch size; ``fill`` or a browser gives it data.

    Args:
        batch_sizes: Ascending; those of ``memory_scene.sizes_of`` for the settings of a search.
        capacity_bytes: Of the card; None for no line.
        capacity_name: Such as "8 GB card".
    Returns:
        A figure with one named ``ColumnDataSource`` per entry of ``SOURCES``, and the capacity line in place.
    """
    scene = MemoryScene(tuple(batch_sizes), (), capacity_bytes, capacity_name, None, False)
    fig = bare_figure(
        HEIGHT, x_edges(scene.sizes), (0.0, scene.top), min_border_left=48, min_border_right=10, min_border_top=6
    )
    sources = sources_of(SOURCES)
    _draw_stacks(fig, sources)
    _draw_boxes(fig, sources)
    _draw_marks(fig, sources)
    labels = {prefix: list(draw_labels(fig, sources, prefix, prefix == "labels")) for prefix in FRAME_WIDTHS}
    _add_hover(fig, sources["hit"])
    _style_axes(fig, scene.sizes)
    _follow_width(fig, scene.sizes, labels)
    fill(fig, view_of(scene))
    return fig


def limit_figure(limit: BatchLimit) -> figure:
    """The finished figure of ``limit``."""
    return _filled(scene_of(limit, False))


def estimate_figure(estimate: MemoryEstimate) -> figure:
    """The predicted bars of ``estimate``, up to k = 512."""
    return _filled(scene_of_estimate(estimate))


def _filled(scene: MemoryScene) -> figure:
    fig = memory_figure(scene.sizes, scene.capacity_bytes, scene.capacity_name)
    fill(fig, view_of(scene))
    return fig


def _draw_stacks(fig: figure, sources: Sources) -> None:
    for name in ("measured", "predicted"):
        look = _stripes() if name == "predicted" else {}
        for i, part in enumerate(PARTS):
            edges: dict[str, Any] = {"bottom": EDGES[i], "top": EDGES[i + 1], "width": BAR, "line_color": None}
            bars = fig.vbar("x", source=sources[name], **edges, **look)
            _colour(bars, f"part_{part}")
        whole = fig.vbar("x", top="top", width=BAR, line_color=None, source=sources[f"{name}_whole"], **look)
        _colour(whole, "muted")
    partings = fig.segment("left", "y", "right", "y", source=sources["partings"], line_width=1)
    themed(partings.glyph, line_color="background")


def _stripes() -> dict[str, Any]:
    return {"hatch_pattern": "/", "hatch_scale": 8, "hatch_weight": 1.0, "hatch_alpha": 0.8}


def _colour(bars: GlyphRenderer[Any], token: str) -> None:
    themed(bars.glyph, fill_color=token, hatch_color="background")


def _draw_boxes(fig: figure, sources: Sources) -> None:
    look: dict[str, Any] = {"width": BAR, "line_width": 1.5, "line_dash": [4, 3], "fill_color": None}
    outline = fig.vbar("x", top="top", source=sources["outline"], **look)
    themed(outline.glyph, line_color="ink")
    crossed = fig.vbar(
        "x", top="top", source=sources["too_big"], hatch_pattern="x", hatch_scale=12, hatch_weight=0.8,
        hatch_alpha=0.55, **look,
    )  # fmt: skip
    themed(crossed.glyph, line_color="danger", hatch_color="danger")


def _draw_marks(fig: figure, sources: Sources) -> None:
    band = fig.vbar("x", top="capacity", width=1.0, source=sources["best"], line_color=None, fill_alpha=0.15)
    band.level = "underlay"
    themed(band.glyph, fill_color="answer")
    headroom = fig.segment("x", "top", "x", "capacity", source=sources["headroom"], line_width=1.3, line_dash=[2, 4])
    themed(headroom.glyph, line_color="answer")
    best = fig.segment("x", "top", "x", "capacity", source=sources["best"], line_width=2.2)
    themed(best.glyph, line_color="answer")
    capacity = fig.hspan(y="y", source=sources["capacity"], line_width=2.2)
    themed(capacity.glyph, line_color="ink")
    diamond = fig.scatter("x", "top", source=sources["best"], marker="diamond", size=13, line_width=1.5)
    themed(diamond.glyph, fill_color="answer", line_color="background")


def _add_hover(fig: figure, source: ColumnDataSource) -> None:
    # The whole column answers, so that a bar of 1 px can be asked as well.
    columns = fig.vbar("x", top="top", width=1.0, source=source, fill_alpha=0.0, line_color=None)
    renderers: Any = [columns]
    fig.add_tools(HoverTool(renderers=renderers, tooltips="<div>@head</div><div>@detail</div>"))


def _style_axes(fig: figure, sizes: tuple[int, ...]) -> None:
    style_axes(fig, MANTISSAS)
    x_axis = fig.xaxis[0]
    x_axis.ticker = FixedTicker(ticks=list(range(len(sizes))))
    x_axis.major_label_overrides = {i: str(k) for i, k in enumerate(sizes)}
    x_axis.update(axis_label="batch size k", major_tick_out=0)


def _follow_width(fig: figure, sizes: tuple[int, ...], labels: dict[str, list[GlyphRenderer[Any]]]) -> None:
    x_axis, y_axis = fig.xaxis[0], fig.yaxis[0]
    y_axis.axis_label = "memory, GiB"
    left, right = x_edges(sizes)
    args = {
        "limit": NARROW_BELOW, "wide_labels": labels["labels"], "narrow_labels": labels["narrow_labels"],
        "x_axis": x_axis, "y_axis": y_axis, "caption": caption(fig, "memory, GiB", visible=False),
        "ticks": list(range(len(sizes))), "span": right - left,
        "apart": max(28, 8 * len(str(sizes[-1])) + 6),
    }  # fmt: skip
    fig.js_on_change("outer_width", CustomJS(args=args, code=WIDTH_JS))
