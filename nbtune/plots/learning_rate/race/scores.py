"""The right plot of a race: loss against η, a valley that deepens round by round."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ....formats import format_lr
from ...base.columns import Columns, Floats, floats, table
from ..orders_band import TICK_PX, band_of, suggestions_of
from ..overlays import REGION
from ..theory_mark import theory_lr
from .course import start
from .racer import Racer
from .ranking import loss_text
from .room import FOOT_PX, FRAME_HEIGHT, HEAD_PX, STRIP_ROWS
from .scene import RaceScene, score_of
from .strokes import Line, points, strokes
from .words import DATA_ROWS, uprights

if TYPE_CHECKING:
    from .standing import Standing

FLOOR = FRAME_HEIGHT - FOOT_PX
LIMIT_ROWS = (FLOOR - 30, FLOOR)
"""Of the tick at theory's limit."""

LEVEL_ROWS = (FLOOR - 8, FLOOR - 3)
"""Of the bracket below those that came out level: its line, and the ends of its feet."""

PEAK_ROW = HEAD_PX + 6
CELLS = 72
"""Of the strip of colours."""


@lru_cache(maxsize=8)
def strip(edges: tuple[float, float], rows: tuple[float, float]) -> Columns:
    """The η axis's own colours.

    Args:
        edges: The race's range.
        rows: The losses between which it lies, lower first.
    """
    ends = np.geomspace(*edges, CELLS + 1)
    low, high = rows
    # Each reaches below the next, so that no seam is seen between them.
    return {
        "left": ends[:-1], "right": np.append(ends[2:], ends[-1]), "bottom": np.full(CELLS, low),
        "top": np.full(CELLS, high), "lr": np.sqrt(ends[:-1] * ends[1:]),
    }  # fmt: skip


def scores(scene: RaceScene) -> dict[str, Columns]:
    """Every mark but the words."""
    leader = [] if scene.leader is None else [scene.leader]
    return {**_valleys(scene), **_dots(scene, leader), **_claims(scene), **start(scene), **_orders(scene)}


def _valleys(scene: RaceScene) -> dict[str, Columns]:
    """The scores after each round, those of now, and how far each rate has come down between."""
    ends = scene.low, scene.high
    now = sorted((r for r in scene.alive if r.score is not None), key=lambda r: r.lr)
    last = [Line(1.0, [r.lr for r in now], [score_of(r) for r in now])] if now else []
    past = [scene.valley(step) for step in scene.ended]
    edges = scene.curve.settings.lr_min, scene.curve.settings.lr_max
    bottom, top = sorted(map(scene.at_row, STRIP_ROWS))
    return {
        "past": strokes((Line(1.0, *zip(*way, strict=True)) for way in past if way), ends),
        "valley": strokes(last, ends),
        "stems": strokes(_stems(scene), ends),
        "strip": strip(edges, (bottom, top)),
    }  # fmt: skip


def _stems(scene: RaceScene) -> Iterator[Line]:
    for racer in scene.racers:
        marks = [*(racer.score_at(step) for step in scene.ended), racer.score]
        known = [score for score in marks if score is not None]
        if known and max(known) > min(known):
            yield Line(racer.lr, (racer.lr, racer.lr), (max(known), min(known)))


def _dots(scene: RaceScene, leader: Sequence[Racer]) -> dict[str, Columns]:
    ended = [(r.lr, r.score_at(step), r.lr) for r in scene.racers for step in scene.ended]
    gone = [(r.lr, r.score, r.lr) for r in scene.out if r.steps not in scene.ended]
    asked = [r for r in scene.others if not r.is_refined]
    refined = [r for r in scene.others if r.is_refined]
    off = floats(sorted(r.lr for r in scene.off_scale))
    return {
        "dots": _points(scene, [*ended, *gone]),
        "alive": _points(scene, ((r.lr, r.score, r.lr) for r in asked)),
        "refined": _points(scene, ((r.lr, r.score, r.lr) for r in refined)),
        "leader": _points(scene, ((r.lr, r.score, r.lr) for r in leader)),
        "off": {"x": off, "y": np.full(len(off), scene.edge), "lr": off},
        "whisker": _whiskers(scene),
    }  # fmt: skip


def _points(scene: RaceScene, places: Iterable[tuple[float, float | None, float]]) -> Columns:
    """Those places that lie in the frame."""
    return points((x, y, lr) for x, y, lr in places if y is not None and not scene.is_off(y))


