"""What other rules say of a sweep: small flags on its η axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ...base.columns import Columns, table
from ...base.labels import GAP_PX, LINE_PX, Box, Frame, Label, Placed, box_of
from ..overlays import UPRIGHT
from .scene import FRAME_HEIGHT, Scene

RULES = {"labels": "rules", "narrow_labels": "narrow_rules"}
"""Kind of width → source of the flags' poles."""

LOWEST_ROW = FRAME_HEIGHT - 15
ROWS = 9


class Rule(Protocol):
    """A name and an η; see ``nbtune.engine.classic_rules``."""

    @property
    def name(self) -> str: ...

    @property
    def lr(self) -> float | None: ...


def place_rules(
    rules: Sequence[Rule], frame: Frame, *, middle: float, taken: list[Box], curve: list[Box]
) -> list[Placed]:
    """A name for each rule whose η lies in the frame, on the outer side of its pole, seen from ``middle``.

    Those nearest to the edges first, each as low as it can be: so a name passes over other poles and crosses none.

    Args:
        rules: At most four.
        frame: Where they are placed.
        middle: px of the suggestion.
        taken: What no name may cover.
        curve: What it does not cover where there is another place.
    """
    boxes, placed = list(taken), []
    known = sorted((frame.x(rule.lr), rule.name) for rule in rules if rule.lr is not None)
    known = [(px, name) for px, name in known if 0 <= px <= frame.width]
    outward = [k for k in known if k[0] <= middle] + [k for k in reversed(known) if k[0] > middle]
    for px, name in outward:
        rows = [LOWEST_ROW - LINE_PX * row for row in range(ROWS)]
        sides = [(px - GAP_PX / 2, "right"), (px + GAP_PX / 2, "left")]
        places = [(at, row, align) for at, align in sides[:: 1 if px <= middle else -1] for row in rows]
        label = Label(name, "muted", tuple(places), boxed=True, droppable=True)
        for found in frame.place([label], [*boxes, *curve]) or frame.place([label], boxes):
            placed.append(found)
            boxes += [box_of(found), (px - 2, found.y, px + 2, FRAME_HEIGHT)]
    return placed


def poles(scene: Scene, placed: Iterable[Placed], frame: Frame) -> Columns:
    """From the axis up to each name."""
    at = [(p.x + (GAP_PX if p.align == "right" else -GAP_PX) / 2, p.y) for p in placed]
    return table([(frame.across.at(px), scene.bottom, frame.down.at(row)) for px, row in at], UPRIGHT)


def along_curve(scene: Scene, x: Callable[[float], float]) -> list[Box]:
    """Small boxes over every point and over the line through them."""
    boxes = []
    for losses in (scene.losses, scene.smoothed):
        for lr, loss in zip(scene.lrs, losses, strict=True):
            if math.isfinite(loss) and scene.bottom <= loss <= scene.top:
                px, row = x(float(lr)), (scene.top - float(loss)) / scene.height_of_px
                boxes.append((px - 3, row - 3, px + 3, row + 3))
    return boxes


def rules_in_words(rules: Iterable[Rule], format_lr: Callable[[float], str]) -> str:
    """For those who cannot see the flags."""
    said = [f"{rule.name}: {'none' if rule.lr is None else format_lr(rule.lr)}" for rule in rules]
    return f"Other rules: {', '.join(said)}." if said else ""
