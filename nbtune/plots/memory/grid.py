"""The figure of memory by image size and batch size. A widget draws the same rows as a real table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ..base.columns import Columns, View, WordAt, placed_words, table
from ..base.live import live
from ..base.marks import LABEL, Axis, Hatch, Mark, Marks, Panel, Part, Words
from ..base.picture import WIDTH
from ..base.sentence import sentence_png
from .labels import capacity_in_words
from .rows import GridCell, GridRow, grid_rows

if TYPE_CHECKING:
    from ...engine.batch_size.grid import MemoryGrid

ROW = 36
HALF_WIDTH, HALF_HEIGHT = 0.475, 0.45
STEPS = ("heat0", "heat1", "heat2")
EDGES = ("left", "right", "bottom", "top")
SOURCES = {**dict.fromkeys((*STEPS, "too_big", "largest"), EDGES), "fits": LABEL, "does_not": LABEL}
MARKS: Marks = (
    *(Mark("quad", step, line="background", fill=step) for step in STEPS),
    Mark("quad", "too_big", line="grid", hatch=Hatch("/", "danger", 9, 0.5, weight=0.6)),
    Mark("quad", "largest", line="answer", width=3),
    Words("fits", "ink"),
    Words("does_not", "muted"),
)


PlacedCell = tuple[int, int, GridCell]


def grid_figure(grid: MemoryGrid) -> figure:
    """The finished figure of ``grid``: its numbers, what does not fit hatched, the largest k of each row framed."""
    return live(*_panel_and_view(grid))


def grid_parts(grid: MemoryGrid) -> list[Part]:
    """The same in a picture."""
    panel, view = _panel_and_view(grid)
    return [Part(panel, view, (64, 24, WIDTH - 70, panel.height - 70))]


def grid_png(grid: MemoryGrid) -> bytes | None:
    """The light picture of ``grid`` with its sentence below; None where matplotlib is not installed."""
    (part,) = parts = grid_parts(grid)
    return sentence_png(parts, part.panel.height + 2, grid)


def _panel_and_view(grid: MemoryGrid) -> tuple[Panel, View]:
    rows = grid_rows(grid)
    sizes = sorted({k for row in rows for k in row.batch_sizes})
    x = _names_axis("batch size k", sizes, (-0.5, max(1, len(sizes)) - 0.5))
    y = _names_axis("image side, pixels", [row.image_size for row in rows], (max(1, len(rows)) - 0.5, -0.5))
    card = "" if grid.capacity_bytes is None else f"; {capacity_in_words(grid.capacity_name, grid.capacity_bytes)}"
    panel = Panel(
        SOURCES, MARKS, x, y, ROW * max(1, len(rows)) + 70, {"left": 56, "right": 10}, has_grid=False,
        caption=f"GiB at the peak, predicted{card}. Hatched: does not fit. Framed: largest 2ⁿ that fits.",
        caption_token="ink",
    )  # fmt: skip
    return panel, View(_columns(list(_cells(rows, sizes))), y.range, "", x.range)


def _names_axis(title: str, names: list[int], ends: tuple[float, float]) -> Axis:
    ticks, texts = tuple(range(len(names))), tuple(map(str, names))
    return Axis(title, ends, ticks=ticks, texts=texts, has_line=False, has_ticks=False)


def _cells(rows: list[GridRow], sizes: list[int]) -> Iterable[PlacedCell]:
    for y, row in enumerate(rows):
        for k, cell in zip(row.batch_sizes, row.cells, strict=True):
            yield sizes.index(k), y, cell


def _columns(cells: list[PlacedCell]) -> dict[str, Columns]:
    columns = {name: _boxes([c for c in cells if c[2].fits and c[2].step == step]) for step, name in enumerate(STEPS)}
    columns["too_big"] = _boxes([cell for cell in cells if not cell[2].fits])
    columns["largest"] = _boxes([cell for cell in cells if cell[2].is_largest])
    columns["fits"] = _numbers([cell for cell in cells if cell[2].fits], 0.0)
    columns["does_not"] = _numbers([cell for cell in cells if not cell[2].fits], 1.0)
    return columns


def _boxes(cells: list[PlacedCell]) -> Columns:
    rows = [(x - HALF_WIDTH, x + HALF_WIDTH, y + HALF_HEIGHT, y - HALF_HEIGHT) for x, y, _ in cells]
    return table(rows, EDGES)


def _numbers(cells: list[PlacedCell], box_alpha: float) -> Columns:
    words = (WordAt(x, y, cell.text, "center", cell.is_largest) for x, y, cell in cells)
    return placed_words(words, size=13, box_alpha=box_alpha)
