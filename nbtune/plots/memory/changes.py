"""The figure of what makes a batch size fit: a bar for each change against the card, the smallest change above."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bokeh.plotting import figure

from ...formats import format_gib, format_memory
from ..base.columns import Columns, View, WordAt, placed_words, table
from ..base.live import live
from ..base.marks import LABEL, Axis, Hatch, Mark, Marks, Panel, Part, Words
from ..base.picture import WIDTH
from ..base.sentence import sentence_png
from .labels import capacity_in_words

if TYPE_CHECKING:
    from ...engine.batch_size.what_fits.result import MemoryChange, WhatFits

GIB = 2**30
ROW, LEFT, TOP, BELOW = 24, 262, 28, 44
HALF = 0.32
EDGES = ("left", "right", "bottom", "top")
KINDS = {"fits": "fits", "fits, with retries": "slower", "too big": "too_big"}
"""How a change fits, in words → its mark."""
CROSSES = Hatch("x", "danger", 12, 0.55, weight=0.8)
SOURCES = {
    **dict.fromkeys((*KINDS.values(), "smallest"), EDGES), "capacity": ("x", "bottom", "top"),
    **dict.fromkeys(("sizes", "left_over", "lacking", "effects"), LABEL),
}  # fmt: skip
MARKS: Marks = (
    Mark("quad", "smallest", fill="answer", alpha=0.15, level="underlay"),
    Mark("quad", "fits", line="ink", fill="part_activations", dash=(4, 3), hatch=Hatch("/", "background", 8, 0.8)),
    Mark("quad", "slower", line="ink", fill="part_reserved", dash=(4, 3), hatch=Hatch("/", "background", 8, 0.8)),
    Mark("quad", "too_big", line="danger", dash=(4, 3), hatch=CROSSES),
    Mark("segment", "capacity", line="ink", width=2.2),
    Words("sizes", "ink"),
    Words("left_over", "answer_text"),
    Words("lacking", "danger"),
    Words("effects", "muted"),
)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change as a row of a table.

    Attributes:
        name, effect, cost: In words.
        gib: Its peak, as text for a column that names the unit.
        free: What it leaves, or why it does not fit.
        kind: "fits", "slower" or "too_big".
        share: Of the widest bar.
        is_smallest: Whether it is the answer.
        is_before: Whether it is training as it is.
    """

    name: str
    effect: str
    cost: str
    gib: str
    free: str
    kind: str
    share: float
    is_smallest: bool
    is_before: bool


def change_rows(found: WhatFits) -> tuple[ChangeRow, ...]:
    """Every change as text, in order."""
    widest = _widest(found)
    return tuple(
        ChangeRow(
            name=row.name or "as it is", effect=row.effect, cost=row.cost, gib=format_gib(row.peak_bytes),
            free=_free(row), kind=KINDS[row.how], share=row.peak_bytes / widest, is_smallest=row == found.smallest,
            is_before=not row.name,
        )
        for row in found.changes
    )  # fmt: skip


def capacity_share(found: WhatFits) -> float:
    """Where the card's line crosses the bars, as a share of the widest."""
    return found.capacity_bytes / _widest(found)


def _widest(found: WhatFits) -> int:
    return max([found.capacity_bytes, *(row.peak_bytes for row in found.changes)])


def _free(row: MemoryChange) -> str:
    return format_memory(row.free_bytes) if row.fits else row.how.replace("fits, ", "")


def changes_figure(found: WhatFits) -> figure:
    """The finished figure of ``found``."""
    return live(*_panel_and_view(found))


def changes_parts(found: WhatFits) -> list[Part]:
    """The same in a picture."""
    panel, view = _panel_and_view(found)
    return [Part(panel, view, (LEFT, TOP, WIDTH - LEFT - 4, panel.height - TOP - BELOW))]


def changes_png(found: WhatFits) -> bytes | None:
    """The light picture of ``found`` with its sentence below; None where matplotlib is not installed."""
    (part,) = parts = changes_parts(found)
    token = "ink" if found.smallest is None else "answer_text"
    return sentence_png(parts, part.panel.height + 2, found, token=token)


def _panel_and_view(found: WhatFits) -> tuple[Panel, View]:
    rows, end = change_rows(found), 2.5 * _widest(found) / GIB
    places, card = tuple(range(len(rows))), capacity_in_words(found.capacity_name, found.capacity_bytes)
    y = Axis(
        "", (max(1, len(rows)) - 0.5, -0.5), ticks=places, texts=tuple(r.name for r in rows), has_line=False,
        has_ticks=False,
    )  # fmt: skip
    ticks = _round_ticks(end / 2.5)
    title = f"GiB at the peak with k = {found.batch_size}, predicted"
    x = Axis(title, (0.0, end), ticks=ticks, texts=tuple(f"{tick:g}" for tick in ticks), has_line=False)
    panel = Panel(
        SOURCES, MARKS, x, y, ROW * max(1, len(rows)) + TOP + BELOW, {"left": LEFT, "right": 4}, has_grid=False,
        caption=f"{card}. Smallest change first; crossed: too big.", caption_token="ink",
    )  # fmt: skip
    return panel, View(_columns(found, rows, end), y.range, "", x.range)


def _round_ticks(widest: float) -> tuple[float, ...]:
    """0 and two to five round numbers, none beyond the bars."""
    step = 10 ** math.floor(math.log10(max(widest, 1e-3)))
    step *= next(factor for factor in (0.5, 1, 2) if widest / (step * factor) < 6)
    return tuple(step * i for i in range(int(widest / step) + 1))


def _columns(found: WhatFits, rows: tuple[ChangeRow, ...], end: float) -> dict[str, Columns]:
    at = [(y, row, change.peak_bytes / GIB) for y, (row, change) in enumerate(zip(rows, found.changes, strict=True))]
    card, count = found.capacity_bytes / GIB, len(rows)
    bars = {kind: [(0.0, x, y + HALF, y - HALF) for y, row, x in at if row.kind == kind] for kind in KINDS.values()}
    whole = [(0.0, end, y + 0.5, y - 0.5) for y, row, _ in at if row.is_smallest]
    free = end * 0.635
    fitting = [WordAt(free, y, f"{row.free} free", "right", row.is_smallest) for y, row, _ in at if row.kind == "fits"]
    sizes = [WordAt(x + 0.008 * end, y, row.gib, "left", row.is_smallest) for y, row, x in at]
    others = [WordAt(free, y, row.free, "right") for y, row, _ in at if row.kind != "fits"]
    return {
        **{kind: table(edges, EDGES) for kind, edges in bars.items()},
        "smallest": table(whole, EDGES),
        "capacity": table([(card, count - 0.5, -0.5)] if rows else [], SOURCES["capacity"]),
        "sizes": placed_words(sizes, box_alpha=0.8),
        "left_over": placed_words(fitting),
        "lacking": placed_words(others),
        "effects": placed_words(WordAt(0.66 * end, y, row.effect) for y, row, _ in at),
    }
