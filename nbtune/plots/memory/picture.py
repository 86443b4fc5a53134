"""Pictures of memory for notebooks without a browser's view: the figures, and tables that a widget sets as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from ..base.marks import Mark, Part
from ..base.page import Cell, Drawn, page
from ..base.picture import WIDTH
from ..base.sentence import Told, sentence_png
from .bars import bars_part
from .grid import grid_png
from .layers import Y_RANGE, treemap_panel, treemap_view
from .rows import LayerTable, PartRow, layer_rows, parts_rows
from .scene import HEIGHT, Bar, scene_of, scene_of_estimate, sizes_of
from .speed import speed_panel, speed_view
from .treemap import WIDTH as TREEMAP_WIDTH
from .view import view_of

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit
    from ...engine.batch_size.trial import MemoryTrial
    from ...engine.memory import MemoryEstimate

__all__ = ["estimate_parts", "estimate_png", "grid_png", "layers_parts", "layers_png", "memory_parts", "memory_png"]

BARS = 540
TABLE = (BARS + 14, 123)
"""Left and upper edge of the table of parts, px."""

PLACE = (56.0, 26.0, BARS - 66.0, HEIGHT - 46.0)
"""Of the bars' frame, px."""

ROW = 18
KEY = "solid: measured   ·   striped: predicted   ·   crossed: does not fit"
SLOWER = "   ·   sparse: with retries, slower"
MIDDLE, UNIT = 285, 110
"""px of the middle between the shares of layers, and of the room on either side."""

LAYER_ROW = 22
SHARE_PX = 0.7 * UNIT
"""Of a bar that is all."""


def memory_png(limit: BatchLimit) -> bytes | None:
    """The light picture of ``limit``: bars, what takes the memory, and the sentence; 820 px wide, twice the resolution.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    token = "ink" if limit.batch_size is None else "answer_text"
    return sentence_png(memory_parts(limit), HEIGHT + 30, limit, token=token)


def memory_parts(limit: BatchLimit) -> list[Part]:
    """Bars, speed, and what takes the memory at the answer's k."""
    sizes, left = sizes_of(limit.settings), BARS + 14
    is_host = limit.estimate is not None and limit.estimate.device == "cpu"
    key = KEY + (SLOWER if any(trial.is_slower for trial in limit.latest) else "")
    heads = [Cell(56, 13, key, "muted"), Cell(left, 13, "Speed, samples/s by k")]
    return [
        bars_part(scene_of(limit, False), PLACE),
        Part(replace(speed_panel(sizes), caption=""), speed_view(limit), (left + 26, 26, WIDTH - left - 34, 70)),
        page(heads, (0, 0, WIDTH, HEIGHT + 30)),
        _parts_table(_explained(limit.latest, limit.batch_size), is_host, TABLE),
    ]


def estimate_png(estimate: MemoryEstimate) -> bytes | None:
    """The light picture of ``estimate``: bars, what takes the memory, and what is predicted in words.

    Returns:
        A PNG, or None where matplotlib is not installed.
    """
    scene = scene_of_estimate(estimate)
    head, _, rest = view_of(scene).label.partition(". ")
    caveats = " ".join(f"{caveat.rstrip('.')}." for caveat in estimate.caveats)
    return sentence_png(estimate_parts(estimate), HEIGHT + 30, Told(f"{head}.", rest, caveats))


def estimate_parts(estimate: MemoryEstimate) -> list[Part]:
    """Its bars, and what takes the memory at the largest k that fits."""
    scene = scene_of_estimate(estimate)
    slower = SLOWER if any(bar.is_slower for bar in scene.bars) else ""
    key = Cell(56, 13, f"striped: predicted   ·   crossed: does not fit{slower}", "muted")
    table = _parts_table(_explained(scene.bars, scene.best), estimate.device == "cpu", (TABLE[0], 26))
    return [bars_part(scene, PLACE), page([key], (0, 0, WIDTH, HEIGHT + 30)), table]


Known = TypeVar("Known", "MemoryTrial", Bar)


def _explained(known: Sequence[Known], best: int | None) -> Known | None:
    """The answer's, else the largest."""
    return next((one for one in known if one.batch_size == best), known[-1] if known else None)


