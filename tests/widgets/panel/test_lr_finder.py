"""Widgets without a browser: the messages it would send are given by hand, and what it would draw is read."""

from __future__ import annotations

import _thread
import asyncio
import gzip
from collections.abc import Iterator
from typing import Any

import bokeh
import numpy as np
import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, at_step, click, ended, said, session_of
from ipywidgets import Widget
from tasks import blobs, everything, hard_task, plain_task
from torch.nn import functional

from nbtune.engine import Task
from nbtune.widgets import BokehPlot, LRFinder
from nbtune.widgets.learning_rate.acts import SearchAct
from nbtune.widgets.panel.bokeh_plot import BokehJS


def sweep_finder(task: Task, *args: Any, **changes: Any) -> LRFinder:
    return LRFinder(task, *args, **{"mode": "quick", **changes})


def test_an_idle_finder_shows_its_settings_and_says_what_start_does() -> None:
    finder = sweep_finder(plain_task(), lr_max=1.0)
    assert finder.state == "idle" and finder.apply_label == ""
    assert finder.values == {
        "lr_min": "1e-5", "lr_max": "1", "rates": "13", "steps": "100", "rules": "", "theory": "on", "repeats": "1",
        "batch_sizes": "8, 32, 96", "train_steps": "", "optimizers": "AdamW",
    }  # fmt: skip
    assert said(finder) == (
        "Press Start. Your model is put back as it was afterwards. Data: 96 samples, batches of 32, shuffled."
    )


def test_what_cannot_be_put_back_is_said_before_the_start() -> None:
    inputs, targets = blobs()
    finder = sweep_finder(plain_task(data=iter([(inputs, targets)] * 200)))
    assert "iterator" in said(finder)


def test_start_runs_a_sweep_and_shows_the_answer_three_times() -> None:
    finder = sweep_finder(plain_task())
    click(finder, "start", values=finder.values)
    curve = ended(finder).result
    assert finder.state == "done" and finder.problem is None
    assert finder.apply_label.startswith("Apply η = ")
    answer = finder.apply_label.removeprefix("Apply ")
    assert said(finder).startswith(f"Try {answer}: ") and [answer, "answer"] in finder.sentence
    assert f"Suggested {answer.removeprefix('η = ')}" in finder.plot.data["label"]
    assert len(curve.steps) / 100 == finder.progress["fraction"]


def test_every_step_is_drawn_and_travels_as_bytes() -> None:
    finder = sweep_finder(plain_task())
    finder.start()
    curve = ended(finder).result
    raw = finder.plot.data["columns"]["raw"]
    assert isinstance(raw["x"], bytes)
    assert np.frombuffer(raw["x"]).tolist() == list(curve.lrs)
    assert f"{len(curve.steps)} steps" in finder.plot.data["label"]


def test_a_run_leaves_the_task_as_it_was() -> None:
    task = hard_task()
    before = everything(task)
    finder = sweep_finder(task)
    finder.start()
    ended(finder)
    assert everything(task) == before


def test_apply_sets_the_rate_and_says_so() -> None:
    finder = sweep_finder(plain_task())
    click(finder, "apply")  # nothing to apply yet
    assert finder.task.lr == 0.1
    finder.start()
    click(ended(finder), "apply")
    assert finder.task.lr == finder.result.suggestion
    assert said(finder).startswith("Applied: the optimizer now uses η = ")


def test_apply_says_what_was_before_and_is_taken_back_bit_for_bit() -> None:
    task = hard_task()
    before = everything(task)
    finder = sweep_finder(task)
    click(finder, "undo")  # nothing to take back yet
    finder.start()
    click(ended(finder), "apply")
    assert everything(task) != before
    assert "before 0.001." in said(finder) and "Groups: 0.001 → " in said(finder) and ", 0.01 → " in said(finder)
    assert finder.suggestion_action == {"label": "Undo", "sends": "undo"}
    click(finder, "apply")  # a second one takes nothing of the first away
    click(finder, "undo")
    assert everything(task) == before and said(finder).startswith("Undone:") and finder.suggestion_action is None
    click(finder, "undo")
    assert everything(task) == before


def test_what_apply_did_before_a_run_is_not_taken_back_after_it() -> None:
    finder = sweep_finder(plain_task())
    finder.start()
    click(ended(finder), "apply")
    applied = finder.task.lr
    finder.start()
    ended(finder)
    assert finder.suggestion_action is None
    click(finder, "undo")
    assert finder.task.lr == applied


