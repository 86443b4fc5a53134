"""Races of given losses, for the figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from nbtune.engine import LRCurve, LRSettings, RaceStep
from nbtune.engine.learning_rate.race.standings import MOST_STEPS, Standings

LossOf = Callable[[float, int], float]


def bowl(lr: float, step: int) -> float:
    """2.3, falling fastest about η = 0.03; from 0.3 on it rises, the more the higher."""
    noise = 0.02 * math.sin(12.9 * step) + 0.05 * math.sin(7.1 * step * lr) * (lr > 0.05)
    if lr == 0:
        return 2.3 + noise
    off = math.log10(lr / 0.03)
    return 2.3 + noise + 4 * step * off if off > 0.9 else 2.3 * math.exp(-0.06 * step * math.exp(-2 * off**2)) + noise


def plateau(lr: float, step: int) -> float:
    """Nothing moves for 40 steps; then 0.1 falls. From 1 on it rises at once."""
    noise = 0.01 * math.sin(12.9 * step)
    if lr >= 1:
        return 2.3 + step * lr
    return 2.3 + noise - (0.02 * max(0, step - 40) if 0.05 < lr < 0.2 else 0.0)


def flat(lr: float, step: int) -> float:
    return 2.3 + 0.01 * math.sin(12.9 * step)


def doubtful(lr: float, step: int) -> float:
    """From 0.003 to 0.1 all fall alike, but for noise of their own; above it rises."""
    if lr > 0.2:
        return 2.3 + step * lr
    fall = min(1.3, 0.06 * step) if lr > 0.002 else 0.0
    return 2.3 - fall + 0.15 * math.sin(91.7 * step * lr + step) * (lr > 0)


def hidden(lr: float, step: int) -> float:
    """Nothing falls, and noise hides which rates do no harm; above 1 the loss rises."""
    return 2.3 + 0.4 * math.sin(37.1 * step * (1 + lr)) * (lr > 1e-3) + 0.3 * step * lr * (lr > 1)


def race_of(loss_of: LossOf = bowl, until: int = MOST_STEPS, **changes: float) -> LRCurve:
    """A race of the first ``until`` steps of every rate, whose losses are given; the control's η is 0."""
    settings = LRSettings(**changes)  # type: ignore[arg-type]
    standings, steps = Standings(settings.race_lrs), []
    for step in range(until):
        for lr in (*standings.alive, 0.0):
            loss = loss_of(lr, step)
            standings.add(lr, loss)
            steps.append(RaceStep(lr=lr, step=step + 1, loss=loss, seconds=0.01 * len(steps)))
        if standings.is_over:
            break
    return LRCurve.from_steps(steps, settings=settings)


def wavering(lr: float, step: int) -> float:
    """A bowl in which the best rates change places at every step."""
    return bowl(lr, step) + (0.35 * math.sin(5 * step * (1 + 50 * lr)) if 0.005 < lr < 0.2 else 0.0)


def refined(curve: LRCurve, *between: float) -> LRCurve:
    """``curve`` with more rates, each with the losses of the next one below."""
    known = curve.candidates
    below = [(lr, max((c for c in known if c.lr < lr), key=lambda c: c.lr)) for lr in between]
    added = [replace(c, lr=lr, left_after=None) for lr, c in below]
    candidates = tuple(sorted([*known, *added], key=lambda c: c.lr))
    return replace(curve, reading=replace(curve.reading, candidates=candidates))


def in_doubt(curve: LRCurve) -> LRCurve:
    """The same, if its answer were in doubt."""
    answer = replace(curve.reading.answer, confidence="between")
    return replace(curve, reading=replace(curve.reading, answer=answer))
