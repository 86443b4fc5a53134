"""A search over several orders of the data: the band between them, and where each would set η. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..base.labels import Box, Label

if TYPE_CHECKING:
    from ...engine.learning_rate.curve import LRCurve

TICK_PX = 9.0
"""Height of the ticks on the η axis, one for each order's suggestion."""

MOST_POINTS = 400
"""Of the band's edges: it is smooth."""


def shown_of(curve: LRCurve, running: bool) -> tuple[LRCurve, tuple[LRCurve, ...]]:
    """What is drawn of a search, and the orders its band lies between: while it runs, the order under way over those
    before it."""
    return (curve.orders[-1], curve.orders[:-1]) if running and curve.orders else (curve, curve.orders)


def band_of(orders: Sequence[LRCurve]) -> list[tuple[float, float, float]]:
    """(η, lowest, highest loss over the orders), rising in η: of a race the scores, of a sweep the smoothed losses.

    A rate's scores are those of the orders in which it stayed longest, as in ``LRCurve``.
    """
    if len(orders) < 2:
        return []
    if orders[0].candidates:
        rows = [_scores(same) for same in zip(*(o.candidates for o in orders), strict=True)]
    else:
        length = min(len(o.lrs) for o in orders)
        places = np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).astype(int)).tolist() if length else []
        rows = [(orders[0].lrs[i], [o.smoothed_losses[i] for o in orders]) for i in places]
    known = [(lr, [v for v in values if math.isfinite(v)]) for lr, values in rows]
    return [(lr, min(values), max(values)) for lr, values in known if len(values) > 1]


def _scores(same: Sequence[Any]) -> tuple[float, list[float]]:
    longest = max(len(c.losses) for c in same)
    return same[0].lr, [c.score for c in same if len(c.losses) == longest and c.score is not None]


def suggestions_of(orders: Sequence[LRCurve]) -> list[float]:
    """What each order suggests, where it does."""
    return [o.suggestion for o in orders if o.suggestion is not None] if len(orders) > 1 else []


def band_label(rows: Sequence[tuple[float, float, float]], count: int, x: Any, y: Any) -> list[Label]:
    """What the band is, above or below it, beginning where it is widest."""
    if not rows:
        return []
    widest = sorted(rows, key=lambda row: row[1] - row[2])[:5]
    places = []
    for lr, low, high in widest:
        places += [(x(lr) - 6, y(low) + 14, "right"), (x(lr) - 6, y(high) - 12, "right")]
        places += [(x(lr) + 6, y(low) + 14, "left"), (x(lr) + 6, y(high) - 12, "left")]
    return [Label(f"{count} data orders", "muted", tuple(places), droppable=True)]


def band_boxes(rows: Sequence[tuple[float, float, float]], x: Any, y: Any) -> list[Box]:
    """What other words do not cover."""
    return [(x(lr) - 3, y(high) - 2, x(lr) + 3, y(low) + 2) for lr, low, high in rows]
