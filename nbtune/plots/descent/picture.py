"""The picture of three descents for notebooks without a browser's view: the figures' columns, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..base.sentence import COLOURS, POINT, SMALL, WIDTH, Picture, can_draw, picture_of, style_axes, words_of
from .figure import X_TICKS, Y_TICKS
from .strip import COLOURS as STRIP_COLOURS
from .strip import NAMES, ROOM, step_ticks, strip_view
from .strip import Y_TEXTS as LOSS_TEXTS
from .strip import Y_TICKS as LOSS_TICKS
from .view import FAMILIES, TEXT_TOKENS, family_of, path_title, path_view

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...engine.descent.path import DescentPath

HEIGHT = 334
LEFTS, FRAME = (48, 322, 588), (226, 136)
STRIP = (56, 222, WIDTH - 66, 72)
BOX: Any = {"facecolor": COLOURS["background"], "edgecolor": "none", "pad": 1.0}
DASH: Any = (0, (2.5, 1.3))


def draw_descent_png(paths: Sequence[DescentPath]) -> bytes | None:
    """The light picture of a small, a good and the reader's own η, with the sentence of the last; 820 px wide.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    if not can_draw():
        return None
    with picture_of(HEIGHT, words_of(paths[-1], "ink")) as picture:
        families = ("data", "answer", family_of(paths[-1]))
        for name, left, path, family in zip(NAMES, LEFTS, paths, families, strict=True):
            look: dict[str, Any] = {"fontsize": 13 * POINT, "fontweight": "bold"}
            picture.text(left, 11, path_title(path, name), color=COLOURS[TEXT_TOKENS[family]], **look)
            _draw_path(picture.add_axes(left, 24, *FRAME), path, family, left == LEFTS[0])
        _draw_strip(picture, paths)
        return picture.png()


def _draw_path(axes: Axes, path: DescentPath, family: str, is_first: bool) -> None:
    surface = path.settings.landscape
    axes.set(xlim=surface.x_range, ylim=surface.y_range)
    _style(axes, X_TICKS, Y_TICKS)
    axes.grid(visible=False)
    axes.set_xlabel("weight w₁", color=COLOURS["muted"], **SMALL)
    columns = path_view(path, family=family).columns
    axes.plot(columns["contours"]["x"], columns["contours"]["y"], color=COLOURS["axis"], linewidth=POINT)
    line, dots = columns[f"path_{family}"], columns[f"dots_{family}"]
    is_dashed, colour = family == "danger", COLOURS[family]
    axes.plot(line["x"], line["y"], color=colour, linewidth=2.4 * POINT, linestyle=DASH if is_dashed else "-")
    axes.plot(dots["x"], dots["y"], "^" if is_dashed else "o", color=colour, markersize=5 * POINT)
    axes.plot(*zip(*surface.minima, strict=True), "*", color=COLOURS["ink"], markersize=14 * POINT, linestyle="")
    square: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 2.2 * POINT, "markersize": 10 * POINT}
    axes.plot(*surface.start, "s", color=COLOURS["ink"], **square)
    if is_first:
        axes.set_ylabel("weight w₂", color=COLOURS["muted"], **SMALL)
        x, y = surface.start
        axes.text(x, y + 0.55, "start", ha="center", va="center", color=COLOURS["ink"], bbox=BOX, **SMALL)
    _draw_note(axes, columns["note"])


def _draw_note(axes: Axes, note: dict[str, Any]) -> None:
    for x, y, text, align in zip(note["x"], note["y"], note["text"], note["align"], strict=True):
        axes.text(x, y, text, ha=align, va="center", bbox=BOX, color=COLOURS["danger_text"], zorder=4, **SMALL)


def _draw_strip(picture: Picture, paths: Sequence[DescentPath]) -> None:
    view, steps = strip_view(paths), paths[0].settings.steps
    axes = picture.add_axes(*STRIP)
    axes.set_yscale("log")
    axes.set(xlim=(0, ROOM * steps), ylim=view.y_range)
    _style(axes, step_ticks(steps), [])
    axes.set_yticks(LOSS_TICKS, LOSS_TEXTS)
    axes.minorticks_off()
    axes.set_xlabel("step", color=COLOURS["muted"], **SMALL)
    axes.set_ylabel("loss", color=COLOURS["muted"], **SMALL)
    for name, token in STRIP_COLOURS.items():
        line, dash = view.columns[f"line_{name}"], DASH if name == "danger" else "-"
        axes.plot(line["x"], line["y"], color=COLOURS[token], linewidth=2.6 * POINT, linestyle=dash)
    for family in FAMILIES:
        labels, colour = view.columns[f"labels_{family}"], COLOURS[TEXT_TOKENS[family]]
        for x, y, text in zip(labels["x"], labels["y"], labels["text"], strict=True):
            axes.text(x + 0.3, y, text, va="center", fontweight="bold", color=colour, **SMALL)


def _style(axes: Axes, x_ticks: Sequence[int], y_ticks: Sequence[int]) -> None:
    style_axes(axes)
    axes.set_xticks(x_ticks, [str(tick).replace("-", "−") for tick in x_ticks])
    axes.set_yticks(y_ticks, [str(tick).replace("-", "−") for tick in y_ticks])
