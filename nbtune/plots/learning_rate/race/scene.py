"""A race ready to be drawn: who belongs to which group of marks, and the loss axis both plots share. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...base.columns import Floats
from ...base.scale import EMPTY_RANGE, TRIANGLE_PX, loss_range, x_edges
from ...base.typed_again import CLEAR_PART, ROUND_ENDS, SETTLED_END
from ..orders_band import shown_of
from ..pair import FRAME_HEIGHT

if TYPE_CHECKING:
    from ....engine.learning_rate.curve import LRCurve
    from ....engine.learning_rate.race.standings import Candidate

STEPS = (0, *ROUND_ENDS)
"""Where rounds end: the ticks of the left plot."""

NAMES_SHARE = 1.37
"""How much longer the axis is than the race, for the survivors' names."""

LEADER_AFTER = 2
"""Rounds before one is marked as ahead: five steps say too little."""

LEAST_WHISKER_PX = 7.0
"""A doubt smaller than its dot is not drawn: only the ends of its whisker would look out."""

FADES = 3
"""Groups of losers by the round they left in, the first the faintest."""


@dataclass(frozen=True, slots=True)
class RaceScene:
    """A race, with the range it is seen in.

    Attributes:
        curve: What is known.
        running: Whether more is coming.
        bottom, top: Of the loss axis.
        last: The last step of the axis.
        orders: The same race over other orders of the data, where there are several.
    """

    curve: LRCurve
    running: bool
    bottom: float
    top: float
    last: int
    orders: tuple[LRCurve, ...] = ()

    @property
    def height_of_px(self) -> float:
        """One px of the frame, in loss."""
        return (self.top - self.bottom) / FRAME_HEIGHT

    @property
    def edge(self) -> float:
        """The loss at which a triangle touches the top."""
        return self.top - TRIANGLE_PX * self.height_of_px

    @property
    def rates(self) -> tuple[float, float]:
        """Ends of the η axis: the race's range, and what an answer needs that lies below it."""
        settings, answer = self.curve.settings, [] if self.answer is None else [self.answer, *(self.good or ())]
        return x_edges(min([settings.lr_min, *answer]), max([settings.lr_max, *answer]))

    @property
    def rounds(self) -> list[int]:
        """Steps at which rounds end, past and to come."""
        return [at for at in ROUND_ENDS if at <= self.last]

    @property
    def alive(self) -> list[Candidate]:
        return [c for c in self.curve.candidates if c.left_after is None and c.losses]

    @property
    def out(self) -> list[Candidate]:
        return [c for c in self.curve.candidates if c.left_after is not None]

    @property
    def leader(self) -> Candidate | None:
        """The one with the lowest score, where that says something: with an answer, or clearly below no training."""
        scored = [c for c in self.alive if c.score is not None and not self.is_off(c.score)]
        best = min(scored, key=score_of, default=None)
        start = self.curve.start_loss
        if best is None or start is None or len(self.curve.rounds) < LEADER_AFTER:
            return None
        # With noise alone there is always one in front.
        is_ahead = start - score_of(best) >= CLEAR_PART * abs(start) if self.running else self.answer is not None
        return best if is_ahead else None

    @property
    def others(self) -> list[Candidate]:
        leader = self.leader
        return [c for c in self.alive if leader is None or c.lr != leader.lr]

    @property
    def off_scale(self) -> list[Candidate]:
        """Those whose score lies above the frame, or who diverged before they had one."""
        return [c for c in self.curve.candidates if self.is_off(c.score) or (c.score is None and c.left_after)]

    @property
    def answer(self) -> float | None:
        return None if self.running else self.curve.suggestion

    @property
    def good(self) -> tuple[float, float] | None:
        low, high = self.curve.low, self.curve.high
        return None if self.answer is None or low is None or high is None else (low, high)

    def group_of(self, candidate: Candidate) -> int:
        """Which fade a loser has: 0 for the first round's."""
        ends = [at for at, _ in self.curve.rounds]
        return min(FADES - 1, sum(at < (candidate.left_after or 0) for at in ends))

    def is_off(self, loss: float | None) -> bool:
        """Whether a loss lies above the frame or is not finite."""
        return loss is not None and not (math.isfinite(loss) and loss <= self.top)

    def doubt_of(self, candidate: Candidate) -> float:
        """Two standard errors of the score of a rate still in; 0 where its dot hides them, or a band says more."""
        is_out = candidate.left_after is not None or self.is_off(candidate.score)
        if self.orders or is_out or candidate.score_error is None:
            return 0.0
        doubt = 2 * candidate.score_error
        return doubt if doubt > LEAST_WHISKER_PX * self.height_of_px else 0.0

    def is_worse(self, candidate: Candidate) -> bool:
        """Whether a rate has raised the loss, or left the frame."""
        return candidate.is_harmful or self.is_off(candidate.score)

    def after_first_round(self) -> list[tuple[float, float]]:
        """(η, score at the end of the first round) of every rate that took so many steps."""
        if not self.curve.rounds:
            return []
        end = self.curve.rounds[0][0]
        ended = [c for c in self.curve.candidates if len(c.losses) >= end]
        return [(c.lr, sum(c.losses[end - 3 : end]) / 3) for c in ended]

    def clipped(self, losses: Iterable[float]) -> Floats:
        """Losses that a line may be drawn through, the infinite far above the frame."""
        # Canvas coordinates are 32 bits: a loss of 1e30 would bend the line on its way out of the frame.
        far = 50 * (self.top - self.bottom)
        values = np.array(list(losses), dtype=np.float64)
        return np.clip(np.where(np.isfinite(values), values, np.inf), self.bottom - far, self.top + far)


def score_of(candidate: Candidate) -> float:
    """Its score; inf where it diverged before it had one."""
    return math.inf if candidate.score is None else candidate.score


def race_scene(curve: LRCurve, running: bool) -> RaceScene:
    """The scene of ``curve``, of any length; while it runs, that of the order under way."""
    curve, orders = shown_of(curve, running)
    bottom, top = _loss_axis(curve)
    steps = max((len(c.losses) for c in curve.candidates), default=0)
    last = next((at for at in ROUND_ENDS if at >= max(steps, SETTLED_END)), steps)
    return RaceScene(curve, running, bottom, top, last, orders)


def _loss_axis(curve: LRCurve) -> tuple[float, float]:
    # Read off at round ends, so that the axis does not tremble with every batch.
    ended = curve.rounds[-1][0] if curve.rounds else None
    level = [step.loss for step in curve.steps if step.lr == 0][:ended]
    if not level or not math.isfinite(sum(level)):
        return EMPTY_RANGE
    start = float(np.mean(level))
    seen = [loss for c in curve.candidates if c.left_after is None for loss in c.losses if math.isfinite(loss)]
    return loss_range(start, min([start, *seen]))
