"""A task's objects as shapes alone: a copy without a number in it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ...task.task import Task
from ...training.copies import copied_function, copy_missing_attributes, has_closures_over_modules
from ..blocks import blocks_of
from ..samples import NotPredictableError
from .compiled import copy_uncompiled, empty_scripts, uncompiled
from .outside import Outside
from .unwrapped import unwrap

NO_BLOCKS = "Checkpointing changes nothing here: the model has no list of blocks to put it around."
CHECKPOINTING = "Checkpointing was planned for each block of the model's largest lists of layers."


@dataclass(slots=True)
class Replica:
    """What a rehearsal trains; the same names as in ``training.workpiece.Workpiece``.

    Attributes:
        stand_ins: (the user's tensor, what stands for it) of all that was copied.
        beside: Bytes of tensors that the functions reach beside the model, by the variable that leads to them.
        hidden_optimizers: Those that step within the user's functions and hooks.
    """

    model: Any
    optimizer: Any
    loss_fn: Callable[..., Any] | None
    training_step: Callable[..., Any] | None
    update: Callable[..., Any] | None
    stand_ins: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)
    beside: dict[str, int] = field(default_factory=dict)
    hidden_optimizers: list[Any] = field(default_factory=list)

    @property
    def models(self) -> dict[str, nn.Module]:
        return dict(self.model) if isinstance(self.model, dict) else {"": self.model}

    @property
    def modules(self) -> list[nn.Module]:
        """Everything that may hold parameters: the models, and a loss or a step that is a module itself."""
        functions = [getattr(f, "__self__", f) for f in (self.loss_fn, self.training_step, self.update)]
        return [*self.models.values(), *(f for f in functions if isinstance(f, nn.Module))]

    @property
    def optimizers(self) -> list[Any]:
        return list(self.optimizer.values()) if isinstance(self.optimizer, dict) else [self.optimizer]


class _Emptied(TorchFunctionMode):
    """While active, deep copies of tensors are made by ``empty``, so that no number is copied."""

    def __init__(self, empty: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self._empty = empty

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.__deepcopy__:
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = self._empty(tensor)
            return memo[id(tensor)]
        if func is torch.Tensor.clone:  # by Parameter.__deepcopy__: of modules hidden in lists
            return self._empty(args[0])
        return func(*args, **(kwargs or {}))


def replica_of(task: Task, empty: Callable[[torch.Tensor], torch.Tensor]) -> Replica:
    """Copies of the task's model, optimizer and functions whose tensors are made by ``empty``.

    The optimizers begin without state, so that its making is seen.

    Args:
        empty: Makes a tensor of the same shape, dtype and strides, on the meta device or fake.
    Raises:
        NotPredictableError: For models that cannot be copied, or whose copy would lead back to the original.
    """
    if has_closures_over_modules(task, but_compiled=True):
        raise NotPredictableError("a function kept in the model leads back to the model itself, as torch.compile's do")
    stand_ins: list[tuple[torch.Tensor, torch.Tensor]] = []

    def emptied(tensor: torch.Tensor) -> torch.Tensor:
        made = empty(tensor)
        stand_ins.append((tensor, made))
        return made

    memo: dict[int, Any] = {}
    for parameter in task.parameters:
        memo[id(parameter)] = nn.Parameter(empty(parameter.detach()), parameter.requires_grad)
    try:
        with _Emptied(emptied):
            unwrap(task, memo)
            for whole in task.models.values():
                copy_uncompiled(whole, memo)
            model, optimizer = copy.deepcopy((task.model, task.optimizer), memo)
            optimizers = list(optimizer.values()) if isinstance(optimizer, dict) else [optimizer]
            for theirs, ours in zip(task.optimizers.values(), optimizers, strict=True):
                if type(ours) is type(theirs):  # else it was unwrapped
                    copy_missing_attributes(theirs, ours, memo)
            own = [copied_function(f, memo) for f in _functions(task)]
        outside = Outside(memo, empty, task.device)
        functions = [
            outside.of(f) if f is not None and f is theirs else f
            for f, theirs in zip(own, _functions(task), strict=True)
        ]
        for thing in task.preserve:
            outside.named(f"preserve ({type(thing).__name__})", thing)
        _copy_hooks_of_backward(task, outside, memo)
    except Exception as error:
        raise NotPredictableError(f"the model cannot be copied ({error})") from error
    copies: list[nn.Module] = list(model.values()) if isinstance(model, dict) else [model]
    for whole, made in zip(task.models.values(), copies, strict=True):
        empty_scripts(whole, made, memo, empty)
    state = {id(x) for ours in optimizers for x in tree_leaves(list(getattr(ours, "state", {}).values()))}
    for ours in optimizers:
        getattr(ours, "state", {}).clear()
    kept = [*((real, made) for real, made in stand_ins if id(made) not in state), *outside.made]
    loss_fn, training_step, update = functions
    replica = Replica(
        model, optimizer, loss_fn, training_step, update, kept, dict(outside.bytes_by_name), outside.optimizers
    )
    for module in replica.models.values():
        if not module.training:
            module.train()
    return replica


def _copy_hooks_of_backward(task: Task, outside: Outside, memo: dict[int, Any]) -> None:
    """What runs as soon as a parameter has its gradient, such as an optimizer's step, which frees it again."""
    for parameter in task.parameters:
        hooks: Any = getattr(parameter, "_post_accumulate_grad_hooks", None)
        for hook in list((hooks or {}).values()):
            memo[id(parameter)].register_post_accumulate_grad_hook(outside.of(hook))


def _functions(task: Task) -> tuple[Any, Any, Any]:
    return uncompiled(task.loss_fn), uncompiled(task.training_step), uncompiled(task.update)


def plan_optimizer(replica: Replica, name: str) -> None:
    """Another optimizer over the same parameters, with PyTorch's defaults, for planning."""
    held = [p for group in replica.optimizer.param_groups for p in group["params"]]
    made: dict[str, Callable[[], Any]] = {
        "SGD": lambda: torch.optim.SGD(held, 0.1),
        "SGD with momentum": lambda: torch.optim.SGD(held, 0.1, momentum=0.9),
        "Adam": lambda: torch.optim.Adam(held, 1e-3),
        "AdamW": lambda: torch.optim.AdamW(held, 1e-3),
        "RMSprop": lambda: torch.optim.RMSprop(held, 1e-3),
        "Adafactor": lambda: torch.optim.Adafactor(held, 1e-2),
    }
    replica.optimizer = made[name]()


def fuse_as_on_cuda(optimizers: list[Any]) -> bool:
    """On CUDA PyTorch's optimizers update lists of tensors at once, which takes memory; elsewhere they do not.

    Returns:
        Whether all of them were fused: one kernel for everything, which other devices lack and which takes no memory.
    """
    groups = [group for optimizer in optimizers for group in getattr(optimizer, "param_groups", ())]
    are_fused = all(group.get("fused") for group in groups)
    for optimizer in optimizers:
        for group in getattr(optimizer, "param_groups", ()):
            if group.get("fused"):
                group["fused"], group["foreach"] = None, False
            elif "foreach" in group and group["foreach"] is None and not group.get("differentiable"):
                # PyTorch's own rule: a rate in a tensor is for lists only where it is capturable.
                group["foreach"] = not isinstance(group["lr"], torch.Tensor) or bool(group.get("capturable"))
    return are_fused


def update_at_once(optimizers: list[Any], is_wanted: bool) -> None:
    """Have optimizers update lists of tensors at once, or one tensor after the other; those without a choice stay."""
    for optimizer in optimizers:
        for group in getattr(optimizer, "param_groups", ()):
            if "foreach" in group:
                group.update(foreach=is_wanted, **({"fused": None} if "fused" in group else {}))


def plan_checkpointing(replica: Replica) -> tuple[str, ...]:
    """Switch on recomputation of activations: by the model's own switch, else around each block of its lists.

    Returns:
        What was assumed, in sentences.
    """
    caveats: list[str] = []
    for model in replica.models.values():
        name, switch = _switch(model, "enable")
        if switch is not None:
            switch(**{f"{name}_kwargs": {"use_reentrant": False}})
            continue
        blocks = list(blocks_of(model).values())
        for block in blocks:
            _checkpoint(block)
        caveats = [CHECKPOINTING if blocks else NO_BLOCKS]
    return tuple(caveats)


def unplan_checkpointing(replica: Replica) -> None:
    """Switch recomputation off, where the model has a switch."""
    for model in replica.models.values():
        _, switch = _switch(model, "disable")
        if switch is not None:
            switch()


def _switch(model: nn.Module, way: str) -> tuple[str, Any]:
    """A model's own switch and what it calls recomputation: since transformers 5.24 activation checkpointing."""
    names = ("activation_checkpointing", "gradient_checkpointing")
    found = ((name, getattr(model, f"{name}_{way}", None)) for name in names)
    return next((pair for pair in found if pair[1] is not None), ("", None))


def _checkpoint(block: nn.Module) -> None:
    from torch.utils.checkpoint import checkpoint

    plain: Any = block.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(plain, *args, use_reentrant=False, **kwargs)

    block.forward = forward
