"""The two figures of races of several optimizers: loss against η for each, and the courses of their best rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.plotting import figure

from ...base.live import live
from ...base.marks import BOTH_WIDTHS, Axis, Mark, Marks, Panel, Part, labels
from ...base.mirror import mirrored_panel
from ...base.sentence import sentence_png
from ...base.typed_again import SETTLED_END
from .. import overlays
from ..pair import HEIGHT, LEFT, NARROW_BELOW, RIGHT, loss_axis, rates_axis, side_by_side
from ..several import COLOURS, CURVES, CURVES_MARKS, LINES, POINTS
from .view import LAST_LABEL, by_optimizer_view

if TYPE_CHECKING:
    from ....engine.learning_rate.by_optimizer import LRByOptimizer

__all__ = ["by_optimizer_figures", "by_optimizer_panels", "by_optimizer_plot", "by_optimizer_png", "by_optimizer_view"]

COURSES: dict[str, tuple[str, ...]] = {**CURVES, "compared": ("x", "bottom", "top")}
"""Source name → its columns: the contract with whoever sends columns to the browser."""

COURSES_MARKS: Marks = (
    overlays.START,
    Mark("segment", "compared", line="axis", width=1.2, dash=(2, 4)),
    *LINES,
    *POINTS,
    *labels(BOTH_WIDTHS, COLOURS),
)
STEP_TICKS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)


def by_optimizer_panels(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, Panel]:
    """Both figures, "valleys" and "courses"; see ``by_size_panels``."""
    rates, losses = rates_axis(lr_min, lr_max), loss_axis(held_out)
    steps = Axis(
        "training step at the best η (log scale)", (0.9, LAST_LABEL * SETTLED_END), is_log=True, ticks=STEP_TICKS,
        texts=tuple(f"{step:g}" for step in STEP_TICKS),
    )  # fmt: skip
    made = {
        "valleys": Panel(CURVES, CURVES_MARKS, rates, losses, HEIGHT, LEFT, narrow_below=NARROW_BELOW),
        "courses": Panel(COURSES, COURSES_MARKS, steps, losses, HEIGHT, RIGHT, narrow_below=NARROW_BELOW),
    }
    return {name: mirrored_panel(panel, sign) for name, panel in made.items()}


def by_optimizer_figures(lr_min: float, lr_max: float, *, held_out: bool = False, sign: int = 1) -> dict[str, figure]:
    """Empty figures of ``by_optimizer_panels``; ``fill`` or a browser gives them data."""
    panels = by_optimizer_panels(lr_min, lr_max, held_out=held_out, sign=sign)
    return {name: live(panel) for name, panel in panels.items()}


def by_optimizer_plot(result: LRByOptimizer) -> Any:
    """Both figures of ``result`` side by side."""
    views = by_optimizer_view(result)
    return row([live(panel, views[name]) for name, panel in _panels_of(result).items()], sizing_mode="stretch_width")


def by_optimizer_parts(result: LRByOptimizer) -> list[Part]:
    """The same in a picture."""
    return side_by_side(_panels_of(result), by_optimizer_view(result))


def by_optimizer_png(result: LRByOptimizer) -> bytes | None:
    """The light picture of ``result`` with its sentence below; None where matplotlib is not installed."""
    token = "ink" if result.best is None else "answer_text"
    return sentence_png(by_optimizer_parts(result), HEIGHT, result, token=token)


def _panels_of(result: LRByOptimizer) -> dict[str, Panel]:
    asked = result.settings
    return by_optimizer_panels(asked.lr_min, asked.lr_max, held_out=asked.validation is not None, sign=result.sign)
