"""What a figure is made of: a table of marks in a frame with two axes. Knows no canvas.

``live.py`` draws a panel with Bokeh and ``picture.py`` with matplotlib; neither holds anything of what is drawn, so
that a saved picture cannot differ from the live figure. Lengths are px in both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .columns import View

Sources = Mapping[str, tuple[str, ...]]
"""Source name → its columns: the contract with whoever sends columns to a browser."""

AT: dict[str, tuple[str, ...]] = {
    "line": ("x", "y"), "points": ("x", "y"), "patch": ("x", "y"), "rule": ("y",), "area": ("x", "low", "high"),
    "segment": ("x", "bottom", "x", "top"), "quad": ("left", "right", "bottom", "top"), "bar": ("x", "bottom", "top"),
}  # fmt: skip
"""Kind of mark → the columns that place it, unless the mark names others.

A line has gaps at NaN, and patches are parted by them; a rule crosses the frame; an area lies between two lines; a
segment goes from one place to another.
"""

LABEL = ("x", "y", "text", "align", "weight", "size", "box_alpha")
"""Columns of words that each have a look of their own."""


@dataclass(frozen=True, slots=True)
class Hatch:
    """Strokes over the inside of a mark: ``pattern`` is "/", "x" or ".", ``scale`` px from one to the next."""

    pattern: str
    token: str
    scale: float
    alpha: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of the table: what is drawn of one source, in the order of the table.

    Attributes:
        kind: A key of ``AT``.
        source: Name of the columns it reads.
        line: Token of its line, or name of a scale; "" for none.
        fill: Token of its inside, or name of a scale; "" for none. A mark with neither is only there to be pointed at.
        by: Where one of them is a scale (see ``shades.py``), the column whose numbers choose each row's colour. Of
            points, segments and quads.
        at: The columns that place it; () for those of its kind. A number stands for a column full of it.
        width: Of the line.
        cap: Of segments: "butt", or "round" for those that join to a line.
        dash: Lengths of dashes and gaps; () for a solid line.
        alpha: Of line and inside, not of a hatch.
        marker: Of points: "circle", "square", "triangle", "inverted_triangle", "diamond", "star", "x", or "dash", a
            short level line.
        size: Of a marker.
        span: Width of a bar, in units of the x axis.
        level: "underlay" for what lies under the grid.
        name: By which a ``Hover`` knows it.
        only: "wide" or "narrow" for what is left out in a view of the other kind.
    """

    kind: str
    source: str
    line: str = ""
    fill: str = ""
    by: str = ""
    at: tuple[str | float, ...] = ()
    width: float = 1.0
    cap: str = "butt"
    dash: tuple[float, ...] = ()
    alpha: float = 1.0
    marker: str = "circle"
    size: float = 8.0
    hatch: Hatch | None = None
    span: float = 1.0
    level: str = "glyph"
    name: str = ""
    only: str = ""

    @property
    def columns(self) -> tuple[str | float, ...]:
        """What places it."""
        return self.at or AT[self.kind]

    @property
    def is_seen(self) -> bool:
        return bool(self.line or self.fill or self.hatch)


@dataclass(frozen=True, slots=True)
class Words:
    """The row of words: each entry of a source's columns x, y and text, its middle at y.

    Where the source has a column align, weight, size or box_alpha, each word has its own; else all have this one.

    Attributes:
        source: Name of the columns it reads.
        token: Of the letters.
        text: Instead of a column of texts.
        offset: px to the right and down from the place.
        box_alpha: How much of what lies behind is hidden.
        only: "wide" or "narrow", as of a mark.
    """

    source: str
    token: str
    text: str = ""
    align: str = "left"
    weight: str = "normal"
    size: str = "12px"
    box_alpha: float = 0.0
    padding: tuple[int, int] = (1, 3)
    offset: tuple[float, float] = (0.0, 0.0)
    only: str = ""


Marks = tuple[Mark | Words, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis.

    Attributes:
        title: "" for none.
        range: Its ends, until a view brings others.
        is_log: Whether it is logarithmic.
        ticks: Where; None for about ``count`` round numbers, whose interval has one of the ``mantissas``.
        texts: What is written at the ticks; None for the numbers.
        has_line: Whether the axis itself is drawn.
        has_ticks: Whether ticks are drawn, not only named.
        narrow_ticks: Those of a narrow view, if they are others.
        narrow_title: The title in a narrow view, if it is another; of a y axis, it stands above the frame.
        apart: Least px from one tick to the next; others are left out.
        standoff: px between numbers and title; None for the usual.
        title_px: From the axis to the middle of a turned title in a picture.
    """

    title: str = ""
    range: tuple[float, float] = (0.0, 1.0)
    is_log: bool = False
    ticks: tuple[float, ...] | None = None
    texts: tuple[str, ...] | None = None
    mantissas: tuple[float, ...] = (1, 2, 3, 5)
    count: int = 3
    has_line: bool = True
    has_ticks: bool = True
    narrow_ticks: tuple[float, ...] | None = None
    narrow_title: str | None = None
    apart: float = 0.0
    standoff: int | None = None
    title_px: float = 36.0


@dataclass(frozen=True, slots=True)
class Hover:
    """What is said of the marks of one name.

    Attributes:
        mark: Their name.
        html: With columns as ``@name``, or ``@name{custom}`` where ``formats`` says how it is written.
        formats: "@name" → JavaScript of the value.
        run: Source that a format may ask, as ``run``.
        is_near: Whether it speaks of the nearest point, not of that under the pointer.
    """

    mark: str
    html: str
    formats: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    is_near: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A frame with its axes and marks.

    Attributes:
        sources: All columns, also those that no mark reads.
        marks: The table, what lies lowest first.
        x, y: The axes; None where there is none, only a range.
        x_range, y_range: Ends of the frame.
        height: Of the live figure.
        borders: Least "left", "right", "top" and "bottom" of the live figure.
        caption: A line above the frame.
        caption_token: Its colour.
        has_grid: Whether there are lines at the y ticks.
        narrow_below: Width of the whole at which a view becomes narrow; 0 for never.
    """

    sources: Sources
    marks: Marks
    x: Axis
    y: Axis
    height: int
    borders: Mapping[str, int] = field(default_factory=dict)
    hovers: tuple[Hover, ...] = ()
    caption: str = ""
    caption_token: str = "muted"
    has_grid: bool = True
    has_axes: bool = True
    narrow_below: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """A panel in a picture.

    Attributes:
        panel: What it is made of.
        view: What it shows.
        place: Left edge, top edge, width and height of its frame, px from the picture's top left corner.
    """

    panel: Panel
    view: View
    place: tuple[float, float, float, float]


def labels(prefixes: Mapping[str, str], colours: Mapping[str, str]) -> tuple[Words, ...]:
    """Words in each colour, of the sources ``prefix_colour``.

    Args:
        prefixes: Prefix → "wide", "narrow", or "" for both.
        colours: Group of labels → token.
    """
    return tuple(
        Words(f"{prefix}_{colour}", token, only=only)
        for prefix, only in prefixes.items() for colour, token in colours.items()
    )  # fmt: skip


BOTH_WIDTHS = {"labels": "wide", "narrow_labels": "narrow"}
"""Prefix of label sources → the kind of view that shows them."""
