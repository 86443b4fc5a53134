"""Batch sizes really run: on a GPU that plays a card of the named capacity, or on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import torch

from ..device import out_of_memory
from ..device.capacity import free_bytes
from ..device.host_fence import HostFence, HostFenceError
from ..memory.estimate import MemoryEstimate, Parts
from ..memory.measured import real_peak
from ..memory.samples import Samples
from ..task.task import Task
from . import throughput
from .fence import reserved_at_most
from .rules import BATCH_NORM_NEEDS_MORE
from .strategies import Attempt


class RealSteps:
    """Runs steps of a task at any batch size, one after the other, and tells what came of it.

    Everything is put back after each attempt, and its memory given back.

    Args:
        task: What is run.
        image_size, sequence_length: Side of the images, tokens of the sequences; None for the data's own.
        samples: Of the task, where they have been looked at already.
    Attributes:
        caveats: What went wrong beside the attempts themselves, in sentences.
        doubtful: (k, error) of an error that was memory only if a smaller size ran; None without one.
        smallest_run: Smallest k that ran.
    """

    place = ""

    def __init__(
        self,
        task: Task,
        *,
        image_size: int | None = None,
        sequence_length: int | None = None,
        samples: Samples | None = None,
    ) -> None:
        self._task, self._sizes = task, (image_size, sequence_length)
        self.caveats: list[str] = []
        self.doubtful: tuple[int, Exception] | None = None
        self.smallest_run: int | None = None
        self._samples = samples or Samples(task)

    def attempt(self, batch_size: int, /, max_seconds: float = 0.0) -> Attempt:
        """Run at least two steps.

        Args:
            batch_size: k.
            max_seconds: Timed steps beyond the second are taken within this time.
        Raises:
            Exception: The user's own errors, and those after which the GPU can't be used.
        """
        baseline = out_of_memory.allocated_bytes(self._task.device)
        failure: Exception | None = None
        try:
            made = self._run(batch_size, max_seconds)
        except Exception as error:
            if out_of_memory.kind_of(error) in ("other", "sticky"):
                raise
            failure = error
        # Only here, after the except block, does nothing hold the step's tensors any more.
        leak = out_of_memory.released(self._task.device, baseline, failure)
        if leak is not None and leak not in self.caveats:
            self.caveats.append(leak)
        if failure is not None:
            return self._told(batch_size, failure)
        self.smallest_run = min(batch_size, self.smallest_run or batch_size)
        return made

    def settle(self) -> None:
        """Raise the doubtful error, if no smaller size ran: then it was not memory."""
        if self.doubtful is not None and (self.smallest_run is None or self.smallest_run > self.doubtful[0]):
            raise self.doubtful[1]

    def _run(self, k: int, max_seconds: float) -> Attempt:
        raise NotImplementedError

    def _told(self, k: int, error: Exception) -> Attempt:
        kind = out_of_memory.kind_of(error)
        if kind == "batch norm":
            return Attempt(fits=True, why=BATCH_NORM_NEEDS_MORE)
        if kind == "ambiguous":
            self.doubtful = k, error
        return Attempt(fits=False, is_error=True, why="out of memory")

    def _seconds(self, k: int, max_seconds: float, first_step: AbstractContextManager[Any] | None = None) -> float:
        batch = self._samples.real_batch_of(k, *self._sizes)
        return throughput.step_seconds(self._task, batch, max_seconds=max_seconds, first_step=first_step)


class RealCard(RealSteps):
    """The GPU the task is on, as a card of a given capacity.

    Args:
        capacity_bytes: Of the card, its context included.
        context_bytes: What CUDA itself takes of it.
    """

    place = "cuda"

    def __init__(self, task: Task, *, capacity_bytes: int, context_bytes: int, **changes: Any) -> None:
        super().__init__(task, **changes)
        self._capacity, self._context = capacity_bytes, context_bytes

    def _run(self, k: int, max_seconds: float) -> Attempt:
        with ExitStack() as undo:
            card = _CardWatch(self._task, self._capacity - self._context, undo)
            seconds = self._seconds(k, max_seconds, card.from_first_step())
            peak, has_retried = card.peak_bytes() + self._context, card.has_retried()
        why = "ran only by giving back cached memory" if has_retried else "ran"
        return Attempt(fits=not has_retried, peak_bytes=peak, seconds=seconds, why=why)


class _CardWatch:
    """Limits what torch reserves during a trial, and reads how much that was.

    What this process had on the card before (the user's own model, when a copy is trained) counts neither for nor
    against the trial: on the card that is played it would not lie there.
    """

    def __init__(self, task: Task, limit_bytes: int, undo: ExitStack) -> None:
        self._task, self._limit, self._undo = task, limit_bytes, undo
        self._device = task.device
        self._allocated = torch.cuda.memory_allocated(self._device)
        self._others = torch.cuda.memory_reserved(self._device)
        self._retries = self._retries_now()

    @contextmanager
    def from_first_step(self) -> Iterator[None]:
        """Begins when the copy, if there is one, has been made; the limit stays until ``undo`` ends."""
        if torch.cuda.memory_allocated(self._device) == self._allocated:  # trained in place
            self._others = max(0, self._others - _own_bytes(self._task))
        self._undo.enter_context(reserved_at_most(self._limit + self._others, self._device))
        torch.cuda.reset_peak_memory_stats(self._device)
        yield

    def peak_bytes(self) -> int:
        return torch.cuda.max_memory_reserved(self._device) - self._others

    def has_retried(self) -> bool:
        return self._retries_now() > self._retries

    def _retries_now(self) -> int:
        return int(torch.cuda.memory_stats(self._device).get("num_alloc_retries", 0))


def _own_bytes(task: Task) -> int:
    buffers = [b for m in task.models.values() for b in m.buffers()]
    entries = [entry for o in task.optimizers.values() for entry in o.state.values() if isinstance(entry, dict)]
    state = [v for entry in entries for v in entry.values() if isinstance(v, torch.Tensor)]
    return sum(t.nbytes for t in (*task.parameters, *buffers, *state) if t.device.type == task.device.type)


class RealHost(RealSteps):
    """The host: its real steps are timed, and what they allocate is put through the model of the card's allocator.

    Args:
        estimate: What is predicted; nothing above half of the host's free memory is run.
    Attributes:
        is_over: No larger size should be tried.
    """

    place = "cpu"

    def __init__(self, task: Task, *, estimate: MemoryEstimate, **changes: Any) -> None:
        super().__init__(task, **changes)
        self._estimate = estimate
        self.is_over = False

    def has_room_for(self, k: int) -> bool:
        """Whether k is predicted to take at most half of the free memory."""
        free = free_bytes(self._task.device)
        needed = self._estimate.peak_bytes(k) - self._estimate.context_bytes
        return free is not None and 2 * needed <= free

    def _run(self, k: int, max_seconds: float) -> Attempt:
        with HostFence((free_bytes(self._task.device) or 0) // 2):
            image_size, sequence_length = self._sizes
            parts, peak = real_peak(
                self._task, k, image_size=image_size, sequence_length=sequence_length, samples=self._samples
            )
        if self._estimate.device == "cpu":
            parts, peak = _on_the_host(parts, self._estimate.context_bytes)
        seconds = self._seconds(k, max_seconds)
        capacity = self._estimate.capacity_bytes
        # A card's own kernels were not run: what is predicted not to fit does not, whatever was measured here.
        fits = self._estimate.fits(k) and (capacity is None or peak <= capacity)
        return Attempt(fits=fits, peak_bytes=peak, parts=parts, seconds=seconds)

    def _told(self, k: int, error: Exception) -> Attempt:
        told = super()._told(k, error)
        self.is_over = not told.fits
        if isinstance(error, HostFenceError):
            self.caveats.append(f"k = {k} took more of this machine's memory than predicted, so it was ended early.")
            return replace(told, is_error=False, why="ended early")
        return told


def _on_the_host(parts: Parts, resident_bytes: int) -> tuple[Parts, int]:
    """A card's parts as the host's: no allocator that holds more than is in use, and the process for a context."""
    instead = {"context": resident_bytes, "reserved": 0}
    made = tuple((name, instead.get(name, size)) for name, size in parts)
    return made, sum(size for _, size in made)
