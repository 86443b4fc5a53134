"""A race ready to be drawn: who belongs to which group of marks, and the loss axis both plots share. Knows no Bokeh."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .lr_scene import EMPTY_RANGE, TRIANGLE_PX, loss_range

if TYPE_CHECKING:
    from ..engine.lr_curve import LRCurve
    from ..engine.race_rules import Candidate

HEIGHT = 256
FRAME_HEIGHT = 204.0
COURSE_WIDTH, SCORES_WIDTH = 330.0, 340.0
"""px of the two frames in a panel of 820; labels are placed for these, and more room only parts them."""

STEPS = (0, 5, 12, 30, 45, 100)
"""Where rounds end: the ticks of the left plot."""

USUAL_END, NAMES_SHARE = 45, 1.26
"""The last step of most races, and how much longer the axis is, for the survivors' names."""

LEADER_AFTER = 2
"""Rounds before one is marked as ahead: five steps say too little."""

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
    """

    curve: LRCurve
    running: bool
    bottom: float
    top: float
    last: int

    @property
    def height_of_px(self) -> float:
        """One px of the frame, in loss."""
        return (self.top - self.bottom) / FRAME_HEIGHT

    @property
    def edge(self) -> float:
        """The loss at which a triangle touches the top."""
        return self.top - TRIANGLE_PX * self.height_of_px

    @property
    def alive(self) -> list[Candidate]:
        return [c for c in self.curve.candidates if c.left_after is None and c.losses]

    @property
    def out(self) -> list[Candidate]:
        return [c for c in self.curve.candidates if c.left_after is not None]

    @property
    def leader(self) -> Candidate | None:
        """The one with the lowest score, as soon as that says something."""
        scored = [c for c in self.alive if c.score is not None]
        if len(self.curve.rounds) < LEADER_AFTER or not scored:
            return None
        return min(scored, key=lambda c: math.inf if c.score is None else c.score)

    @property
    def others(self) -> list[Candidate]:
        leader = self.leader
        return [c for c in self.alive if leader is None or c.lr != leader.lr]

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
        return loss is not None and not loss <= self.top

    def is_worse(self, candidate: Candidate) -> bool:
        """Whether a loser has raised the loss, or left the frame."""
        return candidate.is_harmful or self.is_off(candidate.score)


def race_scene(curve: LRCurve, running: bool) -> RaceScene:
    """The scene of ``curve``, of any length."""
    bottom, top = _loss_axis(curve)
    steps = max((len(c.losses) for c in curve.candidates), default=0)
    last = USUAL_END if steps <= USUAL_END else STEPS[-1]
    return RaceScene(curve, running, bottom, top, last)


def _loss_axis(curve: LRCurve) -> tuple[float, float]:
    start = curve.start_loss
    if start is None or not math.isfinite(start):
        return EMPTY_RANGE
    seen = np.array([loss for c in curve.candidates if c.left_after is None for loss in c.losses])
    seen = seen[np.isfinite(seen)]
    return loss_range(start, float(min(seen.min(), start)) if len(seen) else start)
