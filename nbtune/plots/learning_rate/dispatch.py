"""Which figures a search for η has: those of a sweep, of a race, or of a search over batch sizes or optimizers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..base.kind import kind_of
from ..base.shown import Drawing
from .by_optimizer.figure import by_optimizer_plot, by_optimizer_png
from .by_size.figure import by_size_plot, by_size_png
from .race.figure import race_plot, race_png
from .sweep.figure import sweep_plot, sweep_png
from .sweep.rule_marks import Rule

SWEEP = Drawing(sweep_plot, sweep_png)
DRAWINGS = {
    "LRByBatchSize": Drawing(by_size_plot, by_size_png),
    "LRByOptimizer": Drawing(by_optimizer_plot, by_optimizer_png), "race": Drawing(race_plot, race_png), "quick": SWEEP
}  # fmt: skip
"""Name of a result's type, or mode of an ``LRCurve`` → what draws it."""


def drawing_of(result: Any) -> Drawing:
    """The figures of an ``LRCurve``, an ``LRByBatchSize`` or an ``LRByOptimizer``."""
    return DRAWINGS[kind_of(result, DRAWINGS) or result.settings.mode]


def lr_plot(result: Any, *, rules: Sequence[Rule] = ()) -> Any:
    """The finished figure of ``result``, or two side by side.

    Args:
        result: Of any length.
        rules: Of a sweep alone: whose η is marked as well, such as ``nbtune.engine.classic_rules(curve)``.
    """
    drawing = drawing_of(result)
    return sweep_plot(result, rules=rules) if drawing is SWEEP else drawing.plot(result)


def lr_png(result: Any) -> bytes | None:
    """The light picture of ``result`` with its sentence below, 820 px wide, at twice the resolution.

    Exports show the picture alone, so the answer has to stand in it.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    return drawing_of(result).png(result)
