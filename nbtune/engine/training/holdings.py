"""What training a task holds in memory beside its activations: the model's state, its gradients, its moments."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from ..task.task import Task
from .belongings import Belongings

MOMENTS = {
    "SGD": 0, "ASGD": 1, "Rprop": 2, "RMSprop": 1, "Adagrad": 1, "Adafactor": 0, "Muon": 1, "Lion": 1, "LBFGS": 6,
}  # fmt: skip
"""Tensors of a weight's size that an optimizer makes in its first step; of those not named, as Adam does, two."""

LAZY = (UninitializedParameter, UninitializedBuffer)

MORE_MOMENTS = {"momentum": 1, "centered": 1, "amsgrad": 1}
"""Settings of a group that add some."""


def state_bytes(task: Task) -> int:
    """What a copy of the task's objects holds when it is made: all that modules and optimizers keep in tensors."""
    return sum(_storages(_state_tensors(task)).values())


def gradient_bytes(task: Task) -> int:
    """What the gradients hold that are there now."""
    return sum(_storages(p.grad for p in task.parameters if p.grad is not None).values())


def training_bytes(task: Task) -> int:
    """What the first step adds and keeps: a gradient of each weight that trains, and the moments not made so far."""
    trained = [p for p in task.parameters if p.requires_grad and not isinstance(p, LAZY)]
    return sum(p.nbytes for p in trained) + sum(_missing_moments(o) for o in task.optimizers.values())


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Those of a ``state_dict``, or of a batch."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)


def bytes_in(value: Any) -> int:
    """What the tensors of a ``state_dict`` or a batch hold."""
    return sum(_storages(tensors_in(value)).values())


def _state_tensors(task: Task) -> Iterator[torch.Tensor]:
    roots = [*task.models.values(), *filter(None, map(_module_of, (task.loss_fn, task.training_step, task.update)))]
    modules = list({id(m): m for root in roots for m in root.modules()}.values())
    yield from task.parameters
    for module in modules:
        yield from module.parameters(recurse=False)
        yield from module.buffers(recurse=False)
    yield from Belongings(modules).tensors
    for optimizer in task.optimizers.values():
        for entry in optimizer.state.values():
            yield from tensors_in(entry)


def _module_of(function: Any) -> nn.Module | None:
    owner = getattr(function, "__self__", function)
    return owner if isinstance(owner, nn.Module) else None


def _storages(tensors: Iterable[torch.Tensor]) -> dict[int, int]:
    """Address → bytes: tensors that share memory count once, and a view as much as what it is a view of."""
    found: dict[int, int] = {}
    for tensor in tensors:
        if isinstance(tensor, LAZY) or tensor.device.type == "meta":
            continue
        if tensor.layout == torch.strided:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        else:
            found[id(tensor)] = _sparse_bytes(tensor)
    return found


def _sparse_bytes(tensor: torch.Tensor) -> int:
    if tensor.layout == torch.sparse_coo:
        return tensor._values().nbytes + tensor._indices().nbytes
    try:
        return 2 * tensor.values().nbytes  # its indices take about as much
    except RuntimeError:  # a layout without them
        return 0


def _missing_moments(optimizer: Any) -> int:
    kind = type(getattr(optimizer, "optimizer", optimizer))  # Accelerate wraps it
    usual = next((MOMENTS[base.__name__] for base in kind.__mro__ if base.__name__ in MOMENTS), 2)
    found = 0
    for group in optimizer.param_groups:
        count = usual + sum(more for name, more in MORE_MOMENTS.items() if group.get(name))
        for parameter in group["params"]:
            is_made = isinstance(parameter, LAZY) or bool(optimizer.state.get(parameter))
            found += 0 if is_made or not parameter.requires_grad else count * parameter.nbytes
    return found
