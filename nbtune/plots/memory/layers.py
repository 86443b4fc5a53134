"""The figure of what the activations of each module take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ...formats import format_memory, format_percent
from ..base.columns import Columns, View, floats, table
from ..base.live import live
from ..base.marks import Axis, Hover, Mark, Marks, Panel, Words
from .rows import layer_rows
from .treemap import HEADER, HEIGHT, WIDTH, Group, Tile, treemap

if TYPE_CHECKING:
    from ...engine.memory import MemoryEstimate

SHADES = ("heat2", "heat1", "heat0")
"""Of the kind that takes most, of the next, and of all others."""

TILE = ("left", "right", "bottom", "top", "head", "detail")
TEXT = ("x", "y", "text")
SOURCES: dict[str, tuple[str, ...]] = {**dict.fromkeys(SHADES, TILE), "caption": TEXT, "headers": TEXT, "names": TEXT}
CAPTION_PX = 22.0
Y_RANGE = (HEIGHT, -CAPTION_PX)


MARKS: Marks = (
    *(Mark("quad", shade, line="background", fill=shade, width=2, name=shade) for shade in SHADES),
    Words("headers", "ink", weight="bold", padding=(0, 0)),
    Words("names", "ink", padding=(0, 0)),
    Words("caption", "ink", padding=(0, 0)),
)
HOVERS = tuple(Hover(shade, "<div>@head</div><div>@detail</div>") for shade in SHADES)


def treemap_panel() -> Panel:
    """The figure. Its table is for those who cannot see it."""
    height, borders = int(HEIGHT + CAPTION_PX) + 4, {"left": 2, "right": 2, "bottom": 2}
    x, y = Axis(range=(0.0, WIDTH)), Axis(range=Y_RANGE)
    return Panel(SOURCES, MARKS, x, y, height, borders, HOVERS, has_axes=False, has_grid=False)


def treemap_figure() -> figure:
    """An empty figure of ``treemap_panel``; ``fill`` or a browser gives it data."""
    return live(treemap_panel())


def treemap_view(estimate: MemoryEstimate | None, k: int | None) -> View:
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
    return View(columns, Y_RANGE, label)


def caption_of(k: int | None) -> str:
    """What stands above the rectangles."""
    return "Activations by module, MiB" + ("" if k is None else f" (k = {k})")


def modules_figure(estimate: MemoryEstimate, k: int) -> figure:
    """The finished figure at batch size ``k``."""
    return live(treemap_panel(), treemap_view(estimate, k))


def _tile_columns(tiles: list[Tile], whole: int) -> Columns:
    edges = [(t.rect.x, t.rect.x + t.rect.width, t.rect.y + t.rect.height, t.rect.y) for t in tiles]
    return {
        **table(edges, ("left", "right", "bottom", "top")),
        "head": [f"{tile.group}, {tile.kind} · {format_memory(tile.activation_bytes, 'MiB')}" for tile in tiles],
        "detail": [f"{format_percent(tile.activation_bytes / whole)} of the activations" for tile in tiles],
    }


def _header_columns(groups: list[Group]) -> Columns:
    named = [group for group in groups if group.header]
    return _text_columns((g.rect.x + 4, g.rect.y + HEADER / 2 + 1, g.header) for g in named)


def _text_columns(texts: Iterable[tuple[float, float, str]]) -> Columns:
    rows = list(texts)
    return {
        "x": floats(x for x, _, _ in rows),
        "y": floats(y for _, y, _ in rows),
        "text": [text for _, _, text in rows],
    }
