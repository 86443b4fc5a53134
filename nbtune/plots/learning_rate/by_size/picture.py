"""The picture of a finished search over batch sizes for notebooks without a browser's view, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....formats import format_lr
from ...base.sentence import COLOURS, POINT, can_draw, draw_labels, picture_of, words_of
from ...comparison.rows import LOOKS
from ..race.picture import COURSE, SCORES, paired_axes, style_rates
from ..race.scene import HEIGHT
from ..race.view import Columns
from .scene import lr_ticks, size_ticks
from .view import COLOURS as WORDS
from .view import by_size_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ....engine.learning_rate.by_batch_size import LRByBatchSize

DASHES: dict[str, Any] = {"solid": "solid", "dashed": (0, (3.5, 2)), "dotted": (0, (1, 1.4))}
MARKERS = {"square": "s", "circle": "o", "triangle": "^"}


def draw_by_size_png(result: LRByBatchSize) -> bytes | None:
    """The light picture of ``result`` with its sentence below, 820 px wide, at twice the resolution.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    from matplotlib.ticker import NullLocator

    if not can_draw():
        return None
    views, settings = by_size_view(result), result.settings
    with picture_of(HEIGHT, words_of(result, "ink" if result.exponent is None else "answer_text")) as picture:
        loss = "training loss" if settings.validation is None else "held-out loss"
        curves = paired_axes(picture, COURSE, views["curves"], "learning rate η (log scale)", loss)
        moves = paired_axes(picture, SCORES, views["moves"], "batch size k (log scale)", "suggested η", is_log=True)
        style_rates(curves, settings)
        moves.set_xscale("log")
        moves.xaxis.set_minor_locator(NullLocator())
        sizes = size_ticks(settings.batch_sizes)
        moves.set_xticks(sizes, [f"{int(k):,}" for k in sizes])
        rates = lr_ticks(*views["moves"].y_range)
        moves.set_yticks(rates, [format_lr(rate) for rate in rates])
        moves.yaxis.set_minor_locator(NullLocator())
        _draw_curves(curves, views["curves"].columns)
        _draw_moves(moves, views["moves"].columns)
        for axes, view in ((curves, views["curves"]), (moves, views["moves"])):
            _draw_marks(axes, view.columns)
            axes.set_xlim(*view.x_range)
            axes.set_ylim(*view.y_range)
        return picture.png()


def _draw_curves(axes: Axes, columns: dict[str, Columns]) -> None:
    for loss in columns["start"]["y"]:
        axes.axhline(loss, color=COLOURS["axis"], linewidth=1.2 * POINT, linestyle=(0, (2, 4)))
    for slot, (token, _, dash) in LOOKS.items():
        line, width = columns[f"line_{slot}"], (1.6 if slot == "rest" else 2.4) * POINT
        axes.plot(line["x"], line["y"], color=COLOURS[token], linewidth=width, linestyle=DASHES[dash])


def _draw_moves(axes: Axes, columns: dict[str, Columns]) -> None:
    trend = columns["trend"]
    axes.plot(trend["x"], trend["y"], color=COLOURS["answer"], linewidth=1.8 * POINT, linestyle=(0, (3.4, 2.2)))
    for slot, (token, *_) in LOOKS.items():
        span = columns[f"range_{slot}"]
        axes.vlines(span["x"], span["low"], span["high"], color=COLOURS[token], linewidth=5 * POINT, alpha=0.35)


def _draw_marks(axes: Axes, columns: dict[str, Columns]) -> None:
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT, "zorder": 3}
    for slot, (token, marker, _) in LOOKS.items():
        marks, look = columns[f"marks_{slot}"], MARKERS[marker]
        axes.plot(marks["x"], marks["y"], look, color=COLOURS[token], markersize=9 * POINT, **halo)
    for colour, token in WORDS.items():
        draw_labels(axes, columns[f"labels_{colour}"], COLOURS[token])
