"""What a race looks like, in numbers: every mark of its three figures as columns. Knows no Bokeh."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...base.columns import View
from ...base.mirror import mirrored
from .answer import scores_labels
from .course import course, course_in_words, course_labels
from .ranking import ranking, ranking_in_words
from .room import LIST_WIDTH
from .scene import race_scene
from .scores import scores, scores_in_words

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve


def race_view(curve: LRCurve, *, running: bool = False, words: bool = True) -> dict[str, View]:
    """Every mark of the figures "course", "standings" and "scores", for what is known of ``curve``.

    Args:
        curve: Of any length, also empty.
        running: Whether more steps are coming: then no answer is shown.
        words: Whether the plots' words are placed too, and the standings, which are words. A view without them leaves
            those that stand, which are right as long as its ranges are the same.
    """
    scene = race_scene(curve, running)
    left, right = course(scene), scores(scene)
    if words:
        left, right = {**left, **course_labels(scene)}, {**right, **scores_labels(scene)}
    middle = ranking(scene) if words else {}
    views = {
        "course": View(left, scene.ends, course_in_words(scene), scene.steps),
        "standings": View(middle, scene.ends, ranking_in_words(scene), (0.0, float(LIST_WIDTH))),
        "scores": View(right, scene.ends, scores_in_words(scene), scene.rates),
    }
    return {name: mirrored(view, curve.sign) for name, view in views.items()}
