"""A figure as browsers are sent it, before anything is drawn in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bokeh.document import Document
from bokeh.models import ColumnDataSource

if TYPE_CHECKING:
    from bokeh.plotting import figure


@dataclass(frozen=True, slots=True)
class Blank:
    """All that is known of a figure once it was read.

    Making a figure and reading it takes Bokeh far longer than all else that making a widget is. Tools keep what they
    read (``lru_cache``), so that only the first widget of a kind in a kernel waits for it.

    Attributes:
        document: Bokeh's JSON, for any number of widgets: nobody changes it.
        columns: Source name → column name → values.
        y_range: Bottom and top of the y axis.
        label: For screen readers: nothing yet.
    """

    document: dict[str, Any]
    columns: dict[str, dict[str, Any]]
    y_range: tuple[float, float]
    label: str = ""

    @classmethod
    def of(cls, figure: figure | Blank) -> Blank:
        """``figure`` as it is now."""
        if isinstance(figure, Blank):
            return figure
        sources: list[Any] = list(figure.select({"type": ColumnDataSource}))
        columns = {source.name: dict(source.data) for source in sources if source.name}
        y_range: Any = figure.y_range
        return cls(_document(figure), columns, (y_range.start, y_range.end))


def _document(figure: figure) -> dict[str, Any]:
    document = Document()
    document.add_root(figure)
    try:
        # deferred=False: numbers inside the JSON; else they would wait in buffers that this road does not carry.
        return dict(document.to_json(deferred=False))
    finally:
        document.remove_root(figure)
