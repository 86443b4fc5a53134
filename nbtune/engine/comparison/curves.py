"""Events of training runs folded into curves: one per run, and one per k over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .budget import Budget
    from .events import LossStep, Run

FINISHED, DIVERGED, STOPPED = "finished", "diverged", "stopped"

OUT_OF_MEMORY, ONE_SAMPLE = "out of memory.", "BatchNorm needs more than one sample."
"""Why a run fails whatever its η."""

RISEN = 1.5
"""A loss has risen again when it is more than this many times what it was: noise alone moves one by less."""

Floats = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCurve:
    """One training run; all tuples have shape (points,).

    Attributes:
        run: Which one.
        samples_seen: By the end of each point's stretch.
        updates: By then.
        seconds: Its own steps' by then.
        losses: Mean training loss over each stretch; the last of a diverged run is not finite.
        held_out_losses: At its end; None where it was not evaluated.
        outcome: "finished", "diverged", "stopped" (before its budget was spent), or "failed".
        why: Of a failed run, a sentence.
    """

    run: Run
    samples_seen: tuple[int, ...]
    updates: tuple[int, ...]
    seconds: Floats
    losses: Floats
    held_out_losses: tuple[float | None, ...]
    outcome: str
    why: str = ""


class RunFold:
    """Curves that grow event by event, for a live view."""

    def __init__(self) -> None:
        self._growing: dict[Run, _Growing] = {}

    def add(self, step: LossStep) -> None:
        self._growing.setdefault(step.run, _Growing(step.run)).add(step)

    def curves(self) -> tuple[RunCurve, ...]:
        """What is known now, in the order in which the runs began."""
        return tuple(growing.curve() for growing in self._growing.values())


def run_curves_of(steps: Iterable[LossStep]) -> tuple[RunCurve, ...]:
    """The curves of any number of events."""
    fold = RunFold()
    for step in steps:
        fold.add(step)
    return fold.curves()


class _Growing:
    def __init__(self, run: Run) -> None:
        self._run, self._ended = run, ""
        self._points: list[LossStep] = []
        self._sums: list[tuple[float, int]] = []  # of losses times updates, and of updates
        self._updates = 0

    def add(self, step: LossStep) -> None:
        taken, self._updates = step.updates - self._updates, step.updates
        if self._points and self._points[-1].point == step.point:
            total, count = self._sums.pop()
            self._points.pop()
        else:
            total, count = 0.0, 0
        if taken or not step.ended:
            self._points.append(step)
            self._sums.append((total + step.loss * taken, count + taken))
        elif count:  # it ended before another update: what was there stays
            self._points.append(step)
            self._sums.append((total, count))
        self._ended = self._ended or step.ended

    def curve(self) -> RunCurve:
        is_failed = self._ended not in ("", FINISHED, DIVERGED)
        return RunCurve(
            run=self._run,
            samples_seen=tuple(p.samples_seen for p in self._points),
            updates=tuple(p.updates for p in self._points),
            seconds=tuple(p.seconds for p in self._points),
            losses=tuple(total / count if count else math.nan for total, count in self._sums),
            held_out_losses=tuple(p.held_out_loss for p in self._points),
            outcome="failed" if is_failed else self._ended or STOPPED,
            why=self._ended if is_failed else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCurve:
    """One k: the mean over its seeds' runs, and the band around it; all tuples have shape (points,).

    The points are those that every seed has reached, up to the first where a loss is not finite. The mean is geometric
    where all losses are above 0, as belongs to a log axis; else arithmetic.

    Attributes:
        batch_size: k.
        lr: η of all its runs.
        seeds: How many they are.
        samples_seen, updates: By the end of each point's stretch.
        seconds: The same, mean over the seeds.
        losses: Mean training loss over each stretch.
        lows, highs: Lowest and highest over the seeds.
        held_out_losses: Mean over the seeds; None where it was not evaluated.
        updates_per_epoch: None where the data do not tell their size.
        peak_bytes: Predicted memory of a step at this k; None where it was not asked for.
        outcome: "finished", "stopped"; "diverged" or "failed" if any of the runs did.
        why: Of a failed one, a sentence.
    """

    batch_size: int
    lr: float
    seeds: int
    samples_seen: tuple[int, ...]
    updates: tuple[int, ...]
    seconds: Floats
    losses: Floats
    lows: Floats
    highs: Floats
    held_out_losses: tuple[float | None, ...]
    updates_per_epoch: int | None
    peak_bytes: int | None
    outcome: str
    why: str = field(default="")

    @property
    def seconds_per_epoch(self) -> float | None:
        if not self.updates or self.updates_per_epoch is None:
            return None
        return self.seconds[-1] / self.updates[-1] * self.updates_per_epoch

    @property
    def final_loss(self) -> float | None:
        """Training loss over the last stretch; None for a k that diverged or failed."""
        return self.losses[-1] if self.losses and self.outcome in (FINISHED, STOPPED) else None

    @property
    def is_too_fast(self) -> bool:
        """Whether η has ended it: it diverged, or made a step raise an error."""
        is_failed = self.outcome == "failed" and self.why not in (OUT_OF_MEMORY, ONE_SAMPLE)
        return self.outcome == DIVERGED or is_failed

    @property
    def has_risen(self) -> bool:
        """Whether the loss has come down and is up again, as happens where η is too large for k."""
        losses = self.losses
        return bool(losses) and losses[-1] - min(losses) > (RISEN - 1) * abs(min(losses)) and min(losses) < losses[0]

    @property
    def held_out_loss(self) -> float | None:
        """The last one that was evaluated."""
        known = [loss for loss in self.held_out_losses if loss is not None]
        return known[-1] if known and self.outcome in (FINISHED, STOPPED) else None

    def reach(self, target_loss: float | None) -> tuple[float, float] | None:
        """Samples and seconds at which the loss came down to a target for good.

        For good: the last loss is no higher, and none after it by more than ``RISEN``. Between two points both are
        interpolated (in logarithms, where the losses allow it).
        """
        if target_loss is None or not self.losses or self.losses[-1] > target_loss:
            return None
        most = target_loss + (RISEN - 1) * abs(target_loss)
        settled = next((i for i in reversed(range(len(self.losses))) if self.losses[i] > most), -1) + 1
        i = next(i for i in range(settled, len(self.losses)) if self.losses[i] <= target_loss)
        if i == 0:
            return float(self.samples_seen[0]), self.seconds[0]
        share = _share(self.losses[i - 1], self.losses[i], target_loss)
        return _between(self.samples_seen, i, share), _between(self.seconds, i, share)

    def row(self, target_loss: float | None, sign: int = 1) -> dict[str, Any]:
        """As ``Comparison.table`` describes it, with the losses times ``sign``."""
        samples, seconds = self.reach(target_loss) or (None, None)
        is_known = self.final_loss is not None
        low, high = (self.lows, self.highs) if sign > 0 else (self.highs, self.lows)
        return {
            "batch_size": self.batch_size, "lr": self.lr,
            "samples_to_target": None if samples is None else round(samples), "seconds_to_target": seconds,
            "updates_per_epoch": self.updates_per_epoch, "seconds_per_epoch": self.seconds_per_epoch,
            "final_loss": times(sign, self.final_loss), "final_loss_low": sign * low[-1] if is_known else None,
            "final_loss_high": sign * high[-1] if is_known else None,
            "held_out_loss": times(sign, self.held_out_loss),
            "peak_bytes": self.peak_bytes, "outcome": self.outcome,
        }  # fmt: skip


def times(sign: int, loss: float | None) -> float | None:
    """The user's own number for a loss that is lowered, and back."""
    return None if loss is None else sign * loss


