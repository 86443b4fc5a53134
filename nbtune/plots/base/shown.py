"""What a notebook shows of a figure that is a cell's last line: the picture of its result, not the figure's id."""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from bokeh.model import Model

F = TypeVar("F", bound=Model)
Bundle = tuple[dict[str, str], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What draws one kind of result: as a live figure, and as a PNG with its sentence (None without matplotlib)."""

    plot: Callable[[Any], Any]
    png: Callable[[Any], bytes | None]


def bundle_of(png: bytes | None, text: str) -> Bundle:
    """Data and metadata of an output.

    Args:
        png: Drawn at twice the size it is shown at; None for no picture.
        text: In words, also for those who cannot see the picture.
    """
    if png is None:
        return {"text/plain": text}, {}
    width = struct.unpack(">I", png[16:20])[0] // 2
    data = {"text/plain": text, "image/png": b64encode(png).decode("ascii")}
    return data, {"image/png": {"width": width, "alt": text}}


def pictured(figure: F, png: Callable[[], bytes | None], text: Callable[[], str]) -> F:
    """Let a notebook show a picture where ``figure`` is a cell's last line; whatever else is done with it stays.

    Bokeh's own display needs ``output_notebook()`` and leaves nothing in a saved notebook.

    Args:
        figure: A figure or a layout of figures; changed in place. It is of no class of our own: Bokeh would send that
            class's name to the browser, which does not know it.
        png: Draws the picture.
        text: Says the same in words.
    Returns:
        ``figure``.
    """

    def bundle(include: Any = None, exclude: Any = None) -> Bundle:
        return bundle_of(png(), text())

    own: Any = figure  # names with an underscore are no properties of the model
    own._repr_mimebundle_ = bundle
    # Bokeh's own, a list of the model's properties, would stand in the way of the picture.
    own._repr_html_ = lambda: None
    return figure
