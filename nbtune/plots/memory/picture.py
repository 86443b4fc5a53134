"""Pictures of memory for notebooks without a browser's view: what the figures show, drawn by matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..base.sentence import (
    COLOURS,
    POINT,
    SMALL,
    WIDTH,
    Picture,
    can_draw,
    draw_labels,
    picture_of,
    style_axes,
    words_of,
)
from ..learning_rate.sweep.labels import LABEL_COLOURS
from .labels import x_edges
from .rows import PartRow, parts_rows
from .scene import BAR, HEIGHT, PARTS, memory_ticks, sizes_of
from .speed import speed_ticks, speed_view, speed_x_edges
from .table_pictures import draw_grid_png, draw_layers_png
from .view import EDGES, Columns, memory_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...engine.batch_size.limit import BatchLimit
    from ...engine.batch_size.trial import MemoryTrial

__all__ = ["draw_grid_png", "draw_layers_png", "draw_memory_png"]

BARS = 540
ROW = 18
TABLE = 132
"""Where the table begins, px from above."""

KEY = "solid: measured   ·   striped: predicted   ·   crossed: does not fit"


def draw_memory_png(limit: BatchLimit) -> bytes | None:
    """The light picture of ``limit``: bars, what takes the memory, and the sentence; 820 px wide, twice the resolution.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if not can_draw():
        return None
    words = words_of(limit, "ink" if limit.batch_size is None else "answer_text")
    with picture_of(HEIGHT + 30, words) as picture:
        picture.text(56, 13, KEY, color=COLOURS["muted"], **SMALL)
        axes = picture.add_axes(56, 26, BARS - 66, HEIGHT - 46)
        _draw_bars(axes, limit)
        _draw_speed(picture, limit)
        is_host = limit.estimate is not None and limit.estimate.device == "cpu"
        _draw_parts(picture, _explained(limit), is_host)
        return picture.png()


def _explained(limit: BatchLimit) -> MemoryTrial | None:
    """The answer's trial, else the largest."""
    trials = [t for t in limit.latest if t.batch_size == limit.batch_size] or list(limit.latest[-1:])
    return trials[0] if trials else None


def _draw_bars(axes: Axes, limit: BatchLimit) -> None:
    view, sizes = memory_view(limit), sizes_of(limit.settings)
    axes.set_xlim(*x_edges(sizes))
    axes.set_ylim(*view.y_range)
    style_axes(axes)
    every = 1 + len(sizes) // 14
    axes.set_xticks(range(0, len(sizes), every), [str(k) for k in sizes[::every]])
    axes.tick_params(axis="x", length=0)
    ticks = memory_ticks(view.y_range[1])
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("batch size k", color=COLOURS["muted"], **SMALL)
    axes.set_ylabel("memory, GiB", color=COLOURS["muted"], **SMALL)
    _draw_stacks(axes, view.columns)
    _draw_marks(axes, view.columns)
    for colour, token in LABEL_COLOURS.items():
        draw_labels(axes, view.columns[f"labels_{colour}"], COLOURS[token])


def _draw_stacks(axes: Axes, columns: dict[str, Columns]) -> None:
    for name, hatch in (("measured", None), ("predicted", "/////")):
        # The hatch takes the edge's colour; the outline is drawn apart.
        look: dict[str, Any] = {"width": BAR, "hatch": hatch, "edgecolor": COLOURS["background"], "linewidth": 0}
        stacks, whole = columns[name], columns[f"{name}_whole"]
        for part, low, high in zip(PARTS, EDGES, EDGES[1:], strict=False):
            height = stacks[high] - stacks[low]
            axes.bar(stacks["x"], height, bottom=stacks[low], color=COLOURS[f"part_{part}"], **look)
        axes.bar(whole["x"], whole["top"], color=COLOURS["muted"], **look)
    lines = columns["partings"]
    axes.hlines(lines["y"], lines["left"], lines["right"], color=COLOURS["background"], linewidth=POINT)
    dashed: dict[str, Any] = {"width": BAR, "color": "none", "linewidth": 1.5 * POINT, "linestyle": (0, (3, 2))}
    axes.bar(columns["outline"]["x"], columns["outline"]["top"], edgecolor=COLOURS["ink"], **dashed)
    crossed = columns["too_big"]
    axes.bar(crossed["x"], crossed["top"], edgecolor=COLOURS["danger"], hatch="xx", alpha=0.45, **dashed)
    axes.bar(crossed["x"], crossed["top"], edgecolor=COLOURS["danger"], **dashed)


