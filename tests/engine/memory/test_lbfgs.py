"""L-BFGS: a history of directions and steps, each as large as the parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from host_truth import peak_of
from torch import nn
from torch.nn import functional as F

from nbtune.engine import Task
from nbtune.engine.memory import MemoryEstimate, estimate_memory

X = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))


def task_of(**options: Any) -> Task:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(128, 512), nn.Tanh(), nn.Linear(512, 128))
    optimizer = torch.optim.LBFGS(model.parameters(), **options)

    def update(model: nn.Module, optimizer: Any, batch: Any) -> dict[str, Any]:
        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch[0]), batch[1])
            loss.backward()
            return loss

        return {"loss": optimizer.step(closure).detach()}

    return Task(model, optimizer, data=(X, X), update=update)


def estimated(**options: Any) -> MemoryEstimate:
    return estimate_memory(task_of(**options), "8 GB")


@pytest.mark.parametrize("history", [3, 25])
def test_the_history_is_counted_full_and_it_is_said(history: int) -> None:
    estimate = estimated(history_size=history)
    parameters = (2 * 128 * 512 + 512 + 128) * 4
    assert estimate.method == "meta" and any("history" in caveat for caveat in estimate.caveats)
    # Directions, steps, the last direction and the last gradient.
    assert estimate.breakdown(4)["optimizer"] == pytest.approx((2 * history + 2) * parameters, rel=0.2 / history)


@pytest.mark.parametrize("line_search", [None, "strong_wolfe"])
def test_the_peak_is_that_of_real_steps_once_the_history_is_full(line_search: str | None) -> None:
    options = {"history_size": 6, "max_iter": 12, "line_search_fn": line_search, "lr": 0.1}
    task = task_of(**options)
    estimate = estimate_memory(task, device="cpu")
    own = sum(p.nbytes for p in task.parameters)

    def steps() -> None:
        for _ in range(2):
            task.update(task.model, task.optimizer, (X[:8], X[:8]))

    real = own + peak_of(steps, is_warm=True)
    assert len(task.optimizer.state[task.parameters[0]]["old_dirs"]) == 6
    assert estimate.peak_bytes(8) - estimate.context_bytes == pytest.approx(real, rel=0.05)