def test_a_rate_that_is_a_tensor_is_put_back_into_it() -> None:
    model = torch.nn.Linear(4, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=torch.tensor(0.25), foreach=False)
    held = optimizer.param_groups[0]["lr"]
    finder = sweep_finder(Task(model, optimizer, functional.cross_entropy, blobs()))
    finder.start()
    click(ended(finder), "apply")
    assert float(held) != 0.25
    click(finder, "undo")
    assert optimizer.param_groups[0]["lr"] is held and float(held) == 0.25


def test_apply_passes_on_what_the_engine_warns_of() -> None:
    finder = sweep_finder(plain_task())
    torch.optim.lr_scheduler.ConstantLR(finder.task.optimizer)
    finder.start()
    click(ended(finder), "apply")
    assert "scheduler" in said(finder)


def test_stop_keeps_the_steps_so_far() -> None:
    finder = sweep_finder(at_step(12, lambda: click(finder, "stop")))
    finder.start()
    ended(finder)
    assert finder.state == "done" and finder.result.outcome == "stopped"
    assert finder.progress["text"] == "stopped at step 12 of 100" and finder.progress["kind"] == "stopped"
    assert said(finder).startswith("Stopped before the loss rose: no suggestion yet.")


def test_a_stop_that_lands_when_the_run_has_ended_changes_nothing() -> None:
    finder = sweep_finder(plain_task())
    finder.start()
    session = session_of(ended(finder))
    names = ("result", "state", "sentence", "progress", "apply_label", "plot")
    shown = [getattr(finder, name) for name in names]
    drawn = finder.plot.data
    click(finder, "stop")
    click(finder, "stop")
    finder.stop()
    assert session_of(finder) is session and [getattr(finder, name) for name in names] == shown
    assert finder.plot.data == drawn


def test_a_stop_before_any_run_starts_none() -> None:
    finder = click(sweep_finder(plain_task()), "stop")
    assert finder.state == "idle" and session_of(finder) is None


def test_a_stop_while_the_end_is_drawn_leaves_a_finished_run_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    draw: Any = SearchAct.draw_end

    def stopped_meanwhile(act: SearchAct, *, is_stopped: bool) -> Any:
        click(finder, "stop")
        return draw(act, is_stopped=is_stopped)

    monkeypatch.setattr(SearchAct, "draw_end", stopped_meanwhile)
    finder = sweep_finder(plain_task())
    finder.start()
    assert ended(finder).state == "done" and finder.result.outcome != "stopped"
    assert finder.progress["kind"] == "done" and finder.apply_label


def test_stop_says_what_a_stuck_run_waits_for() -> None:
    gate = Gate()

    class Stuck(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, index: int) -> Any:
            if index == 63:
                gate()
            return torch.zeros(4), 0

    finder = sweep_finder(plain_task(data=torch.utils.data.DataLoader(Stuck(), 8)))
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(finder, "stop")
    assert finder.state == "stopping"
    assert said(finder) == (
        "Stopping. Waiting for the next batch from the data loader; nothing is put back until it returns."
    )
    gate.opened.set()
    assert ended(finder).state == "done" and len(finder.result.steps) == 8


def test_an_error_of_the_model_is_quoted_with_its_place_and_traceback() -> None:
    def fail() -> None:
        raise LookupError("no such embedding")

    finder = sweep_finder(at_step(3, fail))
    before = everything(finder.task)
    finder.start()
    ended(finder)
    assert finder.state == "failed" and isinstance(finder.error, LookupError) and finder.result is None
    assert finder.problem["title"] == "Your model raised an error at step 3"
    assert finder.problem["text"] == "LookupError: no such embedding"
    assert finder.problem["where"].startswith("Raised in fail, test_lr_finder.py, line ")
    assert "Traceback" in finder.problem["traceback"]
    assert finder.progress["text"] == "failed at step 3 of 100"
    assert said(finder) == "Failed. Model, optimizer and random state are as they were before Start."
    assert everything(finder.task) == before


def test_an_error_of_the_data_is_told_from_one_of_the_model() -> None:
    def batches() -> Iterator[Any]:
        yield from [blobs()] * 3
        raise OSError("the file is gone")

    finder = sweep_finder(plain_task(data=batches()))
    finder.start()
    assert ended(finder).problem["title"] == "Your data raised an error at step 4"


def test_the_engine_says_in_its_own_words_what_to_do() -> None:
    finder = sweep_finder(plain_task(loss_fn=lambda output, targets: functional.cross_entropy(output, targets).item()))
    finder.start()
    assert ended(finder).problem["title"] == "the loss must be a tensor, not float; leave .item() out"


