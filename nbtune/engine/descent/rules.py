"""What a descent's path says: whether it arrives, and the sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...formats import format_loss, format_lr, format_percent
from .surfaces import SAMPLES, curvatures, lr_limit

if TYPE_CHECKING:
    from .events import DescentStep
    from .settings import DescentSettings

Outcome = Literal["arrives", "jumps over", "flies off", "bounces", "wanders", "creeps"]

ARRIVED = 0.01
"""A path has arrived when at most this part of the way down from the start's loss is left."""

LAST = 10
"""Steps over which a wandering path's loss is averaged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """See ``DescentPath``."""

    outcome: Outcome
    arrives_at: int | None
    leaves_at: int | None
    verdict: str
    reason: str
    limit: str


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the sentences are made of."""

    settings: DescentSettings
    left: tuple[float, ...]
    """Per step, the part of the way down from the start that is left."""
    minimum: int
    """Which one it ended nearest to."""
    arrives_at: int | None
    leaves_at: int | None
    is_outside: bool

    @property
    def relation(self) -> str:
        """Of η to the limit."""
        lr, limit = self.settings.rate, self.settings.limit
        if math.isclose(lr, limit, rel_tol=1e-9):
            return "at"
        return "above" if lr > limit else "below"

    @property
    def is_noisy(self) -> bool:
        return self.settings.batch_size < SAMPLES

    @property
    def taken(self) -> str:
        count = len(self.left) - 1
        return "1 step" if count == 1 else f"{count} steps"


def answer(steps: Sequence[DescentStep], settings: DescentSettings) -> Answer:
    """The answer that these steps give, of whatever number."""
    facts = _facts(steps, settings)
    outcome = _outcome(facts)
    whose = "nearer minimum's " if len(settings.landscape.minima) > 1 else ""
    limit = f"{whose}limit 2/λmax = {format_lr(settings.limit, 3)}"
    verdict = f"η = {format_rate(settings)} is {facts.relation} the {limit}"
    return Answer(
        outcome=outcome,
        arrives_at=facts.arrives_at,
        leaves_at=facts.leaves_at,
        verdict=f"k = {settings.batch_size}" if outcome == "wanders" else verdict,
        reason=_reason(outcome, facts, [step.loss for step in steps]),
        limit="A smaller η comes closer." if outcome == "wanders" else "",
    )


def format_rate(settings: DescentSettings) -> str:
    """η in three digits, or in as many as tell it from the limit.

    Examples:
        >>> from nbtune.engine.descent.walk import DescentSettings
        >>> [format_rate(DescentSettings(lr=lr)) for lr in (0.12, 0.1668, 0.166668)]
        ['0.12', '0.1668', '0.166668']
    """
    lr, limit = settings.rate, settings.limit
    digits = 3
    while digits < 8 and not math.isclose(lr, limit) and format_lr(lr, digits) == format_lr(limit, digits):
        digits += 1
    return format_lr(lr, digits)


def _facts(steps: Sequence[DescentStep], settings: DescentSettings) -> _Facts:
    surface = settings.landscape
    if not steps:
        return _Facts(settings, (1.0,), 0, None, None, False)
    end = (steps[-1].w1, steps[-1].w2)
    minimum = min(range(len(surface.minima)), key=lambda i: math.dist(surface.minima[i], end))
    lowest = float(surface.loss(*surface.minima[minimum]))
    left = tuple((step.loss - lowest) / (steps[0].loss - lowest) for step in steps)
    outside = [not surface.shows(step.w1, step.w2) for step in steps]
    leaves_at = outside.index(True) if any(outside) else None
    return _Facts(settings, left, minimum, _arrival(left, settings), leaves_at, outside[-1])


def _arrival(left: Sequence[float], settings: DescentSettings) -> int | None:
    """The step from which on the path is there. One that is jostled, or may jump out, has to stay for a while."""
    is_calm = settings.batch_size == SAMPLES and settings.rate <= settings.limit
    away = [i for i, part in enumerate(left) if part > ARRIVED]
    first = away[-1] + 1 if away else 0
    return first if first <= len(left) - (1 if is_calm else LAST) else None


def _outcome(facts: _Facts) -> Outcome:
    if facts.arrives_at is not None:
        return "jumps over" if facts.minimum else "arrives"
    if facts.is_outside:
        return "flies off"
    if facts.relation != "below":
        return "bounces"
    if facts.is_noisy and _is_kept_up(facts):
        return "wanders"
    return "bounces" if facts.settings.rate > 0.9 * facts.settings.limit else "creeps"


def _is_kept_up(facts: _Facts) -> bool:
    """Whether it is the noise that keeps the loss up, not a small η: without it less than half would be left."""
    settings = facts.settings
    slowest = max(abs(1 - settings.rate * curvature) for curvature in curvatures(settings.landscape, facts.minimum))
    last = facts.left[-LAST:]
    return sum(last) / len(last) > 2 * slowest ** (2 * (len(facts.left) - 1))


def _reason(outcome: Outcome, facts: _Facts, losses: Sequence[float]) -> str:
    settings, surface = facts.settings, facts.settings.landscape
    if outcome == "flies off" and facts.relation != "above":
        return f"but the noise of k = {settings.batch_size} carries it out of the picture."
    if outcome == "flies off":
        side = " on the other side" if len(surface.minima) == 1 else ""
        return f"each step jumps over {surface.jumped_over} and lands higher{side}."
    if outcome == "jumps over":
        return f"it jumps into the other, flatter one (limit {format_lr(lr_limit(surface, facts.minimum))}) and stays."
    if outcome == "arrives":
        jumps = not facts.is_noisy and settings.rate > settings.limit / 2
        steps = "1 step" if facts.arrives_at == 1 else f"{facts.arrives_at} steps"
        return f"it arrives after {steps}{', jumping from side to side' if jumps else ''}."
    if outcome == "wanders":
        last = losses[-LAST:]
        mean = format_loss(sum(last) / len(last))
        return f"the path wanders around the minimum, at a loss of {mean} over its last {len(last)} steps."
    where = f"after {facts.taken} it is {{}}at {format_percent(facts.left[-1])} of the start."
    if outcome == "creeps":
        return f"it creeps; {where.format('still ')}"
    return f"it jumps {'to and fro' if len(surface.minima) > 1 else 'from side to side'}; {where.format('')}"
