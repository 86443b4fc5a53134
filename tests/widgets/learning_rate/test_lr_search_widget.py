"""The learning-rate finder over batch sizes and data orders, and its theory switch, without a browser."""

from __future__ import annotations

from typing import Any

import driver
import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, at_step, click, ended, said, wait_for
from tasks import adversaries, everything, hard_task, plain_task

from nbtune.engine import LRCurve, LRSettings
from nbtune.engine.learning_rate import search as lr_search
from nbtune.engine.learning_rate.by_batch_size import LRByBatchSize
from nbtune.engine.learning_rate.by_optimizer import LRByOptimizer
from nbtune.formats import format_lr
from nbtune.widgets import LRFinder


def drawn(finder: LRFinder, plot: str, source: str, column: str = "x") -> list[float]:
    return driver.drawn(finder.plots[plot], source, column)


def finished(finder: LRFinder) -> Any:
    return ended(finder).result


def said_in_all(finder: LRFinder) -> str:
    """Its sentence, and the notes behind it."""
    return " ".join([said(finder), *finder.notes])


# Theory


def test_the_theory_is_drawn_and_said_unless_it_is_switched_off() -> None:
    finder = LRFinder(plain_task())
    assert finder.values["theory"] == "on"
    finder.start()
    curve = finished(finder)
    assert drawn(finder, "scores", "theory") == [curve.curvature.limit_lr] and "2/λmax ≈ " in said_in_all(finder)
    click(finder, "set", values={"theory": ""})
    assert drawn(finder, "scores", "theory") == [] and "λmax" not in said_in_all(finder)
    click(finder, "set", values={"theory": "on"})
    assert drawn(finder, "scores", "theory") == [curve.curvature.limit_lr] and finder.result is curve


@pytest.mark.parametrize(("mode", "plot"), [("race", "scores"), ("quick", "plot")])
def test_switched_on_later_it_is_estimated_without_training_again(mode: str, plot: str) -> None:
    task = hard_task()
    before = everything(task)
    finder = LRFinder(task, mode=mode, curvature=False)
    assert finder.values["theory"] == ""
    finder.start()
    curve = finished(finder)
    assert curve.curvature is None and drawn(finder, plot, "theory") == []
    progress, label = finder.progress, finder.apply_label
    click(finder, "set", values={"theory": "on"})
    later = finished(finder)
    assert everything(task) == before and finder.state == "done"
    assert later.steps == curve.steps and later.suggestion == curve.suggestion and later.curvature is not None
    assert drawn(finder, plot, "theory") == [later.curvature.limit_lr] and "λmax" in said_in_all(finder)
    assert (finder.progress, finder.apply_label) == (progress, label)
    finder.start()
    assert len(finished(finder).steps) == len(curve.steps)


def test_an_estimate_that_fails_is_said_beside_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(lr_search, "measured", fails)
    finder = LRFinder(plain_task())
    finder.start()
    curve = finished(finder)
    assert finder.state == "done" and curve.suggestion is not None and finder.apply_label
    assert "No 2/λmax: the estimate raised RuntimeError: no such kernel." in finder.notes


def test_a_stopped_search_has_no_theory() -> None:
    gate = Gate()
    finder = LRFinder(at_step(40, gate))
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    finder.stop()
    gate.opened.set()
    assert finished(finder).curvature is None
    words = finder.progress["text"]
    assert words.startswith("stopped after")
    click(finder, "set", values={"theory": ""})
    click(finder, "set", values={"theory": "on"})
    assert finished(finder).curvature is not None and finder.progress["text"] == words


def test_where_there_is_no_one_loss_no_theory_is_looked_for_unasked() -> None:
    assert LRFinder(adversaries()).values["theory"] == ""


def test_a_short_sweep_is_joined_by_none_unasked() -> None:
    assert LRFinder(plain_task(), mode="quick", steps=20).values["theory"] == ""
    assert LRFinder(plain_task(), mode="quick", steps=20, curvature=True).values["theory"] == "on"


# Several batch sizes