def test_after_a_failure_start_runs_again() -> None:
    def fail() -> None:
        raise LookupError("once")

    finder = sweep_finder(at_step(3, fail))
    finder.start()
    click(ended(finder), "start")
    assert ended(finder).state == "done" and finder.problem is None and finder.error is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"lr_min": "tiny"}, "“η from” must be a number such as 1e-5, not “tiny”"),
        ({"lr_min": "20"}, "lr_min must be below lr_max, not 20 and 10"),
        ({"lr_max": "-1"}, "lr_max must be a number above 0, not -1.0"),
        ({"steps": "12.5"}, "“steps” must be a whole number such as 100, not “12.5”"),
    ],
)
def test_settings_that_do_not_work_are_told_in_words_and_nothing_runs(values: dict[str, str], words: str) -> None:
    finder = sweep_finder(plain_task())
    click(finder, "start", values=values)
    assert finder.state == "idle" and finder.result is None
    assert finder.problem["title"] == "The settings do not work" and finder.problem["text"] == words
    assert finder.values == {**finder.values, **values}
    with pytest.raises(ValueError, match="must be"):
        finder.start()


def test_the_text_in_the_fields_is_what_runs() -> None:
    finder = sweep_finder(plain_task())
    click(finder, "start", values={"lr_min": "1e-4", "lr_max": "0.5", "steps": " 20 "})
    settings = ended(finder).result.settings
    assert (settings.lr_min, settings.lr_max, settings.steps) == (1e-4, 0.5, 20)


def test_a_setting_that_nobody_typed_over_keeps_all_its_digits() -> None:
    finder = sweep_finder(plain_task(), lr_min=1.2345e-5, steps=20)
    click(finder, "start", values={**finder.values, "lr_max": "1"})
    assert ended(finder).result.settings.lr_min == 1.2345e-5


def test_without_a_clear_answer_there_is_a_button_for_what_to_try() -> None:
    finder = sweep_finder(plain_task(), lr_min=1e-9, lr_max=1e-6)
    finder.start()
    ended(finder)
    assert said(finder).startswith("No clear answer: the range is too low.")
    assert finder.apply_label == "" and finder.suggestion_action["label"] == "Try 1e-5 to 10"
    click(finder, "try", values=finder.suggestion_action["values"])
    assert ended(finder).result.settings.lr_max == 10 and finder.suggestion_action is None


def test_a_second_start_is_refused_and_a_second_click_does_nothing() -> None:
    gate = Gate()
    finder = sweep_finder(at_step(3, gate))
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    with pytest.raises(RuntimeError, match="is running"):
        finder.start()
    click(finder, "start", values={"steps": "50"})
    gate.opened.set()
    assert ended(finder).result.settings.steps == 100


def test_two_finders_on_one_model_do_not_run_at_once() -> None:
    gate = Gate()
    first = sweep_finder(at_step(3, gate))
    second = sweep_finder(first.task)
    first.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    second.start()
    assert "another nbtune run is using this model" in ended(second).problem["title"]
    gate.opened.set()
    assert ended(first).state == "done"


def test_await_starts_an_idle_finder_and_gives_the_result() -> None:
    finder = sweep_finder(plain_task())

    async def cell() -> Any:
        return await finder

    curve = asyncio.run(cell())
    assert curve is finder.result and asyncio.run(cell()) is curve


def test_await_raises_what_the_run_raised() -> None:
    def fail() -> None:
        raise LookupError("no such embedding")

    finder = sweep_finder(at_step(3, fail))

    async def cell() -> Any:
        return await finder

    with pytest.raises(LookupError):
        asyncio.run(cell())


def test_run_blocks_and_gives_the_result() -> None:
    finder = sweep_finder(plain_task())
    assert finder.run() is finder.result and finder.state == "done"


def test_an_interrupted_run_is_stopped_closed_and_keeps_its_result() -> None:
    finder = sweep_finder(at_step(12, _thread.interrupt_main), steps=5000, lr_max=1e-4)
    before = everything(finder.task)
    with pytest.raises(KeyboardInterrupt):
        finder.run()
    assert finder.state == "done" and finder.result.outcome == "stopped" and len(finder.result.steps) >= 12
    assert everything(finder.task) == before


def test_all_plots_of_a_kernel_share_one_bokehjs() -> None:
    one, two = sweep_finder(plain_task()).plot, sweep_finder(plain_task()).plot
    assert isinstance(one, BokehPlot) and one.bokehjs is two.bokehjs
    Widget.close_all()
    assert sweep_finder(plain_task()).plot.bokehjs is not one.bokehjs


def test_bokehjs_is_the_installed_one() -> None:
    shared = BokehJS.shared()
    assert shared.version == bokeh.__version__
    assert f'"{bokeh.__version__}"'.encode() in gzip.decompress(shared.gzipped)