def _draw_marks(axes: Axes, columns: dict[str, Columns]) -> None:
    gaps, best = columns["headroom"], columns["best"]
    dots: dict[str, Any] = {"linewidth": 1.3 * POINT, "linestyle": (0, (2, 3))}
    axes.vlines(gaps["x"], gaps["top"], gaps["capacity"], color=COLOURS["answer"], **dots)
    axes.bar(best["x"], best["capacity"], width=1.0, color=COLOURS["answer"], alpha=0.15, zorder=0)
    axes.vlines(best["x"], best["top"], best["capacity"], color=COLOURS["answer"], linewidth=2.2 * POINT)
    for capacity in columns["capacity"]["y"]:
        axes.axhline(capacity, color=COLOURS["ink"], linewidth=2.2 * POINT)
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT}
    axes.plot(best["x"], best["top"], "d", color=COLOURS["answer"], markersize=11 * POINT, zorder=3, **halo)


def _draw_speed(picture: Picture, limit: BatchLimit) -> None:
    view, left = speed_view(limit), BARS + 14
    picture.text(left, 13, "Speed, samples/s by k", color=COLOURS["ink"], **SMALL)
    axes = picture.add_axes(left + 26, 26, WIDTH - left - 34, 70)
    axes.set_xlim(*speed_x_edges(sizes_of(limit.settings)))
    axes.set_ylim(*view.y_range)
    style_axes(axes)
    ticks = speed_ticks(sizes_of(limit.settings))
    axes.set_xticks(ticks, [str(2**tick) for tick in ticks])
    axes.locator_params(axis="y", nbins=3)
    speed, knee = view.columns["speed"], view.columns["knee"]
    for y in view.columns["near_best"]["y"]:
        axes.axhline(y, color=COLOURS["axis"], linewidth=1.2 * POINT, linestyle=(0, (2, 3)))
    axes.plot(speed["x"], speed["y"], "o-", color=COLOURS["data"], linewidth=2.2 * POINT, markersize=7 * POINT)
    hollow: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 2 * POINT, "markersize": 12 * POINT}
    axes.plot(knee["x"], knee["y"], "d", color=COLOURS["ink"], zorder=3, **hollow)
    for colour, token in LABEL_COLOURS.items():
        draw_labels(axes, view.columns[f"labels_{colour}"], COLOURS[token])


def _draw_parts(picture: Picture, trial: MemoryTrial | None, is_host: bool) -> None:
    if trial is None:
        return
    left, name, right = BARS + 14, BARS + 32, WIDTH - 4
    kind = "measured" if trial.is_measured else trial.why
    head: dict[str, Any] = {"color": COLOURS["muted"], **SMALL}
    picture.text(left, TABLE, f"k = {trial.batch_size}, {kind}", **head)
    picture.text(right - 60, TABLE, "MiB", ha="right", **head)
    picture.text(right, TABLE, "%", ha="right", **head)
    for i, row in enumerate(parts_rows(trial, is_host=is_host)):
        _draw_part(picture, row, TABLE + ROW * (i + 1), (left, name, right))


def _draw_part(picture: Picture, row: PartRow, y: float, columns: tuple[float, float, float]) -> None:
    left, name, right = columns
    look: dict[str, Any] = {"color": COLOURS["ink"], "fontweight": "normal" if row.token else "bold", **SMALL}
    if row.token:
        swatch = picture.add_axes(left, y - 6, 12, 12)
        swatch.set(xticks=[], yticks=[], facecolor=COLOURS[row.token])
        swatch.spines[:].set_visible(False)
    picture.text(name if row.token else left, y, row.name, **look)
    picture.text(right - 60, y, row.mib, ha="right", **look)
    picture.text(right, y, row.percent, ha="right", **look)
