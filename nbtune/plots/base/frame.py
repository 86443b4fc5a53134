"""What figures share: a bare frame, named sources, labels, axes, and how they are filled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from bokeh.core.properties import value
from bokeh.models import Axis, BasicTicker, ColumnDataSource, Range1d
from bokeh.models.annotations import Title
from bokeh.models.renderers import GlyphRenderer
from bokeh.plotting import figure

from ..learning_rate.sweep.labels import LABEL_COLOURS
from .tokens import FONT, themed

LABEL = ("x", "y", "text", "align", "weight", "size", "box_alpha")
Sources = dict[str, ColumnDataSource]


class Shown(Protocol):
    """What a figure shows at one moment."""

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def y_range(self) -> tuple[float, float]: ...


def bare_figure(height: int, x_range: tuple[float, float], y_range: tuple[float, float], **more: Any) -> figure:
    """A figure without tools, frame or surface: the notebook's own shows through, whatever its theme."""
    fig = figure(
        height=height,
        sizing_mode="stretch_width",
        x_range=Range1d(start=x_range[0], end=x_range[1]),
        y_range=Range1d(start=y_range[0], end=y_range[1]),
        tools="",
        toolbar_location=None,
        outline_line_color=None,
        background_fill_color=None,
        border_fill_color=None,
        **more,
    )
    fig.xgrid.visible = False
    return fig


def sources_of(columns: Mapping[str, tuple[str, ...]]) -> Sources:
    """An empty named source for each entry."""
    return {name: ColumnDataSource({c: [] for c in names}, name=name) for name, names in columns.items()}


def fill(fig: figure, view: Shown) -> None:
    """Show ``view`` in a figure that has its sources; one without an ``x_range`` leaves the figure's own."""
    sources = {source.name: source for source in fig.select({"type": ColumnDataSource})}
    for name, columns in view.columns.items():
        sources[name].update(data=columns)
    fig.y_range.update(start=view.y_range[0], end=view.y_range[1])
    x_range = getattr(view, "x_range", None)
    if x_range is not None:
        fig.x_range.update(start=x_range[0], end=x_range[1])


def draw_labels(
    fig: figure, sources: Sources, prefix: str, visible: bool = True, *, colours: Mapping[str, str] = LABEL_COLOURS
) -> Iterator[GlyphRenderer[Any]]:
    """One text renderer per colour, of the sources ``prefix_colour``."""
    look: dict[str, Any] = {
        "text_align": "align", "text_baseline": "middle", "text_font": value(FONT), "text_font_style": "weight",
        "text_font_size": "size", "background_fill_alpha": "box_alpha", "padding": (1, 3), "visible": visible,
    }  # fmt: skip
    for colour, token in colours.items():
        renderer = fig.text("x", "y", "text", source=sources[f"{prefix}_{colour}"], **look)
        themed(renderer.glyph, text_color=token, background_fill_color="background")
        yield renderer


def style_axes(fig: figure, mantissas: list[float], ticks: int = 3) -> None:
    """Horizontal grid only, no line on the left, and about ``ticks`` ticks there."""
    x_axis, y_axis = fig.xaxis[0], fig.yaxis[0]
    y_axis.ticker = BasicTicker(desired_num_ticks=ticks, mantissas=mantissas, num_minor_ticks=0)
    y_axis.update(axis_line_color=None, major_tick_line_color=None, minor_tick_line_color=None)
    x_axis.update(minor_tick_line_color=None, major_tick_in=0, major_tick_out=4)
    themed(x_axis, axis_line_color="axis", major_tick_line_color="axis")
    for axis in (x_axis, y_axis):
        style_words(axis)
    themed(fig.ygrid[0], grid_line_color="grid")


def style_words(axis: Axis) -> None:
    axis.update(major_label_text_font=FONT, major_label_text_font_size="12px")
    axis.update(axis_label_text_font=FONT, axis_label_text_font_size="12px", axis_label_text_font_style="normal")
    themed(axis, major_label_text_color="muted", axis_label_text_color="muted")


def caption(fig: figure, text: str, *, token: str = "muted", visible: bool = True) -> Title:
    """A line above the frame."""
    title = Title(text=text, text_font=FONT, text_font_size="12px", text_font_style="normal", visible=visible)
    themed(title, text_color=token)
    fig.add_layout(title, "above")
    return title