def _parts_table(trial: MemoryTrial | Bar | None, is_host: bool, at: tuple[float, float]) -> Part:
    left, top = at
    rows = [] if trial is None else parts_rows(trial, is_host=is_host)
    swatches = [
        Drawn(Mark("quad", row.token, fill=row.token), [(0, 12, y + 6, y - 6)]) for row, y in _placed(rows) if row.token
    ]
    cells = [] if trial is None else [*_heads(trial), *(cell for row, y in _placed(rows) for cell in _part(row, y))]
    return page(cells, (left, top, WIDTH - 4 - left, ROW * 10), swatches)


def _placed(rows: list[PartRow]) -> Iterator[tuple[PartRow, float]]:
    for i, row in enumerate(rows):
        yield row, ROW * (i + 1.5)


def _heads(trial: MemoryTrial | Bar) -> Iterator[Cell]:
    right = WIDTH - 4 - TABLE[0]
    yield Cell(0, ROW / 2, f"k = {trial.batch_size}, {'measured' if trial.is_measured else trial.why}", "muted")
    yield Cell(right - 60, ROW / 2, "MiB", "muted", align="right")
    yield Cell(right, ROW / 2, "%", "muted", align="right")


def _part(row: PartRow, y: float) -> Iterator[Cell]:
    right, weight = WIDTH - 4 - TABLE[0], "normal" if row.token else "bold"
    yield Cell(18 if row.token else 0, y, row.name, weight=weight)
    yield Cell(right - 60, y, row.mib, align="right", weight=weight)
    yield Cell(right, y, row.percent, align="right", weight=weight)


def layers_png(estimate: MemoryEstimate, k: int) -> bytes | None:
    """The light picture of what takes the memory at batch size ``k``; None where matplotlib is not installed."""
    rows = layer_rows(estimate, k)
    parts = layers_parts(estimate, k)
    return sentence_png(parts, int(Y_RANGE[0]) + 30, Told(rows.verdict, rows.label, f"At k = {k}."))


def layers_parts(estimate: MemoryEstimate, k: int) -> list[Part]:
    """Shares of parameters and activations by kind of layer, and activations by module."""
    height = Y_RANGE[0] - Y_RANGE[1]
    place = (WIDTH - TREEMAP_WIDTH - 2, 4, TREEMAP_WIDTH, height)
    return [_layers_table(layer_rows(estimate, k)), Part(treemap_panel(), treemap_view(estimate, k), place)]


def _layers_table(rows: LayerTable) -> Part:
    """Two shares of each kind back to back."""
    at = [(row, 40 + LAYER_ROW * (i + 0.5)) for i, row in enumerate(rows.rows)]
    half, left, right = 0.3 * LAYER_ROW, MIDDLE - 6, MIDDLE + 6
    bars: list[tuple[str, list[tuple[float, ...]]]] = [
        ("part_parameters", [(left - row.parameter_share * SHARE_PX, left, y + half, y - half) for row, y in at]),
        ("part_activations", [(right, right + row.activation_share * SHARE_PX, y + half, y - half) for row, y in at]),
    ]
    drawn = [Drawn(Mark("quad", token, fill=token), edges) for token, edges in bars]
    return page(_layer_cells(rows), (0, 0, WIDTH - TREEMAP_WIDTH - 8, Y_RANGE[0] + 26), drawn)


def _layer_cells(rows: LayerTable) -> Iterator[Cell]:
    left, right = MIDDLE - 6, MIDDLE + 6
    for x, align, what, total in (
        (left, "right", "share of parameters", rows.parameters),
        (right, "left", "share of activations", rows.activations),
    ):
        yield Cell(x, 12, what, "muted", align=align)
        yield Cell(x, 28, total, align=align, weight="bold")
    for i, row in enumerate(rows.rows):
        y = 40 + LAYER_ROW * (i + 0.5)
        yield Cell(0, y, row.kind)
        yield Cell(left - 6 - row.parameter_share * SHARE_PX, y, row.parameter_text, align="right")
        yield Cell(right + 6 + row.activation_share * SHARE_PX, y, row.activation_text)
