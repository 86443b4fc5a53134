"""A race ready to be drawn: who belongs to which group of marks, and the loss axis all plots share. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...base.columns import Floats
from ...base.scale import EMPTY_RANGE, TRIANGLE_PX, loss_range
from ...base.typed_again import CLEAR_PART, ROUND_ENDS, SETTLED_END
from ..orders_band import shown_of
from .racer import Racer
from .room import FOOT_PX, FRAME_HEIGHT, HEAD_PX, at_row, frame_ends, rate_ends
from .standing import Standing, standing_of

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve
    from ....engine.learning_rate.race.candidate import Candidate

APART = 1.45
"""Two numbers on the axis of steps that differ by less than this factor would touch."""

STEPS = (1, *(at for at, later in pairwise(ROUND_ENDS) if later >= APART * at), ROUND_ENDS[-1])
"""Where rounds end: the ticks of the left plot."""

STEPS_MARGIN = 1.1
"""The axis is longer than the race by this factor, so that its last number has room."""

LEADER_AFTER = 2
"""Rounds before one is marked as ahead: five steps say too little."""

LEAST_WHISKER_PX = 7.0
"""A doubt smaller than its dot is not drawn: only the ends of its whisker would look out."""

ZOOM_AFTER, ZOOM_BELOW = 3, 0.2
"""From this round on the axis begins near the lowest score, where the loss has fallen by less than this part."""

LEAST_ZOOM = 0.04
"""Of the loss at the start: no axis is shorter, so that a level race looks level."""


@dataclass(frozen=True)  # without slots: what marks and words ask for again and again is worked out once
class RaceScene:
    """A race, with the range it is seen in.

    Attributes:
        curve: What is known.
        running: Whether more is coming.
        racers: Every rate as it is drawn.
        standing: What may be claimed.
        low, high: The losses that are drawn; what lies above them is off the scale.
        last: The last step of the axis.
        is_zoomed: Whether the axis does not begin at 0 though losses are positive; they are then without the batches'
            own noise.
        orders: The same race over other orders of the data, where there are several.
    """

    curve: LRCurve
    running: bool
    racers: tuple[Racer, ...]
    standing: Standing
    low: float
    high: float
    last: int
    is_zoomed: bool
    orders: tuple[LRCurve, ...] = ()

    @property
    def sign(self) -> int:
        return self.curve.sign

    @cached_property
    def height_of_px(self) -> float:
        """One px of the frame, in loss."""
        return (self.high - self.low) / (FRAME_HEIGHT - HEAD_PX - FOOT_PX)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Of the frame, lower and higher loss."""
        return frame_ends(self.low, self.high, self.sign)

    def at_row(self, row: float) -> float:
        """The loss that is seen ``row`` px below the upper edge."""
        return at_row(row, self.ends, self.sign)

    @property
    def edge(self) -> float:
        """The loss at which a triangle touches the end of the scale."""
        return self.high - TRIANGLE_PX * self.height_of_px

    @property
    def rates(self) -> tuple[float, float]:
        """Ends of the η axis: the race's range, and what an answer needs that lies below it."""
        settings, standing = self.curve.settings, self.standing
        answer = [lr for lr in (standing.suggestion, *(standing.range or ())) if lr is not None]
        return rate_ends(min([settings.lr_min, *answer]), max([settings.lr_max, *answer]))

    @property
    def steps(self) -> tuple[float, float]:
        """Ends of the left plot's axis."""
        return 1 / STEPS_MARGIN**0.5, self.last * STEPS_MARGIN

    @property
    def rounds(self) -> list[int]:
        """Steps at which rounds end, past and to come, before the last."""
        return [at for at in ROUND_ENDS if at < self.last]

    @cached_property
    def ended(self) -> list[int]:
        """Those of rounds that have ended."""
        return [at for at, _ in self.curve.rounds]

    @cached_property
    def alive(self) -> list[Racer]:
        return [r for r in self.racers if r.left_after is None and r.steps]

    @property
    def ranked(self) -> list[Racer]:
        """Those still in, the lowest score first."""
        return sorted(self.alive, key=score_of)

    @cached_property
    def out(self) -> list[Racer]:
        return [r for r in self.racers if r.left_after is not None]

    @cached_property
    def leader(self) -> Racer | None:
        """The one with the lowest score, where that says something: with an answer, or clearly below no training."""
        best = next((r for r in self.ranked if r.score is not None and not self.is_off(r.score)), None)
        start = self.curve.start_loss
        if best is None or start is None or len(self.curve.rounds) < LEADER_AFTER:
            return None
        if not self.running:
            return best if self.standing.suggestion is not None else None
        # With noise alone there is always one in front.
        return best if start - score_of(best) >= CLEAR_PART * abs(start) else None

    @property
    def others(self) -> list[Racer]:
        leader = self.leader
        return [r for r in self.alive if leader is None or r.lr != leader.lr]

    @property
    def off_scale(self) -> list[Racer]:
        """Those whose score lies above the frame, or who diverged before they had one."""
        return [r for r in self.racers if self.is_off(r.score) or (r.score is None and r.left_after)]

    @property
    def answer(self) -> float | None:
        """The suggestion, where there is no doubt of it."""
        return self.standing.suggestion if self.standing.is_sure else None

    def is_off(self, loss: float | None) -> bool:
        """Whether a loss lies above the scale or is not finite."""
        return loss is not None and not (math.isfinite(loss) and loss <= self.high)

    def doubt_of(self, racer: Racer) -> float:
        """Half of a rate's whisker; 0 where its dot hides it, or a band says more."""
        if self.orders or racer.left_after is not None or self.is_off(racer.score):
            return 0.0
        doubt = self.standing.errors.get(racer.lr, 0.0)
        return doubt if doubt > LEAST_WHISKER_PX * self.height_of_px else 0.0

    def valley(self, step: int) -> list[tuple[float, float]]:
        """(η, score after ``step``) of every rate that took so many steps, rising in η."""
        found = [(r.lr, r.score_at(step)) for r in self.racers]
        return sorted((lr, score) for lr, score in found if score is not None)


