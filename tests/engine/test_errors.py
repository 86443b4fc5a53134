"""Exceptions of the user's own that would end loops unseen, cannot be put into words, or are endless."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from tasks import blobs, everything, plain_task
from torch import nn
from torch.utils.data import TensorDataset

from nbtune import compare_batch_sizes, estimate_curvature, estimate_memory, find_batch_size, find_lr
from nbtune.engine import Task
from nbtune.engine.errors import first_line
from nbtune.widgets.panel.problem import LONGEST, LONGEST_TRACE, problem_of

X, Y = blobs()
CE = nn.functional.cross_entropy

TOOLS: dict[str, Callable[[Task], Any]] = {
    "race": lambda task: find_lr(task, rates=4, progress=False),
    "quick": lambda task: find_lr(task, mode="quick", steps=12, progress=False),
    "comparison": lambda task: compare_batch_sizes(task, [8, 16], budget="32 samples", progress=False),
    "curvature": lambda task: estimate_curvature(task, products=2),
    "memory": lambda task: estimate_memory(task, "8 GB"),
    "probe": lambda task: find_batch_size(task, max_batch_size=2, measure_seconds=0, progress=False),
}  # fmt: skip


class Wordless(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Ends(nn.Linear):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        next(iter([]))
        return super().forward(inputs)


class EndsAtOnce:
    def __iter__(self) -> Iterator[Any]:
        raise StopIteration


def used_up(*arguments: Any) -> Any:
    return next(iter([]))


ENDING: dict[str, Callable[[], Task]] = {
    "loss_fn": lambda: plain_task(loss_fn=used_up),
    "training_step": lambda: plain_task(loss_fn=None, training_step=used_up),
    "update": lambda: plain_task(loss_fn=None, update=used_up),
    "forward": lambda: task_of(Ends(4, 2)),
    "backward": lambda: plain_task(loss_fn=lambda o, y: ending_behind(CE(o, y))),
    "__iter__": lambda: plain_task(data=EndsAtOnce()),
}


def task_of(model: nn.Module) -> Task:
    return Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, (X, Y))


def ending_behind(loss: torch.Tensor) -> torch.Tensor:
    loss.register_hook(used_up)
    return loss


WITHOUT = ("comparison", "__iter__"), ("curvature", "update"), ("memory", "backward")
"""These refuse the data, or do not run that code."""


@pytest.mark.parametrize(
    ("tool", "whose"),
    [
        (tool, whose)
        for tool in ("race", "quick", "comparison", "curvature", "memory")
        for whose in ENDING
        if (tool, whose) not in WITHOUT
    ],
)
def test_a_stop_iteration_of_the_users_code_is_named(tool: str, whose: str) -> None:
    task = ENDING[whose]()
    before = everything(task)
    with pytest.raises(RuntimeError, match=r"your code raised StopIteration, as next\(\) does"):
        TOOLS[tool](task)
    assert everything(task) == before


def test_a_collate_function_that_stops_is_named_by_the_memory_tools_and_leaves_no_batch_to_the_others() -> None:
    task = plain_task(data=TensorDataset(X, Y), collate_fn=used_up)
    with pytest.raises(RuntimeError, match="your code raised StopIteration"):
        TOOLS["memory"](task)
    with pytest.raises(ValueError, match="no batch"):
        TOOLS["quick"](task)


@pytest.mark.parametrize("tool", TOOLS)
def test_an_error_that_cannot_be_put_into_words_is_raised_as_it_is(tool: str) -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        raise Wordless

    with pytest.raises(Wordless):
        TOOLS[tool](plain_task(loss_fn=None, training_step=step))


@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("tool", ["race", "quick", "comparison", "curvature"])
def test_what_is_no_exception_passes_and_all_is_put_back(tool: str, kind: type[BaseException]) -> None:
    calls: list[int] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) > 1:
            raise kind
        return CE(model(batch[0]), batch[1])

    task = plain_task(loss_fn=None, training_step=step)
    before = everything(task)
    with pytest.raises(kind):
        TOOLS[tool](task)
    assert everything(task) == before


def test_a_rate_may_provoke_an_error_without_words() -> None:
    def step(model: nn.Module, batch: Any) -> torch.Tensor:
        loss = CE(model(batch[0]), batch[1])
        if loss > 4:
            raise Wordless
        return loss

    curve = find_lr(plain_task(loss_fn=None, training_step=step), lr_max=1e4, progress=False)
    assert curve.suggestion is not None and "Wordless" in curve.limit


def test_an_endless_message_is_cut_on_the_panel_and_first_lines_are_short() -> None:
    said = "\n".join(f"line {number} {'x' * 80}" for number in range(10_000))
    with pytest.raises(RuntimeError) as caught:
        raise RuntimeError(said)
    problem = problem_of(caught.value, "Your model raised an error")
    assert len(problem["text"]) < LONGEST + 100 and "line 0" in problem["text"]
    assert len(problem["traceback"]) < LONGEST_TRACE + 100 and "line 9999" in problem["traceback"]
    assert first_line(caught.value).startswith("line 0") and "\n" not in first_line(caught.value)
    assert json.dumps(problem_of(Wordless(), "title")) and first_line(Wordless()) == "Wordless"


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda o, y: CE(o, y) * (1 + 0j), r"complex64.*\.real"),
        (lambda o, y: (o.argmax(1) != y).sum(), "int64, which has no derivative"),
        (lambda o, y: (o.argmax(1) != y).any(), "bool, which has no derivative"),
        (lambda o, y: CE(o, y).item(), r"not float; leave \.item\(\) out"),
        (lambda o, y: CE(o, y).detach().numpy(), r"not ndarray; leave \.numpy\(\) out"),
        (lambda o, y: "0.1", "must be a tensor, not str"),
        (lambda o, y: CE(o, y, reduction="none"), r"take its mean\(\)"),
    ],
)
@pytest.mark.parametrize("tool", ["race", "memory"])
def test_a_loss_of_a_wrong_kind_is_told_with_what_to_write(tool: str, loss: Any, words: str) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        TOOLS[tool](plain_task(loss_fn=loss))


@pytest.mark.parametrize(
    "made", [torch.Tensor.item, lambda loss: loss.detach().numpy(), lambda loss: loss.detach().reshape(1, 1)]
)
def test_an_update_may_return_any_single_number(made: Any) -> None:
    def update(model: nn.Module, optimizer: Any, batch: Any) -> Any:
        optimizer.zero_grad()
        loss = CE(model(batch[0]), batch[1])
        loss.backward()
        optimizer.step()
        return {"loss": made(loss)}

    assert find_lr(plain_task(loss_fn=None, update=update), progress=False).suggestion is not None


def test_a_step_that_fails_is_raised_without_a_traceback_of_torchs_inside(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = list(logger.filters)
    logger.addHandler(caplog.handler)
    try:
        with pytest.raises(RuntimeError, match=r"\.long\(\)"):
            estimate_memory(plain_task(data=(X, Y.float())), "8 GB")
    finally:
        logger.removeHandler(caplog.handler)
    assert not caplog.records and logger.filters == before
