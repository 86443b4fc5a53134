"""The picture of a finished race for notebooks without a browser's view: both figures' columns, by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ....formats import format_lr
from ...base.sentence import COLOURS, POINT, SMALL, Picture, can_draw, draw_labels, picture_of, style_axes, words_of
from ..sweep.labels import LABEL_COLOURS
from ..sweep.scene import decades, loss_ticks
from .figure import FADE_ALPHAS
from .scene import HEIGHT, STEPS
from .view import Columns, RaceView, race_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ....engine.learning_rate.curve import LRCurve
    from ....engine.learning_rate.settings import LRSettings

COURSE, SCORES = (52, 346), (466, 338)
"""Left edge and width of the frames, px."""


def draw_race_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below, 820 px wide, at twice the resolution.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if not can_draw():
        return None
    views = race_view(curve)
    words = words_of(curve, "ink" if curve.suggestion is None else "answer_text", curve.theory)
    with picture_of(HEIGHT, words) as picture:
        loss = "held-out loss" if curve.is_held_out else "training loss"
        course = paired_axes(picture, COURSE, views["course"], "training step, the same batches for every rate", loss)
        course.set_xticks([step for step in STEPS if step <= views["course"].x_range[1]])
        _draw_course(course, views["course"].columns)
        scores = paired_axes(picture, SCORES, views["scores"], "learning rate η (log scale)", "")
        style_rates(scores, curve.settings)
        _draw_scores(scores, views["scores"].columns)
        for axes, view in ((course, views["course"]), (scores, views["scores"])):
            _draw_shared(axes, view.columns)
        return picture.png()


def draw_theory(axes: Axes, columns: Columns) -> None:
    """A line across the η axis at each of the places, dashed as in the live plot."""
    for at in columns["x"]:
        axes.axvline(at, color=COLOURS["ink"], linewidth=1.2 * POINT, linestyle=(0, (6.7, 2.5, 1.7, 2.5)))


def draw_orders(axes: Axes, columns: dict[str, Columns]) -> None:
    """The band between several orders of the data, and a tick for what each suggests."""
    band, ticks = columns["orders"], columns["order_ticks"]
    axes.fill_between(band["x"], band["low"], band["high"], color=COLOURS["data"], alpha=0.22, linewidth=0)
    axes.vlines(ticks["x"], ticks["bottom"], ticks["top"], color=COLOURS["answer"], linewidth=1.6 * POINT, zorder=3)


def paired_axes(
    picture: Picture, place: tuple[int, int], view: RaceView, x_label: str, y_label: str, *, is_log: bool = False
) -> Axes:
    """One of two frames side by side, with the ranges of ``view``; its loss axis has ticks, a logarithmic one none."""
    left, width = place
    axes = picture.add_axes(left, 6, width, HEIGHT - 52)
    style_axes(axes)
    axes.set_xlim(*view.x_range)
    if is_log:
        axes.set_yscale("log")
    axes.set_ylim(*view.y_range)
    ticks = [] if is_log else loss_ticks(*view.y_range)
    axes.set_yticks(ticks, [f"{tick:g}".replace("-", "−") for tick in ticks])
    axes.set_xlabel(x_label, color=COLOURS["muted"], **SMALL)
    axes.set_ylabel(y_label, color=COLOURS["muted"], **SMALL)
    axes.yaxis.set_label_coords(-36 / width, 0.5)
    return axes


def style_rates(axes: Axes, settings: LRSettings) -> None:
    """The η axis in half of the picture."""
    from matplotlib.ticker import NullLocator

    ticks = decades(settings.lr_min, settings.lr_max)
    ticks = ticks[:: -(-len(ticks) // 7)]
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [format_lr(tick) for tick in ticks])


def _draw_course(axes: Axes, columns: dict[str, Columns]) -> None:
    for at in columns["rounds"]["x"]:
        axes.axvline(at, color=COLOURS["axis"], linewidth=1.2 * POINT, linestyle=(0, (2, 4)))
    for group, alpha in enumerate(FADE_ALPHAS):
        _line(axes, columns[f"out{group}"], "axis", 1.6, alpha=alpha)
    _line(axes, columns["worse"], "danger", 1.4, alpha=0.6, linestyle=(0, (3.5, 2)))
    _line(axes, columns["alive"], "data", 2.4)
    _line(axes, columns["leader"], "answer", 3.2)


def _draw_scores(axes: Axes, columns: dict[str, Columns]) -> None:
    for left, right in zip(columns["band"]["left"], columns["band"]["right"], strict=True):
        axes.axvspan(left, right, linewidth=0, facecolor=COLOURS["answer"], alpha=0.15)
    draw_orders(axes, columns)
    _line(axes, columns["first"], "axis", 1.4)
    draw_theory(axes, columns["theory"])
    for lr in columns["suggestion"]["x"]:
        axes.axvline(lr, color=COLOURS["answer"], linewidth=2.4 * POINT)
    _line(axes, columns["fit"], "answer", 1.8, linestyle=(0, (3.4, 2.2)))
    whisker = columns["whisker"]
    axes.vlines(whisker["x"], whisker["low"], whisker["high"], color=COLOURS["ink"], linewidth=1.6 * POINT, zorder=3)
    for end in ("low", "high"):
        axes.plot(whisker["x"], whisker[end], "_", color=COLOURS["ink"], markersize=9 * POINT, zorder=3)
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT, "zorder": 4}
    for name, token in (("alive", "data"), ("leader", "answer")):
        axes.plot(columns[name]["x"], columns[name]["y"], "o", color=COLOURS[token], markersize=10 * POINT, **halo)
    peak = columns["peak"]
    axes.vlines(peak["x"], peak["bottom"], peak["top"], color=COLOURS["answer"], linewidth=2 * POINT, alpha=0.7)


def _draw_shared(axes: Axes, columns: dict[str, Columns]) -> None:
    for loss in columns["start"]["y"]:
        axes.axhline(loss, color=COLOURS["axis"], linewidth=1.2 * POINT, linestyle=(0, (2, 4)))
    for name, token in (("crosses", "muted"), ("worse_crosses", "danger")):
        look: dict[str, Any] = {"color": COLOURS[token], "markeredgewidth": 1.8 * POINT, "markersize": 7 * POINT}
        axes.plot(columns[name]["x"], columns[name]["y"], "x", zorder=3, **look)
    off: dict[str, Any] = {"color": COLOURS["danger"], "markerfacecolor": "none", "markeredgewidth": 1.3 * POINT}
    axes.plot(columns["off"]["x"], columns["off"]["y"], "^", markersize=8 * POINT, zorder=3, **off)
    for colour, token in LABEL_COLOURS.items():
        draw_labels(axes, columns[f"labels_{colour}"], COLOURS[token])


def _line(axes: Axes, columns: Columns, token: str, width: float, **look: Any) -> None:
    axes.plot(columns["x"], columns["y"], color=COLOURS[token], linewidth=width * POINT, **look)