def score_of(racer: Racer) -> float:
    """Its score; inf where it diverged before it had one."""
    return math.inf if racer.score is None else racer.score


def race_scene(curve: LRCurve, running: bool) -> RaceScene:
    """The scene of ``curve``, of any length; while it runs, that of the order under way."""
    curve, orders = shown_of(curve, running)
    low, high = _loss_axis(curve)
    is_zoomed = _hardly_fell(curve, low)
    racers = _racers(curve, _noise(curve) if is_zoomed else np.empty(0))
    standing = standing_of(curve, racers, running=running)
    if is_zoomed:
        low, high = _zoomed(curve, racers, standing)
    steps = max((r.steps for r in racers), default=0)
    # One that is over needs no room for more.
    least = steps if steps and not running and curve.outcome == "finished" else SETTLED_END
    last = next((at for at in ROUND_ENDS if at >= max(steps, least)), steps)
    return RaceScene(curve, running, racers, standing, low, high, last, is_zoomed, orders)


def _racers(curve: LRCurve, noise: Floats) -> tuple[Racer, ...]:
    asked = set(curve.settings.race_lrs)
    if len(noise):
        return tuple(Racer.of(c, noise, is_refined=c.lr not in asked) for c in curve.candidates)
    return tuple(_racer(c, is_refined=c.lr not in asked) for c in curve.candidates)


@lru_cache(maxsize=256)
def _racer(candidate: Candidate, *, is_refined: bool) -> Racer:
    # Most rates wait for their turn, or have left, from one drawing to the next.
    return Racer.of(candidate, np.empty(0), is_refined=is_refined)


def _control(curve: LRCurve) -> list[float]:
    return [step.loss for step in curve.steps if step.lr == 0]


def _noise(curve: LRCurve) -> Floats:
    """What each batch's loss is above their mean, without any training."""
    control = np.array(_control(curve), dtype=np.float64)
    return np.asarray(control - control.mean())


def _loss_axis(curve: LRCurve) -> tuple[float, float]:
    # Read off at round ends, so that the axis does not tremble with every batch.
    ended = curve.rounds[-1][0] if curve.rounds else None
    level = _control(curve)[:ended]
    if not level or not math.isfinite(sum(level)):
        return EMPTY_RANGE
    start = float(np.mean(level))
    seen = [loss for c in curve.candidates if c.left_after is None for loss in c.losses if math.isfinite(loss)]
    return loss_range(start, min([start, *seen]))


def _hardly_fell(curve: LRCurve, low: float) -> bool:
    """Whether so little has happened that an axis from 0 would show nothing."""
    start = curve.start_loss
    # Over several orders, the batches were others each time.
    if low != 0 or start is None or not math.isfinite(start) or len(curve.rounds) < ZOOM_AFTER or curve.orders:
        return False
    scores = [c.score for c in curve.candidates if c.left_after is None and c.score is not None]
    return bool(scores) and start - min(scores) < ZOOM_BELOW * start


def _zoomed(curve: LRCurve, racers: Sequence[Racer], standing: Standing) -> tuple[float, float]:
    """From below the best's score, and the whiskers about it, to as far above the start."""
    start = curve.start_loss or 0.0
    best = min((score_of(r) for r in racers if r.left_after is None), default=start)
    lowest = min(start, best)
    reach = max([start - lowest, *(error for lr, error in standing.errors.items() if lr in standing.level)])
    span = max(1.5 * reach, LEAST_ZOOM * start)
    middle = (start + lowest) / 2
    return middle - span, middle + span
