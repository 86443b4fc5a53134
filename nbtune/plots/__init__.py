"""One function builds one figure; it knows results only by their numbers. Imports bokeh, never torch or ipywidgets."""

from __future__ import annotations

from typing import Any

from .base.kind import kind_of
from .base.shown import Drawing, pictured
from .comparison.figure import comparison_plot
from .comparison.picture import comparison_plot_png
from .descent.figure import descent_path_figure
from .descent.picture import path_png
from .learning_rate.dispatch import lr_plot, lr_png
from .memory.bars import estimate_figure, limit_figure
from .memory.changes import changes_figure, changes_png
from .memory.grid import grid_figure, grid_png
from .memory.picture import estimate_png, memory_png
from .memory.timeline import timeline_figure, timeline_png

__all__ = ["plot"]

FIGURES = {
    "LRByBatchSize": Drawing(lr_plot, lr_png), "LRByOptimizer": Drawing(lr_plot, lr_png),
    "LRCurve": Drawing(lr_plot, lr_png),
    "BatchLimit": Drawing(limit_figure, memory_png), "MemoryGrid": Drawing(grid_figure, grid_png),
    "MemoryEstimate": Drawing(estimate_figure, estimate_png),
    "MemoryTimeline": Drawing(timeline_figure, timeline_png), "WhatFits": Drawing(changes_figure, changes_png),
    "Comparison": Drawing(comparison_plot, comparison_plot_png),
    "DescentPath": Drawing(descent_path_figure, path_png),
}  # fmt: skip
"""Name of a result's type → what draws it."""


def plot(result: Any) -> Any:
    """A Bokeh figure of any result.

    As a cell's last line it shows, and a saved notebook keeps, the picture of the result with its sentence (a light
    PNG, which needs matplotlib; without it the sentence). For a live figure give it to ``bokeh.io.show``.

    Args:
        result: What a tool of nbtune gave, such as the ``LRCurve`` of ``find_lr`` or the ``BatchLimit`` of
            ``find_batch_size``.
    Returns:
        A figure of its own, or a row of two (a race, a search over batch sizes), to show, save or embed.
    Raises:
        TypeError: For anything else.
    """
    kind = kind_of(result, FIGURES)
    if kind is None:
        raise TypeError(f"nbtune has no plot of a {type(result).__name__}; it draws {', '.join(FIGURES)}")
    drawing = FIGURES[kind]
    return pictured(drawing.plot(result), lambda: drawing.png(result), lambda: repr(result))
