"""The batch prober without a browser: the messages it would send are given by hand, what it would draw is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from driver import PATIENCE_SECONDS, Gate, click, done, ended, fields, is_picture_kept, said, session_of
from ipywidgets import Widget
from tasks import everything, hard_task, plain_task
from torch import nn
from torch.nn import functional

from nbtune.engine import Task
from nbtune.engine.memory.estimate import MemoryEstimate
from nbtune.widgets.batch_size import run as _prober_run
from nbtune.widgets.batch_size.prober import BatchProber


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_prober_run, "PLAYED_SECONDS", 0.0)
    yield
    Widget.close_all()


def image_task(react: Callable[[], Any] = lambda: None, **changes: Any) -> Task:
    """A small convolution on 32² images that calls ``react`` in each step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    data = torch.randn(64, 3, 32, 32), torch.randint(0, 8, (64,))

    def training_step(model: Any, batch: Any) -> torch.Tensor:
        react()
        return functional.cross_entropy(model(batch[0]), batch[1])

    given: dict[str, Any] = {"data": data, "training_step": training_step, **changes}
    return Task(model, torch.optim.AdamW(model.parameters()), **given)


def prober_of(task: Task | None = None, **changes: Any) -> BatchProber:
    given = {"capacity": "1 GB", "measure_seconds": 0, "max_batch_size": 64, **changes}
    return BatchProber(image_task() if task is None else task, **given)


def test_an_idle_prober_shows_its_settings_and_says_what_start_does() -> None:
    prober = prober_of()
    assert prober.state == "idle" and prober.apply_label == ""
    assert (prober.values["capacity"], prober.values["strategy"]) == ("1 GB", "estimate")
    assert (
        said(prober)
        == "Press Start. Your model is put back as it was afterwards. Data: 64 samples, batches of 32, shuffled."
    )


def test_images_may_be_halved_and_quartered_and_bring_a_view_of_their_own() -> None:
    prober = prober_of()
    assert [text for _, text in fields(prober)["image"]["options"]] == ["×1 · 32²", "½ · 16²", "¼ · 8²"]
    assert [name for name, _ in prober.modes] == ["k", "grid", "layers", "step", "fits"]
    flat = prober_of(plain_task())
    assert "image" not in fields(flat) and [name for name, _ in flat.modes] == ["k", "layers", "step", "fits"]


def test_the_first_card_is_the_one_at_hand_and_the_first_optimizer_the_tasks_own() -> None:
    here = fields(prober_of())
    assert here["capacity"]["options"][0] == ["", "this machine"]
    assert ["8 GB", "8 GB (named)"] in here["capacity"]["options"]
    assert here["optimizer"]["options"][0] == ["", "AdamW"]
    momentum = plain_task()
    momentum.optimizer.param_groups[0]["momentum"] = 0.9
    assert fields(prober_of(momentum))["optimizer"]["options"][0] == ["", "SGD with momentum"]


def test_the_list_of_cards_is_short_and_any_other_can_be_typed() -> None:
    prober = done(prober_of())
    field = fields(prober)["capacity"]
    assert len(field["options"]) <= 21 and field["other"] and "RTX 3080" in field["example"]
    click(prober, "set", values={"capacity": "geforce rtx 3080"})
    assert prober.result.capacity_name == "RTX 3080 10" and any("10 and 12 GB" in note for note in prober.notes)
    peaks = {trial.batch_size: trial.predicted_bytes for trial in prober.result.trials if not trial.is_measured}
    assert peaks == {k: prober.result.estimate.peak_bytes(k) for k in peaks}
    click(prober, "set", values={"capacity": "8 GB"})
    assert not any("10 and 12 GB" in note for note in prober.notes)
    assert "nearest" in click(prober, "set", values={"capacity": "RTX 3089"}).problem["text"]


def test_mixed_precision_is_float16_on_a_card_that_only_emulates_bfloat16() -> None:
    prober = prober_of()
    ended(click(prober, "start", values={"amp": "on", "capacity": "T4"}))
    assert prober.settings.amp is torch.float16 and not any("emulates" in note for note in prober.notes)


