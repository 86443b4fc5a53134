"""Panels as a picture for notebooks without a browser's view: artists for each mark, drawn by matplotlib."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from .marks import Axis, Mark, Panel, Part, Words
from .scale import round_ticks, tick_number
from .shades import SCALES, shades_of
from .tokens import TOKENS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 820
POINT = 0.72
"""Points in a px at 100 dots per inch: matplotlib measures text and lines in points."""

COLOURS = TOKENS["light"]
SMALL: dict[str, Any] = {"fontsize": 12 * POINT}
BOX_PAD = 2.0

MARKERS: dict[str, tuple[str, float]] = {
    "circle": ("o", 1.0), "square": ("s", 1.0), "triangle": ("^", 1.0),
    "inverted_triangle": ("v", 1.0), "x": ("x", 1.0), "dash": ("_", 1.0),
    "star": ("*", 1.0), "diamond": ("d", 0.5**0.5),
}  # fmt: skip
"""Marker → matplotlib's, and its size there: that of a diamond is its side, not its height."""

HATCHES: dict[str, tuple[float, float]] = {"/": (48.0, 1.8), "x": (24.0, 1.0), ".": (18.0, 1.0)}
"""Pattern → what px from stroke to stroke divide, for the repeats that matplotlib wants; and by how much stronger the
same alpha is seen in Bokeh, which draws its first strokes up to three times over."""


def can_draw() -> bool:
    """Whether matplotlib is installed."""
    try:
        return find_spec("matplotlib") is not None
    except ValueError:  # a None in sys.modules: someone forbade it
        return False


