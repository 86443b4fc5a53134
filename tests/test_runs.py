"""What every run offers, and what ending one means: one contract, kept by all of them."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, wait_for
from interrupting import TOOLS
from tasks import everything, hard_task
from torch import nn

from nbtune.engine import BatchSettings, LRSettings, Task, probe_batch_sizes, race_lr, search_lr, sweep_lr
from nbtune.engine.batch_size.grid import sweep_image_sizes
from nbtune.engine.comparison.run import train_batch_sizes
from nbtune.engine.comparison.settings import ComparisonSettings
from nbtune.engine.learning_rate.search import TheoryRun
from nbtune.engine.run import GeneratorRun, Run
from nbtune.widgets.batch_size.run import ProberRun

React = Callable[[], Any]
BATCH_SETTINGS = BatchSettings(max_batch_size=4, measure_seconds=0.5)

RUNS: dict[str, Callable[[Task], Run[Any]]] = {
    "sweep": lambda task: sweep_lr(task, LRSettings(mode="quick", steps=20)),
    "race": lambda task: race_lr(task, LRSettings(rates=5)),
    "search": lambda task: search_lr(task, LRSettings(mode="quick", steps=20, repeats=2, curvature=True)),
    "theory": lambda task: TheoryRun(task, 60),
    "probe": lambda task: probe_batch_sizes(task, BATCH_SETTINGS),
    "image sizes": lambda task: sweep_image_sizes(task, BATCH_SETTINGS),
    "prober": lambda task: ProberRun(
        probe_batch_sizes(task, BATCH_SETTINGS), sweep_image_sizes(task, BATCH_SETTINGS)
    ),
    "comparison": lambda task: train_batch_sizes(task, ComparisonSettings(batch_sizes=(4, 24), budget="2 epochs")),
}  # fmt: skip
KNOWN_LENGTH = {"sweep", "race", "search", "theory", "image sizes"}
"""Of the others nobody can say how many events they will have."""


def image_task(react: React = lambda: None) -> Task:
    """A convolution on 24 small images under Adam, which has state, with all that is easily left changed."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2),
    )  # fmt: skip
    model[0].requires_grad_(False)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    data = torch.utils.data.TensorDataset(torch.randn(24, 3, 16, 16), torch.arange(24) % 2)
    loader = torch.utils.data.DataLoader(data, 8, shuffle=True, generator=torch.Generator().manual_seed(3))

    def training_step(model: Any, batch: Any) -> torch.Tensor:
        react()
        return nn.functional.cross_entropy(model(batch[0]), batch[1])

    for inputs, targets in loader:
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return Task(model, optimizer, None, loader, training_step=training_step)


@pytest.mark.parametrize("tool", TOOLS)
def test_no_tensor_outlives_a_call(tool: str) -> None:
    """The benchmark ``runs.py`` in short: what a call makes is gone when its result is."""
    task, counts = hard_task(), list[int]()
    for _ in range(4):
        TOOLS[tool](task)
        gc.collect()
        counts.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
    assert counts[1:] == counts[1:2] * 3


class At:
    """Calls ``react`` in the n-th step and counts them."""

    def __init__(self, step: int, react: React) -> None:
        self.step, self.react, self.taken = step, react, 0

    def __call__(self) -> None:
        self.taken += 1
        if self.taken == self.step:
            self.react()


class Taken(threading.Thread):
    """Takes a run's events in a thread of its own, and keeps the task's state as that thread finds it afterwards."""

    def __init__(self, run: Run[Any], task: Task | None = None) -> None:
        super().__init__(daemon=True)
        self.run_taken, self.task = run, task
        self.events: list[Any] = []
        self.error: BaseException | None = None
        self.state: Any = None

    def run(self) -> None:
        try:
            for event in self.run_taken:
                self.events.append(event)
            self.state = None if self.task is None else everything(self.task)
        except BaseException as error:
            self.error = error

    def joined(self) -> Taken:
        self.join(PATIENCE_SECONDS)
        assert not self.is_alive() and self.error is None
        return self


every_run = pytest.mark.parametrize("name", RUNS)


# All of them


@every_run
def test_a_run_says_what_it_waits_for_and_how_long_it_is_at_any_time_and_ends_without_harm(name: str) -> None:
    task = image_task()
    before = everything(task)
    run = RUNS[name](task)
    said, totals = [run.waiting_for], [run.total]
    assert iter(run) is run
    for _ in run:
        said.append(run.waiting_for)
        totals.append(run.total)
    assert all(isinstance(words, str) and words for words in said)
    known = [total for total in totals[1:] if total is not None]
    assert all(total > 0 for total in known) and bool(known) == (name in KNOWN_LENGTH)
    assert everything(task) == before
    run.close()
    run.hurry()
    assert next(run, None) is None


@every_run
def test_what_is_waited_for_can_be_read_and_hurried_from_another_thread_during_a_step(name: str) -> None:
    gate = Gate()
    run = RUNS[name](image_task(At(2, gate)))
    taken = Taken(run)
    taken.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    assert run.waiting_for and (run.total is None or run.total > 0)
    run.hurry()
    run.hurry()
    gate.opened.set()
    assert taken.joined().events
    run.hurry()


@every_run
def test_a_run_closed_before_its_first_event_never_takes_a_step(name: str) -> None:
    steps = At(0, lambda: None)
    task = image_task(steps)
    before = everything(task)
    run = RUNS[name](task)
    run.close()
    run.close()
    assert list(run) == [] and steps.taken == 0 and everything(task) == before
    run.hurry()


