"""What a comparison looks like, in numbers: every mark of the figure as columns. Knows no Bokeh."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..base.columns import Columns, Floats, View
from ..base.marks import LABEL
from ..base.mirror import mirrored
from ..base.scale import TRIANGLE_PX
from ..base.series import LOOKS
from .labels import ENDINGS, LABEL_COLOURS, captions, comparison_labels, in_words, y_title
from .scene import AXES, FRAME_WIDTHS, Points, Scene, scene_of
from .ticks import MOST_LOSSES, ticks_of

if TYPE_CHECKING:
    from ...engine.comparison.result import Comparison

EVERY = 5
"""Points from one marker to the next."""

FIRST_MARK = {"low": 1, "middle": 3, "high": 0}
"""Markers of curves that lie on one another are on different points."""

HIT = ("x", "y", "k", "loss", "samples", "updates", "seconds", "held_out")
MOST_TICKS = {"ticks": 6, "narrow_ticks": 4}
XY = ("x", "y")
SOURCES: dict[str, tuple[str, ...]] = {
    **{f"{what}_{slot}": XY for slot in LOOKS for what in ("band", "line", "held_out", "marks")},
    "off": XY,
    "ended": XY,
    "target": ("y",),
    "hit": HIT,
    "ticks": ("at", "text"),
    "narrow_ticks": ("at", "text"),
    "y_ticks": ("at", "text"),
    "words": ("x_title", "y_title", "wide", "narrow"),
    **{f"{prefix}_{colour}": LABEL for prefix in FRAME_WIDTHS for colour in LABEL_COLOURS},
}
"""Source name → its columns: the contract with whoever sends columns to the browser."""


def comparison_view(
    comparison: Comparison,
    *,
    axis: str = "samples",
    held_out: bool = False,
    selected: int | None = None,
    running: bool = False,
    x_end: float | None = None,
) -> View:
    """Every mark of the figure for what is known of ``comparison``.

    Args:
        comparison: Of any length, also empty.
        axis: "samples", "updates" or "seconds". Colours and the loss axis are the same for all three.
        held_out: Whether the held-out losses are drawn.
        selected: Of more than three k, the one that is coloured besides the ends; None for the answer's.
        running: Whether more is coming: then no answer is shown.
        x_end: Where an axis that the budget does not bound is expected to end.
    Raises:
        ValueError: For another axis.
    """
    scene = scene_of(comparison, axis=axis, held_out=held_out, selected=selected, running=running, x_end=x_end)
    columns = {**_curve_columns(scene), **_mark_columns(scene), **_axis_columns(scene)}
    for prefix in FRAME_WIDTHS:
        columns |= comparison_labels(scene, prefix)
    return mirrored(View(columns, scene.y_range, in_words(scene), scene.x_range), comparison.sign)


def _curve_columns(scene: Scene) -> dict[str, Columns]:
    columns = {}
    for slot in LOOKS:
        chosen = [points for points in scene.points if points.series.slot == slot]
        columns[f"line_{slot}"] = _joined((points.x, points.y) for points in chosen)
        columns[f"band_{slot}"] = _joined(_outline(points) for points in chosen if points.has_band)
        columns[f"held_out_{slot}"] = _joined(_known(points) for points in chosen if scene.held_out)
        marked = [(points, _marked(points)) for points in chosen]
        columns[f"marks_{slot}"] = _xy([(points.x[at], points.y[at]) for points, at in marked])
    return columns


def _joined(lines: Iterable[tuple[Floats, Floats]]) -> Columns:
    """Several lines in one, with a gap between two."""
    gap = (np.array([np.nan]), np.array([np.nan]))
    return _xy([piece for line in lines for piece in (gap, line)][1:])


def _xy(pieces: Sequence[tuple[Floats, Floats]]) -> Columns:
    return {
        name: np.concatenate([piece[i] for piece in pieces]) if pieces else np.empty(0) for i, name in enumerate(XY)
    }


def _outline(points: Points) -> tuple[Floats, Floats]:
    return np.concatenate([points.x, points.x[::-1]]), np.concatenate([points.high, points.low[::-1]])


def _known(points: Points) -> tuple[Floats, Floats]:
    known = np.isfinite(points.held_out)
    return points.x[known], points.held_out[known]


def _marked(points: Points) -> list[int]:
    """Few enough to see the dashes, and always the last; where a run broke off, its × is there."""
    last = len(points.x) - 1
    first = FIRST_MARK.get(points.series.slot)
    marks = [] if first is None else [i for i in range(last) if i % EVERY == first and i < last - 1]
    return marks if points.curve.outcome in ENDINGS else [*marks, last]


def _mark_columns(scene: Scene) -> dict[str, Columns]:
    top = scene.y_range[1]
    ended = [points for points in scene.points if points.curve.outcome in ENDINGS]
    # Beside its × a triangle would say the same again.
    shown = [slice(0, -2) if points in ended else slice(None) for points in scene.points]
    off = [points.x[part][points.y[part] > top] for points, part in zip(scene.points, shown, strict=True)]
    edge = top - TRIANGLE_PX * scene.unit_of_px
    return {
        "off": _xy([(x, np.full(len(x), edge)) for x in off]),
        "ended": _xy([(p.x[-1:], np.array([scene.in_frame(float(p.y[-1]))])) for p in ended]),
        "target": {"y": np.array([] if scene.target is None else [scene.target], dtype=np.float64)},
        "hit": _hit(scene),
    }


def _hit(scene: Scene) -> Columns:
    """What the tooltips say, in numbers: text for every point would cost more than all else here."""
    rows = [_hit_rows(scene, points) for points in scene.points]
    table = np.concatenate(rows, axis=1) if rows else np.empty((len(HIT), 0))
    return {name: table[i] for i, name in enumerate(HIT)}


def _hit_rows(scene: Scene, points: Points) -> Floats:
    curve, kept = points.curve, points.kept
    inside = np.clip(points.y, scene.y_range[0], scene.y_range[1] - TRIANGLE_PX * scene.unit_of_px)
    exact = [np.array(values, dtype=np.float64)[kept] for values in (curve.losses, curve.samples_seen, curve.updates)]
    # None becomes NaN.
    timed = [np.array(values, dtype=np.float64)[kept] for values in (curve.seconds, curve.held_out_losses)]
    k = np.full(len(kept), float(curve.batch_size))
    return np.stack([points.x, inside, k, *exact, *timed])


def _axis_columns(scene: Scene) -> dict[str, Columns]:
    words = {"x_title": f"{AXES[scene.axis]} (log scale)", "y_title": y_title(scene), **captions(scene)}
    ticks = {name: _ticks(*scene.x_range, most) for name, most in MOST_TICKS.items()}
    y_ticks = _y_ticks(scene)
    return {**ticks, "y_ticks": y_ticks, "words": {name: [text] for name, text in words.items()}}


def _y_ticks(scene: Scene) -> Columns:
    made = _ticks(*scene.y_range, MOST_LOSSES, scene.is_log)
    if scene.comparison.sign > 0:
        return made
    # The places are turned with the view.
    texts = [text.removeprefix("−") if text.startswith("−") else f"−{text}" for text in made["text"]]
    return {"at": -made["at"], "text": ["0" if text == "−0" else text for text in texts]}


def _ticks(bottom: float, top: float, most: int, is_log: bool = True) -> Columns:
    at, text = ticks_of(bottom, top, most, is_log)
    return {"at": np.array(at, dtype=np.float64), "text": text}
