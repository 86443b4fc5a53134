"""A live view of a Bokeh figure: right after a reload, in a second view, and in either theme."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import bokeh
import ipywidgets
import numpy as np
import traitlets

from ...plots.base.tokens import THEMES
from . import frontend
from .blank import Blank
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
                cls._shared = cls(version=bokeh.__version__, gzipped=_bokehjs())
            return cls._shared


@cache
def _bokehjs() -> bytes:
    code = Path(bokeh.__file__).parent / "server" / "static" / "js" / "bokeh.min.js"
    return gzip.compress(code.read_bytes(), 6, mtime=0)


class BokehPlot(OneWay):
    """A Bokeh figure whose columns change while it is looked at.

    All the browser must know lies in synced traits, whose last value always arrives, so that every view shows what was
    last given to ``update``: ``data`` is the last view that named every source, ``since`` what others changed after it.
    So a tick of a run sends what moves, and not all there is. Columns travel as bytes. Colours are each view's own:
    models tagged by ``plots.tokens.themed`` are coloured by the theme of the page they are on.

    Args:
        figure: With named ColumnDataSources; or what was read of one before, which costs nothing. It is read, not kept:
            fill it by ``update``.
    """

    _esm = frontend.script("panel/bokeh_plot.js")

    bokehjs = traitlets.Instance(BokehJS).tag(sync=True, **ipywidgets.widget_serialization)
    document = traitlets.Dict().tag(sync=True)
    tokens = traitlets.Dict(THEMES).tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    since = traitlets.Dict().tag(sync=True)

    def __init__(self, figure: figure | Blank, **traits: Any) -> None:
        self._sequence = 0
        self._blank = blank = Blank.of(figure)
        super().__init__(bokehjs=BokehJS.shared(), document=blank.document, data=self._data(blank), **traits)

    def show(self, figure: figure | Blank) -> None:
        """Show another figure instead, as it is now."""
        self._blank = blank = Blank.of(figure)
        with self.hold_sync():
            self.document, self.data, self.since = blank.document, self._data(blank), {}

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


def _sendable(values: Any) -> bytes | list[Any]:
    """Numbers as float64 bytes, least significant first, 15 times faster than as a list; anything else as a list."""
    array = np.asarray(values)
    if array.dtype.kind in "fiub" and array.ndim == 1 and array.size:
        return array.astype("<f8").tobytes()
    return list(values)
