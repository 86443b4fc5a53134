"""What a race looks like, in numbers: every mark of its two figures as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....formats import format_loss, format_lr
from ...base.columns import Columns, View, floats, table
from ...base.mirror import mirrored
from ..orders_band import TICK_PX, band_of, suggestions_of
from ..overlays import REGION
from ..pair import FRAME_HEIGHT
from ..theory_mark import theory_lr
from .answer import PEAK_PX, scores_labels
from .labels import course_labels
from .scene import FADES, NAMES_SHARE, RaceScene, race_scene, score_of

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve
    from ....engine.learning_rate.race.standings import Candidate


def race_view(curve: LRCurve, *, running: bool = False, words: bool = True) -> dict[str, View]:
    """Every mark of both figures, "course" and "scores", for what is known of ``curve``.

    Args:
        curve: Of any length, also empty.
        running: Whether more steps are coming: then no answer is shown.
        words: Whether the plot's words are placed too. A view without them leaves those that stand, which are right as
            long as its ranges are the same.
    """
    scene = race_scene(curve, running)
    y_range = scene.bottom, scene.top
    steps = 0.0, NAMES_SHARE * scene.last
    course, scores = _course(scene), _scores(scene)
    if words:
        course, scores = {**course, **course_labels(scene)}, {**scores, **scores_labels(scene)}
    return {
        "course": mirrored(View(course, y_range, _course_in_words(scene), steps), curve.sign),
        "scores": mirrored(View(scores, y_range, _scores_in_words(scene), scene.rates), curve.sign),
    }


def _course(scene: RaceScene) -> dict[str, Columns]:
    calm = [c for c in scene.out if not scene.is_worse(c)]
    worse = [c for c in scene.out if scene.is_worse(c)]
    leader = [] if scene.leader is None else [scene.leader]
    heads = leader if scene.running else []
    off = {len(c.losses) for c in (*scene.out, *scene.alive) if c.losses and scene.is_off(c.losses[-1])}
    return {
        **{f"out{group}": _lines(scene, [c for c in calm if scene.group_of(c) == group]) for group in range(FADES)},
        "worse": _lines(scene, worse), "alive": _lines(scene, scene.others), "leader": _lines(scene, leader),
        "crosses": _points(scene, [(len(c.losses), c.losses[-1]) for c in calm]),
        "worse_crosses": _points(scene, [(len(c.losses), c.losses[-1]) for c in worse]),
        "off": _at_edge(scene, off),
        "head": _points(scene, [(len(c.losses), c.losses[-1]) for c in scene.others if scene.running]),
        "leading_head": _points(scene, [(len(c.losses), c.losses[-1]) for c in heads]),
        "rounds": _uprights(scene, scene.rounds),
        **_start(scene),
    }  # fmt: skip


def _scores(scene: RaceScene) -> dict[str, Columns]:
    curve, leader, answer = scene.curve, scene.leader, [] if scene.answer is None else [scene.answer]
    first = scene.after_first_round()
    fit = curve.fit if answer else ()
    theory = theory_lr(curve, scene.rates)
    return {
        "first": {"x": floats([lr for lr, _ in first]), "y": scene.clipped([loss for _, loss in first])},
        "crosses": _points(scene, [(c.lr, c.score) for c in scene.out if not scene.is_worse(c)]),
        "worse_crosses": _points(scene, [(c.lr, c.score) for c in scene.out if scene.is_worse(c)]),
        "off": _at_edge(scene, [c.lr for c in scene.off_scale]),
        "alive": _points(scene, [(c.lr, c.score) for c in scene.others]),
        "leader": _points(scene, [] if leader is None else [(leader.lr, leader.score)]),
        "whisker": _whiskers(scene),
        "fit": {"x": floats([lr for lr, _ in fit]), "y": scene.clipped([loss for _, loss in fit])},
        "band": _band(scene),
        "suggestion": _uprights(scene, answer),
        "peak": _uprights(scene, [curve.peak] if answer and curve.peak is not None else [], PEAK_PX),
        "orders": _orders(scene),
        "order_ticks": _uprights(scene, suggestions_of(scene.orders), TICK_PX),
        "theory": _uprights(scene, [] if theory is None else [theory]),
        **_start(scene),
    }  # fmt: skip


def _lines(scene: RaceScene, candidates: Iterable[Candidate]) -> Columns:
    """Lines of several rates in one source, parted by NaN."""
    x: list[float] = []
    y: list[float] = []
    for candidate in candidates:
        x += [*range(1, len(candidate.losses) + 1), math.nan]
        y += [*scene.clipped(candidate.losses), math.nan]
    return {"x": floats(x), "y": floats(y)}


def _points(scene: RaceScene, places: Iterable[tuple[float, float | None]]) -> Columns:
    """Those places that lie in the frame."""
    kept = [(x, y) for x, y in places if y is not None and not scene.is_off(y)]
    return {"x": floats([x for x, _ in kept]), "y": floats([y for _, y in kept])}


def _at_edge(scene: RaceScene, places: Iterable[float]) -> Columns:
    x = floats(sorted(places))
    return {"x": x, "y": np.full(len(x), scene.edge)}


def _uprights(scene: RaceScene, places: Sequence[float], height_px: float = FRAME_HEIGHT) -> Columns:
    top = scene.bottom + height_px * scene.height_of_px
    return {"x": floats(places), "bottom": np.full(len(places), scene.bottom), "top": np.full(len(places), top)}


def _whiskers(scene: RaceScene) -> Columns:
    """± 2 standard errors of the scores in the frame."""
    doubts = [(c.lr, score_of(c), scene.doubt_of(c)) for c in scene.alive if scene.doubt_of(c)]
    return {
        "x": floats([lr for lr, *_ in doubts]),
        "low": scene.clipped([score - doubt for _, score, doubt in doubts]),
        "high": scene.clipped([score + doubt for _, score, doubt in doubts]),
    }


def _band(scene: RaceScene) -> Columns:
    rows = [] if scene.good is None else [(*scene.good, scene.bottom, scene.top)]
    return table(rows, REGION)


def _orders(scene: RaceScene) -> Columns:
    rows = band_of(scene.orders)
    low, high = (scene.clipped([row[i] for row in rows]) for i in (1, 2))
    return {"x": floats([row[0] for row in rows]), "low": low, "high": high}


def _start(scene: RaceScene) -> dict[str, Columns]:
    start = scene.curve.start_loss
    return {"start": {"y": floats([] if start is None or not math.isfinite(start) else [start])}}


def _course_in_words(scene: RaceScene) -> str:
    steps = max((len(c.losses) for c in scene.alive), default=0)
    loss = "Held-out" if scene.curve.is_held_out else "Training"
    return f"{loss} loss against step for {len(scene.curve.candidates)} learning rates, {steps} steps."


def _scores_in_words(scene: RaceScene) -> str:
    curve = scene.curve
    count = f"{len(curve.candidates)} learning rates compared."
    if not any(c.losses for c in curve.candidates):
        return f"{count} No steps yet."
    scores = [(c.lr, c.score) for c in scene.alive if c.score is not None]
    scored = [f"{format_lr(lr)} scores {format_loss(curve.sign * score)}" for lr, score in scores]
    parts = [count, f"{len(scene.alive)} remain{': ' + ', '.join(scored) if len(scored) <= 4 and scored else ''}."]
    if scene.running:
        return " ".join([*parts, "Still running."])
    if curve.suggestion is None:
        return " ".join([*parts, "No suggestion."])
    how = "good" if curve.confidence == "sure" else "in doubt, somewhere"
    good = "" if scene.good is None else f", {how} from {format_lr(scene.good[0], 1)} to {format_lr(scene.good[1], 1)}"
    return " ".join([*parts, f"Suggested {format_lr(curve.suggestion)}{good}.", *filter(None, [curve.theory])])
