"""A live view of a Bokeh figure: right after a reload, in a second view, and in either theme."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import bokeh
import ipywidgets
import numpy as np
import traitlets
from bokeh.document import Document
from bokeh.models import ColumnDataSource

from ...plots.base.tokens import TOKENS
from . import frontend
from .one_way import OneWay

if TYPE_CHECKING:
    from bokeh.plotting import figure


class View(Protocol):
    """What a figure shows at one moment; see ``nbtune.plots``."""

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def y_range(self) -> tuple[float, float]: ...

    @property
    def label(self) -> str: ...


class BokehJS(ipywidgets.Widget):  # type: ignore[misc]
    """The installed bokeh package's own JavaScript, so that no page asks another machine for it.

    One for all plots of a kernel (see ``shared``): 0.4 MB, once per page. It has no view.
    """

    _model_name = traitlets.Unicode("WidgetModel").tag(sync=True)
    _view_name = traitlets.Unicode(None, allow_none=True).tag(sync=True)
    version = traitlets.Unicode().tag(sync=True)
    gzipped = traitlets.Bytes().tag(sync=True)

    _shared: BokehJS | None = None
    _sharing = threading.Lock()

    @classmethod
    def shared(cls) -> BokehJS:
        """The one of this kernel, made when first asked for, and again after it was closed (``Widget.close_all``)."""
        with cls._sharing:
            if cls._shared is None or cls._shared.comm is None:
                code = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
                cls._shared = cls(version=bokeh.__version__, gzipped=gzip.compress(code.read_bytes(), 6, mtime=0))
            return cls._shared


class BokehPlot(OneWay):
    """A Bokeh figure whose columns change while it is looked at.

    All the browser must know lies in synced traits, whose last value always arrives, so that every view shows what was
    last given to ``update``: ``data`` is the last view that named every source, ``since`` what others changed after it.
    So a tick of a run sends what moves, and not all there is. Columns travel as bytes. Colours are each view's own:
    models tagged by ``plots.tokens.themed`` are coloured by the theme of the page they are on.

    Args:
        figure: With named ColumnDataSources. It is read, not kept: fill it by ``update``.
    """

    _esm = frontend.script("panel/bokeh_plot.js")

    bokehjs = traitlets.Instance(BokehJS).tag(sync=True, **ipywidgets.widget_serialization)
    document = traitlets.Dict().tag(sync=True)
    tokens = traitlets.Dict(TOKENS).tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    since = traitlets.Dict().tag(sync=True)

    def __init__(self, figure: figure, **traits: Any) -> None:
        self._sequence = 0
        self._blank = _shown(figure)
        super().__init__(bokehjs=BokehJS.shared(), document=_document(figure), data=self._data(self._blank), **traits)

    def show(self, figure: figure) -> None:
        """Show another figure instead, as it is now."""
        self._blank = _shown(figure)
        with self.hold_sync():
            self.document, self.data, self.since = _document(figure), self._data(self._blank), {}

    def update(self, view: View) -> None:
        """Replace the columns of the figure's sources, its ranges and its label for screen readers.

        A view without an ``x_range`` leaves the figure's own, and sources that it does not name as they are.
        """
        shown = self._data(view)
        base: dict[str, Any] = self.data["columns"]
        kept = {
            name: columns for name, columns in self.since.get("columns", {}).items() if name not in shown["columns"]
        }
        if base.keys() <= {*shown["columns"], *kept}:
            with self.hold_sync():
                self.data, self.since = {**shown, "columns": {**kept, **shown["columns"]}}, {}
            return
        changed = {name: columns for name, columns in shown["columns"].items() if columns != base.get(name)}
        self.since = {**shown, "columns": {**kept, **changed}}

    def clear(self) -> None:
        """Show what the figure showed when it was given."""
        self.update(self._blank)

    def _data(self, view: View) -> dict[str, Any]:
        self._sequence += 1
        return {
            "columns": {
                source: {name: _sendable(values) for name, values in columns.items()}
                for source, columns in view.columns.items()
            },
            "x_range": [float(end) for end in getattr(view, "x_range", None) or ()] or None,
            "y_range": [float(end) for end in view.y_range],
            "label": view.label,
            "sequence": self._sequence,
        }


@dataclass(frozen=True, slots=True)
class _Shown:
    columns: dict[str, dict[str, Any]]
    y_range: tuple[float, float]
    label: str


def _shown(figure: figure) -> _Shown:
    """What a figure shows by itself."""
    sources: list[Any] = list(figure.select({"type": ColumnDataSource}))
    y_range: Any = figure.y_range
    columns = {source.name: dict(source.data) for source in sources if source.name}
    return _Shown(columns, (y_range.start, y_range.end), "")


def _document(figure: figure) -> dict[str, Any]:
    document = Document()
    document.add_root(figure)
    try:
        # deferred=False: numbers inside the JSON; else they would wait in buffers that this road does not carry.
        return dict(document.to_json(deferred=False))
    finally:
        document.remove_root(figure)


def _sendable(values: Any) -> bytes | list[Any]:
    """Numbers as float64 bytes, least significant first, 15 times faster than as a list; anything else as a list."""
    array = np.asarray(values)
    if array.dtype.kind in "fiub" and array.ndim == 1 and array.size:
        return array.astype("<f8").tobytes()
    return list(values)
