"""The figure of a descent: the path of the weights over the contours of the loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.core.properties import value
from bokeh.models import FixedTicker
from bokeh.plotting import figure

from ..base.frame import Sources, bare_figure, caption, fill, sources_of, style_axes
from ..base.tokens import FONT, themed
from .view import FAMILIES, TEXT_TOKENS, family_of, path_title, path_view

if TYPE_CHECKING:
    from ...engine.descent.path import DescentPath
    from ...engine.descent.surfaces import Surface

HEIGHT = 184
X_TICKS, Y_TICKS = [-4, 0, 4], [-2, 0, 2]

NOTE = ("x", "y", "text", "align")
WORDS: dict[str, Any] = {
    "text_font": value(FONT), "text_font_size": "12px", "text_baseline": "middle", "padding": (0, 2)
}  # fmt: skip
SOURCES: dict[str, tuple[str, ...]] = {
    **{f"{part}_{family}": ("x", "y") for part in ("path", "dots") for family in FAMILIES},
    **dict.fromkeys(("contours", "minima", "start"), ("x", "y")),
    "note": NOTE,
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""


def descent_figure(surface: Surface, *, is_first: bool = True) -> figure:
    """An empty figure of a surface's range; ``fill`` or a browser gives it contours and a path.

    Args:
        surface: Any; see ``nbtune.engine.descent.surfaces``. A view of another one brings its own range.
        is_first: Whether it stands at the left of a row, and so names what all of them share.
    """
    fig = bare_figure(
        HEIGHT, surface.x_range, surface.y_range, min_border_left=54 if is_first else 34, min_border_right=6,
        min_border_top=2,
    )  # fmt: skip
    sources = sources_of(SOURCES)
    contours = fig.line("x", "y", source=sources["contours"], line_width=1)
    themed(contours.glyph, line_color="axis")
    for family in FAMILIES:
        _draw_path(fig, sources, family)
    _draw_places(fig, sources, is_first)
    note = fig.text("x", "y", "text", source=sources["note"], text_align="align", **WORDS)
    themed(note.glyph, text_color="danger_text", background_fill_color="background")
    _style(fig, is_first)
    return fig


def descent_path_figure(path: DescentPath) -> figure:
    """The finished figure of ``path``."""
    fig = descent_figure(path.settings.landscape)
    caption(fig, path_title(path), token=TEXT_TOKENS[family_of(path)])
    fill(fig, path_view(path))
    return fig


def _draw_path(fig: figure, sources: Sources, family: str) -> None:
    dash: Any = [6, 3] if family == "danger" else "solid"
    line = fig.line("x", "y", source=sources[f"path_{family}"], line_width=2.4, line_dash=dash, line_join="round")
    themed(line.glyph, line_color=family)
    marker: Any = "triangle" if family == "danger" else "circle"
    size = 7 if family == "danger" else 5
    dots = fig.scatter("x", "y", source=sources[f"dots_{family}"], marker=marker, size=size, line_color=None)
    themed(dots.glyph, fill_color=family)


def _draw_places(fig: figure, sources: Sources, is_first: bool) -> None:
    minima = fig.scatter("x", "y", source=sources["minima"], marker="star", size=15, line_color=None)
    themed(minima.glyph, fill_color="ink")
    start = fig.scatter("x", "y", source=sources["start"], marker="square", size=11, line_width=2.2)
    themed(start.glyph, fill_color="background", line_color="ink")
    if is_first:
        word = fig.text("x", "y", value("start"), source=sources["start"], y_offset=-15, text_align="center", **WORDS)
        themed(word.glyph, text_color="ink", background_fill_color="background")


def _style(fig: figure, is_first: bool) -> None:
    style_axes(fig, [1, 2, 5])
    fig.ygrid.visible = False
    fig.xaxis[0].update(ticker=FixedTicker(ticks=X_TICKS), axis_label="weight w₁", axis_label_standoff=2)
    fig.yaxis[0].ticker = FixedTicker(ticks=Y_TICKS)
    if is_first:
        fig.yaxis[0].update(axis_label="weight w₂", axis_label_standoff=2)
