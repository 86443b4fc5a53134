"""What a task is made of, checked before anything is run: kinds, choices that exclude each other, one device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn

from ..checks import choice, shown
from ..small_print import warn_of

_ORDER = ": the order is Task(model, optimizer, loss_fn, data)"


class Ingredients(Protocol):
    """A task, as far as this is about it; see ``Task`` for what they are."""

    model: Any
    optimizer: Any
    loss_fn: Callable[..., Any] | None
    training_step: Callable[..., Any] | None
    update: Callable[..., Any] | None
    amp: torch.dtype | None
    accumulate: int
    preserve: tuple[Any, ...]

    @property
    def models(self) -> dict[str, nn.Module]: ...

    @property
    def optimizers(self) -> dict[str, torch.optim.Optimizer]: ...


def check_kinds(task: Ingredients) -> None:
    """Whether models, optimizers and what ``preserve`` names are what they should be.

    Raises:
        TypeError, ValueError: Where one is not, saying what to write.
    """
    for name, module in task.models.items():
        if not isinstance(module, nn.Module):
            raise TypeError(
                f"model{f'[{name!r}]' if name else ''} must be a torch.nn.Module, not {type(module).__name__}{_ORDER}"
            )
    for name, optimizer in task.optimizers.items():
        if any(group["lr"] is None for group in getattr(optimizer, "param_groups", ())):
            raise ValueError(f"{type(optimizer).__name__} chooses its own rate (lr=None); give it an lr to tune")
        if not hasattr(optimizer, "param_groups") or not hasattr(optimizer, "step"):
            raise TypeError(
                f"optimizer{f'[{name!r}]' if name else ''} must be a torch.optim.Optimizer, "
                f"not {type(optimizer).__name__}{_ORDER}"
            )
    if getattr(task.training_step, "__self__", None) in task.models.values():
        raise TypeError(
            "training_step gets (model, batch), and a method of the model has its own idea of both: "
            "write lambda model, batch: model.training_step(batch, 0)"
        )
    for thing in task.preserve:
        has_state = hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict")
        if not has_state or isinstance(thing, type):
            raise TypeError(f"preserve takes objects with state_dict and load_state_dict, not {shown(thing)}")


def check_functions(functions: Mapping[str, Any]) -> None:
    """Whether each of them, by its argument's name, is None or can be called.

    Raises:
        TypeError: Where one is not.
    """
    for name, value in functions.items():
        if value is not None and (not callable(value) or hasattr(value, "param_groups")):
            hint = f"; data is the fourth argument{_ORDER}" if name == "loss_fn" else ""
            raise TypeError(f"{name} must be callable, not {type(value).__name__}{hint}")
        if isinstance(value, type):
            raise TypeError(f"{name} must be an instance, not the class: write {value.__name__}()")


def check_choices(task: Ingredients) -> None:
    """Whether what was given goes together.

    Raises:
        ValueError: Where it does not.
    """
    if sum(f is not None for f in (task.loss_fn, task.training_step, task.update)) > 1:
        raise ValueError("give one of loss_fn, training_step and update: each of them says what a step is")
    choice("amp", task.amp, (torch.bfloat16, torch.float16, None))
    if task.update is not None and (task.amp is not None or task.accumulate > 1):
        raise ValueError("update does its own autocast and accumulation: leave amp and accumulate out")
    if task.update is None and (isinstance(task.model, Mapping) or isinstance(task.optimizer, Mapping)):
        raise ValueError("several models or optimizers need update=, since only you know the order of their steps")
    if task.update is None and any(isinstance(o, torch.optim.LBFGS) for o in task.optimizers.values()):
        raise ValueError("LBFGS calls a closure several times a step: give update= with your optimizer.step(closure)")


def parameters_of(task: Ingredients) -> Iterator[nn.Parameter]:
    """Every parameter of the models, the loss and the optimizers, trainable or not; some more than once.

    Whoever looks for one of them need not walk through all.
    """
    yield from _own_parameters(task)
    yield from _held_parameters(task)


def _own_parameters(task: Ingredients) -> Iterator[nn.Parameter]:
    for module in (*task.models.values(), *([task.loss_fn] if isinstance(task.loss_fn, nn.Module) else [])):
        yield from module.parameters()


def _held_parameters(task: Ingredients) -> Iterator[nn.Parameter]:
    yield from (p for o in task.optimizers.values() for group in o.param_groups for p in group["params"])


def device_of(task: Ingredients, asked: torch.device | str | None) -> torch.device:
    """The device of all parameters.

    Args:
        task: Whose.
        asked: What the user takes it for; None for whichever it is.
    Raises:
        ValueError: Where they are on several, or on another one, or there are none.
    """
    found = {p.device for p in parameters_of(task)}
    if len(found) > 1:
        names = ", ".join(sorted(map(str, found)))
        raise ValueError(f"the parameters are on several devices ({names}); nbtune tunes a model on one device")
    if not found:
        raise ValueError("the model has no parameters, so there is nothing to train")
    device = found.pop()
    if asked is not None:
        asked = _device(asked)
        if device.type == "meta":
            raise ValueError("the model is on the meta device: leave device out, what predicts needs none")
        if asked.type != device.type or asked.index not in (None, device.index):
            raise ValueError(f"the model is on {device}, not on {asked}: move it before you build its optimizer")
    return device


def _device(asked: Any) -> torch.device:
    try:
        return torch.device(asked)
    except (RuntimeError, TypeError, ValueError, OverflowError, SystemError):
        torchs = 'one that torch knows, such as "cpu" or "cuda:0"'
        raise ValueError(f"device must be {torchs}, not {shown(asked)}") from None


def check_ownership(task: Ingredients) -> None:
    """Whether the optimizer trains the model.

    Raises:
        ValueError: Where it holds nothing of it, or nothing of it can be trained.
    Warns:
        UserWarning: Where it holds others besides, and not all.
    """
    own = {id(p): p.requires_grad for p in _own_parameters(task)}
    trainable = {p for p, requires_grad in own.items() if requires_grad}
    if not trainable:
        raise ValueError("every parameter is frozen (requires_grad is False), so there is nothing to train")
    held = set(map(id, _held_parameters(task)))
    if not held & trainable:
        raise ValueError(
            "the optimizer holds none of the model's trainable parameters: build it after the model, "
            "e.g. torch.optim.Adam(model.parameters())"
        )
    if held - set(own) and trainable - held:
        text = "the optimizer holds parameters the model no longer has, and misses others: was a layer replaced after "
        warn_of([f"{text}the optimizer was built?"])
