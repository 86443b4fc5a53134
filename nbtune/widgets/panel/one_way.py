"""What every widget of nbtune is: it tells the browser, is only asked by it, and takes with it what it made."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anywidget
import ipywidgets


class OneWay(anywidget.AnyWidget):
    """A widget whose traits are set by Python alone.

    A browser asks by custom messages. A change of a trait that comes from there (a hand-made message, another front
    end's idea of what belongs together) is ignored: it could leave a panel that says it runs for ever.

    Closing it closes what was made with it as well. ipywidgets lists every open widget for good, its layout too, and
    closes one at a time. A closed widget keeps its values and sends nothing.

    Attributes:
        widget_id: What browsers know it by, also when it is closed.
    """

    def __init__(self, **traits: Any) -> None:
        super().__init__(**traits)
        self._own_layout = None if "layout" in traits else self.layout
        self.widget_id: str = self.model_id

    @property
    def is_closed(self) -> bool:
        """Whether no browser can show it any more."""
        return self.comm is None

    def close(self) -> None:
        """Close it and what was made with it, for good; once more is harmless."""
        super().close()
        for part in self._parts():
            part.close()

    def _parts(self) -> Iterable[ipywidgets.Widget]:
        """What closes with it; also called for one whose constructor raised."""
        layout = vars(self).get("_own_layout")
        return () if layout is None else (layout,)

    def send_state(self, key: Any = None) -> None:
        """As ipywidgets', which would first look up the ids of parts that are closed already."""
        if self.comm is not None:
            super().send_state(key)

    def set_state(self, sync_data: Any) -> None:
        """Ignore it: no browser sets anything."""

    def _handle_msg(self, msg: Any) -> None:
        data = msg.get("content", {}).get("data")
        if isinstance(data, dict) and data.get("method") in ("request_state", "custom"):
            super()._handle_msg({**msg, "buffers": msg.get("buffers", [])})
