"""Who may train a model, and on what: a copy, or the model itself with a backup."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import nn

from ..device.capacity import free_bytes
from ..interrupts import held_back
from ..task.task import NO_NUMBERS, Task
from .backup import Backup, optimizer_backup, put_back_groups

_held: set[int] = set()  # ids of the parameters that runs of this process work on
_held_lock = threading.Lock()


class ModelBusyError(RuntimeError):
    """Another nbtune run is working on these parameters."""


@dataclass(frozen=True, slots=True)
class Workpiece:
    """What a run may change: copies of the user's objects, or, where those do not fit, the objects themselves."""

    model: Any
    optimizer: Any
    loss_fn: Callable[..., Any] | None
    training_step: Callable[..., Any] | None
    update: Callable[..., Any] | None
    is_copy: bool

    @property
    def models(self) -> list[nn.Module]:
        return list(self.model.values()) if isinstance(self.model, dict) else [self.model]

    @property
    def optimizers(self) -> list[Any]:
        return list(self.optimizer.values()) if isinstance(self.optimizer, dict) else [self.optimizer]


@contextmanager
def borrowed(task: Task) -> Iterator[Workpiece]:
    """The task's model and optimizer to train; afterwards everything is as it was.

    Raises:
        ModelBusyError: While another run holds any of the same parameters.
    """
    with held(task), lent(task) as workpiece:
        yield workpiece


@contextmanager
def held(task: Task) -> Iterator[None]:
    """Keeps other runs off the task's parameters; afterwards what ``preserve`` names is as it was.

    Raises:
        ModelBusyError: While another run holds any of the same parameters.
        ValueError: For a model without numbers, on the meta device.
    """
    if task.device.type == "meta":
        raise ValueError(NO_NUMBERS)
    with _hold(task), _preserved(task):
        yield


@contextmanager
def lent(task: Task, *, in_place: bool = False, has_room: bool = False) -> Iterator[Workpiece]:
    """A workpiece in the task's present state, while the task is ``held``.

    A copy is trained when it can be made, so that the user's own model stays usable meanwhile; several may be lent at
    once. Else (and with ``in_place``) the model itself is, by one borrower at a time, with a backup in host memory.
    ``has_room``: that there is memory for the copy is known already.
    """
    with held_back(), torch.inference_mode(False):
        workpiece = None if in_place else _copied(task, has_room)
    if workpiece is not None:
        yield workpiece
        return
    backup = Backup(task)
    try:
        backup.set_gradients_aside()
        yield Workpiece(task.model, task.optimizer, task.loss_fn, task.training_step, task.update, False)
    finally:
        backup.put_back()


