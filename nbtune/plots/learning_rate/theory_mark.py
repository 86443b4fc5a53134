"""Where theory puts the limit of η, beside what training showed: a line across the η axis. Knows no Bokeh."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ...formats import format_lr
from ..base.labels import GAP_PX, LINE_PX, Box, Label

if TYPE_CHECKING:
    from ...engine.learning_rate.curve import LRCurve

LONGEST_RULE = 10
"""Characters of a formula that stand in the plot; the sentence has the longer ones."""


def theory_lr(curve: LRCurve, edges: tuple[float, float]) -> float | None:
    """The limit, where it is known and within ``edges``."""
    lr = None if curve.curvature is None else curve.curvature.limit_lr
    return lr if lr is not None and edges[0] <= lr <= edges[1] else None


def theory_label(
    curve: LRCurve, x: Callable[[float], float], edges: tuple[float, float], height: float
) -> Iterator[Label]:
    """Its name with a piece of the line, beside it where there is room; or with an arrow, where it lies beyond an end.

    Args:
        curve: Whose curvature is known, or not.
        x: px of an η.
        edges: Ends of the η axis.
        height: Of the frame, px.
    """
    curvature = curve.curvature
    if curvature is None or curvature.limit_lr is None:
        return
    lr = curvature.limit_lr
    rule = curvature.rule if len(curvature.rule) <= LONGEST_RULE else "λmax limit"
    text = f"{rule} {curvature.sign} {format_lr(lr)}"
    right = x(edges[1])
    if lr > edges[1]:
        text, columns = f"{text} →", [(right - 2, "right")]
    elif lr < edges[0]:
        text, columns = f"← {text}", [(2.0, "left")]
    else:
        text = f"┆ {text}"
        columns = [(x(lr) - GAP_PX, "right"), (x(lr) + GAP_PX, "left")]
        columns += [(px, "right") for px in np.arange(right, 0, -LINE_PX).tolist()]
    rows = np.arange(LINE_PX, height - LINE_PX / 2, LINE_PX / 2).tolist()
    places = tuple((px, row, align) for px, align in columns for row in rows)
    yield Label(text, "ink", places, boxed=True, droppable=True)


def theory_box(curve: LRCurve, x: Callable[[float], float], edges: tuple[float, float], height: float) -> Iterator[Box]:
    """What no other word may cover."""
    lr = theory_lr(curve, edges)
    if lr is not None:
        yield x(lr) - 2, 0.0, x(lr) + 2, height
