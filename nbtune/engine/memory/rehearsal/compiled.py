"""Models that were handed to a compiler, TorchScript or torch.compile: taken as the PyTorch they are made of.

What a compiler changes is not played: it fuses operators, and chooses itself what it saves for the backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import nn

from ...task.task import Task
from ...training.copies import is_compiled

SCRIPTED = (
    "TorchScript: counted operator by operator, with attention and dropout as they are written; what it fuses takes "
    "less."
)
COMPILED = (
    "torch.compile: counted as without it. Compiled code saves other tensors for the backward pass: of four models cut "
    "up as it cuts them, but not fused, one took 30 % less at its peak, one as much, two 9 % and 25 % more."
)


def copy_uncompiled(model: nn.Module, memo: dict[int, Any]) -> None:
    """Copy what ``torch.compile`` was given, wherever in a model; its copy stands for the compiled module too."""
    for module in reversed(list(model.modules())):
        if is_compiled(module):
            memo[id(module)] = copy.deepcopy(module._orig_mod, memo)


def uncompiled(function: Any) -> Any:
    """The function that ``torch.compile`` was given; any other as it is."""
    return getattr(function, "_torchdynamo_orig_callable", function)


def uses_compiler(task: Task) -> bool:
    """Whether ``torch.compile`` is in a task, as far as its models and functions show it."""
    modules = [m for model in task.models.values() for m in model.modules()]
    if any(is_compiled(m) or getattr(m, "_compiled_call_impl", None) is not None for m in modules):
        return True
    return any(hasattr(f, "_torchdynamo_orig_callable") for f in (task.loss_fn, task.training_step, task.update))


def empty_scripts(
    theirs: nn.Module, ours: nn.Module, memo: dict[int, Any], empty: Callable[[torch.Tensor], torch.Tensor]
) -> None:  # fmt: skip
    """Take the numbers out of copied TorchScript modules, which are copied past Python, with all their numbers.

    Args:
        memo: What stands for the parameters.
        empty: Makes a tensor like a buffer.
    """
    for own, made in zip(_scripts_in(theirs), _scripts_in(ours), strict=True):
        for name, tensor in own.named_parameters(recurse=False):
            made._c.setattr(name, memo[id(tensor)])
        for name, buffer in own.named_buffers(recurse=False):
            made._c.setattr(name, memo.setdefault(id(buffer), empty(buffer)))


def plainly_run_scripts() -> Any:
    """A context in which TorchScript runs operator by operator; else a second run takes another course."""
    return cast("Any", torch.jit).optimized_execution(False)


def has_scripts(model: nn.Module) -> bool:
    """Whether there is a TorchScript module in it."""
    return next(_scripts_in(model), None) is not None


def _scripts_in(model: nn.Module) -> Iterator[torch.jit.ScriptModule]:
    return (module for module in model.modules() if isinstance(module, torch.jit.ScriptModule))
