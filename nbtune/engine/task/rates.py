"""The learning rates in optimizers: which one η stands for, and how it is set."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch


def reference_lr(optimizers: Iterable[torch.optim.Optimizer]) -> float:
    """The rate of the first group whose rate is not 0: the one η stands for."""
    rates = [float(group["lr"]) for o in optimizers for group in o.param_groups]
    return next((rate for rate in rates if rate > 0), 0.0)


def rate_of_its_own(optimizer: torch.optim.Optimizer) -> str:
    """What is to be said of an optimizer that finds its rate itself; "" of any other.

    Prodigy (Mishchenko and Defazio 2023) and D-Adaptation (2023) keep their estimate of it in their groups as ``d``.
    """
    if not any("d" in group and ("d_coef" in group or "growth_rate" in group) for group in optimizer.param_groups):
        return ""
    return f"{type(optimizer).__name__} finds its own rate and expects lr = 1: η multiplies what it finds."


def does_maximize(optimizers: Iterable[torch.optim.Optimizer]) -> bool:
    """Whether they go up the loss, all groups of them."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    return all(group.get("maximize", False) for group in groups)


def lr_setter(optimizers: Iterable[torch.optim.Optimizer]) -> Callable[[float], None]:
    """A function that sets η, with the groups' present ratios kept, also over many calls.

    Groups whose rate is 0 stay at 0. If all are, a warm-up has just begun: then the ratios are those of the rates it
    leads to (``initial_lr``), or, where none is known, all get η.
    """
    groups = [group for o in optimizers for group in o.param_groups]
    rates = [float(group["lr"]) for group in groups]
    if not any(rates):
        rates = [float(group.get("initial_lr", 0.0)) for group in groups]
    reference = next((rate for rate in rates if rate > 0), 0.0)
    ratios = [rate / reference if reference else 1.0 for rate in rates]

    def set_lr(lr: float) -> None:
        for group, ratio in zip(groups, ratios, strict=True):
            if isinstance(group["lr"], torch.Tensor):  # capturable optimizers keep it in a tensor that graphs refer to
                group["lr"].fill_(lr * ratio)
            else:
                group["lr"] = lr * ratio

    return set_lr


def kept(optimizers: Iterable[torch.optim.Optimizer]) -> Callable[[], None]:
    """A function that puts the present rates back, each into what holds it."""
    rates = [(group, group["lr"], float(group["lr"])) for o in optimizers for group in o.param_groups]

    def put_back() -> None:
        for group, held, rate in rates:
            if isinstance(held, torch.Tensor):
                held.fill_(rate)
            group["lr"] = held

    return put_back


def rates_in(optimizers: Iterable[torch.optim.Optimizer]) -> list[float]:
    """The rate of every group, in order."""
    return [float(group["lr"]) for o in optimizers for group in o.param_groups]


def set_lr(optimizers: Iterable[torch.optim.Optimizer], lr: float) -> None:
    """Set η once, groups keep their ratios."""
    lr_setter(optimizers)(lr)
