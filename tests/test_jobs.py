"""What stands on the board while a tool runs and after it: the jobs under way, and the last findings."""

from __future__ import annotations

import gc
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from driver import click, ended, promise_pictures
from ipywidgets import Widget
from memory_results import densenet
from tasks import everything, hard_task, plain_task
from torch.nn import functional

from nbtune.engine import Task, find_lr
from nbtune.engine.batch_size.find import find_batch_size
from nbtune.engine.batch_size.finding import finding_of as limit_finding
from nbtune.engine.batch_size.finding import forecast_of
from nbtune.engine.comparison.compare import compare_batch_sizes
from nbtune.engine.comparison.finding import finding_of as comparison_finding
from nbtune.engine.learning_rate.finding import finding_of as lr_finding
from nbtune.jobs import BOARD, RESULTS_KEPT, Board, Call, Finding, Forecast, Job, Progress
from nbtune.jobs import job as job_module
from nbtune.widgets import BatchProber, LRFinder
from nbtune.widgets.comparison.widget import BatchComparison
from nbtune.widgets.learning_rate.acts import SearchAct

PATIENCE_SECONDS = 120


@pytest.fixture(autouse=True)
def _pictures_are_promised(monkeypatch: pytest.MonkeyPatch) -> None:
    promise_pictures(monkeypatch)


@pytest.fixture(autouse=True)
def _empty_board() -> Iterator[None]:
    """The board is the process's: what other tests found there must not count."""
    BOARD._findings.clear()
    BOARD.forecast = None
    yield
    Widget.close_all()
    assert BOARD.jobs == ()


class Clock:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(job_module, "time", made)
    return made


def job_of(**changes: Any) -> Job:
    given: dict[str, Any] = {"progress": Progress, "stop": lambda: None, **changes}
    return Job("learning_rate", **given)


def watched(react: Callable[[], Any], make: Callable[..., Task] = plain_task, **changes: Any) -> Task:
    """A task that calls ``react`` in each of its training steps."""

    def training_step(model: Any, batch: Any) -> torch.Tensor:
        react()
        return functional.cross_entropy(model(batch[0]), batch[1])

    return make(loss_fn=None, training_step=training_step, **changes)


def hard_watched(react: Callable[[], Any]) -> Task:
    """The task with all that is easily left changed, watched."""
    task = hard_task()

    def training_step(model: Any, batch: Any) -> torch.Tensor:
        react()
        return functional.cross_entropy(model(batch[0]), batch[1])

    return Task(task.model, task.optimizer, None, task.loader, training_step=training_step)


RUNS: dict[str, Callable[[Task], Any]] = {
    "learning_rate": lambda task: find_lr(task, progress=False),
    "batch_size": lambda task: find_batch_size(task, max_batch_size=8, progress=False, strategy="double"),
    "comparison": lambda task: compare_batch_sizes(task, [8, 96], budget="40 epochs", progress=False),
}
FINDINGS: dict[str, Callable[[Any, Task], Finding | None]] = {
    "learning_rate": lr_finding, "batch_size": limit_finding, "comparison": comparison_finding,
}  # fmt: skip
WIDGETS: dict[str, Callable[[Task], Any]] = {
    "learning_rate": LRFinder,
    "batch_size": lambda task: BatchProber(task, max_batch_size=8),
    "comparison": lambda task: BatchComparison(task, (8, 96), budget="40 epochs"),
}


def progress_of(job: Job) -> tuple[Any, ...]:
    now = job.progress
    return (now.done, now.total, now.unit, now.share)


# The board


def test_a_job_is_listed_from_its_begin_to_its_end() -> None:
    board, changes = Board(), []
    board.on_change = lambda: changes.append(board.jobs)
    first, second = job_of(), job_of()
    board.begin(first)
    board.begin(second)
    board.end(first)
    assert changes == [(first,), (first, second), (second,)]
    assert first.id != second.id


def test_findings_are_listed_newest_first_and_only_the_last_few() -> None:
    board = Board()
    for size in range(RESULTS_KEPT + 3):
        board.end(job_of(), Finding(tool="batch_size", batch_size=size))
    newest = RESULTS_KEPT + 2
    assert [found.batch_size for found in board.findings] == list(range(newest, newest - RESULTS_KEPT, -1))


