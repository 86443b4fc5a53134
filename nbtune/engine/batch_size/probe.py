"""Which batch sizes fit: every one predicted, then those that can be really run."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

import torch

from ..checks import made_of
from ..device.capacity import free_bytes
from ..errors import first_line
from ..memory.cards import CONTEXT_BYTES, capacity_name, parse_capacity
from ..memory.estimate import MemoryEstimate, NotPredictableError, estimate_memory
from ..run import GeneratorRun
from ..task.loaders import past_data
from ..task.task import Task, checked_task
from .limit import BatchLimit
from .real_steps import RealCard, RealHost, RealSteps
from .rules import BATCH_NORM_NEEDS_MORE
from .settings import BatchSettings
from .strategies import Attempt, PlayedCard, Search, doubling, estimating, halving, powers_of_two, tried
from .trial import MemoryTrial

PREDICTING = "the prediction"


def probe_batch_sizes(task: Task, settings: BatchSettings | None = None) -> BatchProbe:
    """A search, not yet begun: iterating over it predicts, and then runs what can be run.

    First comes a predicted trial for k = 1, 2, 4 … ``settings.max_batch_size``, and no more than there are samples.
    Then, on a GPU, the strategy's trials (two steps each, under the named capacity) and the speed of the sizes that
    fit. Without a GPU the strategies "halve" and "double" are played on the named card, and real steps follow on the
    host for rising k: never one that is predicted to take more than half of the free memory, only within
    ``settings.measure_seconds``, and none where the step itself asks for CUDA.

    Each trial leaves everything as it was, so that the run can be closed between any two. Whoever iterates closes it.

    Raises:
        ValueError: At the first event, for settings that do not go with the task.
        ModelBusyError: At a trial, while another run works on the same parameters.
        Exception: Whatever the user's model, loss or data raise, after everything has been put back.
    """
    return BatchProbe(task, made_of(BatchSettings, settings, {}, taker="probe_batch_sizes"))


class BatchProbe(GeneratorRun[MemoryTrial]):
    """A run of ``MemoryTrial``; how many there will be, nobody knows before.

    Attributes:
        estimate: The prediction, from the first event on; None where nothing could be predicted.
        capacity_bytes, capacity_name: Of the card.
    """

    def __init__(self, task: Task, settings: BatchSettings) -> None:
        checked_task(task, "probe_batch_sizes")
        self._task, self._settings = task, settings
        self._own_caveats: list[str] = []
        self._real: RealSteps | None = None
        self.estimate: MemoryEstimate | None = None
        self.capacity_bytes: int | None = None
        self.capacity_name = ""
        self._waiting_for = PREDICTING
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is under way, in words; readable from any thread."""
        return self._waiting_for

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is not known or went wrong so far; first why nothing could be predicted, if so."""
        predicted: tuple[str, ...] = ()
        if self.estimate is not None:
            predicted = (*self.estimate.caveats, *self._shortage())
        measured = () if self._real is None else self._real.caveats
        return (*self._own_caveats, *predicted, *measured, *self._task.caveats, *super().caveats)

    @property
    def largest_looked_at(self) -> int:
        """``settings.max_batch_size``, or as many samples as there are: a larger batch can't be made of them."""
        count = None if self.estimate is None else self.estimate.samples.count
        wanted = self._settings.max_batch_size
        return wanted if count is None else max(1, min(wanted, count))

    def _shortage(self) -> tuple[str, ...]:
        looked_at, target = self.largest_looked_at, self._settings.target_batch_size
        found = []
        if looked_at < self._settings.max_batch_size:
            found.append(f"There are only {looked_at} samples, so no larger batch was looked at.")
        too_large = past_data(target or 0, self._task.loader, name="target_batch_size")
        return (*found, *([f"{too_large}."] if too_large else []))

    def limit(self, trials: Iterable[MemoryTrial], outcome: Literal["finished", "stopped"] = "finished") -> BatchLimit:
        """What the trials so far say, with what the search knows beside them."""
        return BatchLimit.from_trials(
            trials, settings=self._settings, capacity_bytes=self.capacity_bytes, capacity_name=self.capacity_name,
            caveats=self.caveats, estimate=self.estimate, outcome=outcome, data_form=self._task.data_form,
        )  # fmt: skip

    def _events(self) -> Generator[MemoryTrial, None, None]:
        self._predict()
        if self.estimate is not None:
            for k in powers_of_two(self.largest_looked_at):
                yield self._predicted(k)
        if self._task.device.type == "cuda":
            if self._can_run():
                yield from self._on_card()
        elif self.estimate is not None:
            yield from self._played(self.estimate)
            if self._task.device.type == "cpu" and self._can_run():
                yield from self._on_host(self.estimate)

    def _predict(self) -> None:
        wanted = self._settings
        try:
            self.estimate = estimate_with(self._task, wanted)
            self.capacity_bytes, self.capacity_name = self.estimate.capacity_bytes, self.estimate.capacity_name
        except NotPredictableError as error:
            self._own_caveats.append(str(error))
            if wanted.capacity is not None:
                self.capacity_bytes = parse_capacity(wanted.capacity)
                self.capacity_name = capacity_name(wanted.capacity)
            elif self._task.device.type == "cuda":
                self.capacity_bytes = (free_bytes(self._task.device) or 0) + CONTEXT_BYTES
                self.capacity_name = "this GPU"

    def _predicted(self, k: int) -> MemoryTrial:
        assert self.estimate is not None
        return MemoryTrial(
            batch_size=k, fits=self.estimate.fits(k), peak_bytes=None, predicted_bytes=self.estimate.peak_bytes(k),
            parts=self.estimate.parts(k), fits_with_retries=self.estimate.fits_with_retries(k),
        )  # fmt: skip

    def _played(self, estimate: MemoryEstimate) -> Iterator[MemoryTrial]:
        if self._settings.strategy == "estimate" or estimate.capacity_bytes is None:
            return
        for k, attempt in tried(self._search(), PlayedCard(estimate.fits)):
            yield replace(self._predicted(k), fits=attempt.fits, why=attempt.why)

    def _search(self) -> Search:
        largest = self.largest_looked_at
        if self._settings.strategy == "halve":
            return halving(largest)
        if self._settings.strategy == "double" or self.estimate is None:
            return doubling(largest)
        return estimating(self._beside_what_is_there(self.estimate), largest)

    def _beside_what_is_there(self, estimate: MemoryEstimate) -> MemoryEstimate:
        """On the whole GPU, trials of a copy run beside the user's own model; on a named card, that is left out."""
        if self._settings.capacity is not None or estimate.capacity_bytes is None:
            return estimate
        taken = torch.cuda.memory_allocated(self._task.device)
        return replace(estimate, capacity_bytes=estimate.capacity_bytes - taken)

    def _can_run(self) -> bool:
        """Whether real steps are wanted, and would be those that were planned."""
        if self._settings.measure_seconds == 0 or (self.estimate is not None and not self.estimate.fits(1)):
            return False
        if self._settings.evaluation:
            self._own_caveats.append("Nothing was run: an evaluation is predicted alone.")
            return False
        other = [what for what, is_other in _planned_otherwise(self._task, self._settings).items() if is_other]
        if other:
            self._own_caveats.append(f"Nothing was run: the plan has {' and '.join(other)} than the task.")
        needs_card = self.estimate is not None and self.estimate.asks_for_cuda and self._task.device.type == "cpu"
        if needs_card and not other:
            self._own_caveats.append("Nothing was run: the step asks for CUDA, and the model is on the host.")
        return not other and not needs_card

    def _as_planned(self) -> Task:
        amp = self._settings.amp
        return self._task if amp is None else self._task.with_(amp=amp or None)

    def _on_card(self) -> Iterator[MemoryTrial]:
        assert self.capacity_bytes is not None
        context = CONTEXT_BYTES if self.estimate is None else self.estimate.context_bytes
        self._real = card = RealCard(
            self._as_planned(), capacity_bytes=self.capacity_bytes, context_bytes=context,
            image_size=self._settings.image_size, sequence_length=self._settings.sequence_length,
            samples=None if self.estimate is None else self.estimate.samples,
        )  # fmt: skip
        fitting: list[int] = []
        self._wait_for("trials on this GPU")
        for k, attempt in tried(self._search(), card):
            fitting += [k] if attempt.fits else []
            yield self._trial(k, attempt)
        card.settle()
        begun = time.perf_counter()
        sizes = powers_of_two(max(fitting, default=0))
        for index, k in enumerate(sizes):
            left = self._settings.measure_seconds - (time.perf_counter() - begun)
            if left <= 0:
                return
            self._wait_for(f"steps with k = {k}")
            yield self._trial(k, card.attempt(k, max_seconds=left / (len(sizes) - index)))

    def _on_host(self, estimate: MemoryEstimate) -> Iterator[MemoryTrial]:
        self._real = host = RealHost(
            self._as_planned(), estimate=estimate, image_size=self._settings.image_size,
            sequence_length=self._settings.sequence_length, samples=estimate.samples,
        )  # fmt: skip
        begun, took, growth = time.perf_counter(), 0.0, 1.5
        alone: Exception | None = None
        for k in powers_of_two(self.largest_looked_at):
            left = self._settings.measure_seconds - (time.perf_counter() - begun)
            if growth * took > left or host.is_over or not host.has_room_for(k):
                break
            self._wait_for(f"steps with k = {k}")
            started = time.perf_counter()
            try:
                attempt = host.attempt(k, max_seconds=left / 4)
            except Exception as error:
                if k > 1 or self.largest_looked_at == 1:
                    raise
                # Others may run where one sample alone does not (a squeeze too many, pairs within the batch).
                alone = error
                self._own_caveats.append(f"k = 1 does not run: {first_line(error)}")
                continue
            alone = None
            before, took = took, time.perf_counter() - started
            # Small sizes take equally long, large ones twice as long as half of them.
            growth = min(2.0, max(1.0, took / before)) if before else growth
            if attempt.why != "ended early":
                yield self._trial(k, attempt)
        if alone is not None:  # nothing ran at all
            raise alone

    def _wait_for(self, what: str) -> None:
        self._waiting_for = what

    def _trial(self, k: int, attempt: Attempt) -> MemoryTrial:
        assert self._real is not None
        has_run = attempt.why != BATCH_NORM_NEEDS_MORE
        predicted = None if self.estimate is None else self.estimate.peak_bytes(k)
        predicted_parts = () if self.estimate is None else self.estimate.parts(k)
        speed = None if attempt.seconds is None else k * self._task.accumulate / attempt.seconds
        fits = attempt.fits if has_run or self.estimate is None else self.estimate.fits(k)
        return MemoryTrial(
            batch_size=k, fits=fits, peak_bytes=attempt.peak_bytes, predicted_bytes=predicted,
            parts=attempt.parts or _adding_up_to(attempt.peak_bytes, predicted_parts),
            seconds=attempt.seconds, samples_per_second=speed, why=attempt.why, is_measured=has_run,
            device=self._real.place if has_run else None,
        )  # fmt: skip


