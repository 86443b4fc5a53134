"""The figure of what the activations of each module take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.properties import value
from bokeh.models import HoverTool
from bokeh.plotting import figure

from ...formats import format_memory, format_percent
from ..base.frame import bare_figure, fill, sources_of
from ..base.tokens import FONT, themed
from .rows import layer_rows
from .treemap import HEADER, HEIGHT, WIDTH, Group, Tile, treemap
from .view import Columns, MemoryView

if TYPE_CHECKING:
    from ...engine.memory import MemoryEstimate

SHADES = ("heat2", "heat1", "heat0")
"""Of the kind that takes most, of the next, and of all others."""

TILE = ("left", "right", "bottom", "top", "head", "detail")
TEXT = ("x", "y", "text")
SOURCES: dict[str, tuple[str, ...]] = {**dict.fromkeys(SHADES, TILE), "caption": TEXT, "headers": TEXT, "names": TEXT}
CAPTION_PX = 22.0
Y_RANGE = (HEIGHT, -CAPTION_PX)


def treemap_figure() -> figure:
    """An empty figure; ``fill`` or a browser gives it data. Its table is for those who cannot see it."""
    height = int(HEIGHT + CAPTION_PX) + 4
    fig = bare_figure(height, (0.0, WIDTH), Y_RANGE, min_border_left=2, min_border_right=2, min_border_bottom=2)
    sources = sources_of(SOURCES)
    for shade in SHADES:
        quad = fig.quad("left", "right", "top", "bottom", source=sources[shade], line_width=2)
        themed(quad.glyph, fill_color=shade, line_color="background")
        renderers: Any = [quad]
        fig.add_tools(HoverTool(renderers=renderers, tooltips="<div>@head</div><div>@detail</div>"))
    look: dict[str, Any] = {"text_baseline": "middle", "text_font": value(FONT), "text_font_size": "12px"}
    header = fig.text("x", "y", "text", source=sources["headers"], text_font_style="bold", **look)
    name = fig.text("x", "y", "text", source=sources["names"], **look)
    title = fig.text("x", "y", "text", source=sources["caption"], **look)
    for renderer in (header, name, title):
        themed(renderer.glyph, text_color="ink")
    fig.axis.visible = False
    fig.ygrid.visible = False
    return fig


def treemap_view(estimate: MemoryEstimate | None, k: int | None) -> MemoryView:
    """Every rectangle at batch size ``k``.

    Args:
        estimate: None for an empty figure.
        k: ≥ 1; None for an empty figure.
    """
    groups = treemap(estimate.modules(k)) if estimate is not None and k else []
    tiles = [tile for group in groups for tile in group.tiles]
    whole = sum(tile.activation_bytes for tile in tiles)
    columns: dict[str, Columns] = {
        shade: _tile_columns([t for t in tiles if min(t.rank, len(SHADES) - 1) == i], whole)
        for i, shade in enumerate(SHADES)
    }
    columns["headers"] = _header_columns(groups)
    columns["names"] = _text_columns(
        (t.rect.x + 6, t.rect.y + 13 + 16 * i, line) for t in tiles for i, line in enumerate(t.lines)
    )
    columns["caption"] = _text_columns([(0.0, 11 - CAPTION_PX, caption_of(k if tiles else None))])
    label = layer_rows(estimate, k).label if estimate is not None and k else "Nothing is known of the layers yet."
    return MemoryView(columns, Y_RANGE, label)


def caption_of(k: int | None) -> str:
    """What stands above the rectangles."""
    return "Activations by module, MiB" + ("" if k is None else f" (k = {k})")


def modules_figure(estimate: MemoryEstimate, k: int) -> figure:
    """The finished figure at batch size ``k``."""
    fig = treemap_figure()
    fill(fig, treemap_view(estimate, k))
    return fig


def _tile_columns(tiles: list[Tile], whole: int) -> Columns:
    edges = [(t.rect.x, t.rect.x + t.rect.width, t.rect.y + t.rect.height, t.rect.y) for t in tiles]
    table = np.array(edges, dtype=np.float64).reshape(-1, 4)
    return {
        **{name: table[:, i].copy() for i, name in enumerate(("left", "right", "bottom", "top"))},
        "head": [f"{tile.group}, {tile.kind} · {format_memory(tile.activation_bytes, 'MiB')}" for tile in tiles],
        "detail": [f"{format_percent(tile.activation_bytes / whole)} of the activations" for tile in tiles],
    }


def _header_columns(groups: list[Group]) -> Columns:
    named = [group for group in groups if group.header]
    return _text_columns((g.rect.x + 4, g.rect.y + HEADER / 2 + 1, g.header) for g in named)


def _text_columns(texts: Iterable[tuple[float, float, str]]) -> Columns:
    rows = list(texts)
    return {
        "x": np.array([x for x, _, _ in rows], dtype=np.float64),
        "y": np.array([y for _, y, _ in rows], dtype=np.float64),
        "text": [text for _, _, text in rows],
    }