def test_batch_sizes_are_a_mode_with_fields_of_its_own() -> None:
    task = plain_task()
    finder = LRFinder(task)
    assert finder.values["batch_sizes"] == "8, 32, 96"
    click(finder, "set", mode="sizes")
    assert {"curves", "moves"} <= set(finder.plots)
    click(finder, "start", mode="sizes", values={**finder.values, "batch_sizes": "16 4; 32"})
    result = finished(finder)
    assert isinstance(result, LRByBatchSize) and list(result.curves) == [4, 16, 32]
    assert finder.values["batch_sizes"] == "4, 16, 32" and finder.mode == "sizes"
    assert said(finder).startswith(f"{result.verdict}. Suggested: ")
    assert finder.progress["text"].endswith("3 batch sizes · finished") and finder.progress["fraction"] == 1
    suggestions = {s: drawn(finder, "moves", f"marks_{s}", "y") for s in ("low", "middle", "high")}
    assert [lr for found in suggestions.values() for lr in found] == [lr for lr in result.suggestions.values() if lr]
    click(finder, "set", mode="race")
    assert said(finder).startswith("Press Start")


def test_the_rate_of_the_tasks_own_batch_size_can_be_applied() -> None:
    task = plain_task()
    finder = LRFinder(task, batch_sizes=[8, 32])
    assert finder.mode == "sizes"
    finder.start()
    result = finished(finder)
    assert finder.apply_label.startswith("Apply η = ")
    click(finder, "apply")
    assert task.lr == result.suggestions[32]
    other = LRFinder(task, batch_sizes=[8, 16])
    other.start()
    finished(other)
    assert other.apply_label == ""


def test_sweeps_over_batch_sizes_where_the_finder_was_made_for_sweeps() -> None:
    finder = LRFinder(plain_task(), mode="quick", batch_sizes=[8, 32])
    finder.start()
    assert all(curve.settings.mode == "quick" for curve in finished(finder).curves.values())
    click(finder, "start", mode="race", values=finder.values)
    assert finished(finder).settings.batch_sizes == ()
    click(finder, "start", mode="sizes", values=finder.values)
    assert finished(finder).settings.mode == "quick"


@pytest.mark.parametrize("text", ["", "a few", "16, -4", "2.5"])
def test_a_text_that_is_no_list_of_batch_sizes_is_told(text: str) -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", mode="sizes", values={**finder.values, "batch_sizes": text})
    assert finder.problem is not None and "whole numbers such as 16, 64, 256" in finder.problem["text"]


def test_too_large_a_batch_size_is_told_and_the_fields_keep_what_was_typed() -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", mode="sizes", values={**finder.values, "batch_sizes": "8, 1000"})
    assert finder.problem is not None and "k = 1000 is more than the data have: 96 samples" in finder.problem["text"]
    assert finder.values["batch_sizes"] == "8, 1000"


# Several orders of the data


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_several_orders_are_one_answer_with_a_band(mode: str) -> None:
    finder = LRFinder(plain_task(), mode=mode)
    click(finder, "start", mode=mode, values={**finder.values, "repeats": "3"})
    curve = finished(finder)
    assert len(curve.orders) == 3 and curve.settings == LRSettings(mode=mode, repeats=3, curvature=True)
    plot = "scores" if mode == "race" else "plot"
    assert drawn(finder, plot, "order_ticks") == [o.suggestion for o in curve.orders if o.suggestion is not None]
    assert "3 data orders" in said(finder) and "3 data orders" in finder.progress["text"]


def test_while_the_second_order_runs_it_is_said() -> None:
    gate = Gate()
    # 269 steps are a whole race with its control.
    finder = LRFinder(at_step(300, gate), repeats=2)
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS) and wait_for(lambda: "data order 2 of 2" in finder.progress["text"])
    gate.opened.set()
    assert len(finished(finder).orders) == 2


# The length of the training