@every_run
def test_a_run_closed_between_two_events_puts_everything_back_and_has_ended(name: str) -> None:
    task = image_task()
    before = everything(task)
    run = RUNS[name](task)
    next(run)
    run.close()
    assert everything(task) == before
    run.close()
    assert list(run) == [] and everything(task) == before


@every_run
def test_a_close_from_another_thread_during_a_step_returns_and_ends_the_run_behind_that_step(name: str) -> None:
    gate = Gate()
    at = At(2, gate)
    task = image_task(at)
    before = everything(task)
    run = RUNS[name](task)
    taken = Taken(run, task)
    taken.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    run.close()
    run.close()
    assert taken.is_alive() and not gate.opened.is_set() and at.taken == 2  # the step itself is still under way
    gate.opened.set()
    # At most the event of that step and of those before it that were read together with it.
    assert len(taken.joined().events) <= 2
    assert taken.state == before and next(run, None) is None


@every_run
def test_a_step_that_closes_its_own_run_is_the_last(name: str) -> None:
    made: list[Run[Any]] = []
    task = image_task(At(2, lambda: made[0].close()))
    before = everything(task)
    made.append(RUNS[name](task))
    assert len(list(made[0])) <= 2 and everything(task) == before


@every_run
def test_an_error_or_an_interrupt_in_a_step_ends_the_run_with_everything_put_back(name: str) -> None:
    def fail() -> None:
        raise KeyboardInterrupt

    task = image_task(At(2, fail))
    before = everything(task)
    run = RUNS[name](task)
    with pytest.raises(KeyboardInterrupt):
        list(run)
    assert everything(task) == before
    run.close()
    assert list(run) == [] and everything(task) == before


# The base they share


class Counted(GeneratorRun[int]):
    """Counts to ``end`` and notes where it was put back; ``between`` is called in each step, ``after`` at the end."""

    def __init__(self, end: int, between: React = lambda: None, after: React = lambda: None) -> None:
        self.end, self.between, self.after = end, between, after
        self.put_back_in: list[int] = []
        self.hurried = 0
        super().__init__(self._events())

    @property
    def waiting_for(self) -> str:
        return "a number"

    def hurry(self) -> None:
        self.hurried += 1

    def _events(self) -> Generator[int, None, None]:
        try:
            for number in range(self.end):
                self.between()
                yield number
        finally:
            self.after()
            self.put_back_in.append(threading.get_ident())


def test_the_event_of_the_step_under_way_is_still_given_and_everything_is_put_back_before_it() -> None:
    gate = Gate()
    run = Counted(5, At(3, gate))
    taken = Taken(run)
    taken.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    run.close()
    assert run.put_back_in == [] and run.hurried == 1
    gate.opened.set()
    assert taken.joined().events == [0, 1, 2] and run.put_back_in == [taken.ident]


def test_a_close_from_another_thread_between_two_events_puts_back_there_and_whoever_iterates_waits_for_it() -> None:
    gate = Gate()
    run = Counted(5, after=gate)
    assert next(run) == 0
    closer = threading.Thread(target=run.close, daemon=True)
    closer.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    taken = Taken(run)
    taken.start()
    assert not wait_for(lambda: not taken.is_alive(), seconds=0.05) and run.put_back_in == []
    gate.opened.set()
    assert taken.joined().events == [] and run.put_back_in == [closer.ident]


def test_the_thread_that_closes_second_waits_until_everything_is_put_back() -> None:
    gate = Gate()
    run = Counted(5, after=gate)
    next(run)
    closers = [threading.Thread(target=run.close, daemon=True) for _ in range(2)]
    closers[0].start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    closers[1].start()
    gate.opened.set()
    for closer in closers:
        closer.join(PATIENCE_SECONDS)
    assert run.put_back_in == [closers[0].ident]


def test_what_is_put_back_may_close_the_run_again() -> None:
    made: list[Counted] = []
    made.append(Counted(5, after=lambda: made[0].close()))
    next(made[0])
    made[0].close()
    assert len(made[0].put_back_in) == 1


def test_a_step_cannot_take_the_next_event_of_its_own_run() -> None:
    made: list[Counted] = []
    made.append(Counted(5, At(2, lambda: next(made[0]))))
    assert next(made[0]) == 0
    with pytest.raises(RuntimeError, match="by its own step"):
        next(made[0])
    assert len(made[0].put_back_in) == 1 and list(made[0]) == []


def test_an_error_while_putting_back_is_told_to_whoever_iterates() -> None:
    def fail() -> None:
        raise OSError("cannot put the model back")

    made: list[Counted] = []
    made.append(Counted(5, At(2, lambda: made[0].close()), after=fail))
    assert next(made[0]) == 0
    with pytest.raises(OSError, match="cannot put"):
        next(made[0])


def test_many_threads_may_close_at_any_moment_and_nobody_sees_a_generator_that_executes() -> None:
    for _ in range(50):
        run = Counted(200)
        errors: list[BaseException] = []
        taken = Taken(run)

        def close(run: Counted = run, errors: list[BaseException] = errors) -> None:
            try:
                run.close()
            except BaseException as error:
                errors.append(error)

        closers = [threading.Thread(target=close, daemon=True) for _ in range(3)]
        for thread in (taken, *closers):
            thread.start()
        for closer in closers:
            closer.join(PATIENCE_SECONDS)
        assert errors == [] and taken.joined().events == list(range(len(taken.events)))
        assert len(run.put_back_in) <= 1
