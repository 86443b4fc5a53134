"""A race of constant learning rates on the same batches, as a run of events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from typing import Any

import torch

from ...checks import made_of
from ...device import out_of_memory
from ...run import GeneratorRun
from ...task import batches
from ...task.task import Task
from ...training.feeds import LoaderFeed, SharedBatches, Tape
from ...training.kept import NotEnoughMemoryError
from ...training.loader_state import LoaderState
from ...training.loss_reader import LossReader
from ...training.notes import Notes
from ...training.provoked import Failure
from ...training.trainer import LOADING
from ...training.workpiece import Backups, copies_at_once, held, ledger_of
from ..events import RaceStep
from ..settings import LRSettings
from .fixed import FixedBatches
from .runner import Runner
from .standings import CONTROL, Standings

SLICE_SECONDS = 0.03
"""Of steps without a look outside: what surrounds them is done once for them, and a stop is felt all the same."""

TURN_STEPS, TURN_SECONDS, TURN_BYTES = 18, 0.3, 2**26
"""Of one rate before the next has its turn, at most, and of the batches that lie ready for all. A copy that has just
been left is no longer in the processor's caches, so turns are long where steps are short."""

REPLAY_BYTES = 2**20
"""The same where memory is short."""


def race_lr(task: Task, settings: LRSettings | None = None, *, is_fenced: bool = False) -> LRRace:
    """A race, not yet begun: iterating over it trains.

    Every rate trains a copy from the task's present state, on the same batches and with the same random numbers;
    ``standings.Standings`` says which leave. Where there is no memory for all copies, each rate begins anew for
    every round, on one copy or, at worst, in the model itself: more steps, the same losses. Whoever iterates closes it,
    in the same thread; then everything is put back. ``is_fenced``: as of ``Trainer``.

    Raises:
        ValueError: For settings that do not go with ``task``.
        ModelBusyError: At the first step, while another run works on the same parameters.
    """
    return LRRace(task, made_of(LRSettings, settings, {}, taker="race_lr"), is_fenced=is_fenced)


