"""Copies of a task's objects that train as the originals would."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch import nn

from ..task.task import Task


@dataclass(frozen=True, slots=True)
class Workpiece:
    """What a run may change: copies of the user's objects, or, where those do not fit, the objects themselves.

    Attributes:
        is_copy: Whether they are copies.
        note: What the lack of memory has led to, a sentence; "" where it has led to nothing.
    """

    model: Any
    optimizer: Any
    loss_fn: Callable[..., Any] | None
    training_step: Callable[..., Any] | None
    update: Callable[..., Any] | None
    is_copy: bool
    note: str = ""

    @property
    def models(self) -> list[nn.Module]:
        return list(self.model.values()) if isinstance(self.model, dict) else [self.model]

    @property
    def optimizers(self) -> list[Any]:
        return list(self.optimizer.values()) if isinstance(self.optimizer, dict) else [self.optimizer]


def is_copyable(task: Task) -> bool:
    """Whether copies would train as the originals do, as far as can be seen before they are made."""
    return not _has_hooks(task) and not has_closures_over_modules(task)


def copied(task: Task) -> Workpiece | None:
    """Deep copies of everything that holds parameters, made together so that they still refer to each other.

    Returns:
        None where something cannot be copied.
    """
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


def has_closures_over_modules(task: Task, *, but_compiled: bool = False) -> bool:
    """Whether a function kept in a module (``m.forward = torch.compile(m.forward)``) leads a copy to the original.

    Args:
        but_compiled: Leave aside ``torch.compile(m)`` and ``m.compile()``, for whoever copies what is compiled there.
    """
    modules = [m for root in task.models.values() for m in root.modules()]
    kept = [v for m in modules if not (but_compiled and is_compiled(m)) for v in _functions_of(m)]
    left = [v for m in modules for v in [getattr(m, "_compiled_call_impl", None)] if but_compiled and v is not None]
    return any(_closes_over_module(function) for function in kept if not any(function is v for v in left))


def is_compiled(module: nn.Module) -> bool:
    """Whether a module is what ``torch.compile`` gives for another one, its ``_orig_mod``."""
    return type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod")


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
