"""A batch size of more samples than there are: every tool counts the samples alike, and says so in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tasks import blobs, plain_task
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

import nbtune as nt

SAMPLES = 48
PAST = f"= 49 is more than the data have: {SAMPLES} samples"


def sampled(sampler: Any) -> DataLoader[Any]:
    return DataLoader(TensorDataset(*blobs(200)), batch_size=8, sampler=sampler)


DATA: dict[str, Callable[[], Any]] = {
    "tensors": lambda: blobs(SAMPLES),
    "loader": lambda: DataLoader(TensorDataset(*blobs(SAMPLES)), batch_size=8, shuffle=True),
    "incomplete batches dropped": lambda: DataLoader(TensorDataset(*blobs(SAMPLES)), batch_size=8, drop_last=True),
    "part of the data": lambda: sampled(SubsetRandomSampler(range(SAMPLES))),
    "drawn with weights": lambda: sampled(WeightedRandomSampler(torch.ones(200), SAMPLES)),
}
TOOLS: dict[str, Callable[[nt.Task], Any]] = {
    "find_lr": lambda task: nt.find_lr(task, batch_sizes=[8, 49], progress=False),
    "LRFinder": lambda task: nt.LRFinder(task, batch_sizes=[8, 49]),
    "compare_batch_sizes": lambda task: nt.compare_batch_sizes(task, [8, 49], progress=False),
    "BatchComparison": lambda task: nt.BatchComparison(task, [8, 49]),
    "given rates": lambda task: nt.compare_batch_sizes(task, [8], lr={8: 0.1, 49: 0.1}, progress=False),
}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("data", DATA)
def test_a_tool_that_takes_batch_sizes_refuses_it(tool: str, data: str) -> None:
    with pytest.raises(ValueError, match=f"k {PAST}"):
        TOOLS[tool](plain_task(data=DATA[data]()))


@pytest.mark.parametrize("data", DATA)
def test_the_search_for_one_looks_at_no_larger_and_says_so(data: str) -> None:
    limit = nt.find_batch_size(
        plain_task(data=DATA[data]()), capacity="8 GB", measure_seconds=0, target_batch_size=49, progress=False
    )
    assert limit.largest == 32
    assert limit.caveats == (
        f"There are only {SAMPLES} samples, so no larger batch was looked at.", f"target_batch_size {PAST}."
    )  # fmt: skip


@pytest.mark.parametrize("data", [name for name in DATA if name != "incomplete batches dropped"])
def test_a_task_made_with_it_warns(data: str) -> None:
    with pytest.warns(UserWarning, match=f"batch_size {PAST}; each batch holds them all"):
        plain_task(data=DATA[data]()).with_(batch_size=49)


def test_as_many_as_there_are_are_not_too_many() -> None:
    assert set(nt.find_lr(plain_task(data=blobs(SAMPLES)), batch_sizes=[SAMPLES], progress=False).curves) == {SAMPLES}


def test_a_task_that_accumulates_is_compared_at_whole_micro_batches_unasked() -> None:
    duel = nt.compare_batch_sizes(plain_task(data=blobs(100), accumulate=2), budget="20 updates", progress=False)
    assert max(curve.batch_size for curve in duel.by_batch_size) == 96
