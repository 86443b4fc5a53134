"""The words of a race's claim in its right plot: the answer, or that it is in doubt, or who leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

import numpy as np

from ....formats import format_lr
from ...base.labels import GAP_PX, LINE_PX, Box, Label, all_fit
from .room import FRAME_HEIGHT, HEAD_PX
from .scene import RaceScene, score_of
from .scores import FLOOR
from .taken import faint
from .words import RaceFrame

TOP_ROW, BOTTOM_ROW = HEAD_PX + 9.0, FLOOR - 9.0

BOLD = ("η = ", "one of", "in doubt")
"""How lines begin that are the claim itself."""

Place = tuple[float, float, str]
"""x, row and align, px."""


def claim(frame: RaceFrame, boxes: list[Box]) -> list[Label]:
    """The suggestion and its range below one another; where there is doubt, what lies in the frame; or who leads."""
    standing = frame.scene.standing
    if standing.kind == "open":
        return _leads(frame)
    if standing.is_in_doubt and standing.range is None:
        return []
    token = "answer" if standing.is_sure else "ink"
    for texts in _texts(frame.scene):
        found = block(frame, [(text, token) for text in texts], _beside_range(frame), boxes)
        if found:
            return found
    return []


def peak(frame: RaceFrame, boxes: list[Box]) -> list[Label]:
    """Of a one-cycle schedule, in two lines beside its mark at the top of the band."""
    standing = frame.scene.standing
    if frame.scene.answer is None or standing.peak is None:
        return []
    at = [frame.x(lr) for lr in (*(standing.range or ()), standing.peak)]
    rows = [TOP_ROW + n * LINE_PX / 2 for n in range(2, 9)]
    places = [place for row in rows for place in ((min(at) - GAP_PX, row, "right"), (max(at) + GAP_PX, row, "left"))]
    return block(frame, [("one-cycle", "answer"), (f"peak {format_lr(standing.peak)}", "answer")], places, boxes)


def maybe(frame: RaceFrame, _: list[Box]) -> list[Label]:
    """The suggestion, where it is in doubt, over its mark."""
    standing = frame.scene.standing
    if standing.kind != "between" or standing.suggestion is None:
        return []
    px = frame.x(standing.suggestion)
    shifts = ((0, "center"), (-GAP_PX, "right"), (GAP_PX, "left"))
    places = tuple((px + dx, FLOOR - 9 - up, align) for up in (0, 12) for dx, align in shifts)
    return [Label(f"{format_lr(standing.suggestion)}?", "ink", places, boxed=True, droppable=True)]


def block(frame: RaceFrame, lines: Sequence[tuple[str, str]], places: Iterable[Place], boxes: list[Box]) -> list[Label]:
    """Lines below one another in the first place where all fit, if there is one without hiding what is faint; else [].

    Args:
        frame: Of the plot.
        lines: (text, group of labels); "η = …" and what claims something is bold.
        places: Of the last line.
        boxes: What may not be covered.
    """
    spots = list(places)
    for free, spot in product(([*boxes, *faint(frame)], boxes), spots):
        labels = _lines(lines, spot)
        if all_fit(labels, frame.width, FLOOR, free):
            return labels
    return []


def _lines(lines: Sequence[tuple[str, str]], spot: Place) -> list[Label]:
    px, last, align = spot
    rows = [last - LINE_PX * n for n in reversed(range(len(lines)))]
    return [
        Label(text, token, ((px, row, align),), bold=text.startswith(BOLD), boxed=True)
        for (text, token), row in zip(lines, rows, strict=True)
    ]


def _texts(scene: RaceScene) -> list[list[str]]:
    """The lines of the claim; the fewest lines first, the fewest words last."""
    standing = scene.standing
    inside = [lr for lr in standing.level if standing.range and standing.range[0] <= lr <= standing.range[1]]
    doubt = "one of these" if len(inside) > 1 else "in doubt"
    first = f"η = {format_lr(standing.suggestion or 0.0)}" if standing.is_sure else doubt
    if standing.range is None:
        return [[first]]
    ends = " – ".join(format_lr(lr, 1) for lr in standing.range)
    return [[first, f"good {ends}"], [first, "good", ends], [first]] if standing.is_sure else [[first, ends], [first]]


def _beside_range(frame: RaceFrame) -> Iterator[Place]:
    """Half-way up beside the range first, then farther off."""
    standing = frame.scene.standing
    at = [frame.x(lr) for lr in (*(standing.range or ()), standing.suggestion) if lr is not None]
    middle = FRAME_HEIGHT / 2 + LINE_PX
    rows = sorted(np.arange(BOTTOM_ROW, TOP_ROW + LINE_PX, -LINE_PX / 2).tolist(), key=lambda row: abs(row - middle))
    for away in np.arange(0.0, frame.width / 2, 2 * LINE_PX).tolist():
        for row in rows:
            yield min(at) - GAP_PX - away, row, "right"
            yield max(at) + GAP_PX + away, row, "left"
    # A range from edge to edge leaves no room beside it.
    for px in np.arange(2.0, frame.width / 2, LINE_PX).tolist():
        yield from ((px, row, "left") for row in rows)


def _leads(frame: RaceFrame) -> list[Label]:
    scene, leader = frame.scene, frame.scene.leader
    if leader is None or not scene.running:
        return []
    px, row = frame.x(leader.lr), frame.row(score_of(leader))
    places = tuple((px + dx, row + dy, "center") for dy in (18, 22, -18) for dx in (0, 20, -20, 40, -40))
    return [Label(f"{format_lr(leader.lr)} leads", "ink", places, bold=True, boxed=True, droppable=True)]
