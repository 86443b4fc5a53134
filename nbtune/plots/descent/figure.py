"""The figure of a descent: the path of the weights over the contours of the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ..base.live import live
from ..base.marks import Axis, Mark, Marks, Panel, Words
from .view import FAMILIES, TEXT_TOKENS, family_of, path_title, path_view

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath
    from ...engine.descent.surfaces import Surface

HEIGHT = 184
X_TICKS, Y_TICKS = (-4, 0, 4), (-2, 0, 2)

NOTE = ("x", "y", "text", "align")
SOURCES: dict[str, tuple[str, ...]] = {
    **{f"{part}_{family}": ("x", "y") for part in ("path", "dots") for family in FAMILIES},
    **dict.fromkeys(("contours", "minima", "start"), ("x", "y")),
    "note": NOTE,
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

DASHES: dict[str, tuple[float, ...]] = {"danger": (6, 3)}
DOTS = {"danger": ("triangle", 7)}
"""Family → dash of its line, marker and size of its dots."""

START = Words("start", "ink", text="start", align="center", box_alpha=1.0, padding=(0, 2), offset=(0, -15))


def _path(family: str) -> tuple[Mark, ...]:
    marker, size = DOTS.get(family, ("circle", 5))
    return (
        Mark("line", f"path_{family}", line=family, width=2.4, dash=DASHES.get(family, ())),
        Mark("points", f"dots_{family}", fill=family, marker=marker, size=size),
    )


MARKS: Marks = (
    Mark("line", "contours", line="axis"),
    *(mark for family in FAMILIES for mark in _path(family)),
    Mark("points", "minima", fill="ink", marker="star", size=15),
    Mark("points", "start", line="ink", fill="background", width=2.2, marker="square", size=11),
)
NOTES = Words("note", "danger_text", box_alpha=1.0, padding=(0, 2))


def descent_panel(surface: Surface, *, is_first: bool = True) -> Panel:
    """The figure over a surface's range.

    Args:
        surface: Any; see ``nbtune.engine.descent.surfaces``. A view of another one brings its own range.
        is_first: Whether it stands at the left of a row, and so names what all of them share.
    """
    x = Axis("weight w₁", surface.x_range, ticks=X_TICKS, standoff=2)
    y = Axis("weight w₂" if is_first else "", surface.y_range, ticks=Y_TICKS, has_line=False, standoff=2)
    marks = (*MARKS, *([START] if is_first else []), NOTES)
    borders = {"left": 54 if is_first else 34, "right": 6, "top": 2}
    return Panel(SOURCES, marks, x, y, HEIGHT, borders, has_grid=False)


def descent_figure(surface: Surface, *, is_first: bool = True) -> figure:
    """An empty figure of ``descent_panel``; ``fill`` or a browser gives it contours and a path."""
    return live(descent_panel(surface, is_first=is_first))


def descent_path_figure(path: DescentPath) -> figure:
    """The finished figure of ``path``."""
    panel = descent_panel(path.settings.landscape)
    titled = replace(panel, caption=path_title(path), caption_token=TEXT_TOKENS[family_of(path)])
    return live(titled, path_view(path))
