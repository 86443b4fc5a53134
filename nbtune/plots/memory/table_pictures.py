"""Pictures of the image grid and of what takes the memory; the tables of a widget, drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..base.sentence import COLOURS, POINT, SMALL, WIDTH, Picture, can_draw, picture_of, style_axes, words_of
from .layers import SHADES, caption_of
from .rows import GridCell, LayerTable, grid_rows, layer_rows
from .treemap import HEADER, treemap
from .treemap import HEIGHT as TREEMAP_HEIGHT
from .treemap import WIDTH as TREEMAP_WIDTH

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from ...engine.batch_size.grid import MemoryGrid
    from ...engine.memory import MemoryEstimate


def draw_grid_png(grid: MemoryGrid) -> bytes | None:
    """The light picture of ``grid`` with its sentence below; None where matplotlib is not installed."""
    if not can_draw():
        return None
    rows = grid_rows(grid)
    sizes = sorted({k for row in rows for k in row.batch_sizes})
    height = 34 * max(1, len(rows))
    with picture_of(height + 72, words_of(grid, "ink")) as picture:
        key = "GiB at the peak, predicted   ·   hatched: does not fit   ·   framed: largest 2ⁿ that fits"
        picture.text(64, 12, key, color=COLOURS["muted"], **SMALL)
        axes = picture.add_axes(64, 24, WIDTH - 70, height)
        axes.set(xlim=(-0.5, max(1, len(sizes)) - 0.5), ylim=(max(1, len(rows)) - 0.5, -0.5))
        style_axes(axes)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(range(len(sizes)), [str(k) for k in sizes])
        axes.set_yticks(range(len(rows)), [str(row.image_size) for row in rows])
        axes.set_xlabel("batch size k", color=COLOURS["muted"], **SMALL)
        axes.set_ylabel("image side, pixels", color=COLOURS["muted"], **SMALL)
        for y, row in enumerate(rows):
            for k, cell in zip(row.batch_sizes, row.cells, strict=True):
                _draw_cell(axes, sizes.index(k), y, cell)
        return picture.png()


def _draw_cell(axes: Axes, x: float, y: float, cell: GridCell) -> None:
    look: dict[str, Any] = {"color": COLOURS[f"heat{cell.step}"]}
    if not cell.fits:
        look = {"color": "none", "hatch": "////", "edgecolor": COLOURS["danger"], "alpha": 0.35}
    axes.bar(x, 0.88, bottom=y - 0.44, width=0.94, linewidth=0, **look)
    if cell.is_largest:
        axes.bar(x, 0.88, bottom=y - 0.44, width=0.94, color="none", edgecolor=COLOURS["answer"], linewidth=3 * POINT)
    box = None if cell.fits else {"facecolor": COLOURS["background"], "edgecolor": "none", "pad": 1.5}
    axes.text(
        x, y, cell.text, ha="center", va="center", color=COLOURS["ink" if cell.fits else "muted"], bbox=box,
        fontsize=13 * POINT, fontweight="bold" if cell.is_largest else "normal",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Answer:
    verdict: str
    reason: str
    limit: str


def draw_layers_png(estimate: MemoryEstimate, k: int) -> bytes | None:
    """The light picture of what takes the memory at batch size ``k``; None where matplotlib is not installed."""
    if not can_draw():
        return None
    table = layer_rows(estimate, k)
    answer = _Answer(table.verdict, table.label, f"At k = {k}.")
    with picture_of(int(TREEMAP_HEIGHT) + 30, words_of(answer, "ink")) as picture:
        _draw_table(picture, table)
        axes = picture.add_axes(WIDTH - TREEMAP_WIDTH - 2, 26, TREEMAP_WIDTH, TREEMAP_HEIGHT)
        picture.text(WIDTH - TREEMAP_WIDTH - 2, 12, caption_of(k), color=COLOURS["ink"], **SMALL)
        _draw_treemap(axes, estimate, k)
        return picture.png()


def _draw_table(picture: Picture, table: LayerTable) -> None:
    middle, unit = 285, 110
    bold: dict[str, Any] = {"color": COLOURS["ink"], "fontweight": "bold", **SMALL}
    quiet: dict[str, Any] = {"color": COLOURS["muted"], **SMALL}
    for x, align, what, total in (
        (middle - 6, "right", "share of parameters", table.parameters),
        (middle + 6, "left", "share of activations", table.activations),
    ):
        picture.text(x, 12, what, ha=align, **quiet)
        picture.text(x, 28, total, ha=align, **bold)
    axes = picture.add_axes(middle - unit - 6, 40, 2 * unit + 12, 22 * len(table.rows) or 1)
    axes.set(xlim=(-unit - 6, unit + 6), ylim=(len(table.rows) or 1, 0))
    axes.axis("off")
    for i, row in enumerate(table.rows):
        y = 40 + 22 * (i + 0.5)
        left, right = row.parameter_share * unit * 0.7, row.activation_share * unit * 0.7
        axes.barh(i + 0.5, -left, left=-6, height=0.6, color=COLOURS["part_parameters"])
        axes.barh(i + 0.5, right, left=6, height=0.6, color=COLOURS["part_activations"])
        picture.text(0, y, row.kind, color=COLOURS["ink"], **SMALL)
        picture.text(middle - 12 - left, y, row.parameter_text, ha="right", color=COLOURS["ink"], **SMALL)
        picture.text(middle + 12 + right, y, row.activation_text, color=COLOURS["ink"], **SMALL)


def _draw_treemap(axes: Axes, estimate: MemoryEstimate, k: int) -> None:
    axes.set(xlim=(0, TREEMAP_WIDTH), ylim=(TREEMAP_HEIGHT, 0))
    axes.axis("off")
    look: dict[str, Any] = {"va": "center", "color": COLOURS["ink"], **SMALL}
    for group in treemap(estimate.modules(k)):
        axes.text(group.rect.x + 4, group.rect.y + HEADER / 2, group.header, fontweight="bold", **look)
        for tile in group.tiles:
            rect, shade = tile.rect, SHADES[min(tile.rank, 2)]
            axes.bar(
                rect.x, rect.height, bottom=rect.y, width=rect.width, align="edge", color=COLOURS[shade],
                edgecolor=COLOURS["background"], linewidth=2 * POINT,
            )  # fmt: skip
            _draw_lines(axes, tile.lines, rect.x + 6, rect.y + 13, look)


def _draw_lines(axes: Axes, lines: Sequence[str], x: float, y: float, look: dict[str, Any]) -> None:
    for i, line in enumerate(lines):
        axes.text(x, y + 16 * i, line, **look)
