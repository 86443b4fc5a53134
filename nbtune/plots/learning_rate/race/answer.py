"""The words in the right plot of a race: the answer beside its band, and what the marks around it are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ....formats import format_lr
from ...base.columns import Columns
from ...base.labels import GAP_PX, LINE_PX, Box, Label, all_fit
from ...base.mirror import off_scale
from ...base.scale import TRIANGLE_PX
from ..orders_band import band_boxes, band_label, band_of
from ..pair import FRAME_HEIGHT, FRAME_WIDTHS
from ..theory_mark import theory_box, theory_label
from .labels import TOP_ROW, RaceFrame
from .scene import RaceScene, score_of

PEAK_PX = 14.0
"""Height of the one-cycle peak's tick."""

BOTTOM_ROW = FRAME_HEIGHT - 11
DOT_PX, CROSS_PX = 6.0, 5.0
"""Half of a mark, with the line around it."""

LINE_EVERY_PX = 5.0


def scores_labels(scene: RaceScene) -> dict[str, Columns]:
    """Of the right plot, at both widths."""
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = RaceFrame.of(scene, width, scene.rates, logs="x")
        taken = list(_taken(frame))
        theory = theory_label(scene.curve, frame.x, scene.rates, FRAME_HEIGHT)
        orders = band_label(_band(scene), len(scene.orders), frame.x, frame.y)
        labels = [*_answer(frame, taken), *theory, *orders, *_doubt(frame), *_references(frame)]
        columns |= frame.columns(prefix, labels, taken)
    return columns


def _answer(frame: RaceFrame, taken: list[Box]) -> list[Label]:
    """The suggestion, its range and the peak below one another, beside the band where no mark is covered."""
    scene = frame.scene
    if scene.answer is None:
        return []
    texts = _answer_texts(scene)
    for count in range(len(texts), 0, -1):
        for px, row, align in _places(frame):
            block = _block(texts[:count], px, row, align)
            if all_fit(block, frame.width, FRAME_HEIGHT, taken):
                return [*block, *_at_peak(frame, texts[count:])]
    return _block(texts, *next(_places(frame)))


def _answer_texts(scene: RaceScene) -> list[str]:
    texts = [f"η = {format_lr(scene.answer or 0.0)}"]
    if scene.good is not None:
        word = "good" if scene.curve.confidence == "sure" else "between"
        texts.append(f"{word} {format_lr(scene.good[0], 1)} – {format_lr(scene.good[1], 1)}")
    if scene.curve.peak is not None:
        texts.append(f"one-cycle peak {format_lr(scene.curve.peak)}")
    return texts


def _at_peak(frame: RaceFrame, texts: list[str]) -> list[Label]:
    """The peak's words beside its tick, where they did not fit below the others."""
    if frame.scene.curve.peak is None:
        return []
    px = frame.x(frame.scene.curve.peak)
    places = ((px + 5, BOTTOM_ROW, "left"), (px - GAP_PX - 2, BOTTOM_ROW, "right"))
    return [Label(text, "answer", places, droppable=True) for text in texts[-1:]]


def _places(frame: RaceFrame) -> Iterator[tuple[float, float, str]]:
    """Where the answer may stand: (x, its last row, align), beside the band at the bottom first, then farther off."""
    low, high = frame.scene.good or (frame.scene.answer, frame.scene.answer)
    at = [frame.x(lr) for lr in (low, high, frame.scene.answer) if lr is not None]
    rows = np.arange(BOTTOM_ROW, TOP_ROW, -LINE_PX / 2).tolist()
    for away in np.arange(0.0, frame.width / 2, 2 * LINE_PX).tolist():
        for row in rows:
            yield min(at) - GAP_PX - away, row, "right"
            yield max(at) + GAP_PX + away, row, "left"
    # A band from edge to edge leaves no room beside it.
    for px in np.arange(2.0, frame.width / 2, LINE_PX).tolist():
        yield from ((px, row, "left") for row in rows)


