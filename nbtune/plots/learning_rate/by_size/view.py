"""What a search over batch sizes looks like, in numbers: every mark of its two figures as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ....formats import format_lr
from ...base.columns import Columns, View
from ...base.labels import GAP_PX, Box, Frame, Label
from ...base.mirror import mirrored
from ...base.series import LOOKS
from ..pair import FRAME_HEIGHT, FRAME_WIDTHS
from ..several import COLOURS, points_of, word_colour
from .scene import BySizeScene, by_size_scene

if TYPE_CHECKING:
    from ....engine.learning_rate.by_batch_size import LRByBatchSize


def by_size_view(result: LRByBatchSize, *, running: bool = False, words: bool = True) -> dict[str, View]:
    """Every mark of both figures, "curves" and "moves", for what is known of ``result``.

    Args:
        result: With any number of k, also none.
        running: Whether more steps are coming: then only those k have a suggestion that are through.
        words: Whether the plot's words are placed too. A view without them leaves those that stand, which are right as
            long as its ranges are the same.
    """
    scene = by_size_scene(result, running)
    curves, moves = scene.left.columns(), _moves(scene)
    if words:
        curves, moves = {**curves, **scene.left.words()}, {**moves, **_moves_words(scene)}
    return {
        "curves": mirrored(View(curves, scene.left.losses, _curves_in_words(scene), scene.left.rates), result.sign),
        "moves": View(moves, scene.suggested, _moves_in_words(scene), scene.sizes),
    }


def _moves(scene: BySizeScene) -> dict[str, Columns]:
    answers = scene.answers
    columns = points_of([(a.series.slot, (float(a.series.batch_size), a.lr)) for a in answers])
    for slot in LOOKS:
        chosen = [a for a in answers if a.series.slot == slot]
        ranges = [a for a in chosen if a.low is not None and a.high is not None]
        columns[f"range_{slot}"] = {
            "x": np.array([float(a.series.batch_size) for a in ranges]),
            "low": np.array([a.low for a in ranges], dtype=np.float64),
            "high": np.array([a.high for a in ranges], dtype=np.float64),
        }
    columns["trend"] = _trend(scene)
    return columns


def _moves_words(scene: BySizeScene) -> dict[str, Columns]:
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = Frame.of((width, FRAME_HEIGHT), scene.sizes, scene.suggested, logs="xy")
        columns |= frame.columns(prefix, frame.place(_move_labels(scene, frame), _move_boxes(scene, frame)), COLOURS)
    return columns


def _trend(scene: BySizeScene) -> Columns:
    """The power law through the suggestions, across the axis."""
    a, answers = scene.result.exponent, scene.answers
    if a is None or scene.running or not scene.result.does_move:
        return {"x": np.array([]), "y": np.array([])}
    logs = [math.log(answer.lr) - a * math.log(answer.series.batch_size) for answer in answers]
    level = sum(logs) / len(logs)
    x = np.array([float(min(b.series.batch_size for b in answers)), float(max(b.series.batch_size for b in answers))])
    return {"x": x, "y": np.exp(level + a * np.log(x))}


def _move_labels(scene: BySizeScene, frame: Frame) -> Iterator[Label]:
    for answer in scene.answers:
        px, row = frame.x(answer.series.batch_size), frame.y(answer.lr)
        colour = word_colour(answer.series)
        sides = ((px + GAP_PX, "left"), (px - GAP_PX, "right"))
        places = tuple((at, row + shift, align) for shift in (9, -10, 20, -22) for at, align in sides)
        yield Label(format_lr(answer.lr), colour, places, droppable=True)
    a = scene.result.exponent
    if a is not None and not scene.running and scene.result.does_move:
        rows = (FRAME_HEIGHT - 12, 14.0)
        places = tuple((frame.x(scene.sizes[1]) - 4, row, "right") for row in rows)
        yield Label(f"η ∝ k^{a:.1f}".replace("-", "−"), "answer", places, bold=True, droppable=True)


def _move_boxes(scene: BySizeScene, frame: Frame) -> list[Box]:
    boxes: list[Box] = []
    for answer in scene.answers:
        px, row = frame.x(answer.series.batch_size), frame.y(answer.lr)
        top, bottom = frame.y(answer.high or answer.lr), frame.y(answer.low or answer.lr)
        boxes.append((px - 5, min(top, row - 5), px + 5, max(bottom, row + 5)))
    trend = _trend(scene)
    boxes += frame.along(trend["x"], trend["y"])
    return boxes


def _curves_in_words(scene: BySizeScene) -> str:
    begun = ", ".join(str(s.batch_size) for s, _ in scene.curves)
    return f"Loss against learning rate, one curve per batch size: {begun}." if begun else "No steps yet."


def _moves_in_words(scene: BySizeScene) -> str:
    found = ", ".join(f"{format_lr(a.lr)} at {a.series.batch_size}" for a in scene.answers)
    ending = "Still running." if scene.running else f"{scene.result.verdict}."
    return f"Suggested learning rate against batch size: {found or 'none so far'}. {ending}"