def test_start_predicts_every_size_and_shows_the_answer_three_times() -> None:
    prober = done(prober_of())
    k = prober.result.batch_size
    assert [trial.batch_size for trial in prober.result.latest] == [1, 2, 4, 8, 16, 32, 64]
    assert prober.apply_label == f"Apply k = {k}"
    assert [str(k), "answer"] in prober.sentence and said(prober).startswith(prober.result.verdict)
    assert f"{k} fits with" in prober.plots["bars"].data["label"]


def test_the_table_shows_what_takes_the_memory_at_the_recommended_size() -> None:
    prober = done(prober_of())
    table = prober.contents["parts"]
    assert table["head"][0][0]["text"] == f"k = {prober.result.batch_size}, predicted"
    assert [row[0]["text"] for row in table["body"]][0::8] == ["activations", "in all"]


def test_another_size_is_picked_by_its_bar_or_step_by_step() -> None:
    prober = done(prober_of())
    click(prober, "pick", name="bars", value=2.2)
    assert prober.contents["parts"]["head"][0][0]["text"] == "k = 4, predicted"
    click(prober, "pick", name="k", value=prober.contents["parts"]["head"][0][0]["steps"]["next"])
    assert prober.contents["parts"]["head"][0][0]["text"] == "k = 8, predicted"
    click(prober, "pick", name="bars", value=40)
    assert prober.contents["parts"]["head"][0][0]["text"] == "k = 8, predicted"


def test_a_run_leaves_the_task_as_it_was() -> None:
    task = hard_task()
    before = everything(task)
    done(prober_of(task, measure_seconds=1, max_batch_size=8))
    assert everything(task) == before


def test_real_steps_turn_bars_from_predicted_to_measured() -> None:
    prober = done(prober_of(measure_seconds=5, max_batch_size=4))
    assert any(trial.is_measured for trial in prober.result.latest)
    assert prober.plots["bars"].data["columns"]["measured"]["x"]


def test_another_card_judges_the_finished_run_anew_and_runs_nothing() -> None:
    prober = done(prober_of())
    session, before = session_of(prober), prober.result
    smallest = before.estimate.peak_bytes(1) / 2**30
    click(prober, "set", values={"capacity": f"{smallest / 2:.3f} GB"})
    assert session_of(prober) is session and prober.state == "done"
    assert prober.result.batch_size is None and prober.apply_label == ""
    assert said(prober).startswith("Not even k = 1 fits: it needs")
    click(prober, "set", values={"capacity": "1 GB"})
    assert prober.result.batch_size == before.batch_size


def test_a_card_that_is_none_is_told_in_words() -> None:
    prober = click(prober_of(), "start", values={"capacity": "a big one"})
    assert prober.state == "idle" and prober.problem["title"] == "The settings do not work"
    prober = click(done(prober_of()), "set", values={"capacity": "a big one"})
    assert "a big one" in prober.problem["text"] and prober.state == "done"
    assert click(prober, "set", values={"capacity": "2 GB"}).problem is None


@pytest.mark.parametrize("change", [{"image": "16"}, {"optimizer": "SGD"}, {"amp": "on"}, {"checkpointing": "on"}])
def test_another_setting_after_a_run_predicts_again_by_itself(change: dict[str, str]) -> None:
    prober = done(prober_of(measure_seconds=1, max_batch_size=8))
    before = prober.result
    ended(click(prober, "set", values=change))
    assert prober.state == "done" and prober.result is not before
    assert prober.result.settings.measure_seconds == 0 and prober.settings.measure_seconds == 1
    assert not any(trial.is_measured for trial in prober.result.trials)


def test_before_a_run_a_change_starts_nothing() -> None:
    prober = click(prober_of(), "set", values={"amp": "on"}, mode="layers")
    assert prober.state == "idle" and session_of(prober) is None and prober.values["amp"] == "on"


