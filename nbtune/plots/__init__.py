"""One function builds one figure; it knows results only by their numbers. Imports bokeh, never torch or ipywidgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.plotting import figure

from .base.kind import kind_of
from .comparison.figure import comparison_plot
from .descent.figure import descent_path_figure
from .learning_rate.dispatch import lr_plot
from .memory.bars import estimate_figure, limit_figure
from .memory.changes import changes_figure
from .memory.grid import grid_figure
from .memory.timeline import timeline_figure

__all__ = ["plot"]

FIGURES: dict[str, Callable[[Any], figure]] = {
    "LRByBatchSize": lr_plot,
    "LRCurve": lr_plot,
    "BatchLimit": limit_figure,
    "MemoryGrid": grid_figure,
    "MemoryEstimate": estimate_figure,
    "MemoryTimeline": timeline_figure,
    "WhatFits": changes_figure,
    "Comparison": comparison_plot,
    "DescentPath": descent_path_figure,
}
"""Name of a result's type → what draws it."""


def plot(result: Any) -> figure:
    """A Bokeh figure of any result.

    Args:
        result: What a tool of nbtune gave, such as the ``LRCurve`` of ``find_lr`` or the ``BatchLimit`` of
            ``find_batch_size``.
    Returns:
        A figure of its own, to show, save or embed.
    Raises:
        TypeError: For anything else.
    """
    kind = kind_of(result, FIGURES)
    if kind is None:
        raise TypeError(f"nbtune has no plot of a {type(result).__name__}; it draws {', '.join(FIGURES)}")
    return FIGURES[kind](result)
