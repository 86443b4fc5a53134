"""Where a plot's labels go: beside their mark, inside the frame, none on top of another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from .columns import Columns, floats

Box = tuple[float, float, float, float]
"""left, top, right, bottom in px from the frame's top left corner."""

LABEL_COLOURS = {"muted": "muted", "ink": "ink", "answer": "answer_text", "danger": "danger_text"}
"""Group of labels → token."""

NARROW, NARROW_PX, LETTER_PX, BOLD = frozenset("ijlt.,:;'|() \u202f"), 4.2, 6.9, 1.15
"""Letters that are narrow in every font, px of them and of others, and by how much wider bold ones are."""
WIDE, WIDE_PX = frozenset("wWMDGOQ"), 11.0
"""Letters that are wide in every font but m, which words in a tight place have, and px of them."""

LINE_PX = 18.0
LINE_STEP_PX, MOST_PARTS = 6.0, 400
"""How far apart the boxes along a line are, and at most how many between two of its points."""
GAP_PX = 8.0


@dataclass(frozen=True, slots=True)
class Label:
    """A text and the places it may take, the best first.

    Attributes:
        text: One line.
        colour: Token name of the group of labels it belongs to, such as ``"muted"``.
        places: (x, y, align) in px within the frame; y is the middle of the line.
        bold: Whether it is the answer.
        boxed: Whether it hides what is behind it.
        droppable: Whether it is left out where no place is free; else it takes its first place.
    """

    text: str
    colour: str
    places: tuple[tuple[float, float, str], ...]
    bold: bool = False
    boxed: bool = False
    droppable: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A label with its place."""

    label: Label
    x: float
    y: float
    align: str


def text_px(text: str, bold: bool = False) -> float:
    """About how wide ``text`` is: generous, since the reader's font is not known here."""
    return sum(_letter_px(letter) for letter in text) * (BOLD if bold else 1.0)


def _letter_px(letter: str) -> float:
    if letter in NARROW:
        return NARROW_PX
    return WIDE_PX if letter in WIDE else LETTER_PX


def place(
    labels: Iterable[Label], width: float, height: float, taken: Iterable[Box] = (), *, better_free: Iterable[Box] = ()
) -> list[Placed]:
    """Give each label the first of its places that is in the frame and free.

    Args:
        labels: The most important first.
        width: Of the frame, px.
        height: Of the frame, px.
        taken: Boxes no label may touch.
        better_free: Boxes that a label touches only where it finds no place beside them, such as those of lines.
    """
    boxes, placed, lines = list(taken), [], list(better_free)
    for label in labels:
        found = _first_free(replace(label, droppable=True), width, height, boxes + lines) if lines else None
        found = found and replace(found, label=label)
        found = found or _first_free(label, width, height, boxes)
        if found is not None:
            placed.append(found)
            boxes.append(box_of(found))
    return placed


def all_fit(labels: Sequence[Label], width: float, height: float, taken: Iterable[Box] = ()) -> bool:
    """Whether every label finds a free place: so words that belong together are placed together."""
    boxes = list(taken)
    for label in labels:
        found = _first_free(replace(label, droppable=True), width, height, boxes)
        if found is None:
            return False
        boxes.append(box_of(found))
    return True


def apart(rows: Sequence[float], gap: float, height: float) -> list[float]:
    """Rows moved as little as keeps them ``gap`` apart and in the frame, in the order they had.

    Examples:
        >>> apart([50, 52, 10], 18, 100), apart([0, 0], 18, 100)
        ([42.0, 60.0, 10.0], [9.0, 27.0])
    """
    order = sorted(range(len(rows)), key=lambda i: rows[i])
    blocks: list[list[float]] = []  # the wished rows of each run of neighbours, reduced by their places in it
    for i in order:
        blocks.append([float(rows[i])])
        while len(blocks) > 1 and _top(blocks[-1], gap, height) < _top(blocks[-2], gap, height) + len(blocks[-2]) * gap:
            last = blocks.pop()
            blocks[-1] += [row - len(blocks[-1]) * gap for row in last]
    places = [_top(block, gap, height) + n * gap for block in blocks for n in range(len(block))]
    return [place for _, place in sorted(zip(order, places, strict=True))]


def _top(block: list[float], gap: float, height: float) -> float:
    """The first row of a run of neighbours: the mean of what they wish, in the frame."""
    lowest = height - gap / 2 - (len(block) - 1) * gap
    return max(gap / 2, min(sum(block) / len(block), lowest))


