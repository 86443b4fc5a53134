"""The memory over one step: its ends, its phases, its peak, and the module that runs there."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from zoo import DenseNet, optimizer_of, stacked

from nbtune.engine import Task
from nbtune.engine.memory.estimate import estimate_memory
from nbtune.engine.memory.replay.timeline import MemoryTimeline


def task_of(model: nn.Module, sample: Any, optimizer: str = "AdamW", **changes: Any) -> Task:
    return Task(model, optimizer_of(optimizer, model), nn.functional.cross_entropy, [stacked(sample, 2)], **changes)


class Wide(nn.Module):
    """A narrow network whose middle is wide."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.middle, self.after = nn.Linear(64, 64), nn.Linear(64, 8192), nn.Linear(8192, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(torch.relu(self.middle(torch.relu(self.before(x)))))


def wide_task(**changes: Any) -> Task:
    return task_of(Wide(), (torch.randn(64), torch.tensor(1)), "SGD", **changes)


def tall_of(timeline: MemoryTimeline) -> int:
    return max(timeline.allocated_bytes)


@pytest.mark.parametrize("device", ["cuda", "cpu"])
@pytest.mark.parametrize("k", [2, 64])
def test_its_highest_points_are_the_estimates_peaks(device: str, k: int) -> None:
    task = task_of(DenseNet(blocks=(2, 2, 1, 1)), (torch.randn(3, 64, 64), torch.tensor(1)))
    estimate = estimate_memory(task, device=device)
    timeline = estimate.timeline(k)
    parts = dict(estimate.parts(k))
    assert max(timeline.reserved_bytes) == estimate.peak_bytes(k)
    assert tall_of(timeline) == sum(parts.values()) - parts["reserved"]
    assert timeline.allocated_bytes[timeline.peak] == tall_of(timeline)


def test_a_step_goes_forward_backward_and_updates() -> None:
    timeline = estimate_memory(wide_task(), "8 GB").timeline(16)
    assert [name for name, _, _ in timeline.phases][:2] == ["forward", "backward"]
    edges = [edge for _, first, last in timeline.phases for edge in (first, last)]
    assert edges[0] == 0 and edges[-1] == len(timeline.allocated_bytes) and edges[1:-1:2] == edges[2:-1:2]


def test_it_begins_with_what_stays_between_steps_and_ends_with_it() -> None:
    estimate = estimate_memory(task_of(Wide(), (torch.randn(64), torch.tensor(1))), "8 GB")
    timeline, sizes = estimate.timeline(4096), estimate.breakdown(4096)
    kept = estimate.context_bytes + sizes["parameters"] + sizes["optimizer"]
    assert all(kept <= timeline.allocated_bytes[end] < tall_of(timeline) for end in (0, -1))


def test_accumulation_goes_forward_and_backward_again() -> None:
    once, twice = (estimate_memory(wide_task(accumulate=n), "8 GB").timeline(16) for n in (1, 2))
    forward = [[name for name, *_ in timeline.phases].count("forward") for timeline in (once, twice)]
    assert forward[1] == forward[0] + 1


def test_the_peak_of_a_wide_layer_is_in_that_layer() -> None:
    timeline = estimate_memory(wide_task(), "8 GB").timeline(4096)
    assert timeline.peak_phase == "backward" and timeline.peak_module in ("middle", "after", "")
    assert timeline.where.startswith("Most is in use in the backward pass")


def test_the_peak_of_a_large_model_on_few_samples_is_in_the_update() -> None:
    timeline = estimate_memory(task_of(Wide(), (torch.randn(64), torch.tensor(1))), "8 GB").timeline(1)
    assert timeline.peak_phase == "update" and timeline.peak_module == ""
    assert timeline.where == f"Most is in use in the update, at {timeline.peak_operator.rpartition('.')[2]}."


def test_a_batch_size_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="the batch size must be"):
        estimate_memory(wide_task(), "8 GB").timeline(0)
