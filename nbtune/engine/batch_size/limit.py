"""What is known after a search for batch sizes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import torch

from ...formats import format_count, format_loss, format_memory, format_mib
from ..checks import choice, events, instance, sentences, text, whole_number
from ..memory.cards import LARGEST
from ..small_print import small_print
from ..task.task import Task, checked_task
from . import rules
from .settings import BatchSettings
from .trial import MemoryTrial


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimit:
    """What is known after a search, a pure fold of its trials (see ``from_trials``).

    Attributes:
        trials: The events, in order; a later one of the same k replaces an earlier one (see ``latest``).
        settings: What was asked for.
        capacity_bytes, capacity_name: Of the card, e.g. 8 * 2**30 and "8 GB card".
        largest: Largest k that fits; 0 where not even one sample does; None where nothing is known.
        batch_size: What to type: the largest power of two that fits; None where there is none.
        knee: Smallest measured k with at least 90 % of the best speed; None where that is the largest one run.
        is_still_rising: It is the largest one run, so that a larger one may be faster still.
        accumulate: Micro-batches that make ``settings.target_batch_size``; None without one.
        verdict, reason, limit: The answer, its evidence and its limit in words.
        outcome: "finished" or "stopped".
        caveats: What the prediction does not know, in sentences.
        estimate: The ``MemoryEstimate`` behind it, for the layers; None where nothing could be predicted.
        data_form: How the data were taken, such as "1 797 samples, batches of 32, shuffled"; "" where nobody said.
    """

    trials: tuple[MemoryTrial, ...]
    settings: BatchSettings
    capacity_bytes: int | None
    capacity_name: str
    largest: int | None
    batch_size: int | None
    knee: int | None
    is_still_rising: bool
    accumulate: int | None
    verdict: str
    reason: str
    limit: str
    outcome: Literal["finished", "stopped"]
    caveats: tuple[str, ...] = ()
    estimate: Any = field(default=None, repr=False, compare=False)
    data_form: str = field(default="", compare=False)

    @classmethod
    def from_trials(
        cls,
        trials: Iterable[MemoryTrial],
        *,
        settings: BatchSettings | None = None,
        capacity_bytes: int | None = None,
        capacity_name: str = "",
        caveats: Iterable[str] = (),
        estimate: Any = None,
        outcome: Literal["finished", "stopped"] = "finished",
        data_form: str = "",
    ) -> BatchLimit:
        """What any number of trials says, so that a stopped run is a valid, shorter result.

        Args:
            trials: Events of one search, in order, possibly none.
            settings: Those of the search; None for the defaults.
            capacity_bytes, capacity_name: Of the card; None and "" where nobody knows.
            caveats: What the prediction does not know; where nothing could be predicted, the first says why.
            estimate: The ``MemoryEstimate`` the predicted trials come from.
            outcome: Whether the search came to its end.
            data_form: To be kept.
        Raises:
            TypeError, ValueError: For anything else.
        """
        trials = tuple(events("trials", trials, (MemoryTrial,)))
        settings = instance("settings", settings, BatchSettings) or BatchSettings()
        if capacity_bytes is not None:
            capacity_bytes = whole_number("capacity_bytes", capacity_bytes, least=0, most=LARGEST)
        capacity_name, caveats = text("capacity_name", capacity_name), sentences("caveats", caveats)
        data_form = text("data_form", data_form)
        outcome = choice("outcome", outcome, ("finished", "stopped"))
        answer = rules.answer(rules.Known(
            trials=trials, latest=_latest(trials), settings=settings, capacity_bytes=capacity_bytes, caveats=caveats,
            estimate=estimate, is_stopped=outcome == "stopped",
        ))  # fmt: skip
        return cls(
            trials=trials, settings=settings, capacity_bytes=capacity_bytes, capacity_name=capacity_name,
            largest=answer.largest, batch_size=answer.batch_size, knee=answer.knee,
            is_still_rising=answer.is_still_rising, accumulate=answer.accumulate, verdict=answer.verdict,
            reason=answer.reason, limit=answer.limit, outcome=outcome, caveats=caveats, estimate=estimate,
            data_form=data_form,
        )  # fmt: skip

    @property
    def largest_with_retries(self) -> int | None:
        """The largest k tried that gets through, if need be with the allocator's retries (slower); None if unknown."""
        known = [t for t in self.latest if t.is_measured or t.fits_with_retries is not None]
        gets_through = [*(t.batch_size for t in known if t.fits), *rules.slower_sizes(self.latest)]
        return max(gets_through, default=0) if known else None

    @property
    def latest(self) -> tuple[MemoryTrial, ...]:
        """One trial per k, the newest, by rising k."""
        return _latest(self.trials)

    def apply(self, task: Task) -> Task:
        """A new task with this batch size; the given one stays as it is.

        Raises:
            TypeError: For something that is no task.
            ValueError: When no size fits or none is known, when it is an evaluation's, or the loader cannot be rebuilt.
        """
        checked_task(task, "apply")
        if self.batch_size is None:
            raise ValueError(f"there is no batch size to apply. {self._sentence}")
        if self.settings.evaluation:
            raise ValueError(f"k = {self.batch_size} is an evaluation's: give it to the loader of your evaluation")
        return task.with_(batch_size=self.batch_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for ``json.dump``: ``kind``, ``schema`` and the fields, without the estimate."""
        plain = asdict(replace(self, estimate=None))
        del plain["estimate"]
        amp = self.settings.amp
        plain["settings"]["amp"] = str(amp).removeprefix("torch.") if isinstance(amp, torch.dtype) else amp
        for trial in plain["trials"]:
            trial["parts"] = dict(trial["parts"])
        return {"kind": "batch_limit", "schema": 1, **plain}

    @property
    def _sentence(self) -> str:
        return " ".join(part for part in (self.verdict, self.reason, self.limit) if part)

    def __repr__(self) -> str:
        card = "" if self.capacity_bytes is None else f", {self.capacity_name} = {format_memory(self.capacity_bytes)}"
        head = f"BatchLimit(batch_size={self.batch_size}, largest={self.largest}{card}, {self.outcome})"
        rows = [("k", "MiB", "free", "samples/s", ""), *(self._row(trial) for trial in self.latest)]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[4]]) for row in rows]
        told = [head, self._sentence, *(line.rstrip() for line in lines if self.trials)]
        return "\n  ".join(told) + small_print(self)

    def _row(self, trial: MemoryTrial) -> tuple[str, str, str, str, str]:
        peak = trial.predicted_bytes if trial.peak_bytes is None else trial.peak_bytes
        free = None if peak is None or self.capacity_bytes is None else self.capacity_bytes - peak
        return (
            str(trial.batch_size),
            "" if peak is None else format_mib(peak),
            "" if free is None else _free(trial, free),
            "" if trial.samples_per_second is None else _speed(trial.samples_per_second),
            "measured" if trial.is_measured and trial.why == "ran" else trial.why,
        )


def _free(trial: MemoryTrial, free: int) -> str:
    if trial.is_slower:
        return "with retries"
    return "too big" if free < 0 or not trial.fits else format_mib(free)


def _latest(trials: tuple[MemoryTrial, ...]) -> tuple[MemoryTrial, ...]:
    newest = {trial.batch_size: trial for trial in trials}
    return tuple(newest[k] for k in sorted(newest))


def _speed(samples_per_second: float) -> str:
    return format_count(samples_per_second) if samples_per_second >= 10 else format_loss(samples_per_second)
