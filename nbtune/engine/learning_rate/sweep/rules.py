"""From a curve of losses to a learning rate: smoothing, divergence, and the rule of the quick sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ....formats import format_lr
from ...direction import DOWN, Direction
from ..reading import BEFORE_ANY_STEP, NOT_FINITE, Answer, Outcome, Reading

Floats = NDArray[np.float64]

RISE_TO_SUGGESTION = 12.0
"""η where the loss clearly rises ÷ the suggested η. Folklore would say 10; 12 was the best single factor over the 15
tasks the team first looked at. ``tests/benchmarks/suggestions.py`` prints what it is worth on seven of them."""

PLATEAU_TO_SUGGESTION = 24.0
"""The same where the loss hardly fell before it rose: less is known there, so twice the margin is kept."""

MOST_OF_MINIMUM = 0.35
"""× the rate of the lowest loss, where that is less: a rate above would be outside the range that is called usable."""

USABLE_DROP = 0.05
"""The usable range begins where the loss has fallen by this part of its level at the start (or by half of the greatest
drop, where that is less)."""

LEAST_DROP = 0.02
"""A curve that falls by less than this part of its start has not fallen."""

SMOOTHED_NOISE = 0.48
"""What ``smooth`` leaves of the standard deviation of independent noise: the root of its weights' squares' sum."""

FLAT_RISE = 0.05
"""On a curve that never fell, a rise above the start by this part of it is clear."""

GIVEN_BACK = 0.5
"""A rise is clear when this part of the greatest drop is lost again."""


def smooth(losses: Sequence[float], half_width: int = 2) -> Floats:
    """Centred triangular average: the smoothing that lags by nothing.

    Each value is the average of itself and up to ``half_width`` neighbours on either side, weights falling linearly;
    towards an end the window shrinks on both sides alike, so that the ends are not bent. Values that are not finite
    stay as they are and end the curve: nothing is averaged across them.

    Args:
        losses: Shape (steps,).
        half_width: Neighbours on one side, ≥ 0.
    Returns:
        Shape (steps,), float64.

    Examples:
        >>> smooth([0.0, 1.0, 2.0, 3.0, 4.0]).round(9).tolist()  # a straight line stays as it is
        [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    values = np.asarray(losses, dtype=np.float64)
    finite = np.isfinite(values)
    end = len(values) if finite.all() else int(np.argmin(finite))
    smoothed = values.copy()
    for width in range(1, half_width + 1):
        if end < 2 * width + 1:
            break
        weights = np.concatenate([np.arange(1, width + 2), np.arange(width, 0, -1)])
        smoothed[width : end - width] = np.convolve(values[:end], weights / weights.sum(), "valid")
    return smoothed


def line_end(losses: Sequence[float]) -> float:
    """The end point of the least-squares line through ``losses``: their trend now, without lag on a line."""
    n = len(losses)
    if n < 3:
        return losses[-1]
    middle = (n - 1) / 2
    mean = sum(losses) / n
    slope = sum((i - middle) * loss for i, loss in enumerate(losses)) / (n * (n * n - 1) / 12)
    return mean + slope * middle


class DivergenceWatch:
    """Sees when a sweep's loss has diverged, on losses of any sign and scale.

    Diverged is: not finite; or the median of the last three losses lies above the start by more than any of 35 % of
    the start's size, half of the greatest drop so far, and eight standard deviations of the step-to-step noise; or,
    for positive losses that fell more than a thousandfold (a start far too high says nothing about divergence), it
    has given back more than 60 % of the drop in log loss.
    """

    def __init__(self) -> None:
        self._first: list[float] = []
        self._steps: list[float] = []  # sizes of the first changes, for the noise
        self._last: list[float] = []
        self._lowest = math.inf

    def sees(self, loss: float) -> bool:
        """Take the next loss; True when the sweep should end here."""
        if not math.isfinite(loss):
            return True
        if self._last and len(self._steps) < 20:
            self._steps.append(abs(loss - self._last[-1]))
        if len(self._first) < 5:
            self._first.append(loss)
        self._last = [*self._last[-2:], loss]
        now = median(self._last)
        if len(self._first) < 5:
            return False
        self._lowest = min(self._lowest, now)
        return now > self._limit() or self._gave_back(now)

    def _limit(self) -> float:
        start = sum(self._first) / len(self._first)
        noise = median(self._steps) * 1.05  # of |difference| of two: σ = 1.05 × its median
        return start + max(0.35 * abs(start), 0.5 * (start - self._lowest), 8 * noise)

    def _gave_back(self, now: float) -> bool:
        start = sum(self._first) / len(self._first)
        if self._lowest <= 0 or start < 1000 * self._lowest or now <= 0:
            return False
        return math.log(now / self._lowest) > 0.6 * math.log(start / self._lowest)


def read(
    lrs: Sequence[float], losses: Sequence[float], lr_min: float, lr_max: float, *, outcome: Outcome,
    way: Direction = DOWN,
) -> Reading:  # fmt: skip
    """The quick rule: the first clear rise after the minimum, ÷ 12.

    (÷ 24 on a plateau.) The rise is clear at the first η, right of the smoothed curve's minimum, where half of the
    greatest drop is lost again (or, on a curve that diverged without ever dropping, where it lies above the start
    beyond the noise). There is no suggestion for a loss that η does not change, nor for a sweep stopped before the
    rise.

    Args:
        lrs: η per step, rising, shape (steps,).
        losses: Loss per step, shape (steps,).
        lr_min, lr_max: The sweep's range, for a sweep that has not reached its end.
        outcome: "finished", "diverged" or "stopped".
        way: Which is better, in words.
    Source:
        Measured, not derived: ../tests/benchmarks. The range test is Smith 2017; "an order of magnitude below the
        rise" is folklore.
    """
    smoothed = smooth(losses)
    curve = _Curve.read(np.asarray(lrs), np.asarray(losses, dtype=np.float64), smoothed, outcome == "diverged")
    if curve is None:
        answer = _too_short(losses, outcome, way)
    else:
        answer = _with_range(_answer(curve, (lr_min, lr_max), outcome, way), curve)
    return Reading(
        answer=answer, outcome=outcome, lrs=tuple(lrs), losses=tuple(losses), smoothed_losses=tuple(smoothed.tolist()),
        start_loss=None if curve is None else curve.start,
    )  # fmt: skip


def _answer(curve: _Curve, ends: tuple[float, float], outcome: Outcome, way: Direction) -> Answer:
    if curve.rises_from is not None:
        return _from_rise(curve, curve.rises_from, ends[0], way)
    if outcome == "stopped":
        return _stopped(curve, way)
    return _flat(curve, *ends, way) if curve.low is None else _still_falling(curve, ends[1], way)


def _with_range(answer: Answer, curve: _Curve) -> Answer:
    low = curve.low
    if low is not None and answer.suggestion is not None:
        # A short sweep notices a fall late; what the margin puts below it is slow there, and usable all the same.
        low = min(low, answer.suggestion)
    return replace(
        answer, peak=answer.suggestion, low=low, high=None if low is None else curve.high, rises_from=curve.rises_from
    )


@dataclass(frozen=True, slots=True)
class _Curve:
    """The landmarks of a smoothed curve."""

    start: float
    low: float | None  # η where the loss is 5 % below the start
    high: float  # η of the minimum
    last_lr: float
    rises_from: float | None
    is_plateau: bool  # the loss fell by less than 5 %, if at all

    @classmethod
    def read(cls, lrs: Floats, losses: Floats, smoothed: Floats, has_diverged: bool) -> _Curve | None:
        finite = np.isfinite(smoothed)
        end = len(lrs) if finite.all() else int(np.argmin(finite))
        if end < 7:
            return None
        valley = smoothed[:end]
        start, noise = float(np.mean(losses[: max(5, end // 10)])), SMOOTHED_NOISE * _noise(losses[:end])
        # The two points at either end are not smoothed, so a stray loss there could pass for the minimum.
        lowest = 2 + int(np.argmin(valley[2 : end - 2]))
        drop = start - float(valley[lowest])
        fell = drop > max(LEAST_DROP * abs(start), 4 * noise)  # flat curves have minima too
        rise = _clear_rise(valley, lowest, start, noise, fell)
        if not fell and not has_diverged:
            rise = None  # noise goes up now and then
        elif rise is None and has_diverged:
            rise = _rise_in_log(valley, lowest, start) if end == len(lrs) else end
        return cls(
            start=start,
            low=float(lrs[_begins_to_fall(valley, lowest, start, noise)]) if fell else None,
            high=float(lrs[lowest]),
            last_lr=float(lrs[end - 1]),
            rises_from=None if rise is None else float(lrs[rise]),
            is_plateau=not fell or drop < USABLE_DROP * abs(start),
        )


def _begins_to_fall(valley: Floats, lowest: int, start: float, noise: float) -> int:
    """The first index from which on, up to the minimum, the loss is below its start."""
    least = min(USABLE_DROP * abs(start), 0.5 * (start - float(valley[lowest])))
    above = np.flatnonzero(valley[:lowest] >= start - max(least, 2 * noise))
    return int(above[-1]) + 1 if len(above) else 0


def _clear_rise(valley: Floats, lowest: int, start: float, noise: float, fell: bool) -> int | None:
    if fell:
        level = float(valley[lowest]) + GIVEN_BACK * (start - float(valley[lowest])) + noise
    else:
        level = start + max(FLAT_RISE * abs(start), 4 * noise)
    after = np.flatnonzero(valley[lowest:] > level)
    return lowest + int(after[0]) if len(after) else None


def _rise_in_log(valley: Floats, lowest: int, start: float) -> int:
    """For a loss that fell by orders of magnitude: where half of the drop in log loss is lost again."""
    if valley[lowest] <= 0:
        return len(valley) - 1
    after = np.flatnonzero(valley[lowest:] > math.sqrt(float(valley[lowest]) * start))
    return lowest + int(after[0]) if len(after) else len(valley) - 1


def _noise(losses: Floats) -> float:
    """σ of a single loss about its trend, from the first third's differences, where η is too small to matter."""
    differences = np.diff(losses[: max(10, len(losses) // 3)])
    return float(np.median(np.abs(differences)) * 1.05) if len(differences) else 0.0


def _from_rise(curve: _Curve, rises_from: float, lr_min: float, way: Direction) -> Answer:
    factor = PLATEAU_TO_SUGGESTION if curve.is_plateau else RISE_TO_SUGGESTION
    suggestion = rises_from / factor
    reason = f"{factor:.0f}× below the rate where the loss clearly {way.rose} ({format_lr(rises_from)})."
    if curve.low is not None and MOST_OF_MINIMUM * curve.high < suggestion:  # it rises slowly, and so late
        suggestion = MOST_OF_MINIMUM * curve.high
        reason = f"{MOST_OF_MINIMUM:g}× the rate of the {way.lowest} loss ({format_lr(curve.high)})."
    if suggestion < lr_min:
        reason = f"The loss {way.rose} at {format_lr(rises_from)}, {format_lr(rises_from / lr_min)}× the lowest η."
        return Answer(
            verdict="No clear answer: the range is too high.", reason=reason, retry=(lr_min / 1e4, rises_from)
        )
    fell = f" It hardly {way.fell} before: a plateau." if curve.is_plateau else ""
    return Answer(
        suggestion=suggestion,
        confidence="between",
        verdict=attempt(suggestion),
        reason=f"{reason}{fell}",
        limit="Quick sweep, one run.",
    )


def attempt(suggestion: float) -> str:
    """The verdict of an answer: a sweep takes one look at each rate."""
    return f"Try η = {format_lr(suggestion)}"


def _still_falling(curve: _Curve, lr_max: float, way: Direction) -> Answer:
    suggestion = max(lr_max / RISE_TO_SUGGESTION, curve.low or 0.0)
    factor = format_lr(lr_max / suggestion)
    return Answer(
        suggestion=suggestion,
        confidence="between",
        verdict=attempt(suggestion),
        reason=f"{factor}× below the end of the range ({format_lr(lr_max)}), where the loss had not {way.risen}.",
        limit="A higher rate may be better.",
    )


def _flat(curve: _Curve, lr_min: float, lr_max: float, way: Direction) -> Answer:
    stayed = f"From {format_lr(lr_min)} to {format_lr(lr_max)} the loss stayed at {way.text(curve.start)}."
    if lr_max < 1:
        return Answer(verdict="No clear answer: the range is too low.", reason=stayed, retry=(1e-5, 10.0))
    return Answer(verdict="No clear answer: η does not change the loss.", reason=stayed)


def _stopped(curve: _Curve, way: Direction) -> Answer:
    course = f"still {way.falling}" if curve.low is not None else f"still {way.text(curve.start)}"
    return Answer(
        verdict=f"Stopped before the loss {way.rose}: no suggestion yet.",
        reason=f"The loss was {course} at η = {format_lr(curve.last_lr)}.",
        limit="Your model is as it was.",
    )


def _too_short(losses: Sequence[float], outcome: Outcome, way: Direction) -> Answer:
    if losses and not math.isfinite(losses[0]):
        return Answer(verdict=NOT_FINITE, reason=BEFORE_ANY_STEP)
    if outcome == "diverged":
        verdict, reason = NOT_FINITE, "It was inf or NaN within the first seven steps."
    else:
        verdict = f"Stopped before the loss {way.rose}: no suggestion yet."
        reason = f"Only {len(losses)} steps were taken."
    return Answer(verdict=verdict, reason=reason)