def test_how_long_the_training_will_be_moves_the_answer_without_a_run() -> None:
    finder = LRFinder(plain_task())
    assert finder.values["train_steps"] == "" and finder.code == {}
    finder.start()
    curve = finished(finder)
    before = curve.suggestion
    assert finder.code == {}
    click(finder, "set", values={"train_steps": "3,000"})
    curve = finder.result
    assert finder.state == "done" and curve.settings.train_steps == 3000 == finder.settings.train_steps
    assert 0 < curve.suggestion < before and f"{curve.suggestion:.2g}" in finder.apply_label
    assert finder.code["text"] == curve.schedule().code and "3\u202f000 steps" in finder.code["title"]
    finder.start()
    assert finished(finder).settings.train_steps == 3000 and finder.code
    click(finder, "set", values={"train_steps": ""})
    assert finder.result.settings.train_steps is None and finder.code == {}


@pytest.mark.parametrize("text", ["long", "0", "-3", "1e3", "3.5"])
def test_a_length_that_is_none_is_told_and_the_answer_stays(text: str) -> None:
    finder = LRFinder(plain_task(), mode="quick", steps=20, curvature=False)
    finder.start()
    curve = finished(finder)
    click(finder, "set", values={"train_steps": text})
    assert finder.result == curve and said(finder).startswith("Not read anew: ") and "train" in said(finder)
    click(finder, "start", values={**finder.values, "train_steps": text})
    assert finder.problem is not None and "train" in finder.problem["text"]


def test_a_length_typed_before_the_run_or_while_it_goes_on_is_that_of_its_answer() -> None:
    gate = Gate()
    finder = LRFinder(at_step(60, gate), train_steps=500)
    assert finder.values["train_steps"] == "500"
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(finder, "set", values={"train_steps": "5000"})
    gate.opened.set()
    assert finished(finder).settings.train_steps == 5000


def test_a_length_typed_in_another_mode_is_drawn_and_told_when_the_answer_is_in_sight_again() -> None:
    finder = LRFinder(plain_task(), train_steps=100)
    finder.start()
    finished(finder)
    click(finder, "set", values={"train_steps": "9000"})
    drawn_at_once, told = everything_drawn(finder), said(finder)
    click(finder, "set", values={"train_steps": "100"})
    assert everything_drawn(finder) != drawn_at_once
    click(finder, "set", mode="quick")
    click(finder, "set", values={"train_steps": "9000"})
    click(finder, "set", mode="race")
    assert (everything_drawn(finder), said(finder)) == (drawn_at_once, told)


def everything_drawn(finder: LRFinder) -> str:
    """The rows of a race's plot."""
    plot = finder.plots["scores"]
    return str({**plot.data["columns"], **plot.since.get("columns", {})})


def test_a_length_that_is_none_does_not_hide_what_failed() -> None:
    finder = LRFinder(hard_task().with_(loss_fn=lambda outputs, targets: outputs.nonsense))
    finder.start()
    ended(finder)
    problem, sentence = finder.problem, said(finder)
    click(finder, "set", values={"train_steps": "long"})
    assert finder.state == "failed" and (finder.problem, said(finder)) == (problem, sentence)


def test_over_batch_sizes_the_length_counts_too() -> None:
    finder = LRFinder(plain_task(), batch_sizes=[8, 32])
    finder.start()
    before = finished(finder)
    click(finder, "set", values={"train_steps": "9000"})
    assert isinstance(finder.result, LRByBatchSize) and finder.code == {}
    for k, lr in finder.result.suggestions.items():
        assert lr is not None and lr < (before.suggestions[k] or 0)


# Optimizers


def test_optimizers_are_a_mode_with_fields_and_plots_of_its_own() -> None:
    task = plain_task()
    finder = LRFinder(task)
    before = everything(task)
    click(finder, "set", mode="optimizers")
    assert finder.values["optimizers"] == "AdamW" and {"valleys", "courses"} <= set(finder.plots)
    finder.start()
    result = finished(finder)
    assert everything(task) == before
    assert isinstance(result, LRByOptimizer) and list(result.curves) == ["SGD (yours)", "AdamW"]
    assert said(finder).startswith(result.verdict) and "2 optimizers" in finder.progress["text"]
    assert finder.apply_label == f"Apply η = {format_lr(result.suggestions['SGD (yours)'])}"
    ends = [drawn(finder, "courses", f"marks_{slot}") for slot in ("low", "high")]
    assert [len(xs) for xs in ends] == [1, 1] and drawn(finder, "valleys", "line_low")
    assert (finder._picture() or b"").startswith(b"\x89PNG")