def curves_of(
    runs: Sequence[RunCurve], *, budget: Budget, dataset_size: int | None, memory: Mapping[int, int]
) -> tuple[BatchCurve, ...]:
    """One curve per k, in rising k."""
    sizes = sorted({run.run.batch_size for run in runs})
    by_size = {k: [run for run in runs if run.run.batch_size == k] for k in sizes}
    return tuple(
        _curve_of(by_size[k], None if dataset_size is None else max(1, dataset_size // k), memory.get(k)) for k in sizes
    )


def _curve_of(runs: list[RunCurve], updates_per_epoch: int | None, peak_bytes: int | None) -> BatchCurve:
    count = min(_finite_points(run) for run in runs)
    # A budget of seconds ends each seed's last stretch elsewhere; the shortest is what all have reached.
    ends = min(runs, key=lambda run: run.updates[count - 1]) if count else runs[0]
    points = range(count)
    losses = [[run.losses[i] for run in runs] for i in points]
    return BatchCurve(
        batch_size=ends.run.batch_size,
        lr=ends.run.lr,
        seeds=len(runs),
        samples_seen=ends.samples_seen[:count],
        updates=ends.updates[:count],
        seconds=tuple(sum(run.seconds[i] for run in runs) / len(runs) for i in points),
        losses=tuple(map(mean_loss, losses)),
        lows=tuple(map(min, losses)),
        highs=tuple(map(max, losses)),
        held_out_losses=tuple(_mean_if_all([run.held_out_losses[i] for run in runs]) for i in points),
        updates_per_epoch=updates_per_epoch,
        peak_bytes=peak_bytes,
        outcome=next((o for o in (DIVERGED, "failed", STOPPED) if any(run.outcome == o for run in runs)), FINISHED),
        why=next((run.why for run in runs if run.why), ""),
    )


def _finite_points(run: RunCurve) -> int:
    return next((i for i, loss in enumerate(run.losses) if not math.isfinite(loss)), len(run.losses))


def mean_loss(losses: Sequence[float]) -> float:
    """Geometric where all are above 0, else arithmetic."""
    if len(losses) == 1:
        return losses[0]
    if min(losses) > 0:
        return math.exp(sum(map(math.log, losses)) / len(losses))
    return sum(losses) / len(losses)


def _mean_if_all(losses: list[float | None]) -> float | None:
    known = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    return mean_loss(known) if len(known) == len(losses) else None


def _share(before: float, after: float, target: float) -> float:
    if after > 0 and target > 0:
        before, after, target = math.log(before), math.log(after), math.log(target)
    return 1.0 if before <= after else min(1.0, max(0.0, (before - target) / (before - after)))


def _between(values: Sequence[float], i: int, share: float) -> float:
    before, after = values[i - 1], values[i]
    if before > 0:
        return float(before * (after / before) ** share)
    return float(before + (after - before) * share)