def estimate_with(task: Task, settings: BatchSettings, **changes: Any) -> MemoryEstimate:
    """What a task takes as a search's settings plan it.

    Args:
        **changes: Other arguments of ``estimate_memory``.
    Raises:
        NotPredictableError: When nothing can be predicted, saying why.
    """
    plan: dict[str, Any] = {
        "image_size": settings.image_size, "sequence_length": settings.sequence_length, "amp": settings.amp,
        "checkpointing": settings.checkpointing, "optimizer": settings.optimizer,
    }  # fmt: skip
    estimate = estimate_memory(task, settings.capacity, **{**plan, **changes})
    if not settings.evaluation:
        return estimate
    evaluation = estimate.evaluation()
    evaluation.peak_bytes(1)  # here, where it is asked for, it says that it can't be told
    return evaluation


def _planned_otherwise(task: Task, settings: BatchSettings) -> dict[str, bool]:
    """What was planned that real steps of the task would not have."""
    models: list[Any] = list(task.models.values())
    is_checkpointing = any(getattr(part, "gradient_checkpointing", False) for m in models for part in m.modules())
    return {
        "another optimizer": settings.optimizer is not None and settings.optimizer != _optimizer_name(task),
        "other checkpointing": settings.checkpointing is not None and settings.checkpointing != is_checkpointing,
        "other mixed precision": settings.amp is not None and task.update is not None,
    }


def _optimizer_name(task: Task) -> str:
    optimizer = next(iter(task.optimizers.values()))
    has_momentum = type(optimizer) is torch.optim.SGD and any(g["momentum"] for g in optimizer.param_groups)
    return "SGD with momentum" if has_momentum else type(optimizer).__name__


def _adding_up_to(total: int | None, parts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    """Predicted parts for a peak that was measured as a whole: what grows with k takes up the difference."""
    if total is None or not parts:
        return parts
    growing = {"inputs", "activations", "temporary", "reserved"}
    still = sum(size for name, size in parts if name not in growing)
    ratio = max(0, total - still) / max(1, sum(size for name, size in parts if name in growing))
    scaled = [(name, int(size * ratio) if name in growing else size) for name, size in parts]
    name, last = scaled[-1]
    return (*scaled[:-1], (name, max(0, last + total - sum(size for _, size in scaled))))
