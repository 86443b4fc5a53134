"""Estimates made of others (accumulating, evaluating, changed, pickled): each answers as one that was traced would."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
import torch
from torch import nn
from zoo import DenseNet, optimizer_of, stacked

from nbtune.engine import Task
from nbtune.engine.memory.estimate import MemoryEstimate, estimate_memory
from nbtune.engine.memory.rehearsal.replica import NO_BLOCKS

MIB = 2**20


def images_task(**changes: Any) -> Task:
    torch.manual_seed(0)
    model, sample = DenseNet(blocks=(2, 2, 1, 1)), (torch.randn(3, 64, 64), torch.tensor(1))
    return Task(model, optimizer_of("AdamW", model), nn.functional.cross_entropy, [stacked(sample, 2)], **changes)


@pytest.fixture(scope="module")
def estimate() -> MemoryEstimate:
    return estimate_memory(images_task(), "8 GB")


def copied(estimate: MemoryEstimate) -> MemoryEstimate:
    return pickle.loads(pickle.dumps(estimate))


def test_a_pickled_estimate_of_accumulated_batches_stays_one(estimate: MemoryEstimate) -> None:
    accumulating = estimate.accumulating()
    sizes = accumulating.breakdown(64)
    assert sizes["gradients"] > estimate.breakdown(64)["gradients"]  # those of the batch before
    assert copied(accumulating).breakdown(64) == sizes == copied(estimate).accumulating().breakdown(64)
    own = estimate_memory(images_task(accumulate=2), "8 GB")
    assert copied(own).accumulating().breakdown(64) == own.breakdown(64)


def test_a_change_of_accumulated_batches_still_accumulates(estimate: MemoryEstimate) -> None:
    either = estimate.accumulating().changed(amp=torch.bfloat16)
    other = estimate.changed(amp=torch.bfloat16).accumulating()
    assert either.breakdown(32) == other.breakdown(32) != estimate.changed(amp=torch.bfloat16).breakdown(32)
    either.find_law()
    assert either.peak_bytes(48) == other.peak_bytes(48)


def test_an_evaluation_is_changed_before_it_is_one(estimate: MemoryEstimate) -> None:
    with pytest.raises(ValueError, match="change that one, then take its evaluation"):
        estimate.evaluation().changed(amp=torch.bfloat16).peak_bytes(4)
    assert estimate.changed(amp=torch.bfloat16).evaluation().peak_bytes(512) < estimate.evaluation().peak_bytes(512)


def test_no_mixed_precision_is_the_same_however_it_is_written(estimate: MemoryEstimate) -> None:
    assert estimate.changed(amp=False).plan == estimate.plan == estimate.changed(amp=None).plan


def test_a_timeline_of_accumulated_batches_has_its_phases_in_order(estimate: MemoryEstimate) -> None:
    timeline = estimate.accumulating().timeline(16)
    edges = [edge for _, first, last in timeline.phases for edge in (first, last)]
    assert edges == sorted(edges) and edges[-1] == len(timeline.allocated_bytes)
    assert max(timeline.reserved_bytes) == estimate.accumulating().peak_bytes(16)


def test_what_a_changed_estimate_assumed_is_known_of_it() -> None:
    model = nn.Linear(8, 4)
    data = [(torch.randn(2, 8), torch.zeros(2).long())]
    task = Task(model, optimizer_of("SGD", model), nn.functional.cross_entropy, data)
    changed = estimate_memory(task, "8 GB").changed(checkpointing=True)
    changed.peak_bytes(4)
    assert NO_BLOCKS in changed.traced_caveats


def test_the_backward_pass_is_at_no_module_but_near_one(estimate: MemoryEstimate) -> None:
    timelines = [estimate.timeline(k) for k in (1, 16, 256)]
    told = {timeline.peak_phase: timeline.where for timeline in timelines if timeline.peak_module}
    assert all((" near " in where) == (phase == "backward") for phase, where in told.items())
    assert "backward" in told


def test_a_change_that_is_none_is_named(estimate: MemoryEstimate) -> None:
    with pytest.raises(TypeError, match=r"changed takes image_size, .*, not layers"):
        estimate.changed(layers=3)
