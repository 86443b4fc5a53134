"""What a race looks like, in numbers: every mark of its two figures as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..formats import format_loss, format_lr
from .lr_scene import Floats
from .race_labels import course_labels, scores_labels
from .race_scene import FADES, NAMES_SHARE, RaceScene, race_scene

if TYPE_CHECKING:
    from ..engine.lr_curve import LRCurve
    from ..engine.race_rules import Candidate

Columns = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RaceView:
    """All that changes in one of the two figures while a race runs.

    Attributes:
        columns: Source name → column name → float64 array or short list of strings.
        y_range: Bottom and top of the loss axis, the same in both.
        label: The result in words, for those who cannot see the plot.
        x_range: Of the axis; None leaves it.
    """

    columns: dict[str, Columns]
    y_range: tuple[float, float]
    label: str
    x_range: tuple[float, float] | None = None


def race_view(curve: LRCurve, *, running: bool = False) -> dict[str, RaceView]:
    """Every mark of both figures, "course" and "scores", for what is known of ``curve``.

    Args:
        curve: Of any length, also empty.
        running: Whether more steps are coming: then no answer is shown.
    """
    scene = race_scene(curve, running)
    y_range = scene.bottom, scene.top
    course = RaceView(_course(scene), y_range, _course_in_words(scene), (0.0, NAMES_SHARE * scene.last))
    return {"course": course, "scores": RaceView(_scores(scene), y_range, _scores_in_words(scene))}


def _course(scene: RaceScene) -> dict[str, Columns]:
    columns = {f"out{group}": _lines(scene, []) for group in range(FADES)}
    tame = [c for c in scene.out if not scene.is_worse(c)]
    for group in range(FADES):
        columns[f"out{group}"] = _lines(scene, [c for c in tame if scene.group_of(c) == group])
    worse = [c for c in scene.out if scene.is_worse(c)]
    leader = scene.leader
    columns |= {
        "worse": _lines(scene, worse), "alive": _lines(scene, scene.others),
        "leader": _lines(scene, [] if leader is None else [leader]),
        **_crosses(scene, tame, worse, lambda c: float(c.left_after or 0), lambda c: c.losses[-1]),
        "head": _points([(len(c.losses), c.losses[-1]) for c in scene.alive if scene.running], scene),
    }  # fmt: skip
    rounds = [at for at, _ in scene.curve.rounds]
    columns["rounds"] = {
        "x": _floats(rounds), "bottom": _floats([scene.bottom] * len(rounds)), "top": _floats([scene.top] * len(rounds))
    }  # fmt: skip
    return columns | _start(scene) | course_labels(scene)


def _scores(scene: RaceScene) -> dict[str, Columns]:
    curve, leader = scene.curve, scene.leader
    tame = [c for c in scene.out if not scene.is_worse(c) and c.score is not None]
    worse = [c for c in scene.out if scene.is_worse(c) and c.score is not None]
    first = _after_first_round(scene)
    whiskers = [
        (c.lr, c.score - 2 * c.score_error, c.score + 2 * c.score_error)
        for c in scene.alive if c.score is not None and c.score_error is not None and math.isfinite(c.score)
    ]  # fmt: skip
    fit = curve.fit if scene.answer is not None else ()
    columns: dict[str, Columns] = {
        "first": {"x": _floats([lr for lr, _ in first]), "y": _clipped(scene, [loss for _, loss in first])},
        **_crosses(scene, tame, worse, lambda c: c.lr, lambda c: math.inf if c.score is None else c.score),
        "alive": _points([(c.lr, c.score) for c in scene.others], scene),
        "leader": _points([] if leader is None else [(leader.lr, leader.score)], scene),
        "fit": {"x": _floats([lr for lr, _ in fit]), "y": _clipped(scene, [loss for _, loss in fit])},
        "whisker": {
            "x": _floats([x for x, *_ in whiskers]), "low": _clipped(scene, [low for _, low, _ in whiskers]),
            "high": _clipped(scene, [high for *_, high in whiskers]),
        },
    }  # fmt: skip
    rows = [] if scene.good is None else [(*scene.good, scene.bottom, scene.top)]
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    columns["band"] = {name: table[:, i].copy() for i, name in enumerate(("left", "right", "bottom", "top"))}
    answer = [] if scene.answer is None else [scene.answer]
    columns["suggestion"] = {
        "x": _floats(answer), "bottom": _floats([scene.bottom] * len(answer)), "top": _floats([scene.top] * len(answer))
    }  # fmt: skip
    peak = [curve.peak] if answer and curve.peak is not None else []
    columns["peak"] = {"x": _floats(peak), "y": _floats([scene.bottom + 5 * scene.height_of_px] * len(peak))}
    return columns | _start(scene) | scores_labels(scene)


def _after_first_round(scene: RaceScene) -> list[tuple[float, float]]:
    """What every rate's loss was at the end of the first round: the last three of its steps."""
    if not scene.curve.rounds:
        return []
    end = scene.curve.rounds[0][0]
    ended = [c for c in scene.curve.candidates if len(c.losses) >= end]
    return [(c.lr, float(np.mean(c.losses[end - 3 : end]))) for c in ended]


