"""What the trials of a search say: the size to type, the size worth using, and both in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...formats import format_count, format_memory
from .advice import confirmed_advice

if TYPE_CHECKING:
    from .settings import BatchSettings
    from .trial import MemoryTrial

BATCH_NORM_NEEDS_MORE = "BatchNorm needs more than one value per channel"
PLAYED = "played"
NOT_PREDICTABLE, MEASURE = "Not predictable:", "Measure it instead."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The fields of ``BatchLimit`` that follow from its trials."""

    largest: int | None
    batch_size: int | None
    knee: int | None
    is_still_rising: bool
    accumulate: int | None
    verdict: str
    reason: str
    limit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an answer is drawn from: the trials, and what they were made for."""

    trials: Sequence[MemoryTrial]
    latest: Sequence[MemoryTrial]
    settings: BatchSettings
    capacity_bytes: int | None
    caveats: Sequence[str]
    estimate: Any
    is_stopped: bool


def answer(known: Known) -> Answer:
    """The answer, and the words for it."""
    best = _best(known.latest)
    speeds = {t.batch_size: t.samples_per_second for t in known.latest if t.samples_per_second is not None}
    is_rising = is_still_rising(speeds)
    bend = None if is_rising or len(speeds) < 2 else knee(speeds)
    batch_size = None if best is None else best.batch_size
    target = None if known.settings.evaluation else known.settings.target_batch_size  # nothing is updated there
    accumulate = _accumulate(target, batch_size)
    verdict, reason, advice = _sentences(known, best)
    retries = _retries_sentence(known.latest)
    speed = _speed_sentence(known.latest, bend, is_rising)
    accumulation = _accumulation_sentence(target, accumulate)
    return Answer(
        largest=_largest(known, best), batch_size=batch_size, knee=bend, is_still_rising=is_rising,
        accumulate=accumulate, verdict=verdict, reason=reason,
        limit=" ".join(part for part in (advice, retries, speed, accumulation) if part),
    )  # fmt: skip


def _best(latest: Sequence[MemoryTrial]) -> MemoryTrial | None:
    """The largest power of two that fits, below every size that does not.

    Where a real run did not fit, the prediction was wrong, so only sizes that ran count, if any did.
    """
    failed = [t.batch_size for t in latest if not t.fits]
    below = [
        t
        for t in latest
        if t.fits and t.batch_size < min(failed, default=t.batch_size + 1) and t.batch_size.bit_count() == 1
    ]
    if any(t.is_measured and not t.fits for t in latest):
        below = [t for t in below if t.is_measured] or below
    return max(below, key=lambda t: t.batch_size, default=None)


def _largest(known: Known, best: MemoryTrial | None) -> int | None:
    """The largest k that fits, power of two or not; as far as the prediction goes between the sizes tried."""
    if best is None:
        return 0 if known.latest else None
    failed = [t.batch_size for t in known.latest if not t.fits]
    if known.estimate is None or not failed:
        return best.batch_size
    predicted = known.estimate.largest_batch_size(power_of_two=False)
    return int(min(max(predicted, best.batch_size), min(failed) - 1))


def _accumulate(target: int | None, batch_size: int | None) -> int | None:
    return None if target is None or batch_size is None else -(-target // batch_size)


def _sentences(known: Known, best: MemoryTrial | None) -> tuple[str, str, str]:
    """Verdict, reason and advice."""
    if not known.latest:
        if known.is_stopped:
            return "Stopped before anything was known.", "", ""
        why = next(iter(known.caveats), "this model's sizes depend on the data.")
        why = why.removeprefix(NOT_PREDICTABLE).removesuffix(MEASURE).strip().rstrip(".")
        return f"{NOT_PREDICTABLE} {why}.", MEASURE, ""
    if best is None:
        return "Not even k = 1 fits:", _need_sentence(known), confirmed_advice(known.estimate)
    k = best.batch_size
    advice = f"But {BATCH_NORM_NEEDS_MORE}." if best.why == BATCH_NORM_NEEDS_MORE else ""
    if k == max(t.batch_size for t in known.latest):
        advice = " ".join(part for part in (advice, _shortage_sentence(known, k)) if part)
        return f"k = {k} fits, the largest looked at", _evidence(known, best), advice
    return f"k = {k} is the largest power of two that fits", _evidence(known, best), advice


def _shortage_sentence(known: Known, k: int) -> str:
    count = getattr(getattr(known.estimate, "samples", None), "count", None)
    if count is None or count >= min(2 * k, known.settings.max_batch_size):
        return ""
    return f"There are only {_counted(count, 'sample')}."


def _evidence(known: Known, best: MemoryTrial) -> str:
    how = f"measured on {_place(best)}" if best.is_measured else "predicted"
    how = f"an evaluation, {how}" if known.settings.evaluation else how
    peak = _peak(best)
    if known.capacity_bytes is not None and peak is not None:
        how += f", {format_memory(max(0, known.capacity_bytes - peak))} free"
    played = [t for t in known.trials if t.why.startswith(PLAYED)]
    if not played:
        return f"({how})."
    errors = sum(not t.fits for t in played)
    return f"({how}; played, {_counted(len(played), 'trial')} with {_counted(errors, 'out-of-memory error')})."


def _counted(count: int, noun: str) -> str:
    return f"{format_count(count)} {noun}{'' if count == 1 else 's'}"


def _need_sentence(known: Known) -> str:
    smallest = min(known.latest, key=lambda t: t.batch_size)
    peak = _peak(smallest)
    return "it ran out of memory." if peak is None else f"it needs {format_memory(peak)}."


def slower_sizes(latest: Sequence[MemoryTrial]) -> list[int]:
    """The sizes that get through with retries alone, above all that fit and below every one that really failed."""
    failed = min((t.batch_size for t in latest if t.is_measured and not t.fits), default=math.inf)
    fitting = max((t.batch_size for t in latest if t.fits), default=0)
    return [t.batch_size for t in latest if t.is_slower and fitting < t.batch_size < failed]


def _retries_sentence(latest: Sequence[MemoryTrial]) -> str:
    slower = slower_sizes(latest)
    if not slower:
        return ""
    return f"k = {max(slower)} may get through, slower, as the allocator gives back its cache and tries again."


def _speed_sentence(latest: Sequence[MemoryTrial], bend: int | None, is_rising: bool) -> str:
    ran = [t for t in latest if t.samples_per_second is not None]
    if is_rising:
        return f"Speed on {_place(ran[-1])} is still rising at k = {ran[-1].batch_size}."
    return "" if bend is None else f"Speed on {_place(ran[-1])} stops growing at k = {bend}."


def _accumulation_sentence(target: int | None, accumulate: int | None) -> str:
    if target is None or accumulate is None:
        return ""
    if accumulate == 1:
        return f"An effective batch of {format_count(target)} fits at once."
    each = -(-target // accumulate)
    return f"For an effective batch of {format_count(target)}, accumulate {accumulate} of {each}."


def _peak(trial: MemoryTrial) -> int | None:
    return trial.predicted_bytes if trial.peak_bytes is None else trial.peak_bytes


def _place(trial: MemoryTrial) -> str:
    return "this CPU" if trial.device == "cpu" else "this GPU"


def knee(speeds: dict[int, float], share: float = 0.9) -> int | None:
    """Smallest batch size with at least ``share`` of the best speed; None without any.

    Args:
        speeds: Samples per second by batch size.

    Examples:
        >>> knee({1: 5.4, 2: 6.3, 4: 7.9, 8: 8.7, 16: 8.7, 32: 9.4, 64: 7.5})
        8
    """
    best = max(speeds.values(), default=0.0)
    return next((k for k in sorted(speeds) if speeds[k] >= share * best), None)


def is_still_rising(speeds: dict[int, float]) -> bool:
    """Whether the largest size is the first with 90 % of the best speed, so that a larger one may be faster still."""
    return len(speeds) > 1 and knee(speeds) == max(speeds)
