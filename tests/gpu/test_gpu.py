"""The engine on a real card. One command, without Jupyter or Bokeh (torch, numpy and pytest suffice):

    python -m pytest -c tests/gpu/pytest.ini tests/gpu -q -s

Prints a table last and writes it as JSON to $OUT (the working folder without it). Skips with a reason without a card.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nbtune.engine import LRSettings, Task, find_lr, sweep_lr

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")

CE = nn.functional.cross_entropy
CALM = {"lr_min": 1e-7, "lr_max": 1e-5}  # no divergence: all steps are taken


def card_task(width: int = 64, depth: int = 2, batch_size: int = 64, **changes: Any) -> Task:
    torch.manual_seed(0)
    layers = [m for _ in range(depth) for m in (nn.Linear(width, width), nn.ReLU(), nn.Dropout(0.1))]
    model = nn.Sequential(nn.Linear(64, width), nn.BatchNorm1d(width), *layers, nn.Linear(width, 10)).cuda()
    data = (torch.randn(16 * batch_size, 64), torch.randint(0, 10, (16 * batch_size,)))
    task = Task(model, torch.optim.AdamW(model.parameters(), 1e-3), CE, data, **changes)
    return task.with_(batch_size=batch_size)


def state(task: Task) -> dict[str, Any]:
    optimizer = copy.deepcopy(task.optimizer.state_dict())
    return {
        "weights": [p.detach().cpu().numpy().tobytes() for p in task.model.state_dict().values()],
        "grads": [None if p.grad is None else p.grad.cpu().numpy().tobytes() for p in task.parameters],
        "optimizer": repr(
            {k: {n: np.asarray(v.cpu()).tobytes() for n, v in s.items()} for k, s in optimizer["state"].items()}
        ),
        "groups": repr(optimizer["param_groups"]),
        "modes": [m.training for m in task.model.modules()],
        "random": [
            torch.get_rng_state().numpy().tobytes(),
            *(s.numpy().tobytes() for s in torch.cuda.get_rng_state_all()),
        ],
        "loader": task.loader.generator.get_state().numpy().tobytes(),
    }


def trained(task: Task) -> Task:
    for inputs, targets in task.loader:
        task.optimizer.zero_grad()
        CE(task.model(inputs.cuda()), targets.cuda()).backward()
        task.optimizer.step()
    return task


@pytest.mark.parametrize("where", ["copy", "in place"])
@pytest.mark.parametrize("amp", [None, torch.bfloat16, torch.float16])
def test_state_is_left_bit_for_bit(table: Callable[..., None], where: str, amp: torch.dtype | None) -> None:
    task = trained(card_task(amp=amp))
    if where == "in place":
        task.parameters[-1].register_hook(lambda grad: grad)
    before = state(task)
    curve = find_lr(task, LRSettings(mode="quick", steps=60), progress=False)
    same = state(task) == before
    table(f"state bit for bit, {where}, amp {amp}", same)
    assert same and len(curve.steps) >= 10 and all(np.isfinite(curve.losses[:10]))


def test_an_error_on_the_card_leaves_everything_as_it_was(table: Callable[..., None]) -> None:
    task, calls = trained(card_task()), []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 20:
            raise ValueError("boom")
        return CE(output, target)

    task.loss_fn = loss_fn
    before = state(task)
    with pytest.raises(ValueError, match="boom"):
        find_lr(task, mode="quick", progress=False)
    table("state bit for bit after an error", state(task) == before)
    assert state(task) == before


def test_grad_scaler_sweeps_reach_a_suggestion(table: Callable[..., None]) -> None:
    curve = find_lr(card_task(amp=torch.float16), mode="quick", progress=False)
    table("float16 sweep's suggestion", curve.suggestion)
    assert curve.steps and all(np.isfinite(curve.losses[:20]))


def test_a_diverged_card_loss_ends_the_sweep_within_the_late_steps(table: Callable[..., None]) -> None:
    task, calls = card_task(), []

    def loss_fn(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return CE(output, target) * (float("nan") if len(calls) >= 30 else 1.0)

    task.loss_fn = loss_fn
    curve = find_lr(task, mode="quick", progress=False)
    table("steps run past a NaN (at most 16)", len(calls) - 30)
    assert curve.outcome == "diverged" and len(curve.steps) == 30 and len(calls) - 30 <= 17


def test_no_step_waits_for_the_host(table: Callable[..., None]) -> None:
    task = card_task()
    sweep = sweep_lr(task, LRSettings(mode="quick", steps=200, **CALM))
    for _ in range(20):
        next(sweep)
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(150):
            next(sweep)
        waits = False
    except RuntimeError as error:
        waits = str(error)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        sweep.close()
    table("a step waits for the host", waits)
    assert waits is False


@pytest.mark.parametrize(("name", "width", "depth", "batch_size", "steps"), [
    ("1 ms", 256, 4, 64, 300), ("10 ms", 2048, 16, 1024, 60), ("100 ms", 4096, 16, 4096, 10),
])  # fmt: skip
def test_overhead_over_the_bare_loop(
    table: Callable[..., None], name: str, width: int, depth: int, batch_size: int, steps: int
) -> None:
    settings = LRSettings(mode="quick", steps=steps, **CALM)
    _, step_ms, ratio = overhead(card_task(width, depth, batch_size), settings)
    table(f"overhead at {name} steps (bare step in ms, ratio)", [step_ms, ratio])
    assert ratio < 2


def overhead(task: Task, settings: LRSettings) -> tuple[int, float, float]:
    """Steps of ``find_lr``, ms of a step in a bare loop of as many, and the time of the whole call over the loop's."""
    model, optimizer = copy.deepcopy((task.model, task.optimizer))
    steps = find_lr(task, settings, progress=False).updates

    def bare() -> None:
        losses: list[torch.Tensor] = []
        while len(losses) < steps:
            for inputs, targets in task.loader:
                if len(losses) == steps:
                    break
                loss = CE(model(inputs.cuda(non_blocking=True)), targets.cuda(non_blocking=True))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
        torch.stack(losses).tolist()

    bare()
    pairs = [(seconds(bare), seconds(lambda: find_lr(task, settings, progress=False))) for _ in range(3)]
    step_ms = 1e3 * statistics.median(theirs for theirs, _ in pairs) / steps
    return steps, round(step_ms, 2), round(statistics.median(ours / theirs for theirs, ours in pairs), 3)


def seconds(call: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    begun = time.perf_counter()
    call()
    torch.cuda.synchronize()
    return time.perf_counter() - begun
