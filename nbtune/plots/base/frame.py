"""A bare Bokeh figure, its named sources, its axes, and how it is filled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from bokeh.models import Axis as BokehAxis
from bokeh.models import BasicTicker, ColumnDataSource, FixedTicker, Range1d
from bokeh.models.annotations import Title
from bokeh.plotting import figure

from .marks import Axis, Panel
from .tokens import FONT, themed

Sources = dict[str, ColumnDataSource]


class Shown(Protocol):
    """What a figure shows at one moment."""

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def y_range(self) -> tuple[float, float]: ...


def bare_figure(panel: Panel) -> figure:
    """A figure without tools, frame or surface: the notebook's own shows through, whatever its theme."""
    x, y = panel.x, panel.y
    fig = figure(
        height=panel.height,
        sizing_mode="stretch_width",
        x_range=Range1d(start=x.range[0], end=x.range[1]),
        y_range=Range1d(start=y.range[0], end=y.range[1]),
        x_axis_type="log" if x.is_log else "linear",
        y_axis_type="log" if y.is_log else "linear",
        tools="",
        toolbar_location=None,
        outline_line_color=None,
        background_fill_color=None,
        border_fill_color=None,
    )
    fig.update(**{f"min_border_{side}": px for side, px in panel.borders.items()})
    fig.xgrid.visible = False
    return fig


def sources_of(columns: Mapping[str, tuple[str, ...]]) -> Sources:
    """An empty named source for each entry."""
    return {name: ColumnDataSource({c: [] for c in names}, name=name) for name, names in columns.items()}


def fill(fig: figure, view: Shown) -> None:
    """Show ``view`` in a figure that has its sources; one without an ``x_range`` leaves the figure's own."""
    found: Any = fig.select({"type": ColumnDataSource})
    show(fig, {source.name: source for source in found}, view)


def show(fig: figure, sources: Sources, view: Shown) -> None:
    """The same where its sources are at hand."""
    for name, columns in view.columns.items():
        sources[name].update(data=columns)
    fig.y_range.update(start=view.y_range[0], end=view.y_range[1])
    x_range = getattr(view, "x_range", None)
    if x_range is not None:
        fig.x_range.update(start=x_range[0], end=x_range[1])


def draw_axes(fig: figure, panel: Panel) -> None:
    """Both axes, no ticks inwards, and horizontal grid only."""
    fig.ygrid.visible = panel.has_grid
    if panel.has_grid:
        fig.ygrid[0].axis = fig.yaxis[0]
    themed(fig.ygrid[0], grid_line_color="grid")
    if not panel.has_axes:
        fig.axis.visible = False
        return
    for model, axis in ((fig.xaxis[0], panel.x), (fig.yaxis[0], panel.y)):
        _scale(model, axis)
        _dress(model, axis)


def _scale(model: BokehAxis, axis: Axis) -> None:
    if axis.ticks is None:
        ticker = BasicTicker(desired_num_ticks=axis.count, mantissas=list(axis.mantissas), num_minor_ticks=0)
        model.update(ticker=ticker, axis_label=axis.title)
        return
    model.update(ticker=FixedTicker(ticks=list(axis.ticks)), axis_label=axis.title)
    if axis.texts is not None:
        model.major_label_overrides = dict(zip(axis.ticks, axis.texts, strict=True))


def _dress(model: BokehAxis, axis: Axis) -> None:
    model.minor_tick_line_color = None
    model.update(major_label_text_font=FONT, major_label_text_font_size="12px")
    model.update(axis_label_text_font=FONT, axis_label_text_font_size="12px", axis_label_text_font_style="normal")
    if axis.standoff is not None:
        model.axis_label_standoff = axis.standoff
    themed(model, major_label_text_color="muted", axis_label_text_color="muted")
    if axis.has_line:
        themed(model, axis_line_color="axis", major_tick_line_color="axis")
        model.update(major_tick_in=0, major_tick_out=4 if axis.has_ticks else 0)
    else:
        model.update(axis_line_color=None, major_tick_line_color=None)


def caption(fig: figure, text: str, *, token: str = "muted", visible: bool = True) -> Title:
    """A line above the frame."""
    title = Title(text=text, text_font=FONT, text_font_size="12px", text_font_style="normal", visible=visible)
    themed(title, text_color=token)
    fig.add_layout(title, "above")
    return title