def _block(texts: list[str], px: float, last_row: float, align: str) -> list[Label]:
    rows = [last_row - LINE_PX * n for n in reversed(range(len(texts)))]
    return [
        Label(text, "answer", ((px, row, align),), bold=n == 0, boxed=True, droppable=n > 0)
        for n, (text, row) in enumerate(zip(texts, rows, strict=True))
    ]


def _doubt(frame: RaceFrame) -> Iterator[Label]:
    """What a whisker is, beside the longest that can be seen."""
    scene = frame.scene
    widest = max(scene.alive, key=scene.doubt_of, default=None)
    if widest is None or not scene.doubt_of(widest):
        return
    px, row = frame.x(widest.lr), frame.y(score_of(widest))
    sides = ((px + DOT_PX + 3, row, "left"), (px - DOT_PX - 3, row, "right"))
    yield Label("score ± doubt", "ink", sides, droppable=True)


def _references(frame: RaceFrame) -> Iterator[Label]:
    scene = frame.scene
    first = [(lr, loss) for lr, loss in scene.after_first_round() if not scene.is_off(loss)]
    if first:
        px, row = frame.x(first[0][0]), frame.y(first[0][1])
        places = tuple((px, row + shift, "left") for shift in (16, -15, 32))
        yield Label(f"all after {scene.curve.rounds[0][0]} steps", "muted", places, droppable=True)
    off = _off(frame)
    if off:
        row = TOP_ROW + LINE_PX - 2
        places = (((min(off) + max(off)) / 2, row, "center"), (max(off), row, "right"), (min(off), row, "left"))
        yield Label(off_scale(scene.curve.sign), "danger", places, boxed=True, droppable=True)


def _taken(frame: RaceFrame) -> Iterator[Box]:
    """What no label may cover: lines, dots with their whiskers, ×, triangles."""
    scene = frame.scene
    if scene.answer is not None:
        yield frame.x(scene.answer) - 2, 0.0, frame.x(scene.answer) + 2, FRAME_HEIGHT
        yield from _along(frame, scene.curve.fit)
    if scene.answer is not None and scene.curve.peak is not None:
        yield frame.x(scene.curve.peak) - 2, FRAME_HEIGHT - PEAK_PX, frame.x(scene.curve.peak) + 2, FRAME_HEIGHT
    yield from band_boxes(_band(scene), frame.x, frame.y)
    yield from theory_box(scene.curve, frame.x, scene.rates, FRAME_HEIGHT)
    yield from _along(frame, scene.after_first_round())
    for candidate in (*scene.alive, *scene.out):
        if candidate.score is not None and not scene.is_off(candidate.score):
            px, row = frame.x(candidate.lr), frame.y(candidate.score)
            half = DOT_PX if candidate.left_after is None else CROSS_PX
            reach = max(half, scene.doubt_of(candidate) / scene.height_of_px)
            yield px - half, row - reach, px + half, row + reach
    for px in _off(frame):
        yield px - TRIANGLE_PX, 0.0, px + TRIANGLE_PX, 2 * TRIANGLE_PX


def _band(scene: RaceScene) -> list[tuple[float, float, float]]:
    return [row for row in band_of(scene.orders) if not scene.is_off(row[1])]


def _off(frame: RaceFrame) -> list[float]:
    return [frame.x(c.lr) for c in frame.scene.off_scale]


def _along(frame: RaceFrame, points: Sequence[tuple[float, float]]) -> Iterator[Box]:
    """Small boxes along a line of (η, loss), where it lies in the frame."""
    corners = [(frame.x(lr), frame.frame.y(loss)) for lr, loss in points if math.isfinite(loss)]
    for (x0, row0), (x1, row1) in pairwise(corners):
        rise = row1 - row0
        crossings = sorted((side - row0) / rise for side in (0.0, FRAME_HEIGHT)) if rise else [0.0, 1.0]
        begin, end = max(0.0, crossings[0]), min(1.0, crossings[1])
        length = (end - begin) * math.hypot(x1 - x0, rise)
        for part in np.linspace(begin, end, 2 + int(length / LINE_EVERY_PX)) if begin <= end else ():
            px, row = float(x0 + part * (x1 - x0)), float(row0 + part * rise)
            yield px - 2, row - 2, px + 2, row + 2
