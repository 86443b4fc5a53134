"""Optimizers that are raced beside the task's own, each in its best rate."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch.optim import Optimizer

from ..checks import shown
from ..task.rates import does_maximize
from ..task.task import Task

MOMENTUM = 0.9
WITH_MOMENTUM = {
    "sgd with momentum": partial(torch.optim.SGD, momentum=MOMENTUM),
    "sgd with nesterov momentum": partial(torch.optim.SGD, momentum=MOMENTUM, nesterov=True),
}
"""Names beside those of ``torch.optim``'s classes."""

NOT_BY_NAME = ("Optimizer", "LBFGS", "SparseAdam")
"""Classes that a race cannot use as they are: they need a closure, or sparse gradients."""

MOST = 8
"""Each takes a race of its own."""

Make = Callable[..., Optimizer]


@dataclass(frozen=True, slots=True)
class Rival:
    """An optimizer to be raced beside the task's own.

    Attributes:
        name: As it is shown.
        make: Takes parameter groups, as a list of dicts, and makes it.
        code: What makes it in Python, but for parameters and η; "" where nobody knows.
    """

    name: str
    make: Make = field(compare=False, repr=False)
    code: str = field(default="", compare=False, repr=False)

    def beside(self, task: Task) -> Task:
        """The same task with this optimizer for the parameters of its own, in groups of the same ratios.

        Raises:
            ValueError: For a task of several optimizers, or where the optimizer does not take these parameters, goes
                the other way, or has the name of the task's own.
        """
        if task.update is not None or len(task.optimizers) > 1:
            raise ValueError("optimizers are compared for a task of one, without update=")
        (own,) = task.optimizers.values()
        if self.name == own_name(task):
            raise ValueError(f"optimizers: {self.name} is what the task's own is called: give another name")
        more = {"maximize": True} if does_maximize([own]) else {}
        groups = [{"params": list(g["params"]), "lr": float(g["lr"]), **more} for g in own.param_groups]
        try:
            made = self.make(groups)
        except Exception as error:
            raise ValueError(f"optimizers: {self.name} does not take these parameters: {error}") from error
        if not isinstance(made, Optimizer):
            raise ValueError(f"optimizers: {self.name} must make a torch.optim.Optimizer, not {type(made).__name__}")
        self._check_way(made, own)
        return task.with_(optimizer=made)

    def _check_way(self, made: Optimizer, own: Optimizer) -> None:
        """Up or down the loss: curves of both ways could not be compared."""
        if does_maximize([own]) and "maximize" not in made.defaults:
            raise ValueError(f"optimizers: {self.name} cannot maximize, as the task's own optimizer does")
        if does_maximize([made]) != does_maximize([own]):
            raise ValueError(f"optimizers: {self.name} maximizes, as the task's own optimizer does not")


def own_name(task: Task) -> str:
    """What the task's own optimizer is called beside others."""
    name = " + ".join(type(optimizer).__name__ for optimizer in task.optimizers.values())
    return f"{name} (yours)"


def rivals_of(given: Any) -> tuple[Rival, ...]:
    """The optimizers that a setting names.

    Args:
        given: Names of ``torch.optim``'s classes, or "SGD with momentum" (0.9); classes of optimizers, or functions
            that take parameter groups and make one; or a mapping of names to such.
    Raises:
        ValueError: For anything else, a name that is unknown, or two of the same name.
    """
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise ValueError(f'optimizers must be a list such as ["AdamW", "SGD with momentum"], not {shown(given)}')
    named = given.items() if isinstance(given, Mapping) else ((None, one) for one in given)
    found: list[Rival] = []
    for name, one in named:
        if len(found) == MOST:
            raise ValueError(f"optimizers must be at most {MOST}: each takes a race of its own")
        found.append(_rival(name, one))
    names = [rival.name for rival in found]
    if len(set(names)) < len(names):
        raise ValueError(f"optimizers must have names of their own, not {shown(names)}")
    return tuple(found)


def _rival(name: Any, given: Any) -> Rival:
    if name is not None and not isinstance(name, str):
        raise ValueError(f"optimizers must have names, not {shown(name)}")
    if isinstance(given, Rival):
        return given if name is None else Rival(name, given.make, given.code)
    if isinstance(given, str):
        given = _known(given)
    if isinstance(given, Optimizer) or not callable(given):
        raise ValueError(f"optimizers must be names, classes or functions that make one, not {shown(given)}")
    return Rival(name or _name_of(given), given, _code_of(given))


def _known(text: str) -> Make:
    known = _by_name()
    wanted = " ".join(text.lower().replace("+", " with ").split())
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=3)
    names = ", ".join(_name_of(known[name]) for name in near) or "AdamW, SGD, SGD with momentum"
    raise ValueError(f"optimizers: {text!r} is none that PyTorch has; known are {names} and the like")


def _by_name() -> dict[str, Make]:
    classes = {
        name: found for name, found in vars(torch.optim).items()
        if inspect.isclass(found) and issubclass(found, Optimizer) and name not in NOT_BY_NAME
    }  # fmt: skip
    return {**{name.lower(): found for name, found in classes.items()}, **WITH_MOMENTUM}


def _name_of(make: Any) -> str:
    for name, known in WITH_MOMENTUM.items():
        if make is known:
            return name.replace("sgd", "SGD").replace("nesterov", "Nesterov")
    if isinstance(make, partial):
        given = ", ".join(f"{name}={value!r}" for name, value in make.keywords.items())
        return f"{_name_of(make.func)}({given})" if given else _name_of(make.func)
    return str(getattr(make, "__name__", type(make).__name__))


def _code_of(make: Any) -> str:
    call, given = (make.func, make.keywords) if isinstance(make, partial) and not make.args else (make, {})
    name = str(getattr(call, "__name__", ""))
    if getattr(torch.optim, name, None) is not call:
        return ""
    # The rate is the one that is found; braces would be taken for places to fill in.
    more = "".join(f", {argument}={value!r}" for argument, value in given.items() if argument != "lr")
    more = more.replace("{", "{{").replace("}", "}}")
    return f"torch.optim.{name}({{parameters}}, lr={{lr}}{more})"
