"""What a search over batch sizes looks like, in numbers: every mark of its two figures as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ....formats import format_lr
from ...base.columns import Columns, View
from ...base.labels import GAP_PX, Box, Frame, Label
from ...base.mirror import mirrored
from ...base.series import LOOKS
from ..pair import FRAME_HEIGHT, FRAME_WIDTHS
from .scene import BySizeScene, by_size_scene

if TYPE_CHECKING:
    from ....engine.learning_rate.by_batch_size import LRByBatchSize

COLOURS = {slot: token for slot, (token, *_) in LOOKS.items()} | {"muted": "muted", "answer": "answer_text"}
"""Group of labels → token: a k's words have its colour."""

TREND_EVERY_PX = 5

MOST_POINTS = 300
"""Of one curve."""


def by_size_view(result: LRByBatchSize, *, running: bool = False) -> dict[str, View]:
    """Every mark of both figures, "curves" and "moves", for what is known of ``result``.

    Args:
        result: With any number of k, also none.
        running: Whether more steps are coming: then only those k have a suggestion that are through.
    """
    scene = by_size_scene(result, running)
    return {
        "curves": mirrored(View(_curves(scene), scene.losses, _curves_in_words(scene), scene.rates), result.sign),
        "moves": View(_moves(scene), scene.suggested, _moves_in_words(scene), scene.sizes),
    }


def _curves(scene: BySizeScene) -> dict[str, Columns]:
    lines: dict[str, tuple[list[float], list[float]]] = {slot: ([], []) for slot in LOOKS}
    ends: dict[str, list[tuple[float, float]]] = {slot: [] for slot in LOOKS}
    for series, curve in scene.curves:
        kept = _thinned(len(curve.lrs))
        x, y = lines[series.slot]
        x += [*np.asarray(curve.lrs)[kept].tolist(), math.nan]
        y += [*scene.clipped(np.asarray(curve.smoothed_losses, dtype=np.float64)[kept]).tolist(), math.nan]
        ends[series.slot] += _lowest(scene, curve)
    starts = [c.start_loss for _, c in scene.curves if c.start_loss is not None and math.isfinite(c.start_loss)]
    columns = {f"line_{slot}": {"x": np.array(x), "y": np.array(y)} for slot, (x, y) in lines.items()}
    columns |= {
        f"marks_{slot}": {"x": np.array([p[0] for p in at]), "y": np.array([p[1] for p in at])}
        for slot, at in ends.items()
    }
    columns["start"] = {"y": np.array(starts[:1])}
    for prefix, width in FRAME_WIDTHS.items():
        frame = Frame.of((width, FRAME_HEIGHT), scene.rates, scene.losses, logs="x")
        placed = frame.place(_curve_labels(scene, frame), _curve_boxes(scene, frame))
        columns |= frame.columns(prefix, placed, COLOURS)
    return columns


def _moves(scene: BySizeScene) -> dict[str, Columns]:
    answers = scene.answers
    columns: dict[str, Columns] = {}
    for slot in LOOKS:
        chosen = [a for a in answers if a.series.slot == slot]
        ranges = [a for a in chosen if a.low is not None and a.high is not None]
        columns[f"marks_{slot}"] = {
            "x": np.array([float(a.series.batch_size) for a in chosen]), "y": np.array([a.lr for a in chosen])
        }  # fmt: skip
        columns[f"range_{slot}"] = {
            "x": np.array([float(a.series.batch_size) for a in ranges]),
            "low": np.array([a.low for a in ranges], dtype=np.float64),
            "high": np.array([a.high for a in ranges], dtype=np.float64),
        }
    columns["trend"] = _trend(scene)
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


def _lowest(scene: BySizeScene, curve: Any) -> list[tuple[float, float]]:
    """The lowest point of one curve, where it lies in the frame."""
    finite = [(loss, lr) for lr, loss in zip(curve.lrs, curve.smoothed_losses, strict=True) if math.isfinite(loss)]
    return [(lr, loss) for loss, lr in [min(finite)] if loss <= scene.losses[1]] if finite else []


def _thinned(count: int) -> Any:
    return np.unique(np.linspace(0, max(0, count - 1), min(count, MOST_POINTS)).astype(int))


def _curve_labels(scene: BySizeScene, frame: Frame) -> Iterator[Label]:
    lowest = [(s, at) for s, c in scene.curves for at in _lowest(scene, c)]
    # The lowest first: it has the least room.
    for series, (lr, loss) in sorted(lowest, key=lambda found: found[1][1]):
        px, row = frame.x(lr), frame.y(loss)
        places = [(px + GAP_PX, row + shift, "left") for shift in (10, -4, 22, -18)]
        places += [(px - GAP_PX, row + shift, "right") for shift in (10, -4, 22, -18)]
        yield Label(series.text, series.slot if series.slot != "rest" else "muted", tuple(places), boxed=True)


def _curve_boxes(scene: BySizeScene, frame: Frame) -> list[Box]:
    at = [(frame.x(lr), frame.y(loss)) for _, c in scene.curves for lr, loss in _lowest(scene, c)]
    return [(px - 5, row - 5, px + 5, row + 5) for px, row in at]


def _move_labels(scene: BySizeScene, frame: Frame) -> Iterator[Label]:
    for answer in scene.answers:
        px, row = frame.x(answer.series.batch_size), frame.y(answer.lr)
        colour = answer.series.slot if answer.series.slot != "rest" else "muted"
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
    ends = [(frame.x(float(k)), frame.y(float(lr))) for k, lr in zip(trend["x"], trend["y"], strict=True)]
    for (left, above), (right, below) in pairwise(ends):
        for part in np.linspace(0, 1, 2 + int((right - left) / TREND_EVERY_PX)).tolist():
            px, row = left + part * (right - left), above + part * (below - above)
            boxes.append((px - 2, row - 2, px + 2, row + 2))
    return boxes


def _curves_in_words(scene: BySizeScene) -> str:
    begun = ", ".join(str(s.batch_size) for s, _ in scene.curves)
    return f"Loss against learning rate, one curve per batch size: {begun}." if begun else "No steps yet."


def _moves_in_words(scene: BySizeScene) -> str:
    found = ", ".join(f"{format_lr(a.lr)} at {a.series.batch_size}" for a in scene.answers)
    ending = "Still running." if scene.running else f"{scene.result.verdict}."
    return f"Suggested learning rate against batch size: {found or 'none so far'}. {ending}"
