"""Tables and loose words of a picture: a panel without axes, in px from its top left corner."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .columns import Columns, View, floats, table
from .marks import LABEL, Axis, Mark, Marks, Panel, Part, Words


@dataclass(frozen=True, slots=True)
class Cell:
    """A word at a place of a page, ``y`` its middle; token, align, weight and size in px are those of ``Words``."""

    x: float
    y: float
    text: str
    token: str = "ink"
    align: str = "left"
    weight: str = "normal"
    size: int = 12


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mark on a page and the rows of what places it, in the order of its columns, each once."""

    mark: Mark
    rows: Sequence[Sequence[float]]


def page(cells: Iterable[Cell], place: tuple[float, float, float, float], drawn: Sequence[Drawn] = ()) -> Part:
    """A part of a picture.

    Args:
        cells: Its words.
        place: Left edge, top edge, width and height, px; words may reach over it.
        drawn: What lies below them.
    """
    words = list(cells)
    columns: dict[str, Columns] = {one.mark.source: table(one.rows, _names(one.mark)) for one in drawn}
    tokens = list(dict.fromkeys(cell.token for cell in words))
    columns |= {f"words_{token}": _columns([cell for cell in words if cell.token == token]) for token in tokens}
    marks: Marks = (*(one.mark for one in drawn), *(Words(f"words_{token}", token) for token in tokens))
    sources = {name: tuple(of) for name, of in columns.items()}
    x, y = Axis(range=(0.0, place[2])), Axis(range=(place[3], 0.0))
    panel = Panel(sources, marks, x, y, int(place[3]), has_axes=False, has_grid=False)
    return Part(panel, View(columns, y.range, "", x.range), place)


def _names(mark: Mark) -> list[str]:
    return list(dict.fromkeys(str(column) for column in mark.columns))


def _columns(cells: Sequence[Cell]) -> Columns:
    columns = {
        "x": floats(cell.x for cell in cells),
        "y": floats(cell.y for cell in cells),
        "text": [cell.text for cell in cells],
        "align": [cell.align for cell in cells],
        "weight": [cell.weight for cell in cells],
        "size": [f"{cell.size}px" for cell in cells],
        "box_alpha": floats(0.0 for _ in cells),
    }
    return {name: columns[name] for name in LABEL}
