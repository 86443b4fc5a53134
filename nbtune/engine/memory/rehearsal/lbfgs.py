"""L-BFGS without numbers: whether it goes on hangs on computed ones, so its steps are played as in the end they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

MOST_ROUNDS = 2
FULL_HISTORY = "LBFGS: counted with its history full, as after enough steps, and with two of its inner iterations."


def play_lbfgs(optimizers: list[Any]) -> tuple[str, ...]:
    """Have every ``LBFGS`` among the optimizers take the memory of a step whose history is full.

    Returns:
        What is assumed, in sentences.
    """
    found = [optimizer for optimizer in optimizers if isinstance(optimizer, torch.optim.LBFGS)]
    step: Callable[..., Any] = torch.optim.Optimizer.profile_hook_step(_step)
    for optimizer in found:
        setattr(optimizer, "step", partial(step, optimizer))  # noqa: B010
    return (FULL_HISTORY,) if found else ()


@torch.no_grad()
def _step(optimizer: Any, closure: Callable[[], Any]) -> Any:
    """The tensors of ``torch.optim.LBFGS.step``, in its order."""
    closure = torch.enable_grad()(closure)
    (group,) = optimizer.param_groups
    state = optimizer.state[group["params"][0]]
    first = closure()
    flat = _flat_gradient(group["params"])
    flat.abs()
    if not state:
        history = group["history_size"]
        state["old_dirs"], state["old_stps"] = ([torch.empty_like(flat) for _ in range(history)] for _ in "ds")
        state["d"], state["prev_flat_grad"] = torch.empty_like(flat), torch.empty_like(flat)
    rounds = min(MOST_ROUNDS, group["max_iter"])
    for round_ in range(rounds):
        direction, step = flat.sub(state["prev_flat_grad"]), state["d"].mul(1.0)
        for kept, new in ((state["old_dirs"], direction), (state["old_stps"], step)):
            del kept[:1]
            kept.append(new)
        q = flat.neg()
        state["d"] = q.mul(1.0)
        if group["line_search_fn"] is not None:
            _search(group["params"], flat, closure)
        elif round_ + 1 < rounds:
            closure()
            flat = _flat_gradient(group["params"])
        flat.abs(), state["d"].mul(1.0).abs()
    return first


def _search(parameters: list[Any], flat: Any, closure: Callable[[], Any]) -> None:
    """Along a line: the parameters as they were, and the gradients at the two ends of a bracket and at the last try."""
    start, before = [p.clone() for p in parameters], flat.clone()
    closure()
    tried = _flat_gradient(parameters)
    bracket = [before.clone(), tried.clone()]
    del start, bracket


def _flat_gradient(parameters: list[Any]) -> Any:
    return torch.cat([torch.zeros_like(p).view(-1) if p.grad is None else p.grad.reshape(-1) for p in parameters])
