"""What is to be said of a run besides its answer: one way, from whoever noticed to the result's caveats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

import driver
import pytest
import torch
from tasks import adversaries, everything, hard_task, plain_task
from torch import nn

from nbtune.engine import LRSettings, Task, find_lr
from nbtune.engine.comparison.run import train_batch_sizes
from nbtune.engine.comparison.settings import ComparisonSettings
from nbtune.engine.learning_rate import search as lr_search
from nbtune.engine.learning_rate.find import lr_result, with_small_print
from nbtune.engine.learning_rate.search import search_lr
from nbtune.engine.training import kept, room
from nbtune.engine.training.losses import MIXED
from nbtune.engine.training.notes import Notes, told
from nbtune.widgets import LRFinder

ON_DISK = "with a backup on disk: "


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(room, "LAST_BYTES", 0)


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little memory is free that a training step fits beside what is there, but no second model."""
    monkeypatch.setattr(room, "free_bytes", lambda device: 4000)


def on_disk(caveats: Any) -> int:
    return sum(ON_DISK in caveat for caveat in caveats)


# What the lack of memory has led to


@pytest.mark.parametrize("mode", ["race", "quick"])
@pytest.mark.parametrize("more", [{}, {"repeats": 2}, {"batch_sizes": (8, 16)}], ids=["one", "orders", "sizes"])
def test_a_search_that_is_stopped_says_what_the_lack_of_memory_has_led_to(
    little: None, mode: Any, more: dict[str, Any]
) -> None:
    task, settings = hard_task(), LRSettings(mode=mode, steps=12, rates=4, **more)
    with closing(search_lr(task, settings)) as run:
        events = list(islice(run, 9))
        assert on_disk(run.caveats) == 1
    result = with_small_print(lr_result(events, task, settings), run)
    assert on_disk(result.caveats) == 1 and repr(result).count(ON_DISK) == 1 and ON_DISK not in result.limit


def test_a_comparison_that_is_stopped_in_its_first_wave_says_it_too(little: None) -> None:
    with closing(train_batch_sizes(hard_task(), ComparisonSettings(batch_sizes=(8, 16), budget="200 samples"))) as run:
        events = list(islice(run, 2))
    assert on_disk(run.comparison(events).caveats) == 1  # type: ignore[arg-type]


def test_a_comparison_says_it_of_its_sweeps_for_a_rate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    task = hard_task()
    run = train_batch_sizes(task, ComparisonSettings(batch_sizes=(8, 16), budget="64 samples", lr="found"))
    monkeypatch.setattr(room, "free_bytes", lambda device: None if run.finding is None else 4000)
    with closing(run):
        events = [event for event in run if hasattr(event, "run")]
    assert on_disk(run.comparison(events).caveats) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["race", "quick"])
def test_the_finder_has_it_among_its_notes(little: None, mode: Any) -> None:
    finder = driver.done(LRFinder(hard_task(), mode=mode, steps=12, rates=4, curvature=False))
    caveats = list(finder.result.caveats)  # below what the answer's line has no room for
    assert on_disk(finder.notes) == 1 and finder.notes[-len(caveats) :] == caveats
    assert ON_DISK not in driver.said(finder)


# A later data order without memory


