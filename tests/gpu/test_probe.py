"""The search for a batch size on a real card; see test_gpu.py for how to run it."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from test_gpu import state, trained
from torch import nn

from nbtune.engine import Task
from nbtune.engine.batch_size.find import find_batch_size
from nbtune.engine.batch_size.real_steps import RealCard
from nbtune.engine.batch_size.settings import BatchSettings
from nbtune.engine.batch_size.strategies import doubling, halving, tried
from nbtune.engine.memory.samples import NotPredictableError

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")

MIB, GIB = 2**20, 2**30
CONTEXT = 600 * MIB


def images(side: int = 64, where: str = "copy") -> Task:
    torch.manual_seed(0)
    layers = [m for _ in range(6) for m in (nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU())]
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    )
    model = model.cuda()
    data = (torch.randn(64, 3, side, side), torch.randint(0, 10, (64,)))
    task = trained(Task(model, torch.optim.AdamW(model.parameters(), 1e-3), nn.functional.cross_entropy, data))
    if where == "in place":
        task.parameters[-1].register_hook(lambda grad: grad)
    return task


def settled() -> int:
    gc.collect()  # what earlier tests left in cycles must not go just now
    torch._C._cuda_clearCublasWorkspaces()
    torch.cuda.empty_cache()
    return torch.cuda.memory_allocated()


def played(search: Any, card: RealCard) -> tuple[int, list[Any]]:
    run, attempts = tried(search, card), []
    while True:
        try:
            attempts.append(next(run))
        except StopIteration as end:
            return end.value, attempts


@pytest.mark.parametrize("where", ["copy", "in place"])
def test_a_large_card_plays_a_small_one_and_everything_is_given_back(table: Callable[..., None], where: str) -> None:
    task = images(where=where)
    before, allocated = state(task), settled()
    card = RealCard(task, capacity_bytes=2 * GIB, context_bytes=CONTEXT)
    down, tries = played(halving(4096), card)
    up, rising = played(doubling(4096), card)
    errors = [k for k, attempt in tries if attempt.is_error]
    peaks = {k: round(a.peak_bytes / MIB) for k, a in [*tries, *rising] if a.peak_bytes is not None}
    table(f"halving a 2 GiB card, {where}: answer, errors at", [down, errors])
    table(f"doubling, {where}: answer, peaks in MiB", [up, peaks])
    assert errors and down == up > 0 and all(attempt.peak_bytes <= 2 * GIB for k, attempt in rising if attempt.fits)
    assert abs(settled() - allocated) <= MIB and card.caveats == [] and state(task) == before
    torch.empty(3 * GIB, dtype=torch.uint8, device="cuda")  # the limit is gone


def test_what_lies_on_the_card_does_not_count_for_the_trial(table: Callable[..., None]) -> None:
    def peak() -> int:
        return RealCard(images(), capacity_bytes=4 * GIB, context_bytes=CONTEXT).attempt(64).peak_bytes or 0

    alone = peak()
    ballast = torch.empty(1 * GIB, dtype=torch.uint8, device="cuda")
    beside = peak()
    table("peak alone and beside 1 GiB, MiB", [alone // MIB, beside // MIB])
    assert abs(alone - beside) <= 40 * MIB and ballast.numel()


def test_a_hoarding_step_is_reported_as_a_leak() -> None:
    hoard: list[Any] = []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        hoard.append(torch.empty(64 * MIB, dtype=torch.uint8, device="cuda"))
        return nn.functional.cross_entropy(output, target)

    task = images()
    task.loss_fn = loss_fn
    card = RealCard(task, capacity_bytes=4 * GIB, context_bytes=CONTEXT)
    card.attempt(8)
    assert any("left" in caveat and "behind on the GPU" in caveat for caveat in card.caveats)


@pytest.mark.parametrize("strategy", ["estimate", "halve", "double"])
def test_strategies_agree_on_a_played_8_gb_card(table: Callable[..., None], strategy: str) -> None:
    task = images(128)
    before, allocated = state(task), settled()
    limit = find_batch_size(task, BatchSettings(capacity="8 GB", strategy=strategy, measure_seconds=5), progress=False)
    errors = [t.batch_size for t in limit.trials if t.why == "out of memory"]
    ratios = [round(t.peak_bytes / t.predicted_bytes, 3) for t in limit.latest if t.peak_bytes is not None]
    table(f"{strategy} on 8 GB: k, errors, knee", [limit.batch_size, errors, limit.knee])
    table(f"{strategy} on 8 GB: measured / predicted by k", ratios)
    assert state(task) == before and abs(settled() - allocated) <= MIB
    assert limit.batch_size and all(t.fits for t in limit.latest if t.batch_size <= limit.batch_size)
    assert strategy != "estimate" or len(errors) <= 1


def test_what_is_not_predictable_is_measured_by_doubling(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_predictable(*_: Any, **__: Any) -> Any:
        raise NotPredictableError("sizes depend on the data")

    monkeypatch.setattr("nbtune.engine.batch_size.probe.estimate_memory", not_predictable)
    limit = find_batch_size(images(), BatchSettings(capacity="2 GB", measure_seconds=2), progress=False)
    assert limit.batch_size and limit.batch_size > 1 and limit.estimate is None and "measured" in limit.reason


def test_a_second_process_that_holds_half_the_card_is_counted(table: Callable[..., None]) -> None:
    torch.cuda.empty_cache()
    half = torch.cuda.get_device_properties(0).total_memory // 2
    code = (
        f"import torch; x = torch.empty({half}, dtype=torch.uint8, device='cuda'); print('held', flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline().strip() == "held"
        limit = find_batch_size(images(256), BatchSettings(max_batch_size=4096, measure_seconds=5), progress=False)
    finally:
        other.kill()
        other.wait()
    errors = [t.batch_size for t in limit.trials if t.why == "out of memory"]
    table("beside a process that holds half: k, errors, capacity in GiB",
          [limit.batch_size, errors, round((limit.capacity_bytes or 0) / GIB, 1)])  # fmt: skip
    assert limit.capacity_bytes is not None and limit.estimate is not None
    assert limit.capacity_bytes - limit.estimate.context_bytes <= half + GIB
    assert limit.batch_size and len(errors) <= 1
