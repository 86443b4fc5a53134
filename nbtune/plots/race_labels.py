"""The words in the two plots of a race."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..formats import format_lr
from .labels import GAP_PX, Box, Label, apart, label_columns, place
from .lr_labels import LABEL_COLOURS
from .lr_scene import TRIANGLE_PX, x_edges
from .race_scene import COURSE_WIDTH, FRAME_HEIGHT, NAMES_SHARE, SCORES_WIDTH, RaceScene

TOP_ROW, BOTTOM_ROW = 14.0, FRAME_HEIGHT - 12


def course_labels(scene: RaceScene) -> dict[str, dict[str, Any]]:
    """Of the left plot, places given in steps and loss."""
    width = COURSE_WIDTH
    end = NAMES_SHARE * scene.last

    def x(step: float) -> float:
        return step / end * width

    labels = [*_names(scene, x), *_rounds(scene, x)]
    return _columns(scene, labels, width, [], lambda px: px / width * end)


def scores_labels(scene: RaceScene) -> dict[str, dict[str, Any]]:
    """Of the right plot, places given in η and loss."""
    width = SCORES_WIDTH
    left, right = map(math.log, x_edges(scene.curve.settings.lr_min, scene.curve.settings.lr_max))

    def x(lr: float) -> float:
        return (math.log(lr) - left) / (right - left) * width

    labels = list(_answer(scene, x)) + list(_references(scene, x))
    taken = list(_taken(scene, x))
    return _columns(scene, labels, width, taken, lambda px: math.exp(left + px / width * (right - left)))


def _columns(
    scene: RaceScene, labels: list[Label], width: float, taken: list[Box], x_at: Callable[[float], float]
) -> dict[str, dict[str, Any]]:
    placed = place(labels, width, FRAME_HEIGHT, taken)
    columns = {}
    for colour in LABEL_COLOURS:
        of_colour = label_columns(placed, colour)
        of_colour["x"] = np.array([x_at(px) for px in of_colour["x"]], dtype=np.float64)
        of_colour["y"] = np.array([scene.top - px * scene.height_of_px for px in of_colour["y"]], dtype=np.float64)
        of_colour["box_alpha"] = np.array(of_colour["box_alpha"], dtype=np.float64)
        columns[f"labels_{colour}"] = of_colour
    return columns


def _y(scene: RaceScene, loss: float) -> float:
    return min(max((scene.top - loss) / scene.height_of_px, 8.0), FRAME_HEIGHT - 8.0)


def _names(scene: RaceScene, x: Callable[[float], float]) -> Iterator[Label]:
    """Survivors' names at the end of their lines, once the others are gone."""
    if len(scene.curve.rounds) < 2:
        return
    alive = [c for c in scene.alive if math.isfinite(c.losses[-1])]
    rows = apart([_y(scene, c.losses[-1]) for c in alive], 17, FRAME_HEIGHT)
    leader = scene.leader
    for candidate, row in zip(alive, rows, strict=True):
        is_leader = leader is not None and candidate.lr == leader.lr
        px = x(len(candidate.losses)) + GAP_PX
        yield Label(
            f"η {format_lr(candidate.lr)}", "answer" if is_leader else "ink", ((px, row, "left"),), bold=is_leader
        )


def _rounds(scene: RaceScene, x: Callable[[float], float]) -> Iterator[Label]:
    crowned = {c.left_after for c in scene.out if scene.is_off(c.losses[-1])}
    for at, count in scene.curve.rounds:
        if count:
            px, row = x(at) + 4, TOP_ROW + (2 * TRIANGLE_PX if at in crowned else 0)
            yield Label(f"{count} out", "muted", ((px, row, "left"), (px, row + 18, "left")), droppable=True)
    start = scene.curve.start_loss
    if start is not None and math.isfinite(start):
        row = _y(scene, start) - 10
        places = ((COURSE_WIDTH - 2, row, "right"), (COURSE_WIDTH - 2, row + 22, "right"))
        yield Label("no training", "muted", places, droppable=True)


def _answer(scene: RaceScene, x: Callable[[float], float]) -> Iterator[Label]:
    if scene.answer is None:
        return
    at = x(scene.answer)
    left, right = at, at
    if scene.good is not None:
        left, right = min(at, x(scene.good[0])), max(at, x(scene.good[1]))
    sides = ((left - GAP_PX, "right"), (right + GAP_PX, "left"))
    places = tuple((px, row, align) for row in (BOTTOM_ROW - 38, TOP_ROW + 26) for px, align in sides)
    yield Label(f"η = {format_lr(scene.answer)}", "answer", places, bold=True, boxed=True)
    if scene.good is not None:
        text = f"good {format_lr(scene.good[0], 1)} – {format_lr(scene.good[1], 1)}"
        yield Label(text, "answer", tuple((px, row + 18, a) for px, row, a in places), boxed=True, droppable=True)
    peak = scene.curve.peak
    if peak is not None:
        text = f"one-cycle peak {format_lr(peak)}"
        px = x(peak)
        ends = ((px + GAP_PX, BOTTOM_ROW, "left"), (px - GAP_PX, BOTTOM_ROW, "right"))
        yield Label(text, "answer", ends, droppable=True)


def _references(scene: RaceScene, x: Callable[[float], float]) -> Iterator[Label]:
    curve = scene.curve
    low = x(curve.settings.lr_min)
    if curve.rounds and curve.start_loss is not None and math.isfinite(curve.start_loss):
        row = _y(scene, curve.start_loss) + 15
        places = ((low, row, "left"), (low, row - 28, "left"))
        yield Label(f"all after {curve.rounds[0][0]} steps", "muted", places, droppable=True)
    off = [x(c.lr) for c in scene.out if scene.is_off(c.score)]
    if off:
        places = (((min(off) + max(off)) / 2, TOP_ROW + 16, "center"), (max(off), TOP_ROW + 16, "right"))
        yield Label("▲ off the scale", "danger", places, boxed=True, droppable=True)


def _taken(scene: RaceScene, x: Callable[[float], float]) -> Iterator[Box]:
    """What no label may cover: the suggestion's line, dots with their whiskers, triangles."""
    if scene.answer is not None:
        yield x(scene.answer) - 2, 0.0, x(scene.answer) + 2, FRAME_HEIGHT
    for candidate in scene.alive:
        if candidate.score is not None and math.isfinite(candidate.score):
            row = _y(scene, candidate.score)
            yield x(candidate.lr) - 7, row - 10, x(candidate.lr) + 7, row + 10
    off = [x(c.lr) for c in scene.out if scene.is_off(c.score)]
    if off:
        yield min(off) - TRIANGLE_PX, 0.0, max(off) + TRIANGLE_PX, 2 * TRIANGLE_PX


