"""The comparison without a browser: the messages it would send are given by hand, what it would draw is read."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import driver
import pytest
import torch
from driver import (
    PATIENCE_SECONDS,
    Gate,
    at_step,
    click,
    done,
    ended,
    fields,
    is_picture_kept,
    planned,
    said,
    session_of,
)
from tasks import blobs, everything, hard_task, plain_task

from nbtune.engine import Task
from nbtune.engine.comparison.settings import ComparisonSettings
from nbtune.widgets.comparison.widget import BatchComparison


def comparison_of(task: Task | None = None, batch_sizes: Any = (1, 8, 96), **changes: Any) -> BatchComparison:
    return BatchComparison(plain_task() if task is None else task, batch_sizes, **{"budget": "4 epochs", **changes})


def heads(widget: BatchComparison) -> list[str]:
    return [cell["text"] for cell in widget.contents["summary"]["head"][0][1:]]


def rows(widget: BatchComparison) -> dict[str, list[str]]:
    return {name["text"]: [cell["text"] for cell in cells] for name, *cells in widget.contents["summary"]["body"]}


def drawn(widget: BatchComparison, source: str, column: str = "x") -> list[float]:
    return driver.drawn(widget.plot, source, column)


def held(number: int = 40, **changes: Any) -> tuple[BatchComparison, Gate]:
    """A comparison under way that waits in a step."""
    gate = Gate()
    widget = click(comparison_of(at_step(number, gate), **changes), "start")
    assert gate.reached.wait(PATIENCE_SECONDS)
    return widget, gate


def test_an_idle_comparison_shows_its_settings_and_an_empty_table_that_is_the_legend() -> None:
    widget = comparison_of(seeds=3)
    assert widget.state == "idle" and widget.apply_label == ""
    assert (
        said(widget)
        == "Press Start. Your model is put back as it was afterwards. Data: 96 samples, batches of 32, shuffled."
    )
    shown = {name: widget.values[name] for name in ("batch_sizes", "lr", "budget", "seeds", "capacity")}
    assert shown == {"batch_sizes": "1, 8, 96", "lr": "fixed", "budget": "4 epochs", "seeds": "3", "capacity": ""}
    assert heads(widget) == ["■ k\u2009=\u20091", "● k\u2009=\u20098", "▲ k\u2009=\u200996"]
    assert set(rows(widget)["loss at the end"]) == {"–"}
    assert "the same weights" in widget.contents["lines"][0][0]


def test_defaults_are_shown_as_what_they_are_for_these_data() -> None:
    widget = BatchComparison(plain_task())
    assert (widget.values["batch_sizes"], widget.values["budget"]) == ("1, 8, 64, full", "5 epochs")
    large = torch.zeros(5000, 4), torch.zeros(5000, dtype=torch.long)
    widget = BatchComparison(plain_task(data=large))
    assert (widget.values["batch_sizes"], widget.values["budget"]) == ("1, 8, 64, 2048", "20\u202f000 samples")
    assert planned(widget) == ComparisonSettings()


def test_what_cannot_be_compared_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="k = 4096 is more than the data have"):
        BatchComparison(plain_task(), [1, 4096])
    with pytest.raises(ValueError, match="budget must be"):
        BatchComparison(plain_task(), budget="a while")


def test_start_trains_every_size_and_shows_the_answer_three_times() -> None:
    widget = done(comparison_of(seeds=2))
    found = widget.result
    assert [curve.batch_size for curve in found.by_batch_size] == [1, 8, 96] and found.outcome == "finished"
    assert widget.progress == {
        "fraction": 1.0, "text": "6 runs · 384 samples each", "short": "6 runs · 384 samples each", "kind": "done",
    }  # fmt: skip
    assert widget.apply_label == f"Apply k = {found.batch_size}"
    assert [f"k = {found.batch_size}", "answer"] in widget.sentence and said(widget).startswith(found.verdict)
    assert widget.plot.data["label"].startswith("Loss against samples")
    assert rows(widget)["updates per epoch"] == ["96", "12", "1"] and "–" not in rows(widget)["loss at the end"]


def test_a_run_leaves_the_task_as_it_was() -> None:
    task = hard_task()
    before = everything(task)
    done(comparison_of(task, [16, 32], budget="2 epochs", validation=blobs(32, 1)))
    assert everything(task) == before


def test_the_x_axis_changes_after_a_run_and_moves_points_only() -> None:
    widget = done(comparison_of())
    session, label, table, heights = session_of(widget), widget.apply_label, rows(widget), drawn(widget, "hit", "y")
    x = {"samples": drawn(widget, "hit")}
    for axis in ("updates", "seconds"):
        click(widget, "set", values={"axis": axis})
        x[axis] = drawn(widget, "hit")
        assert drawn(widget, "hit", "y") == heights
    assert len({tuple(values) for values in x.values()}) == 3
    assert (session_of(widget), widget.apply_label, rows(widget)) == (session, label, table)


def test_the_x_axis_changes_during_a_run_while_the_settings_are_locked() -> None:
    widget, gate = held()
    click(widget, "set", values={"axis": "updates", "batch_sizes": "2, 4"})
    assert widget.values["axis"] == "updates" and widget.values["batch_sizes"] == "1, 8, 96"
    assert "updates" in widget.plot.data["columns"]["words"]["x_title"][0]
    gate.opened.set()
    assert ended(widget).state == "done"
    assert "updates" in widget.plot.data["columns"]["words"]["x_title"][0]


def test_the_saved_picture_follows_once_the_reader_has_left() -> None:
    widget = done(comparison_of())
    assert is_picture_kept(widget)
    click(widget, "set", values={"axis": "seconds"})
    assert not is_picture_kept(widget)
    assert is_picture_kept(click(widget, "leave"))


def test_held_out_losses_are_drawn_when_asked_for() -> None:
    assert "held_out" not in fields(comparison_of())
    widget = done(comparison_of(validation=blobs(32, 1)))
    assert fields(widget)["held_out"]["live"] and drawn(widget, "held_out_low") == []
    click(widget, "set", values={"held_out": "on"})
    assert drawn(widget, "held_out_low")
    assert "–" not in rows(widget)["held-out loss"]


def test_a_click_on_the_head_of_a_column_selects_its_k() -> None:
    widget = done(comparison_of(batch_sizes=[1, 2, 4, 8, 16]))
    assert heads(widget)[0] == "■ 1"

    def picked() -> list[Any]:
        return [k for k, is_picked in widget.contents["summary"]["picks"] if is_picked]

    click(widget, "pick", name="summary", value=4)
    before = drawn(widget, "line_middle")
    assert picked() == [4]
    click(widget, "pick", name="summary", value=8)
    assert picked() == [8] and drawn(widget, "line_middle") != before
    click(widget, "pick", name="summary", value=8)
    assert picked() == []
    click(widget, "pick", name="curves", value=2.5)
    assert picked() == []


def test_stop_keeps_what_is_known_by_then() -> None:
    widget, gate = held()
    click(widget, "stop")
    assert widget.state == "stopping" and said(widget).startswith("Stopping.")
    gate.opened.set()
    assert ended(widget).state == "done" and widget.result.outcome == "stopped"
    assert widget.progress["text"].startswith("stopped after ") and "Stopped early." in said(widget)


def test_while_an_eta_is_looked_for_the_progress_and_the_sentence_say_so() -> None:
    gate = Gate()
    widget = click(comparison_of(at_step(150, gate), [8, 96], lr="found"), "start")
    assert gate.reached.wait(PATIENCE_SECONDS)
    while "step" not in said(widget):  # the session shows the last events from a thread of its own
        threading.Event().wait(0.02)
    assert widget.progress["text"].startswith("finding η for k = 8: step ")
    assert said(widget).startswith("Finding η for k = 8: step ") and said(widget).endswith(" of 100.")
    click(widget, "stop")
    gate.opened.set()
    ended(widget)
    assert widget.progress["text"] == "stopped while finding η for k = 8"
    assert said(widget).startswith("Stopped before there was a loss.") and widget.apply_label == ""


def test_a_mapping_of_rates_survives_the_fields() -> None:
    rates = {1: 0.01, 8: 0.05, 96: 0.2}
    widget = comparison_of(lr=rates)
    assert widget.values["lr"] == "given" and ["given", "given for each k"] in fields(widget)["lr"]["options"]
    done(widget, budget="2 epochs")
    assert widget.settings.lr == rates and [curve.lr for curve in widget.result.by_batch_size] == [0.01, 0.05, 0.2]
    done(widget, lr="0.03")
    assert {curve.lr for curve in widget.result.by_batch_size} == {0.03} and widget.values["lr"] == "0.03"
    done(widget, lr="given")
    assert widget.settings.lr == rates


def test_what_nobody_changed_keeps_its_value() -> None:
    widget = comparison_of(lr=0.0123456, target_loss=0.4, budget=200)
    assert (widget.values["lr"], widget.values["budget"]) == ("0.012", "200 samples")
    done(widget, seeds="2")
    assert widget.settings == ComparisonSettings(
        batch_sizes=(1, 8, 96), lr=0.0123456, target_loss=0.4, budget=200, seeds=2
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_sizes": "1, many"}, "“k” must be whole numbers and “full”"),
        ({"batch_sizes": "1, 500"}, "k = 500 is more than the data have"),
        ({"batch_sizes": "8, 8"}, "batch_sizes has 8 twice"),
        ({"lr": "fast"}, "“η” must be a number such as 0.05"),
        ({"lr": "-1"}, "lr must be a number above 0"),
        ({"budget": "0 s"}, "budget must be above 0"),
        ({"seeds": "two"}, "“seeds” must be a whole number"),
        ({"capacity": "a big one"}, "a big one"),
    ],
)
def test_a_setting_that_does_not_work_is_refused_and_nothing_is_lost(change: dict[str, str], words: str) -> None:
    widget = comparison_of()
    before = widget.settings
    click(click(widget, "set", values=change), "start", values=change)
    assert widget.state == "idle" and widget.settings == before
    assert widget.problem["title"] == "The settings do not work" and words in widget.problem["text"]
    assert widget.values.items() >= change.items()


def test_a_change_before_the_start_shows_its_columns_and_starts_nothing() -> None:
    widget = click(comparison_of(), "set", values={"batch_sizes": "2, full"})
    assert heads(widget) == ["■ k\u2009=\u20092", "▲ k\u2009=\u200996"] and session_of(widget) is None


def test_apply_gives_the_task_that_size_and_its_optimizer_that_rate() -> None:
    task = plain_task()
    widget = done(comparison_of(task, [8, 32], lr="scaled"))
    k, rate = widget.result.batch_size, widget.result.lr
    assert widget.apply_label.startswith(f"Apply k = {k}")
    click(widget, "apply")
    assert widget.task.batch_size == k and task.lr == rate and task.batch_size == 32
    assert said(widget).startswith(f"Applied: comparison.task now has batch_size={k}, its optimizer η = ")


def test_apply_is_taken_back() -> None:
    task = plain_task()
    widget = done(comparison_of(task, [8, 32], lr="scaled"))
    fields = widget.fields
    click(widget, "apply")
    assert widget.task is not task
    click(widget, "undo")
    assert widget.task is task and task.lr == 0.1 and widget.fields == fields and said(widget).startswith("Undone:")


def test_the_button_names_the_rate_where_it_is_another() -> None:
    widget = done(comparison_of(batch_sizes=[8], lr=0.05))
    assert widget.apply_label == "Apply k = 8, η = 0.05"


def test_where_every_run_diverged_a_smaller_rate_is_offered() -> None:
    def far_off(model: Any, batch: Any) -> torch.Tensor:
        return model(batch[0]).square().mean()

    widget = done(comparison_of(plain_task(lr=1e20, loss_fn=None, training_step=far_off)))
    assert widget.result.outcome == "diverged" and widget.apply_label == ""
    action = widget.suggestion_action
    assert action == {"label": "Try η = 1e19", "values": {"lr": "1e19"}}
    click(widget, "try", values=action["values"])
    assert ended(widget).settings.lr == 1e19


def test_where_the_loss_stayed_a_larger_budget_is_offered() -> None:
    widget = done(comparison_of(plain_task(lr=1e-9)))
    assert widget.suggestion_action == {"label": "Try 16 epochs", "values": {"budget": "16 epochs"}}


def test_an_error_of_the_model_is_quoted_and_nothing_is_left_changed() -> None:
    def fail() -> None:
        raise LookupError("no such embedding")

    widget = comparison_of(at_step(30, fail))
    before = everything(widget.task)
    assert ended(click(widget, "start")).state == "failed" and widget.result is None
    assert widget.problem["title"] == "Your model raised an error at k = 1"
    assert widget.problem["text"] == "LookupError: no such embedding"
    assert widget.progress["kind"] == "failed"
    assert said(widget) == "Failed. Model, optimizer and random state are as they were before Start."
    assert everything(widget.task) == before


def test_a_size_that_is_trained_alone_is_a_comparison_too() -> None:
    widget = done(comparison_of(batch_sizes=[8]))
    assert widget.progress["text"] == "1 run · 384 samples"


def test_await_starts_an_idle_comparison_and_gives_the_result() -> None:
    widget = comparison_of()

    async def cell() -> Any:
        return await widget

    assert asyncio.run(cell()) is widget.result is not None


def test_what_a_reader_should_know_besides_stands_behind_the_notes() -> None:
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*blobs()), 16)
    widget = done(comparison_of(plain_task(data=data), [8, 16], seeds=2))
    assert widget.notes == list(widget.result.caveats) and "does not shuffle" in widget.notes[0]
