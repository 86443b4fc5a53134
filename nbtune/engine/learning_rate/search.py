"""All that one search for η does, run after run: every batch size, every data order, then the curvature."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from ..checks import made_of
from ..curvature.estimate import Curvature, measured
from ..device import out_of_memory
from ..errors import first_line
from ..interrupts import has_failed_to_put_back
from ..run import GeneratorRun
from ..task.loaders import check_within_data
from ..task.order import cut_of, exceeds_own, is_shuffled, reordered
from ..task.task import Task
from ..training.notes import Notes, told
from .events import Ended, LRStep, RaceStep
from .race.run import LRRace, race_lr
from .rivals import own_name
from .settings import LRSettings
from .sweep.run import LRSweep, sweep_lr

Event = LRStep | RaceStep | Ended | Curvature


def search_lr(task: Task, settings: LRSettings | None = None) -> LRSearch:
    """The search that ``settings`` ask for, not yet begun: iterating over it trains.

    A race or a sweep (see ``race_lr``, ``sweep_lr``) for each of ``batch_sizes`` or ``optimizers`` and each of
    ``repeats`` data orders, and then, where that is asked for, the curvature. Whoever iterates closes it, in the same
    thread.

    Raises:
        TypeError, ValueError: For settings that do not go with ``task``.
        ModelBusyError: At the first step, while another run works on the same parameters.
    """
    return LRSearch(task, made_of(LRSettings, settings, {}, taker="search_lr"))


@dataclass(frozen=True, slots=True)
class Part:
    """One race or sweep of a search.

    Attributes:
        task: With this part's data.
        batch_size: k, where several are compared.
        repeat: Which data order: 0 for the task's own (of other batch sizes, the first seed's).
        optimizer: Its name, where several are compared.
        is_rival: Whether that is another than the task's own.
        is_all: Whether it is the whole search.
    """

    task: Task
    batch_size: int | None
    repeat: int
    is_all: bool = False
    optimizer: str = ""
    is_rival: bool = False


class LRSearch(GeneratorRun[Event]):
    """A run of ``LRStep`` or ``RaceStep``, which count as steps, and of others, which do not.

    Attributes:
        parts: Its races or sweeps, in order.
        at: The index of the one under way.
        task: What is tuned.
    """

    def __init__(self, task: Task, settings: LRSettings) -> None:
        settings.check(task)
        self.parts, self.at = _parts(task, settings), 0
        self.task, self._settings = task, settings
        self._taken, self._noted = 0, list[list[Notes]]()  # of each part begun, the live list
        self._run: LRRace | LRSweep = self._begun(settings.max_seconds)
        self._theory: TheoryRun | None = None
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is being done, in words; readable from any thread."""
        return self._run.waiting_for if self._theory is None else self._theory.waiting_for

    @property
    def is_estimating(self) -> bool:
        """Whether races and sweeps are done, and the curvature is being estimated."""
        return self._theory is not None

    @property
    def is_replaying(self) -> bool:
        """Whether a race's rates begin anew for every round, for want of memory."""
        return isinstance(self._run, LRRace) and self._run.is_replaying

    @property
    def notes(self) -> set[str]:
        """What is to be said besides, in sentences; readable from any thread."""
        return told(notes for of_part in self._noted.copy() for notes in of_part)

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader of its result should know besides, in sentences, as far as it is known now."""
        return (*self.task.caveats, *super().caveats, *sorted(self.notes))

    @property
    def total(self) -> int:
        """How many training steps there are in all, as far as can be said now."""
        return self._taken + self._run.total * (len(self.parts) - self.at)

    def hurry(self) -> None:
        """Let an estimate of the curvature end after the product under way, from any thread."""
        if self._theory is not None:
            self._theory.hurry()

    def _events(self) -> Generator[Event, None, None]:
        begun = time.perf_counter()
        for index, part in enumerate(self.parts):
            before = time.perf_counter() - begun
            left = self._seconds_left(before)
            if left is not None and left <= 0 and index:
                return
            if index:
                self._taken += self._run.total
                self.at = index
                self._run = self._begun(left)
            has_memory = yield from self._through(part, before)
            if not has_memory:
                return
        taken = time.perf_counter() - begun
        left = self._seconds_left(taken)
        if self._settings.curvature and (left is None or left > 0):
            self._theory = TheoryRun(self.task, taken if left is None else min(left, taken))
            yield from self._theory

    def _seconds_left(self, taken: float) -> float | None:
        limit = self._settings.max_seconds
        return None if limit is None else limit - taken

    def _begun(self, seconds: float | None) -> LRRace | LRSweep:
        settings = replace(self._settings, max_seconds=seconds)
        part = self.parts[self.at]
        begin = race_lr if settings.mode == "race" else sweep_lr
        run = begin(part.task, settings, is_fenced=exceeds_own(self.task, part.batch_size))
        self._noted.append(run.noted)
        return run

    def _through(self, part: Part, before: float) -> Generator[Event, None, bool]:
        """The events of a part; False where it found no memory at the task's own batch size, as the next would not."""
        failure: Exception | None = None
        with closing(self._run) as run:
            try:
                for step in run:
                    if part.is_all:
                        yield step
                        continue
                    seconds = before + step.seconds
                    yield replace(
                        step, batch_size=part.batch_size, repeat=part.repeat, optimizer=part.optimizer, seconds=seconds
                    )
            except Exception as error:
                if not self._ends_alone(part, error):
                    raise
                failure = error
        if failure is None:
            return True
        is_memory = out_of_memory.kind_of(failure) == "out of memory"
        reason = "out of memory" if is_memory else f"{type(failure).__name__}: {first_line(failure).rstrip('.')}"
        out_of_memory.released(self.task.device, 0, failure)
        if part.batch_size is None and not part.is_rival:
            self._noted[0][-1].said.add(f"Ended early: {first_line(failure).rstrip('.')}.")
            return False
        yield Ended(batch_size=part.batch_size, repeat=part.repeat, reason=reason, optimizer=part.optimizer)
        return True

    def _ends_alone(self, part: Part, error: Exception) -> bool:
        """Whether an error ends this part and not the search.

        What does not fit must not cost what was found before it, or at other batch sizes; and what another optimizer
        raises is no error of the task's.
        """
        if has_failed_to_put_back(error) or (part.batch_size is None and not self.at):
            return False
        return part.is_rival or out_of_memory.kind_of(error) == "out of memory"


