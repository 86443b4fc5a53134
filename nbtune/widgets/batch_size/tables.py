"""The batch prober's tables as plain data for its panel: rows of cells, which blocks.js sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...engine.memory.cards import placed
from ...plots.memory.changes import ChangeRow, capacity_share, change_rows
from ...plots.memory.rows import GridCell, LayerRow, grid_rows, layer_rows, parts_rows

if TYPE_CHECKING:
    from ...engine.batch_size.trial import MemoryTrial
    from ...engine.batch_size.what_fits.result import MemoryChange, WhatFits

Cell = dict[str, Any]
Table = dict[str, Any]
HEAT_WORDS = ("up to ⅓ of the card", "to ⅔", "to all of it")


def parts_table(trial: MemoryTrial | None, sizes: Sequence[int], *, is_host: bool = False) -> Table:
    """What takes the memory of one batch size, with buttons for the next ones.

    Args:
        trial: Of the size shown; None for a table without numbers.
        sizes: Those that can be shown, ascending.
    """
    parts = parts_rows(trial, is_host=is_host)
    rows = [[_head(row.name, swatch=row.token), _number(row.mib), _number(row.percent)] for row in parts]
    for cell in rows[-1]:
        cell["style"] = f"{cell.get('style', '')} total"
    return {
        "caption": "What takes the memory",
        "head": [[_which(trial, sizes), _number("MiB", header="col"), _number("%", header="col")]],
        "body": rows,
    }


def _which(trial: MemoryTrial | None, sizes: Sequence[int]) -> Cell:
    if trial is None:
        return {"text": "k = –", "header": "col"}
    k = trial.batch_size
    text = f"k = {k}, {'measured' if trial.is_measured else 'predicted'}"
    back = max((size for size in sizes if size < k), default=None)
    following = min((size for size in sizes if size > k), default=None)
    return {"text": text, "header": "col", "style": "stepped", "steps": {"name": "k", "back": back, "next": following}}


def layers_table(estimate: Any, k: int | None) -> Table:
    """Shares of parameters and of activations, back to back by kind of layer; an empty one without an estimate."""
    found = None if estimate is None or k is None else layer_rows(estimate, k)
    parameters, activations = (" ", " ") if found is None else (found.parameters, found.activations)
    head = [
        _head("layer type", header="col"),
        {**_number("share of parameters", header="col"), "detail": parameters},
        {"text": "share of activations", "detail": activations, "header": "col"},
    ]
    label = "What takes the memory, by layer type." if found is None else f"At k = {k}. {found.label}"
    return {"caption": label, "head": [head], "body": [] if found is None else [_layer(row) for row in found.rows]}


def _layer(row: LayerRow) -> list[Cell]:
    left = {"side": "left", "share": row.parameter_share, "colour": "part-parameters"}
    right = {"side": "right", "share": row.activation_share, "colour": "part-activations"}
    return [
        {**_head(row.kind), "detail": row.count},
        {"text": row.parameter_text, "bar": left},
        {"text": row.activation_text, "bar": right},
    ]


def grid_table(grid: Any) -> Table:
    """Memory by image size and batch size; an empty one without a grid."""
    rows = [] if grid is None else grid_rows(grid)
    sizes = rows[0].batch_sizes if rows else ()
    side = {"text": "image side, pixels", "header": "rowgroup", "span": len(rows), "style": "upright"}
    body = [[_head(f"{row.image_size}"), *map(_heat, row.cells)] for row in rows]
    if body:
        body[0].insert(0, side)
    corner: Cell = {"text": "", "span_columns": 2}
    heads = [{"text": str(k), "header": "col"} for k in sizes]
    axis = {"text": "batch size k", "header": "colgroup", "span_columns": len(sizes)}
    return {
        "caption": "Memory at the peak in GiB, by side of the image in pixels and batch size k",
        "head": [[corner, *heads], [corner, axis]] if sizes else [],
        "body": body,
    }


def _heat(cell: GridCell) -> Cell:
    style = f"heat heat-{cell.step}" if cell.fits else "heat too-big"
    return {"text": cell.text, "spoken": cell.label, "style": f"{style} largest" if cell.is_largest else style}


MARKS = {"fits": "striped", "slower": "sparse", "too_big": "crossed"}
TRIED = {"amp", "checkpointing", "optimizer", "image_size", "sequence_length"}
"""What the fields can be set to."""


def changes_table(found: WhatFits | None) -> Table:
    """One change a row: what it does to training, its peak against the card, and a button that tries it."""
    if found is None:
        return {"caption": "What makes it fit", "head": [], "body": []}
    card = capacity_share(found)
    head = [
        _head("one change", header="col"),
        _head("on training", header="col"),
        _head(f"GiB at k = {found.batch_size}", header="col"),
        _number("free", header="col"),
        _head("time", header="col"),
        {"text": "", "header": "col"},
    ]
    rows = zip(change_rows(found), found.changes, strict=True)
    body = [_change(row, change, index, card) for index, (row, change) in enumerate(rows)]
    caption = f"To make k = {found.batch_size} fit {placed(found.capacity_name)}, the smallest change first"
    return {"caption": caption, "head": [head], "body": body}


def _change(row: ChangeRow, change: MemoryChange, index: int, card: float) -> list[Cell]:
    style = "chosen" if row.is_smallest else ""
    bar = {"side": "right", "share": row.share, "mark": MARKS[row.kind], "line": card}
    can_be_tried = bool(change.changes) and change.accumulate == 1 and {name for name, _ in change.changes} <= TRIED
    cells: list[Cell] = [
        _head(row.name),
        {"text": row.effect},
        {"text": row.gib, "bar": bar},
        {"text": row.free, "style": "number left-over" if change.fits else "number lacking"},
        {"text": row.cost},
        {"text": "Try", "pick": {"name": "changes", "value": index}} if can_be_tried else {"text": ""},
    ]
    return [{**cell, "style": f"{cell.get('style', '')} {style}".strip()} for cell in cells]


def grid_key() -> list[list[str]]:
    """What the marks of the grid mean."""
    steps = [[f"heat{step}", text] for step, text in enumerate(HEAT_WORDS)]
    return [["", "GiB at the peak, predicted"], *steps, ["hatched", "does not fit"], ["framed", "largest 2ⁿ that fits"]]


def bars_key(place: str, *, is_played: bool, has_slower: bool = False) -> list[list[str]]:
    """What the marks of the bars mean; ``place`` is where steps are run, such as "this CPU"."""
    key = [["solid", f"measured on {place}"], ["striped", "predicted"], ["crossed", "does not fit"]]
    if has_slower:  # four of them need the room
        key = [["solid", "measured"], key[1], ["sparse", "with retries"], key[2]]
    if is_played:  # one line holds no more words
        return [*key, ["", "played: no GPU here"]]
    return [[mark, f"{mark}: {text}"] for mark, text in key]


def _head(text: str, header: str = "row", swatch: str = "") -> Cell:
    return {"text": text, "header": header, **({"swatch": swatch} if swatch else {})}


def _number(text: str, header: str = "") -> Cell:
    return {"text": text, "style": "number", **({"header": header} if header else {})}
