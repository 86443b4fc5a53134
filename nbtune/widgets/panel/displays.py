"""The outputs a widget was shown in, which keep a picture for when no widget can be drawn any more."""

from __future__ import annotations

import struct
import threading
from base64 import b64encode
from collections.abc import Callable
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
SAVED_VIEW = "application/vnd.nbtune.view+json"
"""Marks an output as nbtune's: the JupyterLab extension then shows the picture where no kernel holds the widget."""


class Displays:
    """A widget's outputs in notebooks, updated from any thread.

    A live view, a picture and a sentence lie in one output, and whoever shows the notebook takes the best it can. But
    an HTML export of an unattended run takes the view, since the executor stored its state, and then has no kernel to
    fill it. So when a run ends and no browser has shown the widget, the view is left out; if a browser comes later
    after all, it is put back.

    After a reload of the page no output is found by its id any more, so what was kept is given to the page as well
    (``kept``), where the JupyterLab extension puts it into the output that the live view is in.

    Args:
        widget_view: The mimebundle of the live view.
    """

    def __init__(self, widget_view: Callable[[], dict[str, Any]]) -> None:
        self._widget_view = widget_view
        self._handles: list[Any] = []
        self._picture: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._has_browser = False
        self._lock = threading.Lock()

    def show(self) -> None:
        """One more output, in the cell that is running."""
        from IPython.display import display

        with self._lock:
            bundle = self._bundle()
            handle = display(bundle, raw=True, metadata=self._metadata, display_id=True)
            if handle is not None:  # there is none outside IPython, which prints instead
                self._handles.append(handle)

    def keep(self, png: bytes | None, text: str) -> None:
        """Put a picture and a sentence into every output, in place of those before.

        Args:
            png: Drawn at twice the size it is shown at; None for no picture.
            text: Also the picture's description for screen readers.
        """
        with self._lock:
            self._picture, self._metadata = {"text/plain": text}, {}
            if png is not None:
                self._picture["image/png"] = b64encode(png).decode("ascii")
                self._metadata["image/png"] = {"width": struct.unpack(">I", png[16:20])[0] // 2, "alt": text}
            self._update()

    @property
    def is_shown(self) -> bool:
        """Whether there is an output to keep a picture for."""
        return bool(self._handles)

    def greet(self) -> None:
        """A browser shows the widget."""
        with self._lock:
            is_news, self._has_browser = not self._has_browser, True
            if is_news and self._picture:
                self._update()

    @property
    def kept(self) -> dict[str, Any]:
        """Picture and sentence by their MIME types, and what goes with them; empty without a browser or a picture."""
        return {"data": self._picture, "metadata": self._metadata} if self._has_browser and self._picture else {}

    def redraw(self) -> None:
        """The live view is another one, or gone."""
        with self._lock:
            self._update()

    def _bundle(self) -> dict[str, Any]:
        return {**self._widget_view(), SAVED_VIEW: {"schema": 1}, **self._picture}

    def _update(self) -> None:
        bundle = self._bundle()
        if not self._has_browser:
            del bundle[SAVED_VIEW]
            bundle.pop(WIDGET_VIEW, None)
        for handle in self._handles:
            handle.update(bundle, raw=True, metadata=self._metadata)