def _crosses(
    scene: RaceScene, tame: list[Candidate], worse: list[Candidate], x_of: Any, y_of: Any
) -> dict[str, Columns]:
    """Where losers end: × in the frame, triangles at its top."""
    inside = [c for c in worse if not scene.is_off(y_of(c))]
    off = sorted({x_of(c) for c in (*tame, *worse) if scene.is_off(y_of(c))})
    shown = [c for c in tame if not scene.is_off(y_of(c))]
    return {
        "crosses": {"x": _floats([x_of(c) for c in shown]), "y": _floats([y_of(c) for c in shown])},
        "worse_crosses": {"x": _floats([x_of(c) for c in inside]), "y": _floats([y_of(c) for c in inside])},
        "off": {"x": _floats(off), "y": _floats([scene.edge] * len(off))},
    }


def _lines(scene: RaceScene, candidates: Iterable[Candidate]) -> Columns:
    """Lines of several rates in one source, parted by NaN."""
    x: list[float] = []
    y: list[float] = []
    for candidate in candidates:
        x += [*range(1, len(candidate.losses) + 1), math.nan]
        y += [*_clipped(scene, candidate.losses), math.nan]
    return {"x": _floats(x), "y": _floats(y)}


def _points(places: list[tuple[float, float | None]], scene: RaceScene) -> Columns:
    kept = [(x, y) for x, y in places if y is not None and math.isfinite(y) and y <= scene.top]
    return {"x": _floats([x for x, _ in kept]), "y": _floats([y for _, y in kept])}


def _clipped(scene: RaceScene, losses: Iterable[float]) -> Floats:
    # Canvas coordinates are 32 bits: a loss of 1e30 would bend the line on its way out of the frame.
    far = 50 * (scene.top - scene.bottom)
    values = np.array(list(losses), dtype=np.float64)
    return np.clip(np.where(np.isnan(values), np.inf, values), scene.bottom - far, scene.top + far)


def _start(scene: RaceScene) -> dict[str, Columns]:
    start = scene.curve.start_loss
    return {"start": {"y": _floats([] if start is None or not math.isfinite(start) else [start])}}


def _floats(values: Iterable[float]) -> Floats:
    return np.array(list(values), dtype=np.float64)


def _course_in_words(scene: RaceScene) -> str:
    steps = max((len(c.losses) for c in scene.alive), default=0)
    return f"Training loss against step for {len(scene.curve.candidates)} learning rates, {steps} steps."


def _scores_in_words(scene: RaceScene) -> str:
    curve = scene.curve
    count = f"{len(curve.candidates)} learning rates compared."
    if not any(c.losses for c in curve.candidates):
        return f"{count} No steps yet."
    scored = [f"{format_lr(c.lr)} scores {format_loss(c.score)}" for c in scene.alive if c.score is not None]
    parts = [count, f"{len(scene.alive)} remain{': ' + ', '.join(scored) if len(scored) <= 4 and scored else ''}."]
    if scene.running:
        return " ".join([*parts, "Still running."])
    if curve.suggestion is None:
        return " ".join([*parts, "No suggestion."])
    good = "" if scene.good is None else f", good from {format_lr(scene.good[0], 1)} to {format_lr(scene.good[1], 1)}"
    return " ".join([*parts, f"Suggested {format_lr(curve.suggestion)}{good}."])