def test_mixed_precision_is_planned_by_a_switch_and_taken_back_by_it() -> None:
    prober = prober_of()
    ended(click(prober, "start", values={"amp": "on"}))
    assert prober.settings.amp is torch.bfloat16
    ended(click(prober, "set", values={"amp": ""}))
    assert prober.settings.amp is False
    assert prober_of(image_task(amp=torch.bfloat16)).values["amp"] == "on"


def test_the_view_of_image_sizes_sweeps_them_once_and_keeps_the_result() -> None:
    prober = done(prober_of())
    limit = prober.result
    ended(click(prober, "set", mode="grid"))
    assert prober.state == "done" and prober.result is limit
    assert prober.grid is not None and len(prober.contents["grid"]["body"]) == len(prober.grid.rows)
    assert said(prober).startswith(prober.grid.verdict)
    session = session_of(prober)
    click(click(prober, "set", mode="layers"), "set", mode="grid")
    assert session_of(prober) is session


def test_start_in_the_view_of_image_sizes_gives_both_results() -> None:
    prober = click(prober_of(), "set", mode="grid")
    done(prober)
    assert prober.result.batch_size is not None and prober.grid is not None
    cells = prober.contents["grid"]["body"][-1]
    assert all("GiB, " in cell["spoken"] for cell in cells if "spoken" in cell)


def test_the_layers_are_told_in_a_sentence_and_a_table() -> None:
    prober = click(done(prober_of()), "set", mode="layers")
    assert "outweigh" in said(prober)
    kinds = [row[0]["text"] for row in prober.contents["layers"]["body"]]
    assert "convolution" in kinds and "normalisation" in kinds


def test_one_step_is_told_in_a_sentence_and_drawn() -> None:
    prober = click(done(prober_of()), "set", mode="step")
    timeline = prober.result.estimate.timeline(prober.result.batch_size)
    assert f"in use at the peak with k = {prober.result.batch_size}. {timeline.where}" in said(prober)


def fits_prober(wanted: str = "1024") -> BatchProber:
    prober = prober_of(image_task(data=(torch.randn(1024, 3, 32, 32), torch.zeros(1024).long())), capacity="850 MB")
    return click(prober, "set", mode="fits", values={"wanted": wanted})


def test_the_view_of_changes_says_what_makes_a_size_fit() -> None:
    prober = done(fits_prober())
    found = prober.found
    assert found is not None and found.batch_size == 1024 and found.outcome == "finished"
    assert said(prober).startswith(found.verdict) and ["k = 1024", "answer"] in prober.sentence
    rows = prober.contents["changes"]["body"]
    assert [row[0]["text"] for row in rows] == [change.name or "as it is" for change in found.changes]
    assert [row[0]["text"] for row in rows if "chosen" in row[0]["style"]] == [found.smallest.name]  # type: ignore[union-attr]
    assert all(row[2]["bar"]["line"] == rows[0][2]["bar"]["line"] for row in rows)


def test_after_a_search_the_view_of_changes_goes_on_from_its_prediction() -> None:
    prober = done(prober_of(capacity="832 MB"))
    limit = prober.result
    ended(click(prober, "set", mode="fits"))
    assert prober.result is limit and prober.found is not None
    session = session_of(prober)
    click(click(prober, "set", mode="k"), "set", mode="fits")
    assert session_of(prober) is session
    ended(click(prober, "set", values={"wanted": "16"}))
    assert prober.found.batch_size == 16


def test_a_change_of_the_table_is_tried_by_its_button() -> None:
    prober = done(fits_prober())
    rows = prober.contents["changes"]["body"]
    place, pick = next(
        (place, row[-1]["pick"]) for place, row in enumerate(rows) if row[0]["text"] == "mixed precision"
    )
    assert pick == {"name": "changes", "value": place}
    ended(click(prober, "pick", **pick))
    assert prober.mode == "k" and prober.values["amp"] == "on" and prober.settings.amp is torch.bfloat16
    assert prober.result.estimate.plan.amp is torch.bfloat16


