"""What every result says besides its answer, and that telling it touches nothing of the process."""

from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tasks import blobs, plain_task
from torch import nn

from nbtune import compare_batch_sizes, estimate_curvature, estimate_memory, find_batch_size, find_lr
from nbtune.engine import LRSettings, Task
from nbtune.engine.learning_rate.search import search_lr
from nbtune.engine.small_print import collected, warn_of
from nbtune.engine.torch_modes import AUTOCAST_LEFT_OUT

X, Y = blobs()
CE = nn.functional.cross_entropy

RESULTS: dict[str, Callable[[Task], Any]] = {
    "race": lambda task: find_lr(task, rates=4, progress=False),
    "quick": lambda task: find_lr(task, mode="quick", steps=12, progress=False),
    "orders": lambda task: find_lr(task, mode="quick", steps=12, repeats=2, progress=False),
    "sizes": lambda task: find_lr(task, mode="quick", steps=12, batch_sizes=[8, 16], progress=False),
    "comparison": lambda task: compare_batch_sizes(task, [8, 16], budget="32 samples", progress=False),
}  # fmt: skip
MEMORY: dict[str, Callable[[Task], Any]] = {
    "probe": lambda task: find_batch_size(task, max_batch_size=2, measure_seconds=0, progress=False),
    "memory": lambda task: estimate_memory(task, "8 GB"),
}


def by_name(model: nn.Module, batch: Any) -> dict[str, torch.Tensor]:
    loss = CE(model(batch[0]), batch[1])
    return {"part": 0.25 * loss, "rest": 0.75 * loss}


@pytest.mark.parametrize("tool", RESULTS | MEMORY)
def test_a_result_says_how_the_data_were_taken(tool: str) -> None:
    result = (RESULTS | MEMORY)[tool](plain_task(data=(X, Y)))
    assert result.data_form == "96 samples, batches of 32, shuffled"
    assert "\n  Data: 96 samples, batches of 32, shuffled." in repr(result)
    if tool != "memory":
        assert json.loads(json.dumps(result.to_dict()))["data_form"] == result.data_form


@pytest.mark.parametrize("tool", RESULTS)
def test_a_result_says_what_was_done_with_the_losses(tool: str) -> None:
    result = RESULTS[tool](plain_task(data=(X, Y), loss_fn=None, training_step=by_name))
    summed = "The losses that your training_step returns (part, rest) are summed."
    assert summed in result.caveats and f"\n  Note: {summed}" in repr(result)
    assert summed in json.loads(json.dumps(result.to_dict()))["caveats"]


@pytest.mark.parametrize("tool", RESULTS | MEMORY | {"curvature": estimate_curvature})
def test_a_surrounding_autocast_is_told_by_every_tool_once(tool: str) -> None:
    call = (RESULTS | MEMORY | {"curvature": lambda task: estimate_curvature(task, products=2)})[tool]
    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.warns(UserWarning, match="left out") as told:
        result = call(plain_task(data=(X, Y)))
    assert [str(warning.message) for warning in told] == [AUTOCAST_LEFT_OUT]
    assert tool == "curvature" or AUTOCAST_LEFT_OUT in result.caveats


def test_skipped_batches_are_added_up_over_the_rates_and_told_of_a_stopped_run_too() -> None:
    calls: list[int] = []

    def step(model: nn.Module, batch: Any) -> torch.Tensor | None:
        calls.append(1)
        return None if len(calls) % 4 == 0 else CE(model(batch[0]), batch[1])

    run = search_lr(plain_task(data=(X, Y), loss_fn=None, training_step=step), LRSettings(rates=4))
    for _ in range(20):
        next(run)
    run.close()
    assert run.caveats == (
        f"Batches for which your training_step returned None were skipped: {len(calls) // 4} of {len(calls)}.",
    )


def test_warnings_can_be_shown_elsewhere() -> None:
    with collected() as outer:
        with collected() as inner:
            warn_of(["one"])
        warn_of(["two"])
    assert (outer, inner) == (["two"], ["one"])
    with pytest.warns(UserWarning, match="three") as told:
        warn_of(["three"])
    assert told[0].filename == __file__


def test_the_filters_of_the_process_stay_as_they_were_whatever_runs_beside_one_another() -> None:
    """Two ``catch_warnings`` that overlap would leave the filters of one of them behind."""
    before, seen = list(warnings.filters), list[Any]()
    data = (X.double().numpy(), Y.numpy())
    data[0].flags.writeable = False

    def estimated() -> None:
        for _ in range(3):
            estimate_memory(plain_task(data=data, loss_fn=lambda o, y: look(CE(o.float(), y))), "8 GB")

    def look(loss: torch.Tensor) -> torch.Tensor:
        seen.append(list(warnings.filters))
        return loss

    threads = [threading.Thread(target=estimated) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen and all(filters == before for filters in seen) and list(warnings.filters) == before