def _whiskers(scene: RaceScene) -> Columns:
    """± 2 standard errors of the difference to the best."""
    doubts = [(r.lr, score_of(r), scene.doubt_of(r)) for r in scene.alive if scene.doubt_of(r)]
    low, high = ([score + side * doubt for _, score, doubt in doubts] for side in (-1, 1))
    return {"x": floats([lr for lr, *_ in doubts]), "low": _within(scene, low), "high": _within(scene, high)}


def _within(scene: RaceScene, losses: Iterable[float]) -> Floats:
    return np.clip(floats(losses), *scene.ends)


def _claims(scene: RaceScene) -> dict[str, Columns]:
    """What the race says: green where it is sure, an ink frame where it is not; and theory's limit."""
    standing, answer = scene.standing, [] if scene.answer is None else [scene.answer]
    peak = [] if not answer or standing.peak is None else [standing.peak]
    limit = theory_lr(scene.curve, scene.rates)
    middle = scene.at_row(sum(STRIP_ROWS) / 2)
    maybe = [standing.suggestion] if standing.kind == "between" and standing.suggestion is not None else []
    return {
        "band": _region(scene, standing, is_shown=standing.is_sure),
        "frame": _region(scene, standing, is_shown=standing.is_in_doubt),
        "suggestion": uprights(scene, answer, DATA_ROWS),
        "handle": {"x": floats(answer), "y": np.full(len(answer), middle)},
        "maybe": {"x": floats(maybe), "y": np.full(len(maybe), middle)},
        "peak": {"x": floats(peak), "y": np.full(len(peak), scene.at_row(PEAK_ROW))},
        "theory": uprights(scene, [] if limit is None else [limit], LIMIT_ROWS),
        "level": _bracket(scene),
        "best_level": _best_level(scene),
    }  # fmt: skip


def _region(scene: RaceScene, standing: Standing, *, is_shown: bool) -> Columns:
    bottom, top = sorted(map(scene.at_row, DATA_ROWS))
    rows = [(*standing.range, bottom, top)] if is_shown and standing.range is not None else []
    return table(rows, REGION)


def is_bracketed(scene: RaceScene) -> bool:
    """Whether several rates came out level, which is told where the race is sure all the same."""
    return scene.standing.is_sure and len(scene.standing.level) > 1


def _bracket(scene: RaceScene) -> Columns:
    if not is_bracketed(scene):
        return table([], ("x0", "y0", "x1", "y1"))
    line, feet = map(scene.at_row, LEVEL_ROWS)
    level = scene.standing.level
    left, right = level[0] / 1.12, level[-1] * 1.12
    return table([(left, line, right, line), (left, line, left, feet), (right, line, right, feet)],
                 ("x0", "y0", "x1", "y1"))  # fmt: skip


def _best_level(scene: RaceScene) -> Columns:
    """In doubt, the level of the best, which whiskers reach."""
    names = ("x0", "y0", "x1", "y1")
    best = next((r for r in scene.ranked if r.score is not None and not scene.is_off(r.score)), None)
    if best is None or not scene.standing.is_in_doubt or len(scene.standing.level) < 2:
        return table([], names)
    level, score = scene.standing.level, score_of(best)
    return table([(level[0] / 1.5, score, level[-1] * 2.2, score)], names)


def _orders(scene: RaceScene) -> dict[str, Columns]:
    rows = band_of(scene.orders)
    low, high = (_within(scene, (row[i] for row in rows)) for i in (1, 2))
    ticks = uprights(scene, suggestions_of(scene.orders), (FLOOR - TICK_PX, FLOOR))
    return {"orders": {"x": floats([row[0] for row in rows]), "low": low, "high": high}, "order_ticks": ticks}


def scores_in_words(scene: RaceScene) -> str:
    """For those who cannot see it: the result."""
    curve, standing = scene.curve, scene.standing
    count = f"{len(scene.racers)} learning rates compared."
    if not any(r.steps for r in scene.racers):
        return f"{count} No steps yet."
    told = [f"{format_lr(r.lr)} scores {loss_text(scene, r)}" for r in scene.alive if r.score is not None]
    parts = [count, f"{len(scene.alive)} remain{': ' + ', '.join(told) if len(told) <= 4 and told else ''}."]
    if scene.running:
        return " ".join([*parts, "Still running."])
    return " ".join([*parts, _claim_in_words(standing), *filter(None, [curve.theory])])


def _claim_in_words(standing: Standing) -> str:
    ends = "" if standing.range is None else " to ".join(format_lr(lr, 1) for lr in standing.range)
    if standing.suggestion is None:
        return f"No suggestion{f'; the best lies somewhere from {ends}' if ends else ''}."
    how = "good" if standing.is_sure else "in doubt, somewhere"
    return f"Suggested {format_lr(standing.suggestion)}{f', {how} from {ends}' if ends else ''}."