def test_accumulation_is_applied_to_a_new_task() -> None:
    prober = done(fits_prober())
    found, found_task = prober.found, prober.task
    assert found is not None and found.smallest is not None
    assert found.smallest.accumulate > 1
    assert prober.apply_label == f"Apply {found.smallest.accumulate} × {found.smallest.batch_size}"
    click(prober, "apply")
    assert (prober.task.batch_size, prober.task.accumulate) == (found.smallest.batch_size, found.smallest.accumulate)
    assert f"accumulate={found.smallest.accumulate}" in said(prober)
    click(prober, "undo")
    assert prober.task is found_task and said(prober).startswith("Undone:")


def test_applying_twice_sets_the_same_again_and_what_follows_is_judged_anew() -> None:
    prober = done(fits_prober())
    click(click(prober, "apply"), "apply")
    first = prober.found.smallest  # type: ignore[union-attr]
    assert prober.task.accumulate == first.accumulate  # type: ignore[union-attr]
    before = prober.result
    ended(click(prober, "start"))
    assert prober.result is not before and prober.result.estimate.task is prober.task


def test_where_no_change_can_be_estimated_that_is_a_sentence() -> None:
    def step(model: Any, batch: Any) -> torch.Tensor:
        images = torch.from_numpy(batch[0].numpy().copy())  # numbers, which only real steps have
        return nn.functional.cross_entropy(model(images), batch[1])

    task = image_task(loss_fn=None, training_step=step)
    prober = done(click(prober_of(task, capacity="1 GB"), "set", mode="fits"))
    assert prober.result.estimate.method == "real steps" and prober.found is None
    assert said(prober).startswith("No change can be estimated: this model was traced in real steps")


def test_what_a_step_takes_is_worked_out_only_where_it_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    whole = MemoryEstimate.timeline
    monkeypatch.setattr(MemoryEstimate, "timeline", lambda self, k: asked.append(k) or whole(self, k))
    prober = done(prober_of())
    assert not asked
    click(prober, "set", mode="step")
    assert asked == [prober.result.batch_size]


