"""How long a run has waited for its next batch: what is told, when, and of which run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, task_that_hangs, wait_for

from nbtune.engine import (
    BatchSettings,
    LRSettings,
    Task,
    find_lr,
    headless,
    probe_batch_sizes,
    race_lr,
    search_lr,
    sweep_lr,
    waits,
)
from nbtune.engine.comparison.run import train_batch_sizes
from nbtune.engine.comparison.settings import ComparisonSettings
from nbtune.engine.memory import estimate_memory
from nbtune.engine.run import Run
from nbtune.engine.waits import FIRST_SECONDS, LONG_SECONDS, TRACE_SECONDS, Trace, Wait, Waits, current


class Clock:
    """Goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def drawn(waits: Waits, clock: Clock, seconds: float) -> None:
    with waits.drawing():
        clock.seconds += seconds


def test_a_wait_is_long_from_three_times_the_usual_on_and_from_two_seconds() -> None:
    clock = Clock()
    waits = Waits(clock)
    for _ in range(5):
        drawn(waits, clock, 0.2)
    with waits.drawing():
        clock.seconds += LONG_SECONDS - 0.1
        assert waits.long is None
        clock.seconds += 7
        assert waits.long is not None and waits.long.text == "waiting for the data: no batch for 8 s (usually 0.2 s)"
    assert waits.long is None
    for _ in range(9):
        drawn(waits, clock, 2.0)
    with waits.drawing():
        clock.seconds += 5.9
        assert waits.long is None
        clock.seconds += 0.2
        assert waits.long is not None


def test_a_trace_says_what_it_is_at_once_it_takes_long_and_traces_in_a_row_count_as_one() -> None:
    clock = Clock()
    clock.seconds = 100.0
    waits = Waits(clock)
    for part in range(3):
        with waits.tracing(lambda part=part: f"part {part}"):  # type: ignore[misc]
            clock.seconds += TRACE_SECONDS / 4
            assert waits.long is None
            with waits.tracing(lambda: "a part of it"):
                clock.seconds += TRACE_SECONDS / 10
        assert waits.long is None
    with waits.tracing(lambda: "the last part"):
        assert waits.long is not None and waits.long.text == "tracing the model: the last part, 10 s so far"
        with waits.drawing():
            assert waits.long is None  # it waits for data now
    clock.seconds += 5
    with waits.tracing(lambda: "another one"):
        assert waits.long is None


def test_one_slow_batch_does_not_change_what_is_usual() -> None:
    clock = Clock()
    waits = Waits(clock)
    for seconds in (30, 0.1, 0.1, 0.1):
        drawn(waits, clock, seconds)
    with waits.drawing():
        clock.seconds += 3
        assert isinstance(waits.long, Wait) and waits.long.usual_seconds == pytest.approx(0.1)


def test_the_first_wait_has_nothing_usual_and_more_time() -> None:
    clock = Clock()
    waits = Waits(clock)
    with waits.drawing():
        clock.seconds += FIRST_SECONDS - 1
        assert waits.long is None
        clock.seconds += 2
        assert waits.long is not None and waits.long.text.endswith("no batch for 6 s")


def test_a_run_inside_a_run_waits_for_the_outer_one_and_outside_nobody_waits() -> None:
    outer, inner = Waits(), Waits()
    with outer.in_force():
        with inner.in_force():
            assert current() is outer
        assert current() is outer
    assert current() not in (outer, inner)


RUNS: dict[str, Any] = {
    "sweep": lambda task: sweep_lr(task, LRSettings(mode="quick", steps=20)),
    "race": lambda task: race_lr(task, LRSettings(rates=5)),
    "search": lambda task: search_lr(task, LRSettings(rates=5)),
    "comparison": lambda task: train_batch_sizes(task, ComparisonSettings(batch_sizes=(8, 24), budget="200 samples")),
}


@pytest.mark.parametrize("name", RUNS)
def test_every_run_that_trains_says_that_it_waits_for_a_batch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.engine.waits.FIRST_SECONDS", 0.0)
    monkeypatch.setattr("nbtune.engine.waits.LONG_SECONDS", 0.0)
    gate = Gate()
    run: Run[Any] = RUNS[name](task_that_hangs(gate))
    taking = threading.Thread(target=lambda: [None for _ in run], daemon=True)
    taking.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    assert wait_for(lambda: run.waits.long is not None)
    gate.opened.set()
    taking.join(PATIENCE_SECONDS)
    assert not taking.is_alive() and run.waits.long is None


def test_the_bar_of_a_call_says_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("nbtune.engine.waits.FIRST_SECONDS", 0.0)
    monkeypatch.setattr("nbtune.engine.waits.LONG_SECONDS", 0.0)
    monkeypatch.setattr("nbtune.engine.headless._LOOK_SECONDS", 0.01)
    gate = Gate()
    calling = threading.Thread(target=find_lr, args=(task_that_hangs(gate),), kwargs={"mode": "quick", "steps": 20})
    calling.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    told: list[str] = []
    assert wait_for(lambda: told.append(capsys.readouterr().err) or "waiting for the data" in "".join(told))  # type: ignore[func-returns-value]
    gate.opened.set()
    calling.join(PATIENCE_SECONDS)
    assert not any(thread.name == "nbtune-bar" for thread in threading.enumerate())


ASIDE: list[Callable[[], object]] = []
"""What is done amid a forward pass."""


class Aside(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for look in ASIDE:
            look()
        return x


def aside_task(look: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Task:
    monkeypatch.setattr(waits, "TRACE_SECONDS", 0.0)
    monkeypatch.setattr(headless, "_LOOK_SECONDS", 0.001)
    monkeypatch.setitem(globals(), "ASIDE", [look])
    model = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Sequential(Aside()))
    data = torch.zeros(8, 4), torch.zeros(8).long()
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), torch.nn.functional.cross_entropy, data)


TRACED = "tracing the model: forward pass at k = 2, in 1.0, "


def test_a_long_estimate_says_in_a_line_what_it_is_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def look() -> None:
        assert told or wait_for(lambda: told.append(capsys.readouterr().err) or TRACED in "".join(told))  # type: ignore[func-returns-value]

    estimate_memory(aside_task(look, monkeypatch), "8 GB")
    told.append(capsys.readouterr().err)
    assert TRACED in "".join(told) and told[-1].endswith("\r")  # and away again
    assert not [thread for thread in threading.enumerate() if thread.name == "nbtune-bar"]


def test_a_short_estimate_says_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    task = aside_task(lambda: None, monkeypatch)
    monkeypatch.setattr(waits, "TRACE_SECONDS", 1000.0)
    estimate_memory(task, "8 GB")
    assert capsys.readouterr() == ("", "")


def test_a_run_that_traces_is_asked_what_it_is_at(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    task = aside_task(lambda: seen.append(run.waits.long), monkeypatch)
    run = probe_batch_sizes(task, BatchSettings(capacity="8 GB", measure_seconds=0, max_batch_size=4))
    with closing(run):
        list(run)
    assert any(isinstance(wait, Trace) and wait.text.startswith(TRACED) for wait in seen) and run.waits.long is None
