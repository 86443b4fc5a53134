"""What a learning-rate curve looks like, in numbers: every mark of the figure as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....formats import format_loss, format_lr
from ...base.columns import Columns, View, floats, table
from ...base.mirror import mirrored
from ...base.scale import TRIANGLE_PX, x_edges
from ..orders_band import TICK_PX, band_of, suggestions_of
from ..overlays import BAND, REGION, UPRIGHT
from ..theory_mark import theory_lr
from .labels import FRAME_WIDTHS, lr_labels
from .rule_marks import Rule, rules_in_words
from .scene import Scene, scene_of

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve


def lr_view(curve: LRCurve, *, running: bool = False, rules: Sequence[Rule] = ()) -> View:
    """Every mark of the figure for what is known of ``curve``.

    Args:
        curve: Of any length, also empty.
        running: Whether more steps are coming: then the last point is marked, and no answer is shown.
        rules: At most four whose η is to be marked on the axis, such as ``nbtune.engine.classic_rules(curve)``; not
            while it runs.
    """
    rules = () if running else rules
    scene = scene_of(curve, running)
    columns = {**_line_columns(scene), **_mark_columns(scene), **_region_columns(scene)}
    for prefix in FRAME_WIDTHS:
        columns |= lr_labels(scene, prefix, rules)
    label = " ".join(part for part in (_in_words(scene), rules_in_words(rules, format_lr)) if part)
    return mirrored(View(columns, (scene.bottom, scene.top), label), curve.sign)


def _line_columns(scene: Scene) -> dict[str, Columns]:
    lrs, losses, finite = scene.lrs, scene.losses, np.isfinite(scene.losses)
    off = scene.off_scale
    # Canvas coordinates are 32 bits: a loss of 1e30 would bend the line on its way out of the frame.
    far = 50 * scene.span
    line = np.clip(np.where(np.isnan(scene.smoothed), np.inf, scene.smoothed), scene.bottom - far, scene.top + far)
    turn = len(lrs) if scene.rises_from is None else int(np.searchsorted(lrs, scene.rises_from))
    edge = np.full(int(off.sum()), scene.top - TRIANGLE_PX * scene.height_of_px)
    return {
        "raw": {"x": lrs, "y": np.where(finite, losses, np.nan), "step": scene.steps},
        "smooth": {"x": lrs[: turn + 1], "y": line[: turn + 1]},
        "rising": {"x": lrs[turn:], "y": line[turn:]},
        "off": {"x": lrs[off], "y": edge, "loss": losses[off], "step": scene.steps[off]},
    }


def _mark_columns(scene: Scene) -> dict[str, Columns]:
    curve, bottom, top = scene.curve, scene.bottom, scene.top
    start = [] if curve.start_loss is None or scene.is_flat else [curve.start_loss]
    suggestion = [] if scene.running or curve.suggestion is None else [curve.suggestion]
    ticks = suggestions_of(scene.orders)
    limit = theory_lr(curve, x_edges(curve.settings.lr_min, curve.settings.lr_max))
    head = len(scene.lrs) - 1 if scene.running and len(scene.lrs) else None
    return {
        "start": {"y": floats(start)},
        "suggestion": table(
            [(lr, scene.in_frame(_smoothed_at(scene, lr)), bottom, top) for lr in suggestion],
            ("x", "y", "bottom", "top"),
        ),
        "orders": _orders(scene),
        "order_ticks": table([(lr, bottom, bottom + TICK_PX * scene.height_of_px) for lr in ticks], UPRIGHT),
        "theory": table([] if limit is None else [(limit, bottom, top)], UPRIGHT),
        "head": table([] if head is None else [(scene.lrs[head], scene.in_frame(scene.losses[head]))], ("x", "y")),
        "run": {"steps": floats([curve.settings.steps])},
    }


def _region_columns(scene: Scene) -> dict[str, Columns]:
    curve = scene.curve
    right = x_edges(curve.settings.lr_min, curve.settings.lr_max)[1]
    last = float(scene.lrs[-1]) if len(scene.lrs) else right
    hatch = None if scene.rises_from is None else (scene.rises_from, last if scene.is_stopped else right)
    return {
        "band": _region(scene, scene.usable),
        "hatch": _region(scene, hatch),
        "untried": _region(scene, (last, right) if scene.is_stopped else None),
    }


def _region(scene: Scene, edges: tuple[float, float] | None) -> Columns:
    rows = [] if edges is None else [(*edges, scene.bottom, scene.top)]
    return table(rows, REGION)


def _orders(scene: Scene) -> Columns:
    columns, far = table(band_of(scene.orders), BAND), 50 * scene.span
    return {"x": columns["x"], **{n: np.clip(columns[n], scene.bottom - far, scene.top + far) for n in ("low", "high")}}


def _smoothed_at(scene: Scene, lr: float) -> float:
    finite = np.isfinite(scene.smoothed)
    if not finite.any():
        return scene.top
    return float(np.interp(math.log(lr), np.log(scene.lrs[finite]), scene.smoothed[finite]))


def _in_words(scene: Scene) -> str:
    curve = scene.curve
    if not curve.lrs:
        sweep = f"{format_lr(curve.settings.lr_min)} to {format_lr(curve.settings.lr_max)}"
        return f"Loss against learning rate, {sweep}. No steps yet."
    steps = f"{len(curve.lrs)} step{'' if len(curve.lrs) == 1 else 's'}"
    head = f"Loss against learning rate, {steps} from {format_lr(curve.lrs[0])} to {format_lr(curve.lrs[-1])}."
    if scene.running:
        return f"{head} Loss {format_loss(curve.sign * curve.losses[-1])}, still running."
    ending = "No suggestion." if curve.suggestion is None else f"Suggested {format_lr(curve.suggestion)}."
    return " ".join(part for part in (head, _course_in_words(scene), ending, curve.theory) if part)


def _course_in_words(scene: Scene) -> str:
    curve = scene.curve
    if curve.start_loss is None:
        return ""
    course = [f"flat at {format_loss(curve.sign * curve.start_loss)}"]
    best, worse = ("lowest", "rises") if curve.sign > 0 else ("highest", "falls")
    if curve.low is not None and curve.high is not None:
        course[0] += f" up to {format_lr(curve.low)}"
        course.append(f"{best} {format_loss(curve.sign * _smoothed_at(scene, curve.high))} at {format_lr(curve.high)}")
    if curve.rises_from is not None:
        course.append(f"{worse} from {format_lr(curve.rises_from)}")
    sentence = ", ".join(course)
    return sentence[0].upper() + sentence[1:] + "."
