"""Batch sizes side by side on a real card: left as it was, charged rightly, memory that runs out."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from test_gpu import CE, card_task, state, trained

from nbtune.engine import Task
from nbtune.engine.batch_size.fence import reserved_at_most
from nbtune.engine.comparison.compare import compare_batch_sizes
from nbtune.engine.task.order import reordered

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")


@pytest.mark.parametrize("amp", [None, torch.float16])
def test_a_comparison_leaves_the_task_bit_for_bit(table: Callable[..., None], amp: torch.dtype | None) -> None:
    task = trained(card_task(amp=amp))
    before = state(task)
    comparison = compare_batch_sizes(task, [2, 16, 64], seeds=2, budget="2 epochs", progress=False)
    same = state(task) == before
    table(f"comparison: state bit for bit, amp {amp}", same)
    assert same and {curve.outcome for curve in comparison.by_batch_size} == {"finished"}


def test_runs_are_the_same_alone_and_side_by_side_on_the_card(table: Callable[..., None]) -> None:
    alone = compare_batch_sizes(card_task(), [16], budget="1 epoch", progress=False).curves[0]
    beside = compare_batch_sizes(card_task(), [4, 16, 64], budget="1 epoch", progress=False).curves
    same = next(run for run in beside if run.run.batch_size == 16)
    table("comparison: losses alone and side by side", same.losses == alone.losses)
    assert same.losses == pytest.approx(alone.losses, rel=1e-3)


def test_a_k_that_does_not_fit_ends_and_the_others_go_on(table: Callable[..., None]) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(1024, 4096), torch.nn.ReLU(), torch.nn.Linear(4096, 10)).cuda()
    data = (torch.randn(16384, 1024), torch.randint(0, 10, (16384,)))
    task = Task(model, torch.optim.SGD(model.parameters(), 0.1), CE, data)
    device = torch.device("cuda", torch.cuda.current_device())
    with reserved_at_most(torch.cuda.memory_reserved(device) + 2**28, device):
        comparison = compare_batch_sizes(task, [16, 16384], budget="16384 samples", progress=False)
    outcomes = {curve.batch_size: curve.outcome for curve in comparison.by_batch_size}
    table("comparison: k = 16 384 in 256 MiB", outcomes[16384])
    assert outcomes == {16: "finished", 16384: "failed"}


def test_eight_interleaved_curves_cost_little_over_the_bare_loop(table: Callable[..., None]) -> None:
    task = card_task(width=512, depth=4)
    ratios = []
    for _ in range(5):
        bare = sum(_bare(task, 64, seed) for seed in range(8))
        begun = time.perf_counter()
        comparison = compare_batch_sizes(task, [64], seeds=8, budget="200 updates", progress=False)
        wall = time.perf_counter() - begun
        ratios.append((wall / bare, sum(run.seconds[-1] for run in comparison.curves) / bare))
    table("comparison: wall over 8 bare loops of 200 steps", round(statistics.median(r for r, _ in ratios), 3))
    table("comparison: seconds charged over the same", round(statistics.median(r for _, r in ratios), 3))
    assert statistics.median(charged for _, charged in ratios) < 1.5


def _bare(task: Task, batch_size: int, seed: int) -> float:
    """Seconds of 200 steps as one would write them, losses read now and then."""
    model, optimizer = copy.deepcopy((task.model, task.optimizer))
    loader, taken = reordered(task.loader, batch_size, seed), 0
    torch.cuda.synchronize()
    begun = time.perf_counter()
    while taken < 200:
        for inputs, targets in loader:
            optimizer.zero_grad()
            loss = CE(model(inputs.cuda(non_blocking=True)), targets.cuda(non_blocking=True))
            loss.backward()
            optimizer.step()
            taken += 1
            if taken % 20 == 0:
                loss.item()
            if taken == 200:
                break
    torch.cuda.synchronize()
    return time.perf_counter() - begun
