"""The words in the two plots of a race: what both share, and those of the left one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ....formats import format_lr
from ...base.columns import Columns
from ...base.labels import GAP_PX, LINE_PX, Box, Frame, Label, all_fit, apart
from ...base.scale import TRIANGLE_PX
from ..pair import FRAME_HEIGHT, FRAME_WIDTHS
from .scene import LEADER_AFTER, NAMES_SHARE, RaceScene

TOP_ROW = 14.0
NAME_PX = 17.0


@dataclass(frozen=True, slots=True)
class RaceFrame:
    """One plot of a race with its frame.

    Attributes:
        scene: What is drawn.
        frame: Where: px of a step or an η, and of a loss.
    """

    scene: RaceScene
    frame: Frame

    @classmethod
    def of(cls, scene: RaceScene, width: float, x_range: tuple[float, float], *, logs: str = "") -> RaceFrame:
        """At some width; see ``Frame.of``."""
        return cls(scene, Frame.of((width, FRAME_HEIGHT), x_range, (scene.bottom, scene.top), logs=logs))

    @property
    def width(self) -> float:
        return self.frame.width

    def x(self, value: float) -> float:
        return self.frame.x(value)

    def y(self, loss: float) -> float:
        """The row of a loss, or the nearest on which a word is whole."""
        row = self.frame.y(loss) if math.isfinite(loss) else 0.0
        return min(max(row, 8.0), FRAME_HEIGHT - 8.0)

    def columns(self, prefix: str, labels: Iterable[Label], taken: Iterable[Box]) -> dict[str, Columns]:
        """The label sources of ``prefix``: places given in steps or η, and loss."""
        return self.frame.columns(prefix, self.frame.place(labels, taken))


def course_labels(scene: RaceScene) -> dict[str, Columns]:
    """Of the left plot, at both widths."""
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = RaceFrame.of(scene, width, (0.0, NAMES_SHARE * scene.last))
        crowns = list(_crowns(frame))
        labels = [*_names(frame), *_rounds(frame, crowns), *_reference(frame)]
        columns |= frame.columns(prefix, labels, crowns)
    return columns


def _names(frame: RaceFrame) -> Iterator[Label]:
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


def _rounds(frame: RaceFrame, taken: list[Box]) -> list[Label]:
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


def _reference(frame: RaceFrame) -> Iterator[Label]:
    start = frame.scene.curve.start_loss
    if start is None or not math.isfinite(start):
        return
    row, right = frame.y(start), frame.width - 2
    places = tuple((right, row + shift, "right") for shift in (-11, 12))
    yield Label("no training", "muted", places, droppable=True)


def _crowns(frame: RaceFrame) -> Iterator[Box]:
    """The triangles at the top edge."""
    scene = frame.scene
    for at in {len(c.losses) for c in (*scene.out, *scene.alive) if c.losses and scene.is_off(c.losses[-1])}:
        yield frame.x(at) - TRIANGLE_PX + 1, 0.0, frame.x(at) + TRIANGLE_PX - 1, 2 * TRIANGLE_PX
