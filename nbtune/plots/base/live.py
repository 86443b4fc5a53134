"""A panel as a live Bokeh figure: one renderer for each mark, in the order of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from bokeh.core.properties import value
from bokeh.models import ColumnDataSource, CustomJSHover, HoverTool, LogColorMapper
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from .browser import follow_width
from .columns import View
from .frame import Sources, bare_figure, caption, draw_axes, show, sources_of
from .marks import Hover, Mark, Panel, Words
from .shades import ETA_RANGE, SCALES
from .tokens import FONT, themed

if TYPE_CHECKING:
    Renderer = GlyphRenderer[Any]


def live(panel: Panel, view: View | None = None) -> figure:
    """A figure with one named ``ColumnDataSource`` per source of ``panel``.

    Args:
        panel: What it is made of.
        view: What it shows; None for an empty figure, to be filled by ``fill`` or in a browser.
    """
    fig, sources = drawn(panel)
    if view is not None:
        show(fig, sources, view)
    return fig


def drawn(panel: Panel) -> tuple[figure, Sources]:
    """The empty figure and all of its sources, also those that no mark reads."""
    fig = bare_figure(panel)
    sources = sources_of(panel.sources)
    only: dict[str, list[Renderer]] = {"wide": [], "narrow": [], "": []}
    for mark in panel.marks:
        only[mark.only].append(_draw(fig, sources[mark.source], mark))
    for renderer in only["narrow"]:
        renderer.visible = False
    for hover in panel.hovers:
        _add_hover(fig, sources, hover)
    draw_axes(fig, panel)
    _add_titles(fig, panel, only)
    return fig, sources


def _add_titles(fig: figure, panel: Panel, only: dict[str, list[Renderer]]) -> None:
    if panel.caption:
        caption(fig, panel.caption, token=panel.caption_token)
    if panel.narrow_below:
        moves = panel.y.narrow_title is not None
        follow_width(fig, panel, only, caption(fig, panel.y.title, visible=False) if moves else None)


def _draw(fig: figure, source: ColumnDataSource, mark: Mark | Words) -> Renderer:
    return _draw_words(fig, source, mark) if isinstance(mark, Words) else _draw_mark(fig, source, mark)


def _draw_mark(fig: figure, source: ColumnDataSource, mark: Mark) -> Renderer:
    look: dict[str, Any] = {"source": source, "level": mark.level, "fill_alpha": mark.alpha, **_hatched(mark)}
    if mark.kind in ("line", "rule", "segment"):
        look = {"source": source, "level": mark.level}
    if mark.kind != "area":
        look |= {"line_width": mark.width, "line_dash": list(mark.dash) or "solid", "line_alpha": mark.alpha}
    if not mark.is_seen:
        look |= {name: 0.0 for name in ("fill_alpha", "line_alpha") if name in look}
    renderer = DRAW[mark.kind](fig, mark, look)
    renderer.name = mark.name or None
    return _coloured(renderer, mark)


def _hatched(mark: Mark) -> dict[str, Any]:
    hatch = mark.hatch
    if hatch is None:
        return {}
    return {
        "hatch_pattern": hatch.pattern, "hatch_scale": hatch.scale, "hatch_weight": hatch.weight,
        "hatch_alpha": hatch.alpha,
    }  # fmt: skip


def _coloured(renderer: Renderer, mark: Mark) -> Renderer:
    """Its tokens, and nothing where there is none."""
    glyph, tokens = renderer.glyph, {"line_color": mark.line, "fill_color": mark.fill}
    tokens = {prop: token for prop, token in tokens.items() if prop in glyph.properties()}
    glyph.update(**{prop: None for prop, token in tokens.items() if not token and mark.is_seen})
    glyph.update(**{prop: _by_scale(mark.by, token) for prop, token in tokens.items() if token in SCALES["light"]})
    tokens = {prop: token for prop, token in tokens.items() if token not in SCALES["light"]}
    if mark.hatch is not None:
        tokens["hatch_color"] = mark.hatch.token
    themed(glyph, **{prop: token for prop, token in tokens.items() if token})
    return renderer


def _by_scale(column: str, scale: str) -> dict[str, Any]:
    low, high = ETA_RANGE
    mapper = LogColorMapper(palette=list(SCALES["light"][scale]), low=low, high=high)
    return {"field": column, "transform": themed(mapper, palette=scale)}


def _line(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    return fig.line(*mark.columns, line_join="round", **look)


def _points(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    x, y = mark.columns
    return fig.scatter(x, y, marker=mark.marker, size=mark.size, **look)


def _patch(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    return fig.patch(*mark.columns, **look)


def _rule(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    return fig.hspan(y=mark.columns[0], **look)


def _area(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    return fig.varea(*mark.columns, **look)


def _segment(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    return fig.segment(*mark.columns, line_cap=mark.cap, **look)


def _quad(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    left, right, bottom, top = mark.columns
    return fig.quad(left=left, right=right, bottom=bottom, top=top, **look)


def _bar(fig: figure, mark: Mark, look: dict[str, Any]) -> Renderer:
    x, bottom, top = mark.columns
    return fig.vbar(x, bottom=bottom, top=top, width=mark.span, **look)


DRAW: dict[str, Callable[[figure, Mark, dict[str, Any]], Renderer]] = {
    "line": _line, "points": _points, "patch": _patch, "rule": _rule, "area": _area, "segment": _segment,
    "quad": _quad, "bar": _bar,
}  # fmt: skip


def _draw_words(fig: figure, source: ColumnDataSource, words: Words) -> Renderer:
    """One text renderer; a look that the source has a column for is each word's own."""
    look: dict[str, Any] = {
        "text_align": words.align, "text_font_style": words.weight, "text_font_size": words.size,
        "background_fill_alpha": words.box_alpha,
    }  # fmt: skip
    for prop, column in zip(look, ("align", "weight", "size", "box_alpha"), strict=True):
        if column in source.column_names:
            look[prop] = column
    renderer = fig.text(
        "x", "y", value(words.text) if words.text else "text", source=source, text_baseline="middle",
        text_font=value(FONT), padding=cast(Any, words.padding), x_offset=words.offset[0], y_offset=words.offset[1],
        **look,
    )  # fmt: skip
    themed(renderer.glyph, text_color=words.token, background_fill_color="background")
    return renderer


def _add_hover(fig: figure, sources: Sources, hover: Hover) -> None:
    args = {"run": sources[hover.run]} if hover.run else {}
    formatters: Any = {
        name: CustomJSHover(code=code, args=args if "run." in code else {}) for name, code in hover.formats.items()
    }
    renderers: Any = [renderer for renderer in fig.renderers if renderer.name == hover.mark]
    policy: dict[str, Any] = {"point_policy": "snap_to_data"} if hover.is_near else {}
    fig.add_tools(HoverTool(renderers=renderers, tooltips=hover.html, formatters=formatters, **policy))
