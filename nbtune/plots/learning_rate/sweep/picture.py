"""The picture of a finished sweep for notebooks without a browser's view: the figure's columns, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....formats import format_lr
from ...base.sentence import COLOURS, POINT, WIDTH, Word, can_draw, draw_labels, picture_of, style_axes, words_of
from ..by_size.picture import draw_by_size_png
from ..race.picture import draw_orders, draw_race_png, draw_theory
from .labels import LABEL_COLOURS
from .scene import HEIGHT, decades, loss_ticks, x_edges
from .view import Columns, LRView, lr_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ....engine.learning_rate.curve import LRCurve


def draw_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below, 820 px wide, at twice the resolution.

    Exports show the picture alone, so the answer has to stand in it.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if curve.settings.batch_sizes:
        return draw_by_size_png(curve)  # type: ignore[arg-type]
    if curve.settings.mode == "race":
        return draw_race_png(curve)
    if not can_draw():
        return None
    words = _words(curve)
    with picture_of(HEIGHT, words) as picture:
        axes = picture.add_axes(56, 6, WIDTH - 66, HEIGHT - 52)
        _style(axes, curve)
        _draw(axes, lr_view(curve))
        return picture.png()


def _words(curve: LRCurve) -> list[Word]:
    return words_of(curve, "ink" if curve.suggestion is None else "answer_text", curve.theory)


def _style(axes: Axes, curve: LRCurve) -> None:
    from matplotlib.ticker import NullLocator

    settings = curve.settings
    ticks = decades(settings.lr_min, settings.lr_max)
    axes.set_xscale("log")
    axes.set_xlim(*x_edges(settings.lr_min, settings.lr_max))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [format_lr(tick) for tick in ticks])
    style_axes(axes)
    held_out = curve.is_held_out
    text: dict[str, Any] = {"color": COLOURS["muted"], "fontsize": 12 * POINT}
    axes.set_ylabel("held-out loss" if held_out else "training loss", **text)
    axes.yaxis.set_label_coords(-36 / (WIDTH - 66), 0.5)
    axes.set_xlabel("learning rate η (log scale)", **text)


def _draw(axes: Axes, view: LRView) -> None:
    columns = view.columns
    axes.set_ylim(*view.y_range)
    ticks = loss_ticks(*view.y_range)
    axes.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    _draw_regions(axes, columns)
    _draw_lines(axes, columns)
    _draw_marks(axes, columns)
    for colour, token in LABEL_COLOURS.items():
        draw_labels(axes, columns[f"labels_{colour}"], COLOURS[token])


def _draw_regions(axes: Axes, columns: dict[str, Columns]) -> None:
    looks: dict[str, dict[str, Any]] = {
        "band": {"facecolor": COLOURS["answer"], "alpha": 0.15},
        "hatch": {"facecolor": "none", "edgecolor": COLOURS["danger"], "hatch": "////", "alpha": 0.45},
        "untried": {"facecolor": "none", "edgecolor": COLOURS["axis"], "hatch": "..", "alpha": 0.4},
    }
    for name, look in looks.items():
        for left, right in zip(columns[name]["left"], columns[name]["right"], strict=True):
            axes.axvspan(left, right, linewidth=0, **look)
    for left in columns["untried"]["left"]:
        axes.axvline(left, color=COLOURS["ink"], linewidth=1.5 * POINT)


def _draw_lines(axes: Axes, columns: dict[str, Columns]) -> None:
    for loss in columns["start"]["y"]:
        axes.axhline(loss, color=COLOURS["axis"], linewidth=1.2 * POINT, linestyle=(0, (2, 4)))
    draw_orders(axes, columns)
    raw, width = columns["raw"], 2.6 * POINT
    axes.plot(raw["x"], raw["y"], "o", color=COLOURS["data"], markersize=5 * POINT, alpha=0.4, markeredgewidth=0)
    axes.plot(columns["smooth"]["x"], columns["smooth"]["y"], color=COLOURS["data"], linewidth=width)
    rising = columns["rising"]
    axes.plot(rising["x"], rising["y"], color=COLOURS["danger"], linewidth=width, linestyle=(0, (2.3, 1.2)))


def _draw_marks(axes: Axes, columns: dict[str, Columns]) -> None:
    off, suggestion = columns["off"], columns["suggestion"]
    hollow: dict[str, Any] = {"color": COLOURS["danger"], "markerfacecolor": "none", "markeredgewidth": 1.3 * POINT}
    axes.plot(off["x"], off["y"], "^", markersize=8 * POINT, **hollow)
    draw_theory(axes, columns["theory"])
    for lr in suggestion["x"]:
        axes.axvline(lr, color=COLOURS["answer"], linewidth=2.2 * POINT)
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT}
    axes.plot(suggestion["x"], suggestion["y"], "d", color=COLOURS["answer"], markersize=11 * POINT, zorder=3, **halo)
