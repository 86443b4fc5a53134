"""The words in the two plots of a race: what both share, and those of the left one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....formats import format_lr
from ...base.labels import GAP_PX, LINE_PX, Box, Label, all_fit, apart, label_columns, place
from ..sweep.labels import LABEL_COLOURS
from ..sweep.scene import TRIANGLE_PX
from .scene import FRAME_HEIGHT, FRAME_WIDTHS, LEADER_AFTER, NAMES_SHARE, RaceScene

TOP_ROW = 14.0
NAME_PX = 17.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One plot of a race in px, from the top left corner of its frame.

    Attributes:
        scene: What is drawn.
        width: Of the frame, px.
        left, right: Ends of the x axis, in steps, or in log η.
        is_log: Whether it is that of η.
    """

    scene: RaceScene
    width: float
    left: float
    right: float
    is_log: bool = False

    def x(self, value: float) -> float:
        """px of a step or an η."""
        return ((math.log(value) if self.is_log else value) - self.left) / (self.right - self.left) * self.width

    def at(self, px: float) -> float:
        """And back."""
        value = self.left + px / self.width * (self.right - self.left)
        return math.exp(value) if self.is_log else value

    def y(self, loss: float) -> float:
        """The row of a loss, or the nearest on which a word is whole."""
        row = (self.scene.top - loss) / self.scene.height_of_px if math.isfinite(loss) else 0.0
        return min(max(row, 8.0), FRAME_HEIGHT - 8.0)

    def columns(self, prefix: str, labels: Iterable[Label], taken: Iterable[Box]) -> dict[str, dict[str, Any]]:
        """The label sources of ``prefix``: places given in steps or η, and loss."""
        placed = place(labels, self.width, FRAME_HEIGHT, taken)
        columns = {}
        for colour in LABEL_COLOURS:
            of_colour = label_columns(placed, colour)
            loss = [self.scene.top - px * self.scene.height_of_px for px in of_colour["y"]]
            of_colour["x"] = np.array([self.at(px) for px in of_colour["x"]], dtype=np.float64)
            of_colour["y"] = np.array(loss, dtype=np.float64)
            of_colour["box_alpha"] = np.array(of_colour["box_alpha"], dtype=np.float64)
            columns[f"{prefix}_{colour}"] = of_colour
        return columns


def course_labels(scene: RaceScene) -> dict[str, dict[str, Any]]:
    """Of the left plot, at both widths."""
    columns: dict[str, dict[str, Any]] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = Frame(scene, width, 0.0, NAMES_SHARE * scene.last)
        crowns = list(_crowns(frame))
        labels = [*_names(frame), *_rounds(frame, crowns), *_reference(frame)]
        columns |= frame.columns(prefix, labels, crowns)
    return columns


def _names(frame: Frame) -> Iterator[Label]:
    """Survivors' names, right of the longest of their lines, once most of the others are gone."""
    scene = frame.scene
    alive = scene.alive
    if len(scene.curve.rounds) < LEADER_AFTER or not alive:
        return
    rows = apart([frame.y(c.losses[-1]) for c in alive], NAME_PX, FRAME_HEIGHT - 2)
    px = frame.x(max(len(c.losses) for c in alive)) + GAP_PX - 1
    leader = scene.leader
    for candidate, row in zip(alive, rows, strict=True):
        is_leader = leader is not None and candidate.lr == leader.lr
        name, colour = f"η {format_lr(candidate.lr)}", "answer" if is_leader else "ink"
        yield Label(name, colour, ((px, row, "left"),), bold=is_leader, boxed=True)


def _rounds(frame: Frame, taken: list[Box]) -> list[Label]:
    """How many left, right of each round's end: in one row if there is one, else where there is room."""
    left = [(frame.x(at) + TRIANGLE_PX, count) for at, count in frame.scene.curve.rounds if count]
    rows = [TOP_ROW + LINE_PX * line for line in range(2)]

    def labels(rows: list[float]) -> list[Label]:
        return [
            Label(f"{count} out", "muted", tuple((px, row, "left") for row in rows), boxed=True, droppable=True)
            for px, count in left
        ]

    together = (labels([row]) for row in rows)
    return next((row for row in together if all_fit(row, frame.width, FRAME_HEIGHT, taken)), labels(rows))


def _reference(frame: Frame) -> Iterator[Label]:
    start = frame.scene.curve.start_loss
    if start is None or not math.isfinite(start):
        return
    row, right = frame.y(start), frame.width - 2
    places = tuple((right, row + shift, "right") for shift in (-11, 12))
    yield Label("no training", "muted", places, droppable=True)


def _crowns(frame: Frame) -> Iterator[Box]:
    """The triangles at the top edge."""
    scene = frame.scene
    for at in {len(c.losses) for c in (*scene.out, *scene.alive) if c.losses and scene.is_off(c.losses[-1])}:
        yield frame.x(at) - TRIANGLE_PX + 1, 0.0, frame.x(at) + TRIANGLE_PX - 1, 2 * TRIANGLE_PX