def test_a_widget_s_newer_finding_takes_the_older_one_s_place_and_calls_keep_theirs() -> None:
    board = Board()
    for lr, widget in [("1", "a"), ("2", ""), ("3", "b"), ("4", ""), ("5", "a")]:
        board.end(job_of(), Finding(tool="learning_rate", lr=lr, widget=widget))
    assert [found.lr for found in board.findings] == ["5", "4", "3", "2"]


def test_a_run_without_a_finding_leaves_the_earlier_ones_and_the_forecast() -> None:
    board = Board()
    forecast = Forecast(
        device="host", batch_size=1, has_run=True, next_batch_size=2, next_bytes=3, held_bytes=2, does_fit=False
    )  # fmt: skip
    board.end(job_of(), Finding(tool="batch_size", batch_size=1, widget="a"), forecast)
    board.end(job_of(widget="a"))
    assert [found.batch_size for found in board.findings] == [1] and board.forecast is forecast


def test_a_job_is_stopped_by_its_id_and_an_unknown_one_is_none() -> None:
    board, stopped, changes = Board(), [], []
    job = job_of(stop=lambda: stopped.append(1))
    board.begin(job)
    board.on_change = lambda: changes.append(job.is_stopping)
    assert not board.stop("no such job") and stopped == changes == []
    assert board.stop(job.id) and stopped == [1] and changes == [True]
    board.end(job)
    assert not board.stop(job.id)


def test_a_job_may_look_at_the_board_while_it_is_asked_to_stop() -> None:
    board = Board()
    job = job_of(stop=lambda: board.end(job))
    board.begin(job)
    assert board.stop(job.id) and board.jobs == ()


# How long it still takes


def test_nobody_knows_the_time_left_before_something_was_done(clock: Clock) -> None:
    share: list[float | None] = [None]
    job = job_of(progress=lambda: Progress(share=share[0]))
    for known in (None, 0.0, 0.01):
        share[0] = known
        clock.now += 1
        assert job.seconds_left is None


def test_time_left_follows_the_speed_so_far(clock: Clock) -> None:
    call = Call("learning_rate")
    clock.now += 10
    call.now = Progress(25, 100, "steps", 0.25)
    assert call.seconds_left == pytest.approx(30)
    clock.now += 30
    call.now = Progress(100, 100, "steps", 1.0)
    assert call.seconds_left == 0


def test_time_left_keeps_falling_during_a_long_step_and_ends_at_zero(clock: Clock) -> None:
    call = Call("learning_rate")
    clock.now += 10
    call.now = Progress(50, 100, "steps", 0.5)
    seen = []
    for _ in range(4):
        seen.append(call.seconds_left)
        clock.now += 4
    assert seen == pytest.approx([10, 6, 2, 0])


def test_a_limit_in_seconds_is_all_that_is_known_at_first_and_bounds_the_rest(clock: Clock) -> None:
    call = Call("learning_rate", max_seconds=20)
    clock.now += 5
    assert call.seconds_left == pytest.approx(15)
    call.now = Progress(10, 100, "steps", 0.1)  # 45 seconds at this speed
    assert call.seconds_left == pytest.approx(15)
    call.now = Progress(50, 100, "steps", 0.5)
    assert call.seconds_left == pytest.approx(5)
    clock.now += 60
    assert call.seconds_left == 0


# What the tools write on it


@pytest.mark.parametrize("tool", RUNS)
def test_a_call_is_listed_while_it_runs_and_leaves_what_it_found(tool: str) -> None:
    seen: list[tuple[Job, tuple[Any, ...]]] = []
    task = watched(lambda: seen.extend((job, progress_of(job)) for job in BOARD.jobs), lr=0.02)
    result = RUNS[tool](task)
    (job,) = {job for job, _ in seen}
    assert (job.tool, job.is_blocking, job.widget) == (tool, True, "") and job.detail
    assert len(seen) > 5 and seen[0][1] != seen[-1][1] and BOARD.jobs == ()
    (found,) = BOARD.findings
    again = FINDINGS[tool](result, task)
    assert again is not None and (found.tool, found.code()) == (tool, again.code())
    assert found.model == "Linear" and found.task() is task and found.widget == found.cell == ""


