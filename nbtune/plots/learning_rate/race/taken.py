"""What words in the right plot of a race may not cover, and what they should not if there is another place."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...base.labels import Box
from ...base.scale import TRIANGLE_PX
from ..orders_band import band_boxes, band_of
from ..theory_mark import theory_lr
from .room import FOOT_PX, FRAME_HEIGHT, HEAD_PX
from .scene import RaceScene, score_of
from .scores import FLOOR, LEVEL_ROWS, LIMIT_ROWS, PEAK_ROW, is_bracketed
from .words import RaceFrame

DOT_PX, SMALL_PX, PEAK_PX = 7.0, 4.0, 6.0
"""Half of a mark, with the line around it."""


def taken(frame: RaceFrame) -> list[Box]:
    """The last curve, dots with their whiskers, triangles, lines and ticks."""
    found = [(0.0, FRAME_HEIGHT - FOOT_PX + 1, frame.width, FRAME_HEIGHT)]
    now = sorted((r.lr, score_of(r)) for r in frame.scene.alive if r.score is not None)
    return [*found, *_claims(frame), *frame.along(now), *_dots(frame), *_triangles(frame), *_orders(frame)]


def faint(frame: RaceFrame) -> list[Box]:
    """The loss without training, the curves of rounds that have ended, and the stems between them."""
    scene, (left, right) = frame.scene, frame.scene.rates
    start = scene.curve.start_loss
    level = [(left, start), (right, start)] if start is not None and math.isfinite(start) else []
    past = [box for step in scene.ended for box in frame.along(scene.valley(step))]
    return [*frame.along(level), *past, *_stems(frame)]


def orders_of(scene: RaceScene) -> list[tuple[float, float, float]]:
    """The band over data orders, where it is in the frame."""
    return [row for row in band_of(scene.orders) if not scene.is_off(row[1])]


def _claims(frame: RaceFrame) -> Iterator[Box]:
    scene, limit = frame.scene, theory_lr(frame.scene.curve, frame.scene.rates)
    if limit is not None:
        yield frame.x(limit) - 2, LIMIT_ROWS[0], frame.x(limit) + 2, FRAME_HEIGHT
    if scene.answer is not None:
        yield frame.x(scene.answer) - 2, HEAD_PX, frame.x(scene.answer) + 2, FRAME_HEIGHT
    if scene.answer is not None and scene.standing.peak is not None:
        px = frame.x(scene.standing.peak)
        yield px - PEAK_PX, PEAK_ROW - PEAK_PX, px + PEAK_PX, PEAK_ROW + PEAK_PX
    if is_bracketed(scene):
        level = scene.standing.level
        yield frame.x(level[0]) - 7, LEVEL_ROWS[0] - 2, frame.x(level[-1]) + 7, FLOOR
    if scene.standing.is_in_doubt:
        for lr in scene.standing.range or ():
            yield frame.x(lr) - 1, HEAD_PX, frame.x(lr) + 1, FLOOR


def _dots(frame: RaceFrame) -> Iterator[Box]:
    scene = frame.scene
    for racer in scene.alive:
        if racer.score is not None and not scene.is_off(racer.score):
            reach = max(DOT_PX, scene.doubt_of(racer) / scene.height_of_px)
            yield _around(frame, racer.lr, racer.score, (DOT_PX, reach))
    for racer in scene.racers:
        marks = {*scene.ended, racer.steps} if racer.left_after is not None else scene.ended
        for score in map(racer.score_at, marks):
            if score is not None and not scene.is_off(score):
                yield _around(frame, racer.lr, score, (SMALL_PX, SMALL_PX))


def _around(frame: RaceFrame, lr: float, loss: float, half: tuple[float, float]) -> Box:
    px, row = frame.x(lr), frame.row(loss)
    return px - half[0], row - half[1], px + half[0], row + half[1]


def _triangles(frame: RaceFrame) -> Iterator[Box]:
    row = frame.row(frame.scene.edge)
    for racer in frame.scene.off_scale:
        px = frame.x(racer.lr)
        yield px - TRIANGLE_PX, row - TRIANGLE_PX, px + TRIANGLE_PX, row + TRIANGLE_PX


def _stems(frame: RaceFrame) -> Iterator[Box]:
    for racer in frame.scene.racers:
        scores = [s for s in map(racer.score_at, (*frame.scene.ended, racer.steps)) if s is not None]
        if len(scores) > 1:
            px, rows = frame.x(racer.lr), [frame.y(score) for score in scores]
            yield px - 2, min(rows), px + 2, max(rows)


def _orders(frame: RaceFrame) -> list[Box]:
    return band_boxes(orders_of(frame.scene), frame.x, frame.row)
