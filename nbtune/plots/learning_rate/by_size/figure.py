"""The two figures of a search over batch sizes: one curve of loss against η per k, and how the suggestion moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bokeh.layouts import row
from bokeh.plotting import figure

from ....formats import format_lr
from ...base.live import live
from ...base.marks import BOTH_WIDTHS, Axis, Mark, Marks, Panel, Part, labels
from ...base.mirror import mirrored_panel
from ...base.sentence import sentence_png
from ...base.series import LOOKS
from ..pair import HEIGHT, LEFT, NARROW_BELOW, RIGHT, loss_axis, rates_axis, side_by_side
from ..several import COLOURS, CURVES, CURVES_MARKS, POINTS, WORDS
from .scene import NOTHING_YET, lr_ticks, size_edges, size_ticks
from .view import by_size_view

if TYPE_CHECKING:
    from ....engine.learning_rate.by_batch_size import LRByBatchSize

__all__ = ["by_size_figures", "by_size_panels", "by_size_parts", "by_size_plot", "by_size_png", "by_size_view"]

MOVES: dict[str, tuple[str, ...]] = {
    **{f"marks_{slot}": ("x", "y") for slot in LOOKS}, **{f"range_{slot}": ("x", "low", "high") for slot in LOOKS},
    "trend": ("x", "y"), **WORDS,
}  # fmt: skip
"""Source name → its columns: the contract with whoever sends columns to the browser."""

MOVES_MARKS: Marks = (
    Mark("line", "trend", line="answer", width=1.8, dash=(6, 4)),
    *(
        Mark("segment", f"range_{slot}", line=token, at=("x", "low", "x", "high"), width=5, alpha=0.35)
        for slot, (token, *_) in LOOKS.items()
    ),
    *POINTS,
    *labels(BOTH_WIDTHS, COLOURS),
)


def by_size_panels(
    lr_min: float, lr_max: float, batch_sizes: tuple[int, ...], *, held_out: bool = False, sign: int = 1
) -> dict[str, Panel]:
    """Both figures, "curves" and "moves".

    Args:
        lr_min: The lowest rate.
        lr_max: The highest.
        batch_sizes: The k, rising.
        held_out: Whether the loss shown is that of held-out data.
        sign: −1 where higher is better; see ``LRCurve``.
    """
    rates, losses, sizes = rates_axis(lr_min, lr_max), loss_axis(held_out), _sizes_axis(batch_sizes)
    return {
        "curves": mirrored_panel(
            Panel(CURVES, CURVES_MARKS, rates, losses, HEIGHT, LEFT, narrow_below=NARROW_BELOW), sign
        ),
        "moves": Panel(
            MOVES, MOVES_MARKS, sizes, _moves_axis(lr_min, lr_max), HEIGHT, RIGHT, narrow_below=NARROW_BELOW
        ),
    }


def _sizes_axis(batch_sizes: tuple[int, ...]) -> Axis:
    ticks = tuple(size_ticks(batch_sizes))
    texts = tuple(f"{int(k):,}" for k in ticks)
    return Axis("batch size k (log scale)", size_edges(batch_sizes), is_log=True, ticks=ticks, texts=texts)


def _moves_axis(lr_min: float, lr_max: float) -> Axis:
    # A suggestion may lie below the lowest rate.
    ticks = tuple(lr_ticks(lr_min / 100, 10 * lr_max))
    texts = tuple(map(format_lr, ticks))
    return Axis("suggested η", NOTHING_YET, is_log=True, ticks=ticks, texts=texts, has_line=False)


def by_size_figures(
    lr_min: float, lr_max: float, batch_sizes: tuple[int, ...], *, held_out: bool = False, sign: int = 1
) -> dict[str, figure]:
    """Empty figures of ``by_size_panels``; ``fill`` or a browser gives them data."""
    panels = by_size_panels(lr_min, lr_max, batch_sizes, held_out=held_out, sign=sign)
    return {name: live(panel) for name, panel in panels.items()}


def by_size_plot(result: LRByBatchSize) -> Any:
    """Both figures of ``result`` side by side."""
    views = by_size_view(result)
    figures = [live(panel, views[name]) for name, panel in _panels_of(result).items()]
    return row(figures, sizing_mode="stretch_width")


def by_size_parts(result: LRByBatchSize) -> list[Part]:
    """The same in a picture."""
    return side_by_side(_panels_of(result), by_size_view(result))


def by_size_png(result: LRByBatchSize) -> bytes | None:
    """The light picture of ``result`` with its sentence below; None where matplotlib is not installed."""
    token = "ink" if result.exponent is None else "answer_text"
    return sentence_png(by_size_parts(result), HEIGHT, result, token=token)


def _panels_of(result: LRByBatchSize) -> dict[str, Panel]:
    asked, is_held_out = result.settings, result.settings.validation is not None
    return by_size_panels(asked.lr_min, asked.lr_max, asked.batch_sizes, held_out=is_held_out, sign=result.sign)