def test_progress_of_a_sweep_counts_its_steps() -> None:
    seen: list[tuple[Any, ...]] = []
    task = watched(lambda: seen.extend(progress_of(job) for job in BOARD.jobs))
    find_lr(task, mode="quick", steps=50, progress=False)
    assert (10, 50, "steps", 0.2) in seen


def test_progress_of_a_comparison_is_its_share_of_the_budget() -> None:
    shares: list[float] = []
    task = watched(lambda: shares.extend(job.progress.share or 0 for job in BOARD.jobs))
    compare_batch_sizes(task, [8, 96], budget="20 epochs", progress=False)
    assert shares == sorted(shares) and 0.9 < shares[-1] <= 1 and len({round(10 * share) for share in shares}) > 8


def test_a_sweep_with_a_limit_in_seconds_says_when_it_ends_at_the_latest() -> None:
    left: list[float | None] = []
    find_lr(watched(lambda: left.extend(job.seconds_left for job in BOARD.jobs)), max_seconds=30, progress=False)
    assert left and all(seconds is not None and seconds <= 30 for seconds in left)


class Stopper:
    """Asks through the board for a stop in the n-th step that is listed there, as the browser would."""

    def __init__(self, step: int) -> None:
        self.steps_left, self.listed_steps, self.was_there = step, 0, False

    def __call__(self) -> None:
        for job in BOARD.jobs:
            self.listed_steps += 1
            self.steps_left -= 1
            if self.steps_left == 0:
                self.was_there = BOARD.stop(job.id) and job.is_stopping


@pytest.mark.parametrize("tool", RUNS)
@pytest.mark.parametrize("step", [1, 4])
def test_a_call_stopped_through_the_board_ends_shorter_and_puts_everything_back(tool: str, step: int) -> None:
    stopper = Stopper(step)
    task = hard_watched(stopper)
    before = everything(task)
    result = RUNS[tool](task)
    assert stopper.was_there and result.outcome == "stopped"
    assert stopper.listed_steps <= step + 16  # losses are read in groups
    assert everything(task) == before
    assert BOARD.jobs == () and len(BOARD.findings) <= 1


@pytest.mark.parametrize("tool", RUNS)
def test_a_call_that_raises_leaves_nothing_on_the_board(tool: str) -> None:
    def fail() -> None:
        if BOARD.jobs:
            raise ZeroDivisionError("in the user's loss")

    task = hard_watched(fail)
    before = everything(task)
    with pytest.raises(ZeroDivisionError):
        RUNS[tool](task)
    assert BOARD.jobs == () and BOARD.findings == () and BOARD.forecast is None
    assert everything(task) == before


@pytest.mark.parametrize("tool", RUNS)
def test_an_interrupt_takes_the_call_off_the_board(tool: str) -> None:
    def interrupt() -> None:
        if BOARD.jobs:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RUNS[tool](watched(interrupt))
    assert BOARD.jobs == () and BOARD.findings == ()


@pytest.mark.parametrize("tool", WIDGETS)
def test_a_widget_is_listed_while_it_runs_and_leaves_what_it_found(tool: str) -> None:
    seen: list[Job] = []
    widget = WIDGETS[tool](task := watched(lambda: seen.extend(BOARD.jobs), lr=0.02))
    assert BOARD.jobs == ()
    widget.start()
    ended(widget)
    assert widget.state == "done" and len({job.id for job in seen}) == 1 and BOARD.jobs == ()
    assert (seen[0].tool, seen[0].widget, seen[0].is_blocking) == (tool, widget.model_id, False)
    assert [(found.tool, found.widget, found.cell) for found in BOARD.findings] == [(tool, widget.model_id, "")]
    assert BOARD.findings[0].task() is task


def test_a_widget_run_again_replaces_its_finding_and_another_adds_one() -> None:
    first, second = LRFinder(plain_task()), LRFinder(plain_task())
    for widget in (first, second, first):
        widget.start()
        ended(widget)
    assert [found.widget for found in BOARD.findings] == [first.model_id, second.model_id]


@pytest.mark.parametrize("tool", WIDGETS)
def test_a_widget_stopped_through_the_board_keeps_what_it_has_and_puts_everything_back(tool: str) -> None:
    stopper = Stopper(3)
    task = hard_watched(stopper)
    before = everything(task)
    widget = WIDGETS[tool](task)
    widget.start()
    ended(widget)
    assert stopper.was_there and widget.state == "done" and widget.result.outcome == "stopped"
    assert everything(task) == before and BOARD.jobs == ()


