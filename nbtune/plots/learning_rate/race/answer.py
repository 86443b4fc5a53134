"""The words in the right plot of a race, the most important first: the claim, and what the marks around it are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ....formats import format_lr
from ...base.columns import Columns
from ...base.labels import GAP_PX, Box, Label, Placed, box_of
from ...base.mirror import off_scale
from ..orders_band import band_label
from .claim import BOTTOM_ROW, TOP_ROW, Place, block, claim, maybe, peak
from .room import FRAME_WIDTHS, HEAD_ROW
from .scene import RaceScene, score_of
from .scores import LEVEL_ROWS, LIMIT_ROWS, is_bracketed
from .taken import orders_of, taken
from .words import RaceFrame


def scores_labels(scene: RaceScene) -> dict[str, Columns]:
    """Of the right plot, at both widths."""
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = RaceFrame.of(scene, width, scene.rates)
        columns |= frame.columns(prefix, _placed(frame))
    return columns


def _placed(frame: RaceFrame) -> list[Placed]:
    """Each in the first place that is still free."""
    found: list[Placed] = []
    boxes = taken(frame)
    for words in WORDS:
        new = frame.frame.place(words(frame, boxes), boxes)
        found, boxes = [*found, *new], [*boxes, *map(box_of, new)]
    return found


def _head(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    """In the heading row: what the triangles are."""
    if frame.scene.off_scale:
        yield Label(off_scale(frame.scene.sign), "muted", ((frame.width, HEAD_ROW, "right"),), droppable=True)


def _limit(frame: RaceFrame, boxes: list[Box]) -> list[Label]:
    """Theory's, beside its tick, or above it; with an arrow, where it lies beyond an end."""
    curvature, (low, high) = frame.scene.curve.curvature, frame.scene.rates
    if curvature is None or curvature.limit_lr is None:
        return []
    lr, value = curvature.limit_lr, f"{curvature.sign} {format_lr(curvature.limit_lr)}"
    name = f"stability limit {value}"
    if not low <= lr <= high:
        px, align = (frame.width - 2, "right") if lr > high else (2.0, "left")
        ends = [(px, row, align) for row in np.arange(BOTTOM_ROW, TOP_ROW, -9.0).tolist()]
        texts = [f"{words} →" if lr > high else f"← {words}" for words in (name, f"limit {value}")]
        return next((found for text in texts if (found := block(frame, [(text, "muted")], ends, boxes))), [])
    at, top = frame.x(lr), LIMIT_ROWS[0]
    sides: list[Place] = [(at + GAP_PX, top + 16, "left"), (at - GAP_PX, top + 16, "right")]
    above: list[Place] = [
        place for row in (top - 10, top - 18, top - 26)
        for place in ((at - 4, row, "left"), (frame.width, row, "right"), (at + 4, row, "right"))
    ]  # fmt: skip
    two = [("stability limit", "muted"), (value, "muted")]
    forms = ((two, sides), ([(name, "muted")], above), (two, above), ([(f"limit {value}", "muted")], [*sides, *above]))
    return next((found for lines, places in forms if (found := block(frame, lines, places, boxes))), [])


def _doubt(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    """What the whiskers say, beside the level that they reach."""
    scene = frame.scene
    level = scene.standing.level
    if scene.standing.is_in_doubt and len(level) > 1:
        row, right = frame.row(min(map(score_of, scene.alive))), frame.x(level[-1] * 2.2) + 4
        places = ((right, row, "left"), (right, row + 12, "left"), (right, row - 12, "left"))
        yield Label("level of the best", "muted", places, droppable=True)


def _level(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    """Of the bracket."""
    if is_bracketed(frame.scene):
        level, row = frame.scene.standing.level, LEVEL_ROWS[0] + 1
        places = ((frame.x(level[0]) - 9, row, "right"), (frame.x(level[-1]) + 9, row, "left"))
        yield Label("level", "ink", places, boxed=True, droppable=True)


def _last(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    """After how many steps, of the last curve."""
    scene = frame.scene
    now = [(r.lr, score_of(r)) for r in scene.alive if r.score is not None and not scene.is_off(r.score)]
    if scene.ended and now:
        steps = min(r.steps for r in scene.alive)
        yield Label(f"after {steps}", "ink", tuple(_beside(frame, now)), bold=True, droppable=True)


def _beside(frame: RaceFrame, ways: list[tuple[float, float]]) -> Iterator[Place]:
    """Right of the last curve, near its highest places, then left of it."""
    order = sorted(ways, key=lambda place: -place[1])
    for away in (12, 24, 40):
        for lr, score in order:
            yield frame.x(lr) + away, frame.y(score), "left"
            yield frame.x(lr) - away, frame.y(score), "right"
            yield frame.x(lr) + away, frame.y(score) + 14, "left"


def _first(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    """The same of the first."""
    scene = frame.scene
    first = [place for at in scene.ended[:1] for place in scene.valley(at) if not scene.is_off(place[1])]
    if first:
        px, row = frame.x(first[0][0]), frame.row(first[0][1])
        places = tuple((px, row + shift, "left") for shift in (15, -14, 30))
        yield Label(f"after {scene.ended[0]} steps", "muted", places, droppable=True)


def _orders(frame: RaceFrame, _: list[Box]) -> list[Label]:
    return band_label(orders_of(frame.scene), len(frame.scene.orders), frame.x, frame.row)


def _start(frame: RaceFrame, _: list[Box]) -> Iterator[Label]:
    loss = frame.scene.curve.start_loss
    if loss is not None and np.isfinite(loss) and frame.scene.low <= loss <= frame.scene.high:
        places = tuple((frame.width - 2, frame.row(loss) + shift, "right") for shift in (-11, 12))
        yield Label("no training", "muted", places, droppable=True)


WORDS: tuple[Callable[[RaceFrame, list[Box]], Iterator[Label] | list[Label]], ...] = (
    _head, peak, claim, maybe, _limit, _level, _doubt, _orders, _last, _first, _start,
)  # fmt: skip
"""The most important first, but for those that stand where nothing else can."""
