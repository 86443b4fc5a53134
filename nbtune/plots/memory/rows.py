"""What takes the memory, as rows of tables: real text for a page, a terminal or a picture to set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...formats import format_count, format_gib, format_loss, format_memory, format_mib, format_percent
from .scene import in_order

if TYPE_CHECKING:
    from ...engine.batch_size.grid import MemoryGrid, MemoryGridRow
    from ...engine.batch_size.trial import MemoryTrial
    from ...engine.memory import LayerShare, MemoryEstimate
    from .scene import Bar

PART_ROWS = ("activations", "temporary", "inputs", "optimizer", "gradients", "parameters", "reserved", "context")
PART_NAMES = {"reserved": "reserved, not in use", "context": "CUDA context"}
HOST_NAMES = {"context": "this process"}
MOST_LAYERS = 10


@dataclass(frozen=True, slots=True)
class PartRow:
    """One part of the memory; the last row is their sum.

    Attributes:
        token: Name of its colour, "" for the sum.
        name: As it is read.
        mib, percent: Text for columns that name the unit; "–" where nobody knows.
    """

    token: str
    name: str
    mib: str
    percent: str


def parts_rows(trial: MemoryTrial | Bar | None, *, is_host: bool = False) -> list[PartRow]:
    """What takes the memory of one trial, what grows with k first.

    Args:
        trial: Predicted or measured; None gives rows without numbers, so that a table keeps its place.
        is_host: Whether it is the host's memory: then the process itself lies in the context's place.
    """
    sizes = dict(in_order(trial.parts)) if trial else {}
    whole = sum(sizes.values()) or (trial and (trial.peak_bytes or trial.predicted_bytes)) or 0
    titles = {**PART_NAMES, **(HOST_NAMES if is_host else {})}
    rows = [_part_row(name, titles.get(name, name), sizes.get(name), whole) for name in PART_ROWS]
    return [*rows, PartRow("", "in all", "–" if not whole else format_mib(whole), "–" if not whole else "100")]


def _part_row(name: str, title: str, size: int | None, whole: int) -> PartRow:
    token = f"part_{name}"
    if size is None or not whole:
        return PartRow(token, title, "–", "–")
    return PartRow(token, title, format_mib(size), format_percent(size / whole, sign=False))


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One kind of layer.

    Attributes:
        kind: Such as "normalisation".
        count: Such as "121 BatchNorm2d".
        parameter_share, activation_share: Fractions of all, for bars on one scale.
        parameter_text, activation_text: The same in per cent.
    """

    kind: str
    count: str
    parameter_share: float
    parameter_text: str
    activation_share: float
    activation_text: str


@dataclass(frozen=True, slots=True)
class LayerTable:
    """Kinds of layers, the largest activation share first, and what the shares are of.

    Attributes:
        rows: At most ten.
        parameters, activations: Sums, such as "27 MiB in all".
        verdict: Which of the two outweighs the other.
        label: What the kinds with the most activations and the most parameters hold, in words.
    """

    rows: tuple[LayerRow, ...]
    parameters: str
    activations: str
    verdict: str
    label: str


def layer_rows(estimate: MemoryEstimate, k: int) -> LayerTable:
    """Shares of parameters and activations by kind of layer, at batch size ``k``."""
    layers = sorted(estimate.layers(k), key=lambda layer: (-layer.activation_bytes, -layer.parameter_bytes))
    parameters = sum(layer.parameter_bytes for layer in layers)
    activations = sum(layer.activation_bytes for layer in layers)
    rows = tuple(_layer_row(layer, parameters, activations) for layer in layers[:MOST_LAYERS])
    return LayerTable(
        rows,
        parameters=f"{format_memory(parameters)} in all",
        activations=f"{format_memory(activations)} in all",
        verdict=_verdict(parameters, activations),
        label=_layers_in_words(rows),
    )


def _verdict(parameters: int, activations: int) -> str:
    if not parameters or not activations:
        return "Nothing is known of the layers."
    heavy, light = ("Activations", "parameters") if activations > parameters else ("Parameters", "activations")
    factor = max(parameters, activations) / min(parameters, activations)
    return f"{heavy} outweigh {light} {format_loss(factor)}×."


def _layers_in_words(rows: tuple[LayerRow, ...]) -> str:
    if not rows:
        return "No layers."
    # The same kind may be both.
    told = dict.fromkeys((rows[0], max(rows, key=lambda row: row.parameter_share)))
    label = ", ".join(
        f"{row.kind} holds {row.parameter_text} of parameters and {row.activation_text} of activations" for row in told
    )
    return f"{label[:1].upper()}{label[1:]}."


def _layer_row(layer: LayerShare, parameters: int, activations: int) -> LayerRow:
    example = "joins" if layer.kind == "concatenation" else layer.example
    by_parameters, by_activations = (
        layer.parameter_bytes / (parameters or 1),
        layer.activation_bytes / (activations or 1),
    )
    return LayerRow(
        layer.kind, f"{format_count(layer.count)} {example}".strip(),
        by_parameters, format_percent(by_parameters), by_activations, format_percent(by_activations),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class GridCell:
    """Memory at one image size and batch size.

    Attributes:
        text: GiB, for a table that names the unit.
        step: 0, 1 or 2 on the ramp: up to 1/3, 2/3, all of the card.
        fits: Within the capacity.
        is_largest: The largest power of two of its row that fits.
        label: For those who cannot see it.
    """

    text: str
    step: int
    fits: bool
    is_largest: bool
    label: str


@dataclass(frozen=True, slots=True)
class GridRow:
    """One image size: its side in pixels and a cell for each batch size."""

    image_size: int
    batch_sizes: tuple[int, ...]
    cells: tuple[GridCell, ...]


def grid_rows(grid: MemoryGrid) -> list[GridRow]:
    """The grid as a table, rows and columns in the order of ``grid``."""
    whole = grid.capacity_bytes or max((peak for row in grid.rows for peak in row.peak_bytes), default=1)
    return [GridRow(row.image_size, tuple(row.batch_sizes), _cells(row, whole)) for row in grid.rows]


def _cells(row: MemoryGridRow, whole: int) -> tuple[GridCell, ...]:
    cells = []
    for k, peak, fits in zip(row.batch_sizes, row.peak_bytes, row.fits, strict=True):
        words = [
            f"{format_gib(peak)} GiB",
            "fits" if fits else "does not fit",
            *(["largest"] if k == row.largest else []),
        ]
        step = min(2, max(0, -(-3 * peak // whole) - 1))
        cells.append(GridCell(format_gib(peak), step, fits, k == row.largest, ", ".join(words)))
    return tuple(cells)