@pytest.mark.parametrize("mode", ["race", "quick"])
@pytest.mark.parametrize("how", ["an error at the first step", "an error later", "no room to begin"])
def test_a_later_order_without_memory_leaves_the_answer_of_those_before_it(
    monkeypatch: pytest.MonkeyPatch, mode: Any, how: str
) -> None:
    run: Any = None
    steps_of_second: list[int] = []

    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        if run is not None and run.at and how != "no room to begin":
            steps_of_second.append(1)
            if how == "an error at the first step" or len(steps_of_second) > 60:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return nn.functional.cross_entropy(output, targets)

    task = hard_task()
    task = Task(task.model, task.optimizer, loss_fn, task.loader)
    before = everything(task)
    settings = LRSettings(mode=mode, rates=4)
    alone = find_lr(task, settings, progress=False)
    twice = LRSettings(mode=mode, rates=4, repeats=3)
    if how == "no room to begin":
        monkeypatch.setattr(room, "free_bytes", lambda device: 100 if run is not None and run.at else None)
        monkeypatch.setattr(kept.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    run = search_lr(task, twice)
    with closing(run):
        curve = with_small_print(lr_result(run, task, twice), run)
    assert everything(task) == before and run.at == 1 and curve.outcome == "stopped"
    first = curve.orders[0] if curve.orders else curve
    assert first.losses == alone.losses and first.suggestion == alone.suggestion
    assert curve.suggestion == alone.suggestion or (curve.orders and curve.suggestion is not None)
    assert sum(caveat.startswith("Ended early: ") for caveat in curve.caveats) == 1


@pytest.mark.parametrize("changes", [{"repeats": 2}, {}])
def test_without_memory_for_the_first_order_nothing_is_known(changes: dict[str, Any]) -> None:
    def loss_fn(output: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with pytest.raises(torch.OutOfMemoryError):
        find_lr(plain_task(loss_fn=loss_fn), mode="quick", progress=False, **changes)


def test_a_search_that_ends_between_two_orders_was_stopped() -> None:
    task, settings = plain_task(), LRSettings(mode="quick", steps=12, repeats=2)
    with closing(search_lr(task, settings)) as run:
        events = list(islice(run, 12))
    curve = lr_result(events, task, settings)
    assert len(curve.steps) == 12 and curve.outcome == "stopped" and not curve.orders  # type: ignore[union-attr]


# Notes that grow while they are read


class Growing(set[str]):
    """A set to which another thread adds between any two looks at it."""

    def __iter__(self) -> Iterator[str]:
        for sentence in super().__iter__():
            self.add(f"{sentence}!")
            yield sentence


def test_notes_may_grow_while_they_are_told() -> None:
    notes = [Notes("your loss_fn", said=Growing({"one."})), Notes("your loss_fn", said=Growing({"two."}))]
    assert told(notes) == {"one.", "two."}


def test_skipped_batches_of_a_part_are_never_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A live view reads them at any moment, also while the next part begins."""
    seen: list[set[str]] = []
    calls: list[int] = []

    def training_step(model: nn.Module, batch: Any) -> torch.Tensor | None:
        calls.append(1)
        return None if len(calls) == 3 else nn.functional.cross_entropy(model(batch[0]), batch[1])

    run = search_lr(
        plain_task(loss_fn=None, training_step=training_step), LRSettings(mode="quick", steps=12, repeats=2)
    )
    begin = lr_search.sweep_lr

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(run.notes)
        begun = begin(*arguments, **named)
        seen.append(run.notes)
        return begun

    monkeypatch.setattr(lr_search, "sweep_lr", watched)
    for _ in run:
        pass
    skipped = "Batches for which your training_step returned None were skipped: 1 of"
    assert seen == [{f"{skipped} 13."}] * 2  # of the first part: twelve steps, and the one that was skipped
    assert run.notes == {f"{skipped} {len(calls)}."}


# Which optimizer goes which way


@pytest.mark.parametrize(("tuned", "is_said"), [("made", False), ("judge", True), (None, True)])
def test_groups_that_go_both_ways_are_told_of_the_optimizer_that_is_tuned(tuned: str | None, is_said: bool) -> None:
    gan = adversaries()
    gan.optimizers["judge"].param_groups[0]["maximize"] = True
    first, *others = gan.optimizers["judge"].param_groups[0]["params"]
    gan.optimizers["judge"].param_groups[0]["params"] = [first]
    gan.optimizers["judge"].add_param_group({"params": others, "lr": 2e-3, "maximize": False})
    curve = find_lr(gan, mode="quick", steps=12, optimizer=tuned, progress=False)
    assert (MIXED in curve.caveats) == is_said


def test_optimizers_that_go_each_its_own_way_are_mixed_only_together() -> None:
    gan = adversaries()
    gan.optimizers["judge"].param_groups[0]["maximize"] = True
    said = {name: find_lr(gan, mode="quick", steps=12, optimizer=name, progress=False) for name in ("made", None)}
    assert MIXED not in said["made"].caveats and MIXED in said[None].caveats