def _first_free(label: Label, width: float, height: float, boxes: list[Box]) -> Placed | None:
    for x, y, align in label.places:
        candidate = Placed(label, x, y, align)
        left, top, right, bottom = box = box_of(candidate)
        inside = left >= 0 and top >= 0 and right <= width and bottom <= height
        if inside and not any(_touch(box, other) for other in boxes):
            return candidate
    return None if label.droppable else Placed(label, *label.places[0])


def box_of(placed: Placed) -> Box:
    """What a placed label covers."""
    width = text_px(placed.label.text, placed.label.bold)
    left = placed.x - {"left": 0.0, "center": width / 2, "right": width}[placed.align]
    return left, placed.y - LINE_PX / 2, left + width, placed.y + LINE_PX / 2


def _touch(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def label_columns(placed: Iterable[Placed], colour: str) -> Columns:
    """The placed labels of one colour, places still in px of the frame."""
    chosen = [p for p in placed if p.label.colour == colour]
    return {
        "x": [p.x for p in chosen],
        "y": [p.y for p in chosen],
        "text": [p.label.text for p in chosen],
        "align": [p.align for p in chosen],
        "weight": ["bold" if p.label.bold else "normal" for p in chosen],
        "size": ["13px" if p.label.bold else "12px" for p in chosen],
        "box_alpha": floats(1.0 if p.label.boxed else 0.0 for p in chosen),
    }


@dataclass(frozen=True, slots=True)
class Scale:
    """Units of an axis ↔ px of a frame.

    Attributes:
        length: px.
        start: What lies at 0 px.
        end: What lies at ``length`` px.
        is_log: Whether the axis is logarithmic.
    """

    length: float
    start: float
    end: float
    is_log: bool = False

    def px(self, value: float) -> float:
        """Where ``value`` lies."""
        start, end, at = map(math.log, (self.start, self.end, value)) if self.is_log else (self.start, self.end, value)
        return (at - start) / (end - start) * self.length

    def at(self, px: float) -> float:
        """What lies there."""
        start, end = map(math.log, (self.start, self.end)) if self.is_log else (self.start, self.end)
        value = start + px / self.length * (end - start)
        return math.exp(value) if self.is_log else value


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame of a plot in px from its top left corner: where labels are placed, and what lies there."""

    across: Scale
    down: Scale

    @classmethod
    def of(
        cls, size: tuple[float, float], x_range: tuple[float, float], y_range: tuple[float, float], *, logs: str = ""
    ) -> Frame:
        """A frame of a size in px, with the ends of its axes; ``logs`` names those that are logarithmic."""
        (width, height), (bottom, top) = size, y_range
        return cls(Scale(width, *x_range, is_log="x" in logs), Scale(height, top, bottom, is_log="y" in logs))

    @property
    def width(self) -> float:
        return self.across.length

    @property
    def height(self) -> float:
        return self.down.length

    def x(self, value: float) -> float:
        """px from the left."""
        return self.across.px(value)

    def y(self, value: float) -> float:
        """px from above."""
        return self.down.px(value)

    def place(
        self, labels: Iterable[Label], taken: Iterable[Box] = (), *, better_free: Iterable[Box] = ()
    ) -> list[Placed]:
        """Each label in the first of its places that is free; see ``place``."""
        return place(labels, self.width, self.height, taken, better_free=better_free)

    def along(self, across: Iterable[float], up: Iterable[float]) -> list[Box]:
        """Boxes of a few px that follow a line through these points, in the units of the axes."""
        points = [(self.x(x), self.y(y)) for x, y in zip(across, up, strict=True) if math.isfinite(y)]
        boxes = []
        for (x0, y0), (x1, y1) in pairwise(points):
            parts = min(MOST_PARTS, max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0)) / LINE_STEP_PX)))
            at = [(x0 + (x1 - x0) * n / parts, y0 + (y1 - y0) * n / parts) for n in range(parts + 1)]
            boxes += [(x - 2, y - 2, x + 2, y + 2) for x, y in at if 0 <= y <= self.height]
        return boxes

    def columns(
        self, prefix: str, placed: Iterable[Placed], colours: Mapping[str, str] = LABEL_COLOURS
    ) -> dict[str, Columns]:
        """The sources ``prefix_colour`` of placed labels, with places in the units of the axes."""
        found, known = {}, list(placed)
        for colour in colours:
            columns = label_columns(known, colour)
            columns["x"] = floats(self.across.at(px) for px in columns["x"])
            columns["y"] = floats(self.down.at(px) for px in columns["y"])
            found[f"{prefix}_{colour}"] = columns
        return found