class LRRace(GeneratorRun[RaceStep]):
    """A run of ``RaceStep``, each of which counts as one.

    Attributes:
        standings: The race as it is.
        is_replaying: Whether rates begin anew for every round, for want of memory.
        noted: What is to be said besides, by trainer.
    """

    def __init__(self, task: Task, settings: LRSettings, *, is_fenced: bool = False) -> None:
        settings.check(task)
        self.standings = Standings(settings.race_lrs, most_steps=settings.max_steps)
        self.is_replaying = False
        self.noted: list[Notes] = []
        self._task, self._settings = task, settings
        self._held_out = None if settings.validation is None else task.loader_of(settings.validation)
        self._updates = settings.updates_behind_loss(task.samples_per_update)
        self._reader = LossReader(task.device)
        self._loader_state: LoaderState
        self._tape: Tape | None = None
        self._backups, self._is_fenced = Backups(), is_fenced
        self._at_work: Runner | None = None
        self._kept: list[Any] = []
        # Of data that come once, each batch that nobody trains on would be missed later.
        may_be = self._held_out is None and task.update is None and not batches.what_cannot_be_rewound(task.loader)
        self._fixed = FixedBatches(task, self.standings, may_be=may_be)
        self._failures: dict[float, Failure] = {}
        self._seconds_per_step = self._bytes_per_step = 0.0
        self._begun, self._spare = 0.0, math.inf
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        """What the step under way is doing, in words; readable from any thread."""
        return LOADING if self._at_work is None else self._at_work.waiting_for

    @property
    def total(self) -> int:
        """How many training steps there are in all, as far as can be said now."""
        return self.standings.updates + self.standings.updates_left

    def _events(self) -> Generator[RaceStep, None, None]:
        self._begun = time.perf_counter()
        with held(self._task), closing(self._backups):
            self._loader_state = LoaderState(self._task.loader)
            if (spare := ledger_of(self._task).spare_bytes(self._task.device)) is not None:
                self._spare = spare
            if batches.what_cannot_be_rewound(self._task.loader):
                # What cannot be drawn a second time is kept, in case it has to be replayed.
                self._tape = Tape(LoaderFeed(self._task.loader, self._loader_state), ledger_of(self._task))
            try:
                if copies_at_once(self._task) > self._settings.rates:
                    yield from self._side_by_side()
                if not self._is_done:
                    self.is_replaying = True
                    yield from self._replayed(in_place=False)
                if not self._is_done:
                    yield from self._replayed(in_place=True)
            except (NotEnoughMemoryError, batches.DataEndedError) as error:
                has_begun = self.standings.look if isinstance(error, ValueError) else self._has_losses
                if not has_begun:
                    raise
                self.noted[-1].said.add(f"Ended early: {error}.")
            finally:
                if self._tape is not None:
                    self._tape.close()
                self._loader_state.put_back()

    @property
    def _has_losses(self) -> bool:
        return any(self.standings.losses.values())

    @property
    def _is_done(self) -> bool:
        limit = self._settings.max_seconds
        return self.standings.is_over or (limit is not None and time.perf_counter() - self._begun > limit)

    def _side_by_side(self) -> Iterator[RaceStep]:
        """All rates at once, each on a copy of its own; ends before its time where the memory is not enough."""
        standings = self.standings
        with ExitStack() as undo:
            shared = undo.enter_context(closing(SharedBatches(self._task, self._loader_state, self._tape)))
            runners: dict[float, Runner] = {}
            for lr in (*standings.alive, CONTROL):
                runner = self._guarded(self._runner, lr, shared, False, not runners, True)
                if runner is None:
                    return
                undo.enter_context(closing(runner))
                if not runner.is_copy:
                    return
                runners[lr] = runner
            while not self._is_done:
                self._fixed.ask()
                is_due = standings.taken == self._fixed.at > 0
                if is_due and self._guarded(self._fixed.draw, shared, runners[CONTROL]) is None:
                    return
                count = self._turn(standings.end - standings.taken, TURN_BYTES)
                self._advance(shared, count)
                # A rate before the control: the first step of all is the one that is watched.
                for lr in standings.turns:
                    has_memory = yield from self._take_turn(runners[lr], count)
                    if not has_memory:
                        yield from self._arrived(everything=True)
                        return
                yield from self._arrived(everything=True)
                yield from self._left_by_failure()
                for lr in [lr for lr in runners if lr and lr not in standings.alive]:
                    runners.pop(lr).close()

    def _take_turn(self, runner: Runner, count: int) -> Generator[RaceStep, None, bool]:
        """One rate through the batches that lie ready; False where the memory ran out."""
        taken = 0
        while taken < count and not self._is_done and self._goes_on(runner.lr):
            part = min(count - taken, self._steps_in(SLICE_SECONDS))
            made = self._guarded(self._slice, runner, part)
            if made is None:
                return False
            losses, looks = made
            self._reader.put((runner.lr, len(losses)), torch.cat([losses, looks]))
            yield from self._arrived()
            self._note_failure(runner)
            taken += part
        return True

    def _replayed(self, *, in_place: bool) -> Iterator[RaceStep]:
        """One rate after the other, from the first step to the end of each round."""
        standings = self.standings
        while not self._is_done:
            self._fixed.ask()
            end = standings.end
            for lr in standings.turns:
                if self._taken(lr) < end:
                    is_through = yield from self._from_the_start(lr, end, in_place)
                    if not is_through:
                        return
            yield from self._left_by_failure()

    def _from_the_start(self, lr: float, end: int, in_place: bool) -> Generator[RaceStep, None, bool]:
        """One rate to ``end``; False where memory or time did not suffice."""
        self._loader_state.put_back()
        with ExitStack() as undo:
            shared = undo.enter_context(closing(SharedBatches(self._task, self._loader_state, self._tape)))
            is_first = not any(self.standings.losses.values())
            runner = self._guarded(self._runner, lr, shared, in_place, is_first, may_fail=not in_place)
            if runner is None:
                return False
            undo.callback(runner.close)
            taken = 0
            while taken < end and self._goes_on(lr):
                is_due = taken == self._fixed.at > 0
                if is_due and self._guarded(self._fixed.draw, shared, runner, may_fail=not in_place) is None:
                    return False
                to = min(end, self._fixed.at) if taken < self._fixed.at else end
                count = min(self._turn(to - taken, REPLAY_BYTES), self._steps_in(SLICE_SECONDS))
                self._advance(shared, count)
                made = self._guarded(self._slice, runner, count, may_fail=not in_place)
                if made is None or self._is_done:
                    return False
                losses, looks = made
                fresh = min(len(losses), taken + len(losses) - self._taken(lr))
                if fresh > 0:
                    self._reader.put((lr, fresh), torch.cat([losses[-fresh:], looks]))
                    yield from self._arrived(everything=True)
                self._note_failure(runner)
                taken += count
        return True

    def _goes_on(self, lr: float) -> bool:
        return lr == CONTROL or (lr in self.standings.alive and lr not in self._failures)

    def _note_failure(self, runner: Runner) -> None:
        if runner.failure is None:
            return
        if runner.lr == next(iter(self.standings.losses)):
            raise runner.failure.error  # nothing lower has gone well
        self._failures[runner.lr] = runner.failure

    def _left_by_failure(self) -> Iterator[RaceStep]:
        """Rates whose step raised leave, unless several are in and all did at the same step: that is the user's fault.

        Of one that is alone the control tells, which took the same batches and raised nothing.
        """
        failures, self._failures = self._failures, {}
        alive = self.standings.alive
        steps = {failure.step for failure in failures.values()}
        if len(failures) > 1 and set(failures) == set(alive) and len(steps) == 1:
            raise failures[alive[0]].error
        seconds = time.perf_counter() - self._begun
        for lr, failure in failures.items():
            self.standings.add(lr, math.nan, failure.words)
            yield RaceStep(
                lr=lr, step=self._taken(lr), loss=math.nan, seconds=seconds, is_replayed=self.is_replaying,
                error=failure.words,
            )  # fmt: skip

    def _taken(self, lr: float) -> int:
        return len(self.standings.losses[lr] if lr else self.standings.control)

    def _runner(
        self, lr: float, shared: SharedBatches, in_place: bool, is_first: bool, has_room: bool = False
    ) -> Runner:
        runner = Runner(
            lr, self._task, shared, in_place=in_place, backups=self._backups, is_first=is_first,
            tuned=self._settings.optimizer, has_room=has_room, is_fenced=self._is_fenced and is_first,
        )  # fmt: skip
        self.noted.append(runner.trainer.notes)
        if self._held_out is not None and not self._kept:
            self._kept = runner.trainer.fixed_batches(self._held_out, self._settings.validation_batches)
        return runner

    def _slice(self, runner: Runner, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The losses of so many steps, and those on the fixed batches after them."""
        self._at_work = runner
        begun = time.perf_counter()
        losses = runner.losses(count, self._updates, self._kept)
        if runner.lr != CONTROL:
            self._seconds_per_step = (time.perf_counter() - begun) / count
        return losses, self._fixed.losses_of(runner).to(losses.device)

    def _advance(self, shared: SharedBatches, count: int) -> None:
        self._at_work = None
        shared.advance(count * self._updates * self._task.accumulate)
        total = sum(t.nbytes for batch in shared.window for t in batches.tensors_of(batch))
        self._bytes_per_step = total / count

    def _turn(self, most: int, most_bytes: int) -> int:
        """Steps of one turn."""
        by_memory = int(min(most_bytes, self._spare / 4) / max(self._bytes_per_step, 1.0))
        # The first round is one turn, however long its steps are: see ``Standings.turns``.
        by_time = self._steps_in(TURN_SECONDS) if self.standings.rounds else TURN_STEPS
        return max(1, min(most, TURN_STEPS, by_time, by_memory))

    def _steps_in(self, seconds: float) -> int:
        return max(1, int(seconds / self._seconds_per_step)) if self._seconds_per_step else 1

    def _arrived(self, *, everything: bool = False) -> Iterator[RaceStep]:
        for (lr, count), values in self._reader.ready(everything=everything):
            seconds = time.perf_counter() - self._begun
            first = self._taken(lr)
            for place in range(count):
                if lr != CONTROL and lr not in self.standings.alive:
                    break  # it has diverged
                loss, fixed = values[place], tuple(values[count:]) if place == count - 1 else ()
                self.standings.add(lr, loss, fixed=fixed)
                yield RaceStep(
                    lr=lr, step=first + place + 1, loss=loss, seconds=seconds, fixed_losses=fixed,
                    is_replayed=self.is_replaying,
                )  # fmt: skip

    def _guarded(self, call: Callable[..., Any], *arguments: Any, may_fail: bool = True) -> Any:
        """What ``call`` returns; None where the memory ran out, and that ``may_fail``."""
        failure: Exception | None = None
        try:
            return call(*arguments)
        except Exception as error:
            if not may_fail or out_of_memory.kind_of(error) not in ("out of memory", "ambiguous"):
                raise
            failure = error
        # Only here, after the except block, does nothing hold the step's tensors any more.
        out_of_memory.released(self._task.device, 0, failure)
        self._at_work = None
        return None