def copies_at_once(task: Task) -> int:
    """How many training runs, each with gradients and two moments of its own, take at most half of the free memory."""
    free = free_bytes(task.device)
    if free is None:
        return 1
    each = 4 * sum(p.nbytes for p in task.parameters) + sum(b.nbytes for m in task.models.values() for b in m.buffers())
    return max(1, free // (2 * max(1, each)))


@contextmanager
def _hold(task: Task) -> Iterator[None]:
    wanted = {id(p) for p in task.parameters}
    with _held_lock:
        if wanted & _held:
            raise ModelBusyError("another nbtune run is using this model: stop it, or wait until it has ended")
        _held.update(wanted)
    try:
        yield
    finally:
        with _held_lock:
            _held.difference_update(wanted)


@contextmanager
def _preserved(task: Task) -> Iterator[None]:
    """Put back what ``preserve`` names, and the groups of the user's optimizer, which a scheduler in it changes."""
    with ExitStack() as undo:  # one that fails keeps none of the others from being put back
        for optimizer in task.optimizers.values() if task.preserve else ():
            undo.callback(put_back_groups, optimizer, optimizer_backup(optimizer)[0])
        for thing in task.preserve:
            undo.callback(thing.load_state_dict, copy.deepcopy(thing.state_dict()))
        yield


def _copied(task: Task, has_room: bool) -> Workpiece | None:
    """Deep copies of everything that holds parameters, made together so that they still refer to each other."""
    if _has_hooks(task) or has_closures_over_modules(task) or not (has_room or _is_room_for_copy(task)):
        return None
    memo: dict[int, Any] = {}
    try:
        model = _copied_models(task, memo)
        optimizer = copy.deepcopy(task.optimizer, memo)
        for theirs, ours in zip(task.optimizers.values(), _values(optimizer), strict=True):
            copy_missing_attributes(theirs, ours, memo)
        loss_fn = copied_function(task.loss_fn, memo)
        training_step = copied_function(task.training_step, memo)
        update = copied_function(task.update, memo)
    except Exception:
        # Whatever a module keeps that cannot be copied (a lock, a graph, a file): train in place instead.
        return None
    workpiece = Workpiece(model, optimizer, loss_fn, training_step, update, True)
    theirs_ids = {id(p) for p in task.parameters}
    held = {id(p) for o in workpiece.optimizers for group in o.param_groups for p in group["params"]}
    return None if held & theirs_ids else workpiece


def _values(one_or_many: Any) -> list[Any]:
    return list(one_or_many.values()) if isinstance(one_or_many, dict) else [one_or_many]


def _copied_models(task: Task, memo: dict[int, Any]) -> Any:
    if not any(isinstance(m, torch.jit.ScriptModule) for root in task.models.values() for m in root.modules()):
        return copy.deepcopy(task.model, memo)
    # TorchScript clones parameters as a step would, with a graph back to the originals, and does not tell which became
    # which, so that the optimizer's copy would hold others.
    with torch.no_grad():
        model = copy.deepcopy(task.model, memo)
    copies = model if isinstance(model, dict) else {"": model}
    for name, theirs in task.models.items():
        ours = dict(copies[name].named_parameters())
        for path, parameter in theirs.named_parameters():
            memo[id(parameter)] = ours[path].requires_grad_(parameter.requires_grad)
    return model


def copied_function(function: Any, memo: dict[int, Any]) -> Any:
    """Modules and methods of modules are copied; other callables may hold the user's world and stay."""
    owner = getattr(function, "__self__", function)
    return copy.deepcopy(function, memo) if isinstance(owner, nn.Module) else function


def copy_missing_attributes(theirs: Any, ours: Any, memo: dict[int, Any]) -> None:
    # Optimizer.__getstate__ keeps state and groups only, so LBFGS loses its _params. A "step" in the instance is a
    # scheduler's wrapper around the user's own optimizer and must not come along; Accelerate's optimizers keep it.
    if isinstance(vars(ours).get("step"), FunctionType):
        del ours.step
    for name, value in vars(theirs).items():
        if name not in vars(ours) and name != "step":
            setattr(ours, name, copy.deepcopy(value, memo))


def _has_hooks(task: Task) -> bool:
    # Deep copies drop the hooks of parameters (gradient masks) and optimizers (clipping); they would train differently.
    names = ("_optimizer_step_pre_hooks", "_optimizer_step_post_hooks")
    return any(p._backward_hooks or getattr(p, "_post_accumulate_grad_hooks", None) for p in task.parameters) or any(
        getattr(o, name, None) for o in task.optimizers.values() for name in names
    )


def has_closures_over_modules(task: Task) -> bool:
    """Whether a function kept in a module (``m.forward = torch.compile(m.forward)``) leads a copy to the original."""
    kept = [v for root in task.models.values() for m in root.modules() for v in _functions_of(m)]
    return any(_closes_over_module(function) for function in kept)


def _functions_of(module: nn.Module) -> list[Any]:
    hooks = [h for named in (module._forward_hooks, module._forward_pre_hooks) for h in named.values()]
    return [v for v in (*vars(module).values(), *hooks) if isinstance(v, FunctionType)]


def _closes_over_module(value: Any, depth: int = 4) -> bool:
    if isinstance(value, (nn.Module, nn.Parameter)) or isinstance(getattr(value, "__self__", None), nn.Module):
        return True
    cells = value.__closure__ or () if isinstance(value, FunctionType) and depth else ()
    return any(_closes_over_module(cell.cell_contents, depth - 1) for cell in cells if _is_filled(cell))


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that is not set yet
        return False


def _is_room_for_copy(task: Task) -> bool:
    """Whether the copy and its gradients take at most half of the free memory."""
    free = free_bytes(task.device)
    if free is None:
        return True
    parameters = sum(p.nbytes for p in task.parameters)
    others = sum(b.nbytes for m in task.models.values() for b in m.buffers())
    state = sum(
        v.nbytes
        for o in task.optimizers.values()
        for entry in o.state.values()
        if isinstance(entry, dict)
        for v in entry.values()
        if isinstance(v, torch.Tensor)
    )
    return 2 * (2 * parameters + others + state) <= free