def test_the_stop_button_of_a_widget_shows_on_the_board() -> None:
    finder: Any = None
    seen: list[bool] = []

    def react() -> None:
        seen.extend(job.is_stopping for job in BOARD.jobs)
        if len(seen) == 5:
            click(finder, "stop")
            seen.extend(job.is_stopping for job in BOARD.jobs)

    finder = LRFinder(watched(react))
    finder.start()
    ended(finder)
    assert seen[:6] == [False] * 5 + [True]


def test_only_a_widget_that_the_main_thread_waits_for_blocks() -> None:
    gate, seen = threading.Event(), list[bool]()

    def react() -> None:
        gate.wait(PATIENCE_SECONDS)
        seen.extend(job.is_blocking for job in BOARD.jobs)

    finder = LRFinder(watched(react))
    finder.start()
    assert [job.is_blocking for job in BOARD.jobs] == [False]
    gate.set()
    finder.run()
    assert seen[-1] is True


@pytest.mark.parametrize("tool", WIDGETS)
def test_a_widget_whose_run_fails_leaves_no_finding_and_no_job(tool: str) -> None:
    def fail() -> None:
        if BOARD.jobs:
            raise ZeroDivisionError("in the user's loss")

    widget = WIDGETS[tool](watched(fail))
    widget.start()
    ended(widget)
    assert widget.state == "failed"
    assert BOARD.jobs == () and BOARD.findings == () and BOARD.forecast is None


def test_a_widget_that_cannot_draw_its_end_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(finder: LRFinder) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SearchAct, "draw_end", fail)
    finder = LRFinder(plain_task())
    finder.start()
    assert ended(finder).state == "failed" and BOARD.jobs == () and BOARD.findings == ()


def test_a_widget_that_cannot_say_what_it_found_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setattr(SearchAct, "found", fail)
    finder = LRFinder(plain_task())
    finder.start()
    ended(finder)
    assert BOARD.jobs == () and BOARD.findings == ()


def test_settings_that_do_not_work_list_no_job() -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", values={"rates": "none"})
    assert finder.problem is not None and BOARD.jobs == ()


@pytest.mark.parametrize("tool", RUNS)
def test_neither_findings_nor_forecasts_keep_a_task_alive(tool: str) -> None:
    task = plain_task(lr=0.02)
    RUNS[tool](task)
    known = weakref.ref(task)
    found = BOARD.findings[0]
    assert found.task() is task
    del task
    gc.collect()
    assert known() is None and found.task() is None
    assert BOARD.forecast is None or BOARD.forecast.task() is None


# What they say


def applied(found: Finding, task: Task, name: str = "task") -> Task:
    """The task after the finding's code was run as a cell would."""
    namespace: dict[str, Any] = {name: task}
    exec(found.code(name), namespace)
    result: Task = namespace[name]
    return result


def test_the_code_of_a_sweep_s_finding_sets_the_suggested_rate() -> None:
    task = plain_task()
    curve = find_lr(task, progress=False)
    assert curve.suggestion is not None
    after = applied(BOARD.findings[0], task, "my_task")
    assert after is task and math.isclose(task.lr, curve.suggestion, rel_tol=0.05)
    assert float(BOARD.findings[0].lr) == task.lr


def test_the_code_of_a_limit_makes_a_task_with_that_batch_size() -> None:
    task = plain_task()
    limit = find_batch_size(task, max_batch_size=8, capacity="8 GB", measure_seconds=0, progress=False)
    after = applied(BOARD.findings[0], task)
    assert after is not task and after.samples_per_update == limit.batch_size == 8
    assert task.samples_per_update != 8 and after.model is task.model


def test_the_code_of_a_comparison_sets_both() -> None:
    task = plain_task(lr=0.1)
    duel = compare_batch_sizes(task, [8, 96], budget="20 epochs", lr="scaled", progress=False)
    assert duel.batch_size is not None and duel.lr is not None
    after = applied(BOARD.findings[0], task)
    assert after.samples_per_update == duel.batch_size and math.isclose(after.lr, duel.lr, rel_tol=0.05)


