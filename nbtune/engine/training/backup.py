"""What is put back after a run in the user's own model, with a copy of it in host memory or on disk."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from ..interrupts import held_back, to_the_end
from ..task.task import Task
from .belongings import Belongings
from .kept import InMemory, Keeper, Kept


class Backup:
    """The state of a task's own objects in host memory or on disk, put back bit for bit into the same objects.

    Args:
        task: Whose state it is.
        keeper: Where copies of tensors are kept, for as long as the backup is needed; None for in memory.
    Attributes:
        is_on_disk: Whether they are on disk.
    """

    @held_back()
    def __init__(self, task: Task, keeper: Keeper | None = None) -> None:
        self._keeper = keeper or InMemory()
        self.is_on_disk = self._keeper.is_on_disk
        roots = [*task.models.values(), *([task.loss_fn] if isinstance(task.loss_fn, nn.Module) else [])]
        modules = list({id(m): m for root in roots for m in root.modules()}.values())
        self._belongings = Belongings(modules)
        tensors = {id(t): t for t in (*task.parameters, *(b for m in modules for b in m.buffers(recurse=False)))}
        tensors |= {id(t): t for t in self._belongings.tensors}
        self._memory = [(t, t.data) for t in tensors.values() if t.layout == torch.strided]
        keep = self._keeper.keep
        self._tensors = [(t, keep(t)) for t in tensors.values()]
        self._parameters = [
            (p, p.requires_grad, p.grad, None if p.grad is None else keep(p.grad)) for p in task.parameters
        ]
        self._optimizers = [(o, *optimizer_backup(o, self._keeper)) for o in task.optimizers.values()]

    @held_back()
    def set_gradients_aside(self) -> None:
        """Give the parameters no gradients; the user's own are kept, where memory is short without their memory.

        That is on an accelerator, and with a backup on disk: a step that just fits would not fit beside a second set of
        gradients. The tensors stay the same objects.
        """
        for parameter, _, grad, _ in self._parameters:
            parameter.grad = None
            if grad is not None and self.gives_memory_of(grad):
                grad.untyped_storage().resize_(0)

    def gives_memory_of(self, grad: torch.Tensor) -> bool:
        """Whether a gradient that is set aside gives its memory back."""
        return (grad.device.type != "cpu" or self.is_on_disk) and _owns_memory(grad)

    def put_back(self) -> None:
        """Everything as it was when the backup was made; what cannot be put back does not keep the rest from it."""
        to_the_end(self._put_back)

    @torch.no_grad()
    def _put_back(self) -> None:
        for parameter, *_ in self._parameters:
            parameter.grad = None  # the run's own, whose memory may be wanted
        with ExitStack() as undo:
            for optimizer, groups, state in self._optimizers:
                undo.callback(_put_back_optimizer, optimizer, groups, state)
            for parameter, requires_grad, grad, saved_grad in self._parameters:
                undo.callback(_put_back_gradient, parameter, requires_grad, grad, saved_grad)
            for tensor, saved in self._tensors:
                undo.callback(_put_back_tensor, tensor, saved)
            for tensor, data in self._memory:
                undo.callback(_put_back_memory, tensor, data)
            undo.callback(self._belongings.put_back)


def _put_back_tensor(tensor: torch.Tensor, saved: Kept) -> None:
    saved.into(tensor)


def _put_back_memory(tensor: torch.Tensor, data: torch.Tensor) -> None:
    """Where ``.data`` was replaced, the tensor's numbers lie in the same memory again."""
    if tensor.data_ptr() != data.data_ptr() or tensor.shape != data.shape or tensor.stride() != data.stride():
        tensor.data = data


@torch.no_grad()
def _put_back_gradient(parameter: nn.Parameter, requires_grad: bool, grad: Any, saved: Kept | None) -> None:
    parameter.requires_grad_(requires_grad)
    parameter.grad = grad
    if grad is not None and saved is not None:
        if grad.numel() and not grad.untyped_storage().nbytes():
            grad.untyped_storage().resize_(saved.nbytes)
        _put_back_tensor(grad, saved)


def _owns_memory(tensor: torch.Tensor) -> bool:
    """Whether nothing else lies in the tensor's storage, as far as can be seen from its size."""
    if tensor.layout != torch.strided:
        return False
    storage = tensor.untyped_storage()
    return storage.resizable() and storage.nbytes() == tensor.nbytes and tensor.is_contiguous()


def is_plain(value: Any) -> bool:
    return type(value) in (bool, int, float, str, type(None))


def optimizer_backup(
    optimizer: Any, keeper: Keeper | None = None
) -> tuple[list[dict[str, Any]], dict[Any, dict[str, Any]]]:
    """Its groups, without the parameters, and its state, to be put back."""
    keeper = keeper or InMemory()
    groups = [{k: _saved(v, keeper) for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    return groups, {p: {k: _saved(v, keeper) for k, v in entry.items()} for p, entry in optimizer.state.items()}


def _saved(value: Any, keeper: Keeper) -> tuple[Any, Any]:
    return value, keeper.keep(value) if isinstance(value, torch.Tensor) else copy.deepcopy(value)


def _restored(saved: tuple[Any, Any]) -> Any:
    value, copied = saved
    if isinstance(value, torch.Tensor):
        _put_back_tensor(value, copied)
        return value
    return copied


def _put_back_optimizer(optimizer: Any, groups: list[dict[str, Any]], state: dict[Any, dict[str, Any]]) -> None:
    put_back_groups(optimizer, groups)
    for parameter in [p for p in optimizer.state if p not in state]:
        del optimizer.state[parameter]
    for parameter, entry in state.items():
        optimizer.state[parameter].clear()
        optimizer.state[parameter].update({k: _restored(v) for k, v in entry.items()})


def put_back_groups(optimizer: Any, groups: list[dict[str, Any]]) -> None:
    for group, saved in zip(optimizer.param_groups, groups, strict=True):
        for name in set(group) - set(saved) - {"params"}:
            del group[name]
        group.update({k: _restored(v) for k, v in saved.items()})
