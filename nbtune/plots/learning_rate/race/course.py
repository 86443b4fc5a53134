"""The left plot of a race: every rate's way, step by step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np

from ...base.columns import Columns, floats
from ...base.labels import Label
from .racer import Racer
from .room import FOOT_PX, FRAME_HEIGHT, FRAME_WIDTHS, HEAD_ROW
from .scene import RaceScene
from .strokes import Line, points, strokes
from .words import DATA_ROWS, RaceFrame, uprights

TICK_PX = 7.0
"""Height of the mark at which a loser's line ends."""


def course(scene: RaceScene) -> dict[str, Columns]:
    """Every mark but the words."""
    leader, ends = [] if scene.leader is None else [scene.leader], (scene.low, scene.high)
    heads = [r for r in scene.alive if not scene.is_off(r.scores[-1])]
    now = [min(r.steps for r in scene.alive)] if scene.running and scene.alive else []
    return {
        "rounds": uprights(scene, scene.rounds, DATA_ROWS),
        "now": uprights(scene, now, DATA_ROWS),
        # Their noise would fill an axis that shows less of it than they have.
        "raw": strokes((Line(r.lr, _steps(r), r.losses) for r in scene.alive if not scene.is_zoomed), ends),
        "lost": strokes(_scores(scene.out), ends),
        "lost_ends": _ticks(scene),
        "racing": strokes(_scores(scene.others), ends),
        "leader": strokes(_scores(leader), ends),
        "ahead": strokes(_ahead(scene, heads), ends),
        "heads": points((r.steps, float(r.scores[-1]), r.lr) for r in heads),
        **start(scene),
    }  # fmt: skip


def start(scene: RaceScene) -> dict[str, Columns]:
    """The loss without training, in either plot."""
    loss = scene.curve.start_loss
    return {"start": {"y": floats([] if loss is None or not math.isfinite(loss) else [loss])}}


def _steps(racer: Racer) -> np.ndarray:
    return np.arange(1, racer.steps + 1)


def _scores(racers: Iterable[Racer]) -> Iterator[Line]:
    return (Line(r.lr, _steps(r), r.scores) for r in racers)


def _ahead(scene: RaceScene, heads: Iterable[Racer]) -> Iterator[Line]:
    """From where a rate is now, level, to its row in the standings."""
    return (Line(r.lr, (r.steps, scene.steps[1]), (r.scores[-1],) * 2) for r in heads)


def _ticks(scene: RaceScene) -> Columns:
    half = TICK_PX / 2 * scene.height_of_px
    ends = [(r.steps, float(r.scores[-1]), r.lr) for r in scene.out if r.steps and not scene.is_off(r.scores[-1])]
    found = points(ends)
    return {"x": found["x"], "low": found["y"] - half, "high": found["y"] + half, "lr": found["lr"]}


def course_labels(scene: RaceScene) -> dict[str, Columns]:
    """Its words, at both widths."""
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = RaceFrame.of(scene, width, scene.steps)
        columns |= frame.columns(prefix, frame.frame.place([*_racing(frame), *_break(frame)]))
    return columns


def _racing(frame: RaceFrame) -> Iterator[Label]:
    """How many race in each round, above it."""
    scene = frame.scene
    ends = [*scene.ended, next((at for at in scene.rounds if at not in scene.ended), scene.last)]
    if scene.ended and not (scene.running and scene.ended[-1] < max(scene.rounds)):
        ends[-1] = scene.last
    for i, (begin, end) in enumerate(pairwise([1, *ends])):
        left = sum(r.left_after is None or r.left_after > begin or i == 0 for r in scene.racers)
        at = (frame.x(begin) + frame.x(end)) / 2
        yield Label(f"{left} rates" if i == 0 else str(left), "muted", ((at, HEAD_ROW, "center"),), droppable=True)


def _break(frame: RaceFrame) -> Iterator[Label]:
    """That the axis does not begin at 0, at its foot."""
    if frame.scene.is_zoomed:
        yield Label("//", "muted", ((2.0, FRAME_HEIGHT - FOOT_PX + 1, "left"),), droppable=True)


def course_in_words(scene: RaceScene) -> str:
    """For those who cannot see it."""
    steps = max((r.steps for r in scene.alive), default=0)
    loss = "Held-out" if scene.curve.is_held_out else "Training"
    return f"{loss} loss against step for {len(scene.racers)} learning rates, {steps} steps."
