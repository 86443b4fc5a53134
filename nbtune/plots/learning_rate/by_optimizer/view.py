"""What races of several optimizers look like, in numbers: every mark of both figures as columns. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...base.columns import Columns, Floats, View
from ...base.labels import GAP_PX, Box, Frame, Label
from ...base.mirror import mirrored
from ...base.series import Series, series_of_names
from ...base.typed_again import SETTLED_END
from ..pair import FRAME_HEIGHT, FRAME_WIDTHS
from ..scoring import scores_of
from ..several import COLOURS, Curves, lines_of, points_of, word_colour

if TYPE_CHECKING:
    from ....engine.learning_rate.by_optimizer import LRByOptimizer
    from ....engine.learning_rate.race.candidate import Candidate

LAST_LABEL = 3.0
"""× the last step: so far the axis goes, so that most names stand behind the lines."""


@dataclass(frozen=True, slots=True)
class Course:
    """One optimizer at its best rate: mean losses so far, shape (steps,)."""

    series: Series
    steps: Floats
    losses: Floats


@dataclass(frozen=True, slots=True)
class ByOptimizerScene:
    """What is known, with the ranges it is seen in.

    Attributes:
        result: What is known.
        running: Whether more is coming.
        left: The curves that have begun.
        courses: The best rate of each.
        steps: Ends of the step axis.
    """

    result: LRByOptimizer
    running: bool
    left: Curves
    courses: tuple[Course, ...]
    steps: tuple[float, float]


def by_optimizer_view(result: LRByOptimizer, *, running: bool = False, words: bool = True) -> dict[str, View]:
    """Every mark of both figures, "valleys" and "courses", for what is known of ``result``.

    Args:
        result: With any number of optimizers, also none.
        running: Whether more steps are coming.
        words: Whether the plot's words are placed too; see ``by_size_view``.
    """
    scene = by_optimizer_scene(result, running)
    curves = scene.left.columns()
    courses = _courses(scene, curves["start"])
    if words:
        curves, courses = {**curves, **scene.left.words()}, {**courses, **_words(scene)}
    ends = scene.left.losses
    return {
        "valleys": mirrored(View(curves, ends, _curves_in_words(scene), scene.left.rates), result.sign),
        "courses": mirrored(View(courses, ends, _courses_in_words(scene), scene.steps), result.sign),
    }


def by_optimizer_scene(result: LRByOptimizer, running: bool) -> ByOptimizerScene:
    """The scene of ``result``, with any number of optimizers."""
    names = _names_of(result)
    series = series_of_names(names)
    left = Curves.of(((s, result.curves[str(s.key)]) for s in series if s.key in result.curves), result.settings)
    leaders = result.leaders
    found = (_course(s, leaders[str(s.key)]) for s in series if s.key in leaders)
    courses = tuple(course for course in found if math.isfinite(course.losses[-1]))
    last = max([SETTLED_END, *(int(course.steps[-1]) for course in courses)])
    return ByOptimizerScene(result, running, left, courses, (0.9, LAST_LABEL * last))


def _names_of(result: LRByOptimizer) -> list[str]:
    """The task's own first; those that have not begun keep their place."""
    return list(dict.fromkeys([*result.curves, *(rival.name for rival in result.settings.optimizers)]))


def _course(series: Series, leader: Candidate) -> Course:
    steps = np.arange(1, len(leader.losses) + 1, dtype=np.float64)
    return Course(series, steps, scores_of(np.array(leader.losses, dtype=np.float64)))


def _courses(scene: ByOptimizerScene, start: Columns) -> dict[str, Columns]:
    lines = [(c.series.slot, c.steps.tolist(), c.losses.tolist()) for c in scene.courses]
    ends = [(c.series.slot, _end(c)) for c in scene.courses]
    at = [float(scene.result.step)] if not scene.running and len(scene.result.losses) > 1 else []
    bottom, top = scene.left.losses
    return {
        **lines_of(lines, scene.left.clipped), **points_of(ends), "start": start,
        "compared": {"x": np.array(at), "bottom": np.full(len(at), bottom), "top": np.full(len(at), top)},
    }  # fmt: skip


def _end(course: Course) -> tuple[float, float]:
    return float(course.steps[-1]), float(course.losses[-1])


def _words(scene: ByOptimizerScene) -> dict[str, Columns]:
    columns: dict[str, Columns] = {}
    for prefix, width in FRAME_WIDTHS.items():
        frame = Frame.of((width, FRAME_HEIGHT), scene.steps, scene.left.losses, logs="x")
        lines = [box for c in scene.courses for box in frame.along(c.steps, scene.left.clipped(c.losses))]
        placed = frame.place(_labels(scene, frame), _boxes(scene, frame), better_free=lines)
        columns |= frame.columns(prefix, placed, COLOURS)
    return columns


def _labels(scene: ByOptimizerScene, frame: Frame) -> Iterator[Label]:
    for course in sorted(scene.courses, key=lambda c: c.losses[-1]):
        px, row = frame.x(course.steps[-1]), frame.y(course.losses[-1])
        places = [(px + GAP_PX, row + shift, "left") for shift in (0, -18, 18, -36, 36)]
        places += [(px - GAP_PX, row + shift, "right") for shift in (13, -13, 26, -26, 44)]
        yield Label(course.series.text, word_colour(course.series), tuple(places), boxed=True, droppable=True)


def _boxes(scene: ByOptimizerScene, frame: Frame) -> list[Box]:
    at = [(frame.x(x), frame.y(y)) for x, y in map(_end, scene.courses)]
    return [(px - 5, row - 5, px + 5, row + 5) for px, row in at]


def _curves_in_words(scene: ByOptimizerScene) -> str:
    begun = ", ".join(series.text for series, _ in scene.left.shown)
    return f"Loss against learning rate, one curve per optimizer: {begun}." if begun else "No steps yet."


def _courses_in_words(scene: ByOptimizerScene) -> str:
    ending = "Still running." if scene.running else f"{scene.result.verdict}."
    begun = ", ".join(course.series.text for course in scene.courses)
    return f"Loss against step of each optimizer at its best rate: {begun or 'none so far'}. {ending}"
