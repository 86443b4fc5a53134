"""Tiny seeded tasks that the tests share."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import torch
from torch import nn

from nbtune.engine import Task


def blobs(samples: int = 96, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two classes of points, (samples, 4) and (samples,), that a linear model parts."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(samples, 4, generator=generator)
    return inputs, (inputs.sum(1) > 0).long()


def hard_model(seed: int = 0) -> nn.Sequential:
    """Dropout, BatchNorm (one in eval mode on purpose), a frozen layer: all that is easily left changed."""
    torch.manual_seed(seed)
    norms = nn.BatchNorm1d(16), nn.BatchNorm1d(8)
    model = nn.Sequential(
        nn.Linear(4, 16), norms[0], nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 8), norms[1], nn.Linear(8, 2)
    )  # fmt: skip
    model[0].requires_grad_(False)
    model[1].eval()
    return model


def hard_task(**changes: Any) -> Task:
    """A task with optimizer state, gradients, two groups, and a loader that shuffles by its own generator."""
    model = hard_model()
    optimizer = torch.optim.AdamW(
        [{"params": model[4].parameters(), "lr": 1e-3}, {"params": model[6].parameters(), "lr": 1e-2}]
    )
    data = torch.utils.data.TensorDataset(*blobs())
    loader = torch.utils.data.DataLoader(data, 16, shuffle=True, generator=torch.Generator().manual_seed(3))
    task = Task(model, optimizer, nn.functional.cross_entropy, loader, **changes)
    for inputs, targets in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()
    return task


def plain_task(lr: float = 0.1, **changes: Any) -> Task:
    """A linear classifier under SGD on a pair of tensors."""
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    arguments: dict[str, Any] = {"loss_fn": nn.functional.cross_entropy, "data": blobs(), **changes}
    return Task(model, torch.optim.SGD(model.parameters(), lr=lr), **arguments)


def everything(task: Task) -> dict[str, Any]:
    """All of a task's state and the random streams, as plain comparable data."""
    state: dict[str, Any] = {}
    for name, model in task.models.items():
        state[f"{name} weights"] = {k: v.detach().cpu().numpy().tobytes() for k, v in model.state_dict().items()}
        state[f"{name} modes"] = [m.training for m in model.modules()]
        state[f"{name} requires_grad"] = [p.requires_grad for p in model.parameters()]
        state[f"{name} grads"] = [
            None if p.grad is None else p.grad.cpu().numpy().tobytes() for p in model.parameters()
        ]
        state[f"{name} hooks"] = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    for name, optimizer in task.optimizers.items():
        state[f"{name} optimizer"] = _plain(optimizer.state_dict())
        state[f"{name} step"] = "step" in vars(optimizer)
    state["preserve"] = [_plain(thing.state_dict()) for thing in task.preserve]
    generator = getattr(task.loader, "generator", None)
    state["loader"] = None if generator is None else generator.get_state().numpy().tobytes()
    state["torch random"] = torch.get_rng_state().numpy().tobytes()
    state["cuda random"] = (
        [s.numpy().tobytes() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_initialized() else []
    )
    kind, words, *rest = np.random.get_state(legacy=True)
    state["numpy random"] = [kind, np.asarray(words).tobytes(), *rest]
    state["python random"] = random.getstate()
    return state


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().numpy().tobytes()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return copy.deepcopy(value)


def adversaries() -> Task:
    """A GAN: two models, two optimizers, an update of its own."""
    torch.manual_seed(0)
    models = {"made": nn.Linear(2, 2), "judge": nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))}
    optimizers = {
        "made": torch.optim.Adam(models["made"].parameters(), 1e-3),
        "judge": torch.optim.Adam(models["judge"].parameters(), 2e-3),
    }

    def update(models: Any, optimizers: Any, batch: Any) -> dict[str, torch.Tensor]:
        real, fake = batch[0], models["made"](torch.randn(len(batch[0]), 2))
        judge = -(models["judge"](real).sigmoid().log() + (1 - models["judge"](fake.detach()).sigmoid()).log()).mean()
        optimizers["judge"].zero_grad()
        judge.backward()
        optimizers["judge"].step()
        made = -models["judge"](fake).sigmoid().log().mean()
        optimizers["made"].zero_grad()
        made.backward()
        optimizers["made"].step()
        return {"made": made, "judge": judge}

    data = 0.5 * torch.randn(640, 2) + torch.tensor([2.0, -1.0])
    return Task(models, optimizers, data=(data, torch.zeros(640)), update=update)
