"""A plot of a race with its frame: where words may stand, in the rows that a reader sees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...base.columns import Columns
from ...base.labels import LABEL_COLOURS, Box, Frame, Placed
from .room import FOOT_PX, FRAME_HEIGHT, HEAD_PX
from .scene import RaceScene

LINE_EVERY_PX = 5.0
COLOURS = {group: token for group, token in LABEL_COLOURS.items() if group != "danger"}
"""Group of labels → token: what harms has the colour of its η, and is listed."""


@dataclass(frozen=True, slots=True)
class RaceFrame:
    """One plot of a race with its frame.

    Attributes:
        scene: What is drawn.
        frame: Where: px of a step or an η, and of a loss as it is shown.
    """

    scene: RaceScene
    frame: Frame

    @classmethod
    def of(cls, scene: RaceScene, width: float, x_range: tuple[float, float]) -> RaceFrame:
        """At some width; the x axis is logarithmic."""
        bottom, top = sorted(scene.sign * end for end in scene.ends)
        return cls(scene, Frame.of((width, FRAME_HEIGHT), x_range, (bottom, top), logs="x"))

    @property
    def width(self) -> float:
        return self.frame.width

    def x(self, value: float) -> float:
        return self.frame.x(value)

    def row(self, loss: float) -> float:
        """Where a loss lies, px from above."""
        return self.frame.y(self.scene.sign * loss)

    def y(self, loss: float) -> float:
        """Its row, or the nearest between heading and foot on which a word is whole."""
        row = self.row(loss) if math.isfinite(loss) else 0.0
        return min(max(row, HEAD_PX + 8.0), FRAME_HEIGHT - FOOT_PX - 8.0)

    def columns(self, prefix: str, placed: Iterable[Placed]) -> dict[str, Columns]:
        """The label sources of ``prefix``: places given in steps or η, and loss."""
        found = self.frame.columns(prefix, placed, COLOURS)
        for columns in found.values():
            columns["y"] = self.scene.sign * columns["y"]
        return found

    def along(self, places: Sequence[tuple[float, float]]) -> Iterator[Box]:
        """Small boxes along a line of (x, loss), where it lies in the frame."""
        corners = [(self.x(x), self.row(loss)) for x, loss in places if math.isfinite(loss)]
        for (x0, row0), (x1, row1) in pairwise(corners):
            rise = row1 - row0
            crossings = sorted((side - row0) / rise for side in (0.0, FRAME_HEIGHT)) if rise else [0.0, 1.0]
            begin, end = max(0.0, crossings[0]), min(1.0, crossings[1])
            length = (end - begin) * math.hypot(x1 - x0, rise)
            for part in np.linspace(begin, end, 2 + int(length / LINE_EVERY_PX)) if begin <= end else ():
                px, row = float(x0 + part * (x1 - x0)), float(row0 + part * rise)
                yield px - 2, row - 2, px + 2, row + 2


def uprights(scene: RaceScene, places: Sequence[float], rows: tuple[float, float]) -> Columns:
    """Lines from one row to another, both px from above."""
    bottom, top = sorted(map(scene.at_row, rows))
    count = len(places)
    return {
        "x": np.array(places, dtype=np.float64), "bottom": np.full(count, bottom), "top": np.full(count, top),
    }  # fmt: skip


DATA_ROWS = (HEAD_PX, FRAME_HEIGHT - FOOT_PX)
"""Those in which losses are drawn."""
