"""A learning-rate curve ready to be drawn: thinned, and with the range it is seen in. Knows no Bokeh."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...base.columns import Floats
from ...base.scale import EMPTY_RANGE, TRIANGLE_PX, loss_range
from ..orders_band import shown_of

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve

MAX_POINTS = 2000
"""A canvas redraw costs by the point: 10,000 take 400 ms at p95."""

HEIGHT = 272
FRAME_HEIGHT = 220.0


@dataclass(frozen=True, slots=True)
class Scene:
    """A curve as arrays of at most ``MAX_POINTS``, with the range it is seen in.

    Attributes:
        orders: The same sweep over other orders of the data, where there are several.
    """

    curve: LRCurve
    running: bool
    lrs: Floats
    losses: Floats
    smoothed: Floats
    steps: Floats
    bottom: float
    top: float
    orders: tuple[LRCurve, ...] = ()

    @property
    def span(self) -> float:
        return self.top - self.bottom

    @property
    def height_of_px(self) -> float:
        """One px of the frame, in loss."""
        return self.span / FRAME_HEIGHT

    @property
    def off_scale(self) -> NDArray[np.bool_]:
        """Where the loss lies above the frame or is not finite, shape (points,)."""
        return ~(self.losses <= self.top)

    @property
    def is_stopped(self) -> bool:
        return not self.running and self.curve.outcome == "stopped" and len(self.lrs) > 0

    @property
    def is_flat(self) -> bool:
        curve = self.curve
        answered = curve.suggestion is not None or curve.low is not None or curve.rises_from is not None
        return not self.running and curve.outcome == "finished" and not answered

    @property
    def usable(self) -> tuple[float, float] | None:
        """Shown with an answer only: while the loss still falls, its minimum so far is not the end of anything."""
        low, high = self.curve.low, self.curve.high
        if self.running or self.curve.suggestion is None or low is None or high is None or low >= high:
            return None
        return low, high

    @property
    def rises_from(self) -> float | None:
        """Only known for good when the sweep has ended: while it runs, nothing is told apart that may change."""
        return None if self.running else self.curve.rises_from

    def in_frame(self, loss: float) -> float:
        """``loss``, or the nearest loss at which a mark is whole; the top for one that is not finite."""
        margin = TRIANGLE_PX * self.height_of_px
        highest = self.top - margin
        return float(min(max(loss, self.bottom + margin), highest)) if math.isfinite(loss) else highest


def scene_of(curve: LRCurve, running: bool) -> Scene:
    """At most ``MAX_POINTS`` of ``curve``, evenly and always with the last, in a range that suits them.

    While a search over several orders of the data runs, it is the curve of the one under way.
    """
    curve, orders = shown_of(curve, running)
    n = len(curve.lrs)
    kept = np.arange(n) if n <= MAX_POINTS else np.linspace(0, n - 1, MAX_POINTS).round().astype(np.intp)
    losses = np.asarray(curve.losses, dtype=np.float64)[kept]
    smoothed = np.asarray(curve.smoothed_losses, dtype=np.float64)[kept]
    lrs = np.asarray(curve.lrs, dtype=np.float64)[kept]
    bottom, top = _y_range(curve, lrs, losses)
    return Scene(curve, running, lrs, losses, smoothed, kept.astype(np.float64) + 1, bottom, top, orders)


def _y_range(curve: LRCurve, lrs: Floats, losses: Floats) -> tuple[float, float]:
    before = losses if curve.rises_from is None else losses[lrs <= curve.rises_from]
    before = before[np.isfinite(before)]
    if not len(before):
        return EMPTY_RANGE
    start = float(before[0]) if curve.start_loss is None else curve.start_loss
    return loss_range(start, float(before.min()))