def png_of(parts: Iterable[Part], height: int) -> bytes:
    """A white picture of ``WIDTH`` × ``height`` px, at twice the resolution."""
    buffer = io.BytesIO()
    figure_of(parts, height).savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def figure_of(parts: Iterable[Part], height: int) -> Figure:
    """The same as a figure of matplotlib, with axes for each part in their order."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # Never pyplot: it keeps figures, and belongs to the user's thread.
    figure = Figure(figsize=(WIDTH / 100, height / 100), dpi=200, facecolor="white")
    FigureCanvasAgg(figure)
    for part in parts:
        left, top, width, tall = part.place
        box = (left / WIDTH, 1 - (top + tall) / height, width / WIDTH, tall / height)
        _draw_panel(figure.add_axes(box, facecolor="none"), part)
    return figure


def _draw_panel(axes: Axes, part: Part) -> None:
    panel, view = part.panel, part.view
    axes.set_autoscale_on(False)
    ranges = (view.x_range or panel.x.range, view.y_range)
    if panel.has_axes:
        _draw_axes(axes, panel, ranges, part.place[2])
    else:
        axes.axis("off")
    axes.set(xlim=ranges[0], ylim=ranges[1])
    for i, mark in enumerate(panel.marks):
        if mark.only != "narrow":
            draw_mark(axes, mark, view.columns[mark.source], i)
    if panel.caption:
        look = {"color": COLOURS[panel.caption_token], "va": "center_baseline", **SMALL}
        axes.annotate(panel.caption, (0, 1), (0, 13 * POINT), "axes fraction", "offset points", **look)


def draw_mark(axes: Axes, mark: Mark | Words, columns: Mapping[str, Any], order: int) -> list[Artist]:
    """The artists of one mark, known by the ``order`` in which it is drawn."""
    if isinstance(mark, Words):
        artists = list(_words(axes, mark, columns))
    elif mark.is_seen:
        length = len(next(iter(columns.values())))
        at = [np.full(length, c) if isinstance(c, (int, float)) else np.asarray(columns[c]) for c in mark.columns]
        looks = _by_colour(mark, columns)
        artists = [artist for one, rows in looks for artist in DRAW[mark.kind](axes, one, [c[rows] for c in at])]
    else:
        artists = []
    for artist in artists:
        artist.set_gid(f"mark {order}")
        # The grid lies at 0.5; the axis above all marks.
        artist.set_zorder(0.4 if getattr(mark, "level", "") == "underlay" else 1 + order / 1000)
    return artists


# Marks


def _by_colour(mark: Mark, columns: Mapping[str, Any]) -> Iterator[tuple[Mark, Any]]:
    """The mark with the rows that it draws; of one that is coloured by a scale, for each colour."""
    if not mark.by:
        yield mark, slice(None)
        return
    shades = shades_of(columns[mark.by])
    for shade in dict.fromkeys(shades):
        line, fill = (shade if token in SCALES["light"] else token for token in (mark.line, mark.fill))
        yield replace(mark, line=line, fill=fill), [i for i, other in enumerate(shades) if other == shade]


def _rgba(token: str, alpha: float) -> tuple[float, float, float, float]:
    colour = COLOURS.get(token, token)  # of a scale, the colour itself
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, min(1.0, alpha)


def _stroke(mark: Mark) -> dict[str, Any]:
    """Width and dashes; matplotlib counts the latter in widths."""
    dash = tuple(length / mark.width for length in mark.dash)
    return {"linewidth": mark.width * POINT, "linestyle": (0, dash) if dash else "solid"}


def _line(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    return list(axes.plot(*at, color=_rgba(mark.line, mark.alpha), **_stroke(mark)))


def _points(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    marker, factor = MARKERS[mark.marker]
    look: dict[str, Any] = {
        "markersize": mark.size * POINT * factor, "markeredgewidth": mark.width * POINT if mark.line else 0,
        "markerfacecolor": _rgba(mark.fill, mark.alpha) if mark.fill else "none",
        "markeredgecolor": _rgba(mark.line, mark.alpha) if mark.line else "none",
    }  # fmt: skip
    return list(axes.plot(*at, linestyle="", marker=marker, **look))


def _rule(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    return _lines(axes, mark, [((0, y), (1, y)) for y in at[0]], axes.get_yaxis_transform())


def _segment(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    return _lines(axes, mark, [((x0, y0), (x1, y1)) for x0, y0, x1, y1 in zip(*at, strict=True)], axes.transData)


def _lines(axes: Axes, mark: Mark, lines: list[Any], transform: Any) -> list[Artist]:
    from matplotlib.collections import LineCollection

    colour = _rgba(mark.line, mark.alpha)
    found = LineCollection(lines, colors=[colour], transform=transform, capstyle=mark.cap, **_stroke(mark))
    return [axes.add_collection(found, autolim=False)]


def _area(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    x, low, high = at
    outline = np.column_stack([np.concatenate([x, x[::-1]]), np.concatenate([low, high[::-1]])])
    return _shapes(axes, mark, [outline] if len(x) else [])


def _patch(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    points = np.column_stack(at)
    gaps = np.flatnonzero(np.isnan(points[:, 0]))
    parts = [part[~np.isnan(part[:, 0])] for part in np.split(points, gaps)]
    return _shapes(axes, mark, [part for part in parts if len(part)])


def _quad(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    corners = (((x0, y0), (x1, y0), (x1, y1), (x0, y1)) for x0, x1, y0, y1 in zip(*at, strict=True))
    return _shapes(axes, mark, list(corners))


def _bar(axes: Axes, mark: Mark, at: list[Any]) -> list[Artist]:
    x, bottom, top = at
    return _quad(axes, mark, [x - mark.span / 2, x + mark.span / 2, bottom, top])


def _shapes(axes: Axes, mark: Mark, shapes: Sequence[Any]) -> list[Artist]:
    """The inside with its hatch, and the line around it: a hatch has the colour of its own shape's line."""
    from matplotlib.collections import PolyCollection

    looks: list[dict[str, Any]] = []
    if mark.fill or mark.hatch:
        inside: dict[str, Any] = {"facecolors": [_rgba(mark.fill, mark.alpha)] if mark.fill else "none"}
        looks.append({**inside, "linewidth": 0, **_hatched(mark)})
    if mark.line:
        looks.append({"facecolors": "none", "edgecolors": [_rgba(mark.line, mark.alpha)], **_stroke(mark)})
    found = [PolyCollection(shapes, **look) for look in looks]
    return [axes.add_collection(shape, autolim=False) for shape in found]