def test_a_result_without_an_answer_is_no_finding() -> None:
    task = plain_task()
    curve = find_lr(task, steps=10, lr_min=1e-9, lr_max=1e-8, progress=False)
    limit = find_batch_size(task, capacity=2**20, measure_seconds=0, progress=False)
    assert curve.suggestion is None and lr_finding(curve, task) is None
    assert limit.batch_size is None and limit_finding(limit, task) is None
    assert BOARD.findings == ()


def test_a_finding_names_all_models_of_a_task() -> None:
    models = {"one": torch.nn.Linear(4, 2), "two": torch.nn.Sequential(torch.nn.Linear(4, 2))}
    optimizers = {name: torch.optim.SGD(model.parameters(), lr=0.1) for name, model in models.items()}

    def update(models: Any, optimizers: Any, batch: Any) -> dict[str, Any]:
        losses = {name: functional.cross_entropy(model(batch[0]), batch[1]) for name, model in models.items()}
        for name, loss in losses.items():
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
        return losses

    task = Task(models, optimizers, None, plain_task().loader, update=update)
    find_lr(task, progress=False)
    assert [found.model for found in BOARD.findings] == ["Linear + Sequential"]


def test_a_limit_says_for_which_card_and_whether_it_was_measured() -> None:
    find_batch_size(plain_task(), max_batch_size=8, capacity="8 GB", measure_seconds=0, progress=False)
    find_batch_size(plain_task(), max_batch_size=8, progress=False)
    assert [found.detail.split(", ")[-1] for found in BOARD.findings] == ["measured", "predicted"]
    assert "8 GB" in BOARD.findings[1].detail


def test_a_limit_on_this_machine_says_what_the_next_size_would_need() -> None:
    task = plain_task()
    limit = find_batch_size(task, max_batch_size=8, progress=False)
    forecast = BOARD.forecast
    assert forecast is not None and forecast.task() is task
    assert (forecast.device, forecast.batch_size, forecast.next_batch_size) == ("host", 8, 16)
    assert forecast.has_run is limit.latest[-1].is_measured is True and forecast.does_fit
    assert isinstance(forecast.next_bytes, int) and forecast.next_bytes >= limit.estimate.peak_bytes(8)


def test_where_nothing_fits_the_next_size_is_one() -> None:
    task = plain_task()
    limit = find_batch_size(task, max_batch_size=8, measure_seconds=0, progress=False)
    tiny = type(limit).from_trials(
        [], settings=limit.settings, capacity_bytes=limit.capacity_bytes, estimate=limit.estimate
    )
    forecast = forecast_of(tiny, task)
    assert forecast is not None and (forecast.batch_size, forecast.next_batch_size) == (None, 1)
    assert not forecast.has_run


def test_a_limit_on_a_named_card_says_nothing_of_this_machine() -> None:
    task = plain_task()
    limit = find_batch_size(task, max_batch_size=8, capacity="8 GB", measure_seconds=0, progress=False)
    assert limit.estimate is not None and forecast_of(limit, task) is None and BOARD.forecast is None
    assert forecast_of(densenet(), task) is None  # and neither does one without an estimate


@pytest.mark.parametrize("strategy", ["estimate", "halve", "double"])
@pytest.mark.parametrize("trials", [0, 1, 3, 5])
def test_a_search_cut_short_anywhere_still_says_what_it_knows(strategy: Any, trials: int) -> None:
    task = plain_task()
    limit = find_batch_size(task, max_batch_size=8, measure_seconds=0, strategy=strategy, progress=False)
    shorter = type(limit).from_trials(
        limit.trials[:trials], settings=limit.settings, capacity_bytes=limit.capacity_bytes, estimate=limit.estimate,
        outcome="stopped",
    )  # fmt: skip
    found, forecast = limit_finding(shorter, task), forecast_of(shorter, task)
    assert forecast is not None and (found is None) is (shorter.batch_size is None)
    assert forecast.batch_size == shorter.batch_size and forecast.next_bytes > 0


def test_a_comparison_says_the_same_budget_while_it_runs_and_afterwards() -> None:
    details: set[str] = set()
    task = watched(lambda: details.update(job.detail for job in BOARD.jobs), lr=0.02)
    compare_batch_sizes(task, [8, 96], budget="5 epochs", progress=False)
    assert details == {"480 samples"} == {found.detail for found in BOARD.findings}