def words_task() -> Task:
    model = nn.Sequential(nn.Embedding(50, 16), nn.Linear(16, 50), nn.Flatten(0, 1))
    words = torch.zeros(64, 32).long()

    def loss_fn(scores: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(scores, words.flatten())

    return Task(model, torch.optim.AdamW(model.parameters()), loss_fn, (words, words))


def test_sequences_may_be_halved_and_quartered() -> None:
    prober = prober_of(words_task())
    assert [text for _, text in fields(prober)["tokens"]["options"]] == ["×1 · 32", "½ · 16", "¼ · 8"]
    assert "tokens" not in fields(prober_of())
    ended(click(prober, "start", values={"tokens": "16"}))
    assert prober.result.estimate.sequence_length == 16
    assert "for sequences of 16" in said(click(prober, "apply"))


def test_an_evaluation_has_larger_batches_and_nothing_of_it_is_applied() -> None:
    prober = done(prober_of())
    trained = prober.result
    ended(click(prober, "set", values={"evaluation": "on"}))
    assert not prober.result.estimate.plan.is_training and "an evaluation" in said(prober)
    assert trained.estimate.peak_bytes(4096) > prober.result.estimate.peak_bytes(4096)
    task = prober.task
    assert prober.apply_label == "" and click(prober, "apply").task is task
    ended(click(prober, "set", mode="fits"))
    assert prober.found is not None and prober.result.estimate.plan.is_training
    ended(click(prober, "set", mode="k"))  # where the switch is seen again, and on
    assert prober.values["evaluation"] == "on" and not prober.result.estimate.plan.is_training
    ended(click(prober, "set", mode="grid"))
    assert prober.grid is not None and prober.result.estimate.plan.is_training


@pytest.mark.parametrize("wanted", ["", "0", "-3", "many", "2.5", "9" * 12])
def test_a_wanted_size_that_is_none_is_told_in_words(wanted: str) -> None:
    prober = click(fits_prober(wanted), "start")
    assert prober.state == "idle" and prober.problem is not None
    assert f"“k wanted” must be a whole number ≥ 1 and ≤ 10⁹, not “{wanted}”" in prober.problem["text"]


def test_while_it_runs_settings_are_locked_and_the_view_may_change() -> None:
    gate = Gate()
    prober = click(prober_of(image_task(gate)), "start")
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(prober, "set", values={"capacity": "2 GB"}, mode="layers")
    assert prober.values["capacity"] == "1 GB" and prober.mode == "layers"
    gate.opened.set()
    assert ended(prober).result.settings.capacity == "1 GB"


def test_stop_keeps_what_is_known_by_then() -> None:
    gate = Gate()
    prober = click(prober_of(image_task(gate)), "start")
    assert gate.reached.wait(PATIENCE_SECONDS)
    click(prober, "stop")
    assert prober.state == "stopping"
    gate.opened.set()
    assert ended(prober).state == "done" and prober.result.outcome == "stopped"
    assert said(prober).startswith("Stopped")


def test_apply_makes_a_task_with_the_size_and_says_how_to_use_it() -> None:
    data = torch.utils.data.TensorDataset(torch.randn(512, 3, 32, 32), torch.randint(0, 8, (512,)))
    task = image_task(data=torch.utils.data.DataLoader(data, 16))
    prober = click(done(prober_of(task)), "apply")
    k = prober.result.batch_size
    assert (task.batch_size, prober.task.batch_size) == (16, k)
    assert said(prober).startswith(f"Applied: prober.task now has batch_size={k}; train on prober.task.loader.")


def test_apply_says_what_else_was_planned() -> None:
    prober = prober_of()
    ended(click(prober, "start", values={"image": "16", "optimizer": "SGD", "checkpointing": "on"}))
    assert "for images of 16², SGD, gradient checkpointing: set that in" in said(click(prober, "apply"))


def test_a_loader_that_cannot_be_rebuilt_says_why() -> None:
    batches = [(torch.randn(8, 3, 32, 32), torch.randint(0, 8, (8,)))] * 4
    prober = click(done(prober_of(image_task(data=batches))), "apply")
    assert said(prober).startswith("Not applied:") and "DataLoader" in said(prober)


def test_an_error_of_the_model_is_quoted_and_nothing_is_left_changed() -> None:
    def fail() -> None:
        raise LookupError("no such embedding")

    prober = prober_of(image_task(fail))
    before = everything(prober.task)
    assert ended(click(prober, "start")).state == "failed" and prober.result is None
    assert prober.problem["title"] == "Your model raised an error during the prediction"
    assert prober.problem["text"] == "LookupError: no such embedding"
    assert said(prober) == "Failed. Model, optimizer and random state are as they were before Start."
    assert everything(prober.task) == before


@pytest.mark.parametrize("strategy", ["halve", "double"])
def test_without_a_gpu_a_strategy_is_played_and_said_to_be(strategy: str) -> None:
    prober = prober_of(strategy=strategy, capacity="1 GB")
    assert any("played" in text for _, text in prober.contents["key"])
    done(prober)
    assert "played" in said(prober) and any(trial.why.startswith("played") for trial in prober.result.trials)


def test_what_the_prediction_does_not_know_stands_behind_the_notes() -> None:
    prober = done(prober_of())
    assert prober.notes == list(prober.result.caveats)


def test_await_starts_an_idle_prober_and_gives_the_result() -> None:
    prober = prober_of()

    async def cell() -> Any:
        return await prober

    assert asyncio.run(cell()) is prober.result is not None


def test_the_saved_picture_follows_once_the_reader_has_left() -> None:
    prober = done(prober_of())
    assert is_picture_kept(prober)
    click(prober, "set", values={"capacity": "2 GB"})
    assert not is_picture_kept(prober)
    assert is_picture_kept(click(prober, "leave"))
