"""The picture of a comparison for notebooks without a browser's view: the figure, and the table beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..base.marks import Mark, Part
from ..base.page import Cell, Drawn, page
from ..base.picture import WIDTH
from ..base.sentence import sentence_png
from ..base.series import Series
from .figure import comparison_part
from .rows import series_of, summary_rows
from .scene import HEIGHT
from .view import comparison_view

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

PLOT = 496
ROW = 24
NAMES = 160
HEAD_PX, SWATCH_PX = 7.4, 14.0
MOST_BESIDE = 3
"""More columns than these do not fit beside the plot: the table goes below it."""

WORD = {"series2": "series2", "data": "data", "series3": "series3", "axis": "muted"}
"""Token of a series → that of its name, since the grey of lines is too weak for text."""


def comparison_png(comparison: Comparison, *, axis: str = "samples", held_out: bool = False) -> bytes | None:
    """The light picture of ``comparison``: curves, table and the sentence; 820 px wide, twice the resolution.

    Args:
        comparison: Of any length.
        axis: "samples", "updates" or "seconds".
        held_out: Whether the held-out losses are drawn.
    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    parts = comparison_parts(comparison, axis=axis, held_out=held_out)
    return sentence_png(parts, max(int(part.place[1] + part.place[3]) for part in parts), comparison)


def comparison_parts(comparison: Comparison, *, axis: str = "samples", held_out: bool = False) -> list[Part]:
    """Its curves, and its table beside or below them."""
    series, rows = series_of(comparison), summary_rows(comparison)
    is_beside = len(series) <= MOST_BESIDE
    view = comparison_view(comparison, axis=axis, held_out=held_out)
    left, top = (PLOT + 10, 0) if is_beside else (0, HEIGHT + 8)
    height = ROW * (len(rows) + 1) + 10
    place = (left, top, WIDTH - left, max(HEIGHT, height) if is_beside else height)
    right = WIDTH - 6 - left
    ends = _column_ends(series, right) if is_beside else _even_ends(len(series), right)
    return [
        comparison_part(view, PLOT if is_beside else WIDTH, sign=comparison.sign),
        page(_cells(series, rows, ends), place, [*_swatches(series, ends), *_rules(len(rows), right)]),
    ]


def _cells(series: list[Series], rows: list[tuple[str, list[str]]], ends: list[float]) -> Iterator[Cell]:
    for one, x in zip(series, ends, strict=True):
        yield Cell(x, ROW / 2, one.text, WORD[one.token], align="right", weight="bold")
    for i, (name, texts) in enumerate(rows):
        y = ROW * (i + 1.5) + 2
        yield Cell(0, y, name, "muted")
        for text, x in zip(texts, ends, strict=True):
            yield Cell(x, y, text, align="right")


def _swatches(series: list[Series], ends: list[float]) -> Iterator[Drawn]:
    for one, x in zip(series, ends, strict=True):
        mark = Mark("points", f"swatch {one.text}", fill=one.token, marker=one.marker, size=9)
        yield Drawn(mark, [(x - HEAD_PX * len(one.text) - SWATCH_PX + 6, ROW / 2)])


def _rules(count: int, right: float) -> Iterator[Drawn]:
    """A line below the heads, and one below each row."""
    at = ("left", "y", "right", "y")
    yield Drawn(Mark("segment", "head rule", line="axis", at=at), [(0, ROW, right)])
    yield Drawn(Mark("segment", "rules", line="grid", at=at), [(0, ROW * (i + 2) + 2, right) for i in range(count)])


def _column_ends(series: list[Series], right: float) -> list[float]:
    """Each column as wide as its head, where there is no room to spare; the first may reach over the rows' names."""
    ends = [right]
    for one in reversed(series[1:]):
        ends.insert(0, ends[0] - HEAD_PX * len(one.text) - SWATCH_PX - 6)
    return ends


def _even_ends(count: int, right: float) -> list[float]:
    column = min(120.0, (right - NAMES) / max(1, count))
    return [right - column * (count - 1 - i) for i in range(count)]
