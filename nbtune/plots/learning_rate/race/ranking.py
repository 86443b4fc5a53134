"""The standings of a race, between its plots: the lowest loss is the lowest row, and each line runs into its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ....formats import format_loss, format_lr
from ...base.columns import Columns, WordAt, floats, placed_words
from .racer import Racer
from .room import FOOT_PX, FRAME_HEIGHT, HEAD_PX, HEAD_ROW, LIST_WIDTH
from .scene import RaceScene, score_of
from .strokes import STROKE, Line, strokes

ROW_PX, LEAST_ROW_PX, GAP_PX = 16.0, 13.2, 7.0
"""Of a row at the most and at the least, and between those still in and those who are out."""

LINK_END, RANK, SWATCH, NAME, LOSS, LAST = 32.0, 46.0, (52.0, 66.0), 71.0, 156.0, LIST_WIDTH - 2.0
"""px from the left."""

LINK_BEGIN = 1.5
"""A canvas does not wipe what bleeds over its edge."""

BEND = np.linspace(0, 1, 13)
HIGH_LOSS = 100.0
"""What is above is told as that."""


@dataclass(frozen=True, slots=True)
class Row:
    """A rate in the standings.

    Attributes:
        racer: Whose row.
        row: Its middle, px from above.
        rank: From 1, of those still in; 0 of the others.
        rise: Places won since the last round's end, or lost.
    """

    racer: Racer
    row: float
    rank: int = 0
    rise: int = 0


def rows_of(scene: RaceScene) -> tuple[list[Row], int]:
    """Those that have room, from above, and how many have not."""
    ranked, out = scene.ranked, _out(scene)
    room = FRAME_HEIGHT - HEAD_PX - FOOT_PX
    gap = GAP_PX if ranked and out else 0.0
    most = int((room - gap) / LEAST_ROW_PX)
    shown = [*out, *reversed(ranked)]
    hidden = max(0, len(shown) - most)
    hidden += hidden > 0  # their number takes a row as well
    shown = shown[hidden:]
    height = min(ROW_PX, (room - gap) / max(1, len(shown) + (hidden > 0)))
    foot, before = FRAME_HEIGHT - FOOT_PX - height / 2, _ranks_before(scene)
    rows = []
    for i, racer in enumerate(reversed(shown), 1):
        is_in = i <= len(ranked)
        rise = before.get(racer.lr, i) - i if is_in and scene.running else 0
        rows.append(Row(racer, foot - (i - 1) * height - (0.0 if is_in else gap), i if is_in else 0, rise))
    if scene.sign < 0:  # the best is above
        rows = [replace(row, row=HEAD_PX + FRAME_HEIGHT - FOOT_PX - row.row) for row in rows]
    return sorted(rows, key=lambda row: row.row), hidden


def _out(scene: RaceScene) -> list[Racer]:
    """Those who left, the first and the worst on top."""
    return sorted(scene.out, key=lambda r: (r.left_after or 0, -score_of(r)))


def _ranks_before(scene: RaceScene) -> dict[float, int]:
    """Of those still in, their places when the last round ended."""
    if not scene.ended:
        return {}
    scores = {r.lr: r.score_at(scene.ended[-1]) for r in scene.alive}
    order = sorted(scores, key=lambda lr: math.inf if scores[lr] is None else scores[lr] or 0.0)
    return {lr: place for place, lr in enumerate(order, 1)}


def ranking(scene: RaceScene) -> dict[str, Columns]:
    """Every mark and word."""
    rows, hidden = rows_of(scene)
    kept = [row for row in rows if row.racer.steps]
    words = [*_heads(scene), *(word for row in rows for word in _words(scene, row))]
    muted = [word for token, word in words if token == "muted"]
    if hidden:
        ends = [row.row for row in rows]
        end = min(ends) - LEAST_ROW_PX if scene.sign > 0 else max(ends) + LEAST_ROW_PX
        muted.append(_word(scene, NAME, end, f"+ {hidden} more out"))
    return {
        "links": _links(scene, kept),
        "swatches": _swatches(scene, [row for row in kept if row.rank]),
        "swatches_out": _swatches(scene, [row for row in rows if not row.rank]),
        "refined": _refined(scene, rows),
        "rows_ink": placed_words(word for token, word in words if token == "ink"),
        "rows_muted": placed_words(muted),
    }  # fmt: skip


def _links(scene: RaceScene, rows: Iterable[Row]) -> Columns:
    """From the end of each line in the left plot to its row."""
    ways = [_way(scene, row) for row in rows if row.rank and not scene.is_off(float(row.racer.scores[-1]))]
    return strokes(ways, scene.ends, is_log=False)


def _way(scene: RaceScene, row: Row) -> Line:
    begin, end = float(row.racer.scores[-1]), scene.at_row(row.row)
    share = 3 * BEND**2 - 2 * BEND**3
    return Line(row.racer.lr, LINK_BEGIN + BEND * (LINK_END - LINK_BEGIN), begin + (end - begin) * share)


def _swatches(scene: RaceScene, rows: Iterable[Row]) -> Columns:
    made = [(SWATCH[0], scene.at_row(r.row), SWATCH[1], scene.at_row(r.row), r.racer.lr) for r in rows]
    return {name: floats(row[i] for row in made) for i, name in enumerate(STROKE)}


def _refined(scene: RaceScene, rows: Iterable[Row]) -> Columns:
    made = [(LAST - 12, scene.at_row(r.row), r.racer.lr) for r in rows if r.racer.is_refined and not r.rise]
    return {name: floats(row[i] for row in made) for i, name in enumerate(("x", "y", "lr"))}


def _heads(scene: RaceScene) -> Iterator[tuple[str, WordAt]]:
    for x, text, align in ((NAME, "η", "left"), (LOSS, "loss", "right"), (LAST, "out at", "right")):
        yield "muted", _word(scene, x, HEAD_ROW, text, align)


def _words(scene: RaceScene, row: Row) -> Iterator[tuple[str, WordAt]]:
    racer = row.racer
    is_first = scene.leader is not None and racer.lr == scene.leader.lr
    token = "ink" if row.rank and racer.steps else "muted"
    if row.rank and racer.score is not None:
        yield token, _word(scene, RANK, row.row, str(row.rank), "right", is_first)
    yield token, _word(scene, NAME, row.row, format_lr(racer.lr), "left", is_first)
    yield token, _word(scene, LOSS, row.row, loss_text(scene, racer), "right", is_first)
    last = str(racer.left_after) if racer.left_after is not None else _rise_text(row.rise)
    if last:
        yield token, _word(scene, LAST, row.row, last, "right")


def _rise_text(rise: int) -> str:
    return f"{'▲' if rise > 0 else '▼'}{abs(rise)}" if rise else ""


def loss_text(scene: RaceScene, racer: Racer) -> str:
    """A rate's score as it is told, as the user counts it."""
    score = racer.score if racer.steps >= 3 or racer.left_after is None else math.inf
    if score is None:
        return "–"
    if math.isfinite(score) and score > max(HIGH_LOSS, 10 * abs(scene.high)):
        return f"{'>' if scene.sign > 0 else '<'} {format_loss(scene.sign * max(HIGH_LOSS, 10 * abs(scene.high)), 1)}"
    return format_loss(scene.sign * score, 3 if scene.is_zoomed else 2)


def _word(scene: RaceScene, x: float, row: float, text: str, *look: Any) -> WordAt:
    return WordAt(x, scene.at_row(row), text, *look)


def ranking_in_words(scene: RaceScene) -> str:
    """For those who cannot see it: who is in, the best first."""
    told = [f"{format_lr(r.lr)} with {loss_text(scene, r)}" for r in scene.ranked if r.score is not None]
    return f"Standings, the best first: {', '.join(told)}." if told else "Standings: nobody has a score yet."