def _hatched(mark: Mark) -> dict[str, Any]:
    hatch = mark.hatch
    if hatch is None:
        return {}
    apart, strength = HATCHES[hatch.pattern]
    alpha = strength * hatch.alpha * hatch.weight
    return {"hatch": hatch.pattern * round(apart / hatch.scale), "edgecolors": [_rgba(hatch.token, alpha)]}


DRAW: dict[str, Callable[[Axes, Mark, list[Any]], list[Artist]]] = {
    "line": _line, "points": _points, "patch": _patch, "rule": _rule, "area": _area, "segment": _segment,
    "quad": _quad, "bar": _bar,
}  # fmt: skip


def _words(axes: Axes, words: Words, columns: Mapping[str, Any]) -> Iterator[Artist]:
    from matplotlib.transforms import ScaledTranslation

    right, down = (px / 100 for px in words.offset)
    place = axes.transData + ScaledTranslation(right, -down, axes.figure.dpi_scale_trans)
    for i, (x, y) in enumerate(zip(columns["x"], columns["y"], strict=True)):
        align, weight, size, alpha = (
            columns[name][i] if name in columns else getattr(words, name)
            for name in ("align", "weight", "size", "box_alpha")
        )
        box = {"facecolor": _rgba("background", alpha), "edgecolor": "none", "pad": BOX_PAD}
        yield axes.text(
            x, y, words.text or columns["text"][i], color=COLOURS[words.token], ha=align, va="center_baseline",
            fontweight=weight, fontsize=int(size.removesuffix("px")) * POINT, transform=place,
            bbox=box if alpha else None,
        )  # fmt: skip


# Axes


def _draw_axes(axes: Axes, panel: Panel, ranges: tuple[tuple[float, float], ...], width: float) -> None:
    axes.set(xscale="log" if panel.x.is_log else "linear", yscale="log" if panel.y.is_log else "linear")
    axes.tick_params(which="both", colors=COLOURS["axis"], labelcolor=COLOURS["muted"], labelsize=12 * POINT, length=3)
    axes.tick_params(axis="y", which="both", length=0)
    if panel.has_grid:
        axes.grid(axis="y", color=COLOURS["grid"], linewidth=POINT)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom" and panel.x.has_line)
        spine.set_color(COLOURS["axis"])
    if not panel.x.has_ticks:
        axes.tick_params(axis="x", length=0)
    axes.minorticks_off()
    axes.set_xticks(*_ticks(panel.x, ranges[0], width))
    axes.set_yticks(*_ticks(panel.y, ranges[1], width))
    axes.set_xlabel(panel.x.title, color=COLOURS["muted"], **SMALL)
    axes.set_ylabel(panel.y.title, color=COLOURS["muted"], **SMALL)
    axes.yaxis.set_label_coords(-panel.y.title_px / width, 0.5)


def _ticks(axis: Axis, ends: tuple[float, float], width: float) -> tuple[list[float], list[str]]:
    """Those within ``ends`` that have room, and what is written there."""
    low, high = min(ends), max(ends)
    at = list(axis.ticks) if axis.ticks is not None else round_ticks(low, high, axis.mantissas, axis.count)
    texts = [tick_number(tick) for tick in at] if axis.texts is None else list(axis.texts)
    every = 1
    if axis.apart and len(at) > 1:
        every = max(1, -int(-axis.apart * (high - low) / (at[1] - at[0]) // width))
    shown = [(tick, text) for tick, text in zip(at, texts, strict=True) if low <= tick <= high][::every]
    return [tick for tick, _ in shown], [text for _, text in shown]
