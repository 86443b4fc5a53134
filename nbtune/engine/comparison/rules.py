"""What a comparison says: which loss to time, which k was first there, and the sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ...formats import format_count, format_loss, format_lr, format_seconds, format_target
from ..direction import DOWN, Direction
from .curves import DIVERGED, FINISHED, STOPPED, BatchCurve

if TYPE_CHECKING:
    from .budget import Budget
    from .settings import ComparisonSettings

FALLEN = 0.9
"""A loss has come down when less than this part of that at the start is left."""

QUARTER = 0.25

ALIKE = 1.5
"""Two amounts within this factor are called about the same: timings on a shared machine differ by a third."""

ADVICE = "Try a larger budget, or another η."

_ROUND = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """See ``Comparison``."""

    start_loss: float | None
    target_loss: float | None
    batch_size: int | None
    lr: float | None
    verdict: str
    reason: str
    limit: str
    outcome: Literal["finished", "diverged", "stopped"]


@dataclass(frozen=True, slots=True)
class _Told:
    """What sentences need beside the curves."""

    budget: Budget
    way: Direction

    def target(self, loss: float) -> str:
        return format_target(self.way.sign * loss)


def answer(
    curves: Sequence[BatchCurve], budget: Budget, settings: ComparisonSettings, *, way: Direction = DOWN
) -> Answer:  # fmt: skip
    """The answer that these curves give; ``way``: which is better, in words."""
    start = start_loss_of(curves)
    target = target_of(curves, start) if settings.target_loss is None else way.sign * settings.target_loss
    best = best_of(curves, target, start)
    verdict, reason = _sentences(curves, target, start, best, _Told(budget, way))
    return Answer(
        start_loss=start,
        target_loss=target,
        batch_size=None if best is None else best.batch_size,
        lr=None if best is None else best.lr,
        verdict=verdict,
        reason=reason,
        limit=_limit(curves, target, way),
        outcome=_outcome(curves, settings),
    )


def start_loss_of(curves: Sequence[BatchCurve]) -> float | None:
    """The first loss of the largest k that has one: its batch is the surest mean."""
    return next((curve.losses[0] for curve in reversed(curves) if curve.losses), None)


def target_of(curves: Sequence[BatchCurve], start_loss: float | None) -> float | None:
    """A training loss to time: half of the way (in logarithms) down to where the second best k ended, rounded up.

    The second best, so that there are two to compare, unless it did not come a quarter as far as the best; half-way,
    where curves are steep and noise moves little. Linear where a loss is not above 0. None where no k came down by a
    tenth.
    """
    finals = sorted(c.final_loss for c in curves if c.final_loss is not None and _has_fallen(c.final_loss, start_loss))
    if not finals or start_loss is None:
        return None
    best, second = finals[0], finals[:2][-1]
    end = second if _way(start_loss, second, best) >= QUARTER * _way(start_loss, best, best) else best
    return _rounded_up(_middle(start_loss, end), start_loss)


def _way(start_loss: float, end: float, lowest: float) -> float:
    """How far a loss came, on the scale that the lowest one allows."""
    return math.log(start_loss / end) if lowest > 0 else start_loss - end


def _middle(start_loss: float, end: float) -> float:
    return math.sqrt(start_loss * end) if end > 0 else (start_loss + end) / 2


def _rounded_up(loss: float, start_loss: float) -> float:
    if loss <= 0:
        return loss
    power = 10.0 ** math.floor(math.log10(loss))
    rounded = next(power * step for step in _ROUND if power * step >= loss * (1 - 1e-9))
    return float(f"{rounded if rounded < FALLEN * start_loss else loss:.2g}")


def best_of(curves: Sequence[BatchCurve], target: float | None, start_loss: float | None) -> BatchCurve | None:
    """The k that reached the target in the least time; where none did, the one that ended lowest, if it came down."""
    sound = [curve for curve in curves if _is_sound(curve)]
    timed = [(reached[1], curve) for curve in sound if (reached := curve.reach(target)) is not None]
    if timed:
        return min(timed, key=lambda pair: pair[0])[1]
    fallen = [(c.final_loss, c) for c in curves if c.final_loss is not None and _has_fallen(c.final_loss, start_loss)]
    return min(fallen, key=lambda pair: pair[0])[1] if fallen else None


def _is_sound(curve: BatchCurve) -> bool:
    return curve.outcome in (FINISHED, STOPPED)


def _has_fallen(loss: float, start_loss: float | None) -> bool:
    return start_loss is not None and loss < start_loss - (1 - FALLEN) * abs(start_loss)


def _outcome(curves: Sequence[BatchCurve], settings: ComparisonSettings) -> Literal["finished", "diverged", "stopped"]:
    asked = len(settings.batch_sizes or curves[:1]) * settings.seeds
    if not curves or sum(curve.seeds for curve in curves) < asked or any(c.outcome == STOPPED for c in curves):
        return "stopped"
    return "diverged" if all(curve.outcome == DIVERGED for curve in curves) else "finished"


def _sentences(
    curves: Sequence[BatchCurve], target: float | None, start: float | None, best: BatchCurve | None, told: _Told
) -> tuple[str, str]:
    if start is None and not any(not _is_sound(curve) for curve in curves):
        return "Stopped before there was a loss.", "Nothing is known yet."
    if best is None:
        return _no_answer(curves, start, told)
    reached = best.reach(target)
    others = [curve for curve in curves if curve is not best and _is_sound(curve) and curve.reach(target) is not None]
    if reached is None or target is None:
        return f"No k reached loss {told.target(target or 0)}", _finals(curves, told)
    if not others:
        verdict = f"Only k = {best.batch_size} reaches loss {told.target(target)}, in {format_seconds(reached[1])}"
        return verdict, _finals(curves, told)
    return _side_by_side(best, _most_telling(others, target), target, told)


def _most_telling(others: list[BatchCurve], target: float) -> BatchCurve:
    """SGD itself, where it is among them; else the slowest."""
    return next((c for c in others if c.batch_size == 1), max(others, key=lambda c: (c.reach(target) or (0, 0))[1]))


def _side_by_side(best: BatchCurve, other: BatchCurve, target: float, told: _Told) -> tuple[str, str]:
    (samples, seconds), (more_samples, more_seconds) = best.reach(target) or (0, 0), other.reach(target) or (0, 0)
    verdict = (
        f"k = {best.batch_size} reaches loss {told.target(target)} in {format_seconds(seconds)}, "
        f"k = {other.batch_size} in {format_seconds(more_seconds)}"
    )
    counts = f"({format_count(_rounded(more_samples))} against {format_count(_rounded(samples))})"
    slower = more_seconds / seconds if seconds > 0 else 1.0
    needs = _amount(more_samples / samples if samples > 0 else 1.0)
    time = f"{format_loss(slower)}× the time" if slower > ALIKE else "about the same time"
    joined = "but" if (more_samples > ALIKE * samples) != (slower > ALIKE) else "and"
    return verdict, f"k = {other.batch_size} needs {needs} {counts} {joined} {time}."


def _amount(ratio: float) -> str:
    if ratio > ALIKE:
        return f"{format_loss(ratio)}× the samples"
    return "about as many samples" if ratio > 1 / ALIKE else "fewer samples"


def _rounded(count: float) -> float:
    """Two digits: more would not be the same in another run."""
    return float(f"{count:.1e}") if count >= 1000 else round(count)


def _finals(curves: Sequence[BatchCurve], told: _Told) -> str:
    ends = [f"{told.way.text(c.final_loss)} at k = {c.batch_size}" for c in curves if c.final_loss is not None]
    is_stopped = any(curve.outcome == STOPPED for curve in curves)
    when = "When it was stopped the loss was" if is_stopped else f"After {told.budget.text} each the loss is"
    return f"{when} {_listed(ends)}." if ends else ""


def _no_answer(curves: Sequence[BatchCurve], start: float | None, told: _Told) -> tuple[str, str]:
    if curves and all(curve.is_too_fast for curve in curves):
        rates = _listed([format_lr(rate) for rate in sorted({curve.lr for curve in curves})])
        is_only_diverged = all(curve.outcome == DIVERGED for curve in curves)
        how = "every run diverged" if is_only_diverged else "every run diverged or raised an error"
        return f"No clear answer: {how}.", f"η = {rates} is too large: try less."
    if start is None:
        return "No clear answer: no run took a step.", " ".join(dict.fromkeys(c.why for c in curves if c.why))
    return (
        f"No clear answer: the loss did not {told.way.come_down}.",
        " ".join(filter(None, [f"It began at {told.way.text(start)}.", _finals(curves, told), ADVICE])),
    )


def _limit(curves: Sequence[BatchCurve], target: float | None, way: Direction) -> str:
    parts = ["Stopped early."] if any(curve.outcome == STOPPED for curve in curves) else []
    parts += [f"k = {c.batch_size} diverged at η = {format_lr(c.lr)}." for c in curves if c.outcome == DIVERGED]
    parts += [f"k = {c.batch_size}: {c.why}" for c in curves if c.why]
    parts += [_about_risen(c, way) for c in curves if _is_sound(c) and c.has_risen]
    late = [c for c in curves if _is_sound(c) and c.losses and c.reach(target) is None and not c.has_risen]
    if late and any(c.reach(target) for c in curves):
        sizes = _listed([f"k = {c.batch_size}" for c in late])
        updates = _listed(list(dict.fromkeys(format_count(c.updates[-1]) for c in late)))
        parts.append(f"{sizes} did not get there in {updates} updates.")
    return " ".join(parts)


def _about_risen(curve: BatchCurve, way: Direction) -> str:
    ends = f"from {way.text(min(curve.losses))} to {way.text(curve.losses[-1])}"
    return f"k = {curve.batch_size} {way.rose} again, {ends}: η = {format_lr(curve.lr)} is large for it."


def _listed(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else list(texts))
