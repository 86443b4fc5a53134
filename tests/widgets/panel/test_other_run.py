"""A second panel on a model that is in use, and a panel whose data do not come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driver import PATIENCE_SECONDS, Gate, at_step, click, done, ended, said, task_that_hangs, wait_for
from tasks import plain_task

from nbtune.engine import Task
from nbtune.engine.training.workpiece import held as in_use
from nbtune.jobs import BOARD
from nbtune.widgets import BatchComparison, BatchProber, LRFinder

PANELS: dict[str, Callable[[Task], Any]] = {
    "finder": lambda task: LRFinder(task, mode="quick", steps=20),
    "prober": lambda task: BatchProber(task, max_batch_size=8),
    "comparison": lambda task: BatchComparison(task, [8, 32], budget="64 samples"),
}
every_panel = pytest.mark.parametrize("name", PANELS)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A finder whose race is held at its third step, and the gate."""
    monkeypatch.setattr("nbtune.widgets.panel.other_run.LOOK_SECONDS", 0.02)
    gate = Gate()
    first = LRFinder(at_step(3, gate), mode="quick", steps=20)
    first.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    yield first, gate
    gate.opened.set()
    ended(first)


def is_as_it_was(panel: Any) -> bool:
    """Whether it says so of the model."""
    return "as it was" in said(panel) or "as they were" in said(panel)


@every_panel
def test_a_cell_run_again_shows_the_run_under_way_and_stops_it(name: str, held: Any) -> None:
    first, gate = held
    second = PANELS[name](first.task)
    second._ipython_display_()
    assert second.other_run == {"is_stopping": False} and second.state == "idle" and not is_as_it_was(second)
    words = "Another run is using this model: a search for a learning rate, "
    assert said(second).startswith(words)
    assert wait_for(lambda: said(second).startswith(f"{words}2 of 20 steps"))  # it looks on
    click(second, "stop")
    assert second.other_run == {"is_stopping": True} and "which is stopping" in said(second)
    gate.opened.set()
    assert ended(first).result.outcome == "stopped"
    assert wait_for(lambda: second.other_run is None)
    assert said(second) == "The other run has ended. Press Start for another."
    assert done(second).result is not None


@every_panel
def test_a_start_while_another_run_goes_on_is_no_failure_of_the_model_and_shows_that_run(name: str, held: Any) -> None:
    first, gate = held
    second = PANELS[name](first.task)
    second.start()
    ended(second)
    assert "another nbtune run is using this model" in second.problem["title"] and second.other_run is not None
    assert said(second).startswith("Another run is using this model") and not is_as_it_was(second)
    gate.opened.set()
    ended(first)
    assert wait_for(lambda: second.other_run is None) and second.problem is None
    assert done(second).error is None


def test_a_prediction_does_not_need_the_model_that_is_in_use(held: Any) -> None:
    first, _ = held
    prober = BatchProber(first.task, capacity="8 GB", max_batch_size=8, measure_seconds=0)
    assert done(prober).result is not None and prober.problem is None and first.state == "running"


def test_a_run_on_another_task_with_the_same_model_counts_and_one_on_another_model_does_not(held: Any) -> None:
    first, _ = held
    same = LRFinder(Task(first.task.model, first.task.optimizer, first.task.loss_fn, first.task.loader,
                         training_step=first.task.training_step))  # fmt: skip
    other = LRFinder(plain_task())
    for panel in (same, other):
        click(panel, "hello")
    assert same.other_run is not None and other.other_run is None and is_as_it_was(other)


def test_what_the_other_run_found_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.widgets.panel.other_run.LOOK_SECONDS", 0.02)
    gate = Gate()
    first = LRFinder(at_step(3, gate), mode="quick")
    first.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    second = click(LRFinder(first.task), "hello")
    gate.opened.set()
    ended(first)
    assert wait_for(lambda: second.other_run is None)
    assert f"It found η = {BOARD.findings[0].lr}." in said(second)


def test_a_run_that_is_on_no_board_is_named_without_a_stop() -> None:
    task = plain_task()
    panel = LRFinder(task, mode="quick")
    with in_use(task):
        panel.start()
        ended(panel)
    assert said(panel) == "Not started: another run is using this model. Press Start when it has ended."
    assert panel.other_run is None
    assert done(panel).result is not None


def test_a_closed_panel_follows_nobody(held: Any) -> None:
    first, _ = held
    second = click(LRFinder(first.task), "hello")
    second.close()
    sentence = second.sentence
    click(second, "stop")
    assert first.state == "running" and second.sentence == sentence


def test_a_loader_that_hangs_is_named_before_stop_is_pressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nbtune.session.QUIET_SECONDS", 0.05)
    monkeypatch.setattr("nbtune.engine.waits.LONG_SECONDS", 0.05)
    gate = Gate()
    finder = LRFinder(task_that_hangs(gate), mode="quick", steps=20)
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    assert wait_for(lambda: said(finder).startswith("Waiting for the data: no batch for "))
    assert "(usually " in said(finder) and finder.state == "running"
    gate.opened.set()
    assert ended(finder).state == "done" and "Waiting" not in said(finder)