def test_the_winners_code_is_offered_and_another_length_is_read_anew() -> None:
    finder = LRFinder(plain_task(), optimizers=["Adam"])
    assert finder.mode == "optimizers"
    finder.start()
    result = finished(finder)
    assert finder.code.get("text", "") == ("" if result.best is None else result.code(result.best))
    click(finder, "set", values={"train_steps": "5000"})
    assert finder.result.suggestions["Adam"] < result.suggestions["Adam"]


def test_code_is_offered_for_one_that_is_ahead_beyond_doubt_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = LRFinder(plain_task(), optimizers=["Adam"])
    finder.start()
    own = finished(finder).own
    for steps, best in (("3000", None), ("4000", "Adam"), ("5000", own)):
        monkeypatch.setattr(LRByOptimizer, "best", property(lambda self, best=best: best))
        click(finder, "set", values={"train_steps": steps})  # it is told anew
        assert finder.code.get("text", "") == (finder.result.code("Adam") if best == "Adam" else "")
    assert finder.result.code("Adam")


def test_an_optimizer_made_by_the_reader_keeps_its_maker_in_every_mode() -> None:
    made: list[int] = []

    def mine(groups: Any) -> torch.optim.Optimizer:
        made.append(1)
        return torch.optim.SGD(groups, momentum=0.5)

    finder = LRFinder(plain_task(), optimizers={"mine": mine})
    assert finder.values["optimizers"] == "mine"
    click(finder, "start", values={**finder.values}, mode="race")
    assert isinstance(finished(finder), LRCurve)
    made.clear()
    click(finder, "start", values={**finder.values, "optimizers": "mine, Adam"}, mode="optimizers")
    assert list(finished(finder).curves) == ["SGD (yours)", "mine", "Adam"] and made


def test_names_with_commas_and_brackets_stand_in_the_field() -> None:
    given = {
        "SGD(momentum=0.9, nesterov=True)": torch.optim.SGD,
        "<b>, mine": torch.optim.Adam,
        "mine": torch.optim.NAdam,
    }
    finder = LRFinder(plain_task(), optimizers=given)
    finder.start()
    assert list(finished(finder).curves)[1:] == list(given)
    click(finder, "start", values={**finder.values, "optimizers": " mine ,<b>, mine,, RAdam"})
    assert list(finished(finder).curves)[1:] == ["mine", "<b>, mine", "RAdam"]


def test_stopped_in_the_second_race_it_says_so_and_all_is_as_it_was() -> None:
    gate = Gate()
    task = at_step(300, gate)
    before = everything(task)
    finder = LRFinder(task, optimizers=["Adam", "RAdam"])
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(finder, "stop")
    gate.opened.set()
    result = finished(finder)
    assert everything(task) == before and result.outcome == "stopped"
    assert "Stopped before" in result.limit and result.suggestions["SGD (yours)"] is not None


@pytest.mark.parametrize(("text", "told"), [("", "must name an optimizer"), ("Adm", "known are Adam")])
def test_a_text_that_names_no_optimizer_is_told(text: str, told: str) -> None:
    finder = LRFinder(plain_task())
    click(finder, "start", values={**finder.values, "optimizers": text}, mode="optimizers")
    assert finder.problem is not None and told in finder.problem["text"]


def test_while_the_second_optimizer_runs_it_is_said() -> None:
    gate = Gate()
    finder = LRFinder(at_step(300, gate), optimizers=["Adam"])
    finder.start()
    assert gate.reached.wait(PATIENCE_SECONDS) and wait_for(lambda: "Adam (2 of 2)" in finder.progress["text"])
    gate.opened.set()
    assert list(finished(finder).curves) == ["SGD (yours)", "Adam"]
