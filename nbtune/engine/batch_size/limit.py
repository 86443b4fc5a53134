"""What a search for batch sizes is asked to do, what it yields (``MemoryTrial``) and what is known after it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from numbers import Integral, Real
from operator import index
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from ...formats import format_count, format_loss, format_memory, format_mib
from . import rules as batch_rules

if TYPE_CHECKING:
    from ..task.task import Task

Strategy = Literal["estimate", "halve", "double"]
OPTIMIZERS = ("SGD", "SGD with momentum", "Adam", "AdamW", "RMSprop")
PARTS = ("context", "parameters", "gradients", "optimizer", "inputs", "activations", "temporary", "reserved")
"""What takes the memory, from below; "reserved" is held by the allocator and not in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What a search for batch sizes is asked to do; the widget and ``find_batch_size`` take the same one.

    Args:
        capacity: The card: a size ("8 GB", "10.5 GiB"), a name ("T4", "A100 40"), bytes, or None for the GPU the model
            is on (what is free on it now), and without one for the host's memory.
        strategy: "estimate" (predict, then confirm), "halve" (from ``max_batch_size`` down on each out-of-memory
            error), "double" (from 1 up to the first).
        max_batch_size: The largest k looked at, ≥ 1.
        image_size: Side in pixels of the (square) images; None for the data's own.
        optimizer: One of ``OPTIMIZERS`` to plan with instead of the task's own; None for the task's.
        amp: dtype of autocast to plan with, False for none; None for the task's.
        checkpointing: Whether activations are recomputed in the backward pass; None for as the model is.
        measure_seconds: Time for steps that are really run, ≥ 0; 0 for predictions alone.
        target_batch_size: An effective batch size wanted, for the advice on accumulation.
    Raises:
        ValueError: For a value outside these limits.
    """

    capacity: str | int | None = None
    strategy: Strategy = "estimate"
    max_batch_size: int = 512
    image_size: int | None = None
    optimizer: str | None = None
    amp: torch.dtype | Literal[False] | None = None
    checkpointing: bool | None = None
    measure_seconds: float = 20.0
    target_batch_size: int | None = None

    def __post_init__(self) -> None:
        if self.capacity is not None:
            from ..memory.cards import parse_capacity  # not above: the memory package needs this module's names

            parse_capacity(self.capacity)
        if self.strategy not in get_args(Strategy):
            raise ValueError(f"strategy must be one of {', '.join(get_args(Strategy))}, not {self.strategy!r}")
        for name in ("max_batch_size", "image_size", "target_batch_size"):
            value, may_be_none = getattr(self, name), name != "max_batch_size"
            if not (value is None and may_be_none) and not _is_count(value):
                raise ValueError(f"{name} must be a whole number from 1 up, not {value!r}")
            if value is not None:
                object.__setattr__(self, name, index(value))  # numpy's integers are taken too
        if self.optimizer is not None and self.optimizer not in OPTIMIZERS:
            raise ValueError(f"optimizer must be one of {', '.join(OPTIMIZERS)}, not {self.optimizer!r}")
        if self.amp is not None and self.amp is not False and self.amp not in (torch.bfloat16, torch.float16):
            raise ValueError(f"amp must be torch.bfloat16, torch.float16, False or None, not {self.amp!r}")
        if self.checkpointing not in (None, True, False):
            raise ValueError(f"checkpointing must be True, False or None, not {self.checkpointing!r}")
        if not isinstance(self.measure_seconds, Real) or not 0 <= self.measure_seconds < math.inf:
            raise ValueError(f"measure_seconds must be a number from 0 up, not {self.measure_seconds!r}")
        object.__setattr__(self, "measure_seconds", float(self.measure_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryTrial:
    """One batch size, predicted or really run.

    Attributes:
        batch_size: k.
        fits: Whether its peak stays within the capacity.
        peak_bytes: Measured peak; None where it is predicted alone, or where it ran out of memory.
        predicted_bytes: Predicted peak; None where nothing could be predicted.
        parts: (name, bytes) in the order of ``PARTS``; they add up to ``peak_bytes``, else to ``predicted_bytes``.
        seconds: Of one training step; None where none was run.
        samples_per_second: k (times ``accumulate``) / seconds; None where none was run.
        why: In words: "predicted", "ran", "out of memory", "played: ran" …
        is_measured: Whether steps were really run.
        device: Where they ran: "cpu" or "cuda"; None where none did.
    """

    batch_size: int
    fits: bool
    peak_bytes: int | None
    predicted_bytes: int | None
    parts: tuple[tuple[str, int], ...] = ()
    seconds: float | None = None
    samples_per_second: float | None = None
    why: str = "predicted"
    is_measured: bool = False
    device: str | None = None


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
    ) -> BatchLimit:
        """What any number of trials says, so that a stopped run is a valid, shorter result.

        Args:
            trials: Events of one search, in order, possibly none.
            settings: Those of the search; None for the defaults.
            capacity_bytes, capacity_name: Of the card; None and "" where nobody knows.
            caveats: What the prediction does not know; where nothing could be predicted, the first says why.
            estimate: The ``MemoryEstimate`` the predicted trials come from.
            outcome: Whether the search came to its end.
        """
        trials, settings, caveats = tuple(trials), settings or BatchSettings(), tuple(caveats)
        answer = batch_rules.answer(batch_rules.Known(
            trials=trials, latest=_latest(trials), settings=settings, capacity_bytes=capacity_bytes, caveats=caveats,
            estimate=estimate, is_stopped=outcome == "stopped",
        ))  # fmt: skip
        return cls(
            trials=trials, settings=settings, capacity_bytes=capacity_bytes, capacity_name=capacity_name,
            largest=answer.largest, batch_size=answer.batch_size, knee=answer.knee,
            is_still_rising=answer.is_still_rising, accumulate=answer.accumulate, verdict=answer.verdict,
            reason=answer.reason, limit=answer.limit, outcome=outcome, caveats=caveats, estimate=estimate,
        )  # fmt: skip

    @property
    def latest(self) -> tuple[MemoryTrial, ...]:
        """One trial per k, the newest, by rising k."""
        return _latest(self.trials)

    def apply(self, task: Task) -> Task:
        """A new task with this batch size; the given one stays as it is.

        Raises:
            ValueError: When no size fits or none is known, or the loader cannot be rebuilt.
        """
        if self.batch_size is None:
            raise ValueError(f"there is no batch size to apply. {self._sentence}")
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
        return "\n  ".join([head, self._sentence, *(line.rstrip() for line in lines if self.trials)])

    def _row(self, trial: MemoryTrial) -> tuple[str, str, str, str, str]:
        peak = trial.predicted_bytes if trial.peak_bytes is None else trial.peak_bytes
        free = None if peak is None or self.capacity_bytes is None else self.capacity_bytes - peak
        return (
            str(trial.batch_size),
            "" if peak is None else format_mib(peak),
            "" if free is None else "too big" if free < 0 or not trial.fits else format_mib(free),
            "" if trial.samples_per_second is None else _speed(trial.samples_per_second),
            "measured" if trial.is_measured and trial.why == "ran" else trial.why,
        )


def _latest(trials: tuple[MemoryTrial, ...]) -> tuple[MemoryTrial, ...]:
    newest = {trial.batch_size: trial for trial in trials}
    return tuple(newest[k] for k in sorted(newest))


def _speed(samples_per_second: float) -> str:
    return format_count(samples_per_second) if samples_per_second >= 10 else format_loss(samples_per_second)


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1
