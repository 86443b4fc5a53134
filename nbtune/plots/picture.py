"""The picture of a finished sweep for notebooks without a browser's view: the figure's columns, drawn by matplotlib."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..formats import format_lr
from .lr_labels import LABEL_COLOURS
from .lr_scene import HEIGHT, decades, loss_ticks, x_edges
from .lr_view import Columns, LRView, lr_view
from .tokens import TOKENS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ..engine.lr_curve import LRCurve

WIDTH = 820
POINT = 0.72
"""Points in a px at 100 dots per inch: matplotlib measures text and lines in points."""

LINE = 22
"""Height of a line of the sentence, in px."""

COLOURS = TOKENS["light"]


def draw_png(curve: LRCurve) -> bytes | None:
    """The light picture of ``curve`` with its sentence below, 820 px wide, at twice the resolution.

    Exports show the picture alone, so the answer has to stand in it.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        return None
    words = _words(curve)
    height = HEIGHT + 8 + LINE * (1 + words[-1].line)
    # Never pyplot: it keeps figures, and belongs to the user's thread.
    picture = Figure(figsize=(WIDTH / 100, height / 100), dpi=200, facecolor="white")
    FigureCanvasAgg(picture)
    below = height - HEIGHT
    axes = picture.add_axes((56 / WIDTH, (below + 46) / height, (WIDTH - 66) / WIDTH, (HEIGHT - 52) / height))
    with rc_context({"hatch.linewidth": 1.0, "font.size": 12 * POINT}):
        _style(axes, curve)
        _draw(axes, lr_view(curve))
        for word in words:
            y = below - LINE * (word.line + 0.5)
            look: dict[str, Any] = {"fontsize": 14 * POINT, "fontweight": word.weight, "color": COLOURS[word.colour]}
            picture.text(word.x / WIDTH, y / height, word.text, va="center_baseline", **look)
        return _encoded(picture)


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    weight: str
    colour: str
    line: int
    x: float  # px from the left


def _words(curve: LRCurve) -> list[_Word]:
    """The sentence, set word by word in lines as wide as the picture: verdict bold, evidence, limit muted."""
    from matplotlib.font_manager import FontProperties

    colon = "" if curve.verdict.endswith(".") else ":"
    answer = "ink" if curve.suggestion is None else "answer_text"
    parts = [(curve.verdict + colon, "bold", answer), (curve.reason, "normal", "ink"), (curve.limit, "normal", "muted")]
    placed: list[_Word] = []
    line, x = 0, 0.0
    for text, weight, colour in parts:
        font = FontProperties(size=14, weight=weight)
        for word in text.split():
            if x + _width(word, font) > WIDTH - 8:
                line, x = line + 1, 0.0
            placed.append(_Word(word, weight, colour, line, x))
            x += _width(f"{word} n", font) - _width("n", font)  # extents leave out the room around letters
    return placed


def _width(word: str, font: Any) -> float:
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), word, prop=font).get_extents().width)


def _encoded(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def _style(axes: Axes, curve: LRCurve) -> None:
    from matplotlib.ticker import NullLocator

    settings = curve.settings
    ticks = decades(settings.lr_min, settings.lr_max)
    axes.set_xscale("log")
    axes.set_xlim(*x_edges(settings.lr_min, settings.lr_max))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [format_lr(tick) for tick in ticks])
    axes.tick_params(colors=COLOURS["axis"], labelcolor=COLOURS["muted"], labelsize=12 * POINT, length=3)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=COLOURS["grid"], linewidth=1 * POINT)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(COLOURS["axis"])
    held_out = bool(curve.steps) and curve.steps[0].validation_loss is not None
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
        _draw_labels(axes, columns[f"labels_{colour}"], COLOURS[token])


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
    raw, width = columns["raw"], 2.6 * POINT
    axes.plot(raw["x"], raw["y"], "o", color=COLOURS["data"], markersize=5 * POINT, alpha=0.4, markeredgewidth=0)
    axes.plot(columns["smooth"]["x"], columns["smooth"]["y"], color=COLOURS["data"], linewidth=width)
    rising = columns["rising"]
    axes.plot(rising["x"], rising["y"], color=COLOURS["danger"], linewidth=width, linestyle=(0, (2.3, 1.2)))


def _draw_marks(axes: Axes, columns: dict[str, Columns]) -> None:
    off, suggestion = columns["off"], columns["suggestion"]
    hollow: dict[str, Any] = {"color": COLOURS["danger"], "markerfacecolor": "none", "markeredgewidth": 1.3 * POINT}
    axes.plot(off["x"], off["y"], "^", markersize=8 * POINT, **hollow)
    for lr in suggestion["x"]:
        axes.axvline(lr, color=COLOURS["answer"], linewidth=2.2 * POINT)
    halo: dict[str, Any] = {"markeredgecolor": COLOURS["background"], "markeredgewidth": 1.5 * POINT}
    axes.plot(suggestion["x"], suggestion["y"], "d", color=COLOURS["answer"], markersize=11 * POINT, zorder=3, **halo)


def _draw_labels(axes: Axes, labels: Columns, colour: str) -> None:
    for i, text in enumerate(labels["text"]):
        is_bold = labels["weight"][i] == "bold"
        box = {"facecolor": COLOURS["background"], "edgecolor": "none", "pad": 2.0, "alpha": labels["box_alpha"][i]}
        axes.text(
            labels["x"][i], labels["y"][i], text, color=colour, fontsize=(13 if is_bold else 12) * POINT,
            fontweight=labels["weight"][i], ha=labels["align"][i], va="center", bbox=box, zorder=4,
        )  # fmt: skip