class TheoryRun(GeneratorRun[Curvature]):
    """A run of one ``Curvature``, after a search: never for longer than that, nor at the cost of what it found.

    Args:
        task: Whose curvature it is.
        seconds: No product begins after this time.
    """

    def __init__(self, task: Task, seconds: float) -> None:
        self.task, self._seconds = task, seconds
        self._is_hurried = False
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What is being done, in words."""
        return "a Hessian-vector product"

    @property
    def total(self) -> int:
        """One."""
        return 1

    def hurry(self) -> None:
        """End after the product under way, from any thread."""
        self._is_hurried = True

    def _events(self) -> Generator[Curvature, None, None]:
        yield self._estimate()

    def _estimate(self) -> Curvature:
        try:
            return measured(self.task, max_seconds=self._seconds, is_stopped=lambda: self._is_hurried)
        except Exception as error:
            return Curvature(reason=f"the estimate raised {type(error).__name__}: {first_line(error)}")


def _parts(task: Task, settings: LRSettings) -> list[Part]:
    repeats = range(settings.repeats)
    if settings.repeats > 1 and not is_shuffled(task.loader):
        raise ValueError("repeats needs data that are shuffled: this loader has one order only")
    if not settings.batch_sizes:
        orders = [reordered(task.loader, task.batch_size or 1, seed) for seed in repeats[1:]]
        runs = {"": task}
        if settings.optimizers:
            runs = {own_name(task): task} | {rival.name: rival.beside(task) for rival in settings.optimizers}
        return [
            Part(_with(run, order) if repeat else run, None, repeat, not orders and not name, name, run is not task)
            for name, run in runs.items()
            for repeat, order in enumerate([None, *orders])
        ]
    check_within_data(settings.batch_sizes, task.loader)
    parts = []
    for k in settings.batch_sizes:
        cut = cut_of(task, k)
        for seed in repeats:
            order = reordered(task.loader, cut.samples, seed)
            parts.append(Part(_with(task, order, accumulate=cut.accumulate), k, seed))
    return parts


def _with(task: Task, loader: Any, **changes: Any) -> Task:
    return task.with_(data=loader, collate_fn=None, **changes)
