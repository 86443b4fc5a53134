"""Tasks with some arguments changed, of models without numbers too, and whose line a task's warning names."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tasks import blobs, plain_task
from torch import nn

import nbtune as nt
from nbtune.engine import Task
from nbtune.engine.small_print import collected
from nbtune.engine.task.order import exceeds_own
from nbtune.engine.task.task import NO_NUMBERS

CE = nn.functional.cross_entropy


def absent(**changes: Any) -> Task:
    """A task whose model is not there; what making it warns of is left out."""
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 512), nn.ReLU(), nn.Linear(512, 2))
    with collected():
        return Task(model, torch.optim.AdamW(model.parameters()), CE, blobs(512), **changes)


@pytest.fixture(autouse=True)
def warnings_are_errors() -> Any:
    """The apply of a task that has said what it is says no more."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 8}, {"amp": torch.bfloat16}, {"accumulate": 2, "batch_size": 4}, {"data": blobs(64)}, {}],
    ids=["batch_size", "amp", "accumulate", "data", "nothing"],
)
def test_a_task_whose_model_is_not_there_can_be_changed_and_warns_no_more(changes: dict[str, Any]) -> None:
    task = absent()
    other = task.with_(**changes)
    assert other.is_meta and other.model is task.model and other.device.type == "meta"
    assert other.batch_size == changes.get("batch_size", 32) and other.amp == changes.get("amp")
    assert other.with_(batch_size=2).batch_size == 2


def test_what_is_found_for_a_model_that_is_not_there_can_be_applied() -> None:
    task = absent()
    limit = nt.find_batch_size(task, capacity="1 GB", progress=False)
    assert limit.apply(task).batch_size == limit.batch_size
    fits = nt.what_fits(task, 792 * 2**20, batch_size=512, progress=False)
    changed = fits.apply(task)
    assert fits.smallest is not None and changed.batch_size == fits.smallest.batch_size and changed.is_meta


@pytest.mark.parametrize(
    "train",
    [
        lambda task: nt.find_lr(task, batch_sizes=(8, 16), progress=False),
        lambda task: nt.find_lr(task, repeats=2, progress=False),
        lambda task: nt.compare_batch_sizes(task, [8, 16], progress=False),
    ],
    ids=["batch_sizes", "repeats", "comparison"],
)
def test_whatever_trains_at_several_batch_sizes_says_that_there_are_no_numbers(train: Callable[[Task], Any]) -> None:
    with pytest.raises(ValueError, match="holds no numbers, so it cannot be trained"):
        train(absent())


def test_a_batch_size_is_more_than_the_users_own_where_an_update_sees_more_samples() -> None:
    task = plain_task(accumulate=2).with_(batch_size=8)
    assert [exceeds_own(task, k) for k in (None, 1, 16, 17)] == [False, False, False, True]
    assert exceeds_own(plain_task(data=[blobs(16)], loss_fn=CE), 1)  # whose own size nobody can tell


def test_a_device_is_still_refused_of_a_model_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="leave device out"):
        absent().with_(device="cpu")


def test_a_model_that_is_loaded_makes_way_for_one_that_is_not_there_and_back() -> None:
    task, without = plain_task(), absent()
    with pytest.warns(UserWarning, match="holds no numbers"):
        changed = task.with_(model=without.model, optimizer=without.optimizer)
    assert changed.is_meta and not changed.with_(model=task.model, optimizer=task.optimizer).is_meta


def with_a_layer_replaced() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    model[1] = nn.Linear(4, 2)
    return model, optimizer


def meta_model() -> tuple[nn.Module, torch.optim.Optimizer]:
    model = nn.Linear(4, 2, device="meta")
    return model, torch.optim.SGD(model.parameters(), 0.1)


class Mine(Task):
    """A task of the user's own."""


@pytest.mark.parametrize("kind", [Task, Mine])
@pytest.mark.parametrize(("parts", "words"), [(with_a_layer_replaced, "replaced"), (meta_model, "no numbers")])
def test_a_warning_names_the_line_that_makes_the_task(kind: type[Task], parts: Any, words: str) -> None:
    model, optimizer = parts()

    def made() -> Task:  # in a frame of its own, whose caller is no culprit
        return kind(model, optimizer, CE, blobs())

    with pytest.warns(UserWarning, match=words) as caught:
        made()
    assert [place(one) for one in caught] == [(__file__, line_of(made, "return kind"))]


@pytest.mark.parametrize(("parts", "words"), [(with_a_layer_replaced, "replaced"), (meta_model, "no numbers")])
def test_a_warning_names_the_line_that_changes_the_task(parts: Any, words: str) -> None:
    model, optimizer = parts()

    def changed() -> Task:
        return plain_task().with_(model=model, optimizer=optimizer)

    with pytest.warns(UserWarning, match=words) as caught:
        changed()
    assert [place(one) for one in caught] == [(__file__, line_of(changed, ".with_"))]


def test_a_warning_out_of_a_tool_names_the_line_that_calls_the_tool() -> None:
    model, optimizer = with_a_layer_replaced()
    with collected():
        task = Task(model, optimizer, CE, blobs())

    def searched() -> Any:
        return nt.find_lr(task, mode="quick", steps=10, batch_sizes=[8], progress=False)

    with pytest.warns(UserWarning, match="replaced") as caught:
        searched()
    assert {place(one) for one in caught} == {(__file__, line_of(searched, "find_lr"))}


def place(warning: Any) -> tuple[str, int]:
    return warning.filename, warning.lineno


def line_of(function: Callable[..., Any], words: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(i for i, line in enumerate(lines) if words in line)


def test_what_is_collected_of_a_changed_task_is_as_little() -> None:
    with collected() as said:
        absent().with_(batch_size=8)
    assert NO_NUMBERS not in said
