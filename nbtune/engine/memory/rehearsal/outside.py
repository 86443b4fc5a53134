"""What a task's functions reach beside the model: stand-ins without numbers, which a rehearsal may write to."""

from __future__ import annotations

import copy
import functools
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler

from ..copying import PLAIN, Copying, attributes

MOST_OBJECTS = 20_000
MOST_COPIED_BYTES = 2**26
_OURS = frozenset({"torch", "numpy", "nbtune"})
_OPEN = frozenset({"collections", "types", "functools", "weakref", "contextlib"})
_CLOSED = frozenset({
    "IPython", "ipykernel", "ipywidgets", "matplotlib", "bokeh", "pandas", "polars", "pyarrow", "tqdm", "rich", "wandb",
    "mlflow", "tensorboard", "datasets", "dask", "distributed", "ray", "pytest", "_pytest",
})  # fmt: skip
_STANDARD = frozenset(sys.stdlib_module_names) - {"builtins", "__main__"}
_RANDOM = (random.Random, np.random.Generator, np.random.RandomState)
CACHED = type(functools.lru_cache(lambda: None))


class Outside(Copying):
    """Copies of functions and objects whose tensors hold no numbers.

    Functions of the user's own get variables of their own: what they close over, their defaults, and the globals they
    name, and so on through everything these reach. Shared with the user's world stay modules, classes, datasets,
    what Python cannot look into, and what holds plain values alone: a list of losses, an object that counts its calls.

    Args:
        memo: What stands for the model, the optimizer and their tensors.
        empty: Makes a tensor of the same shape, dtype and strides.
        device: Where the task lives; tensors elsewhere keep their numbers.
    Attributes:
        made: (the user's tensor, its stand-in).
        bytes_by_name: Of the tensors found, by the variable that leads to them.
        optimizers: Copies of the optimizers found, which step within the user's functions.
    """

    def __init__(
        self, memo: dict[int, Any], empty: Callable[[torch.Tensor], torch.Tensor], device: torch.device
    ) -> None:
        super().__init__(self._stand_in, memo)
        self.made: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.bytes_by_name: Counter[str] = Counter()
        self.optimizers: list[torch.optim.Optimizer] = []
        self._empty, self._device = empty, device
        self._globals: dict[int, dict[str, Any]] = {}
        self._name = ""

    def named(self, name: str, value: Any) -> Any:
        """The copy of what a variable holds; its name is remembered for the tensors found there."""
        outer = self._name
        if not isinstance(value, (FunctionType, MethodType, functools.partial)):
            self._name = outer or name
        try:
            return self.of(value)
        finally:
            self._name = outer

    def _opened(self, value: Any) -> Any:
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, MethodType):
            owner = self.named(type(value.__self__).__name__, value.__self__)
            return self._kept(value, MethodType(self.of(value.__func__), owner))
        if type(value) is functools.partial:
            keywords = {name: self.named(name, item) for name, item in value.keywords.items()}
            made = functools.partial(self.of(value.func), *map(self.of, value.args), **keywords)
            return self._kept(value, made)
        if type(value) is CACHED:
            return self._cached(value)
        if isinstance(value, _RANDOM):
            return self._kept(value, copy.deepcopy(value))
        if isinstance(value, torch.Generator):
            return self._kept(value, torch.Generator(value.device).set_state(value.get_state()))
        if is_closed(value) or len(self._alive) > MOST_OBJECTS:
            return value
        made = super()._opened(value)
        if isinstance(made, torch.optim.Optimizer) and made is not value:
            self.optimizers.append(made)
        return made

    def _list(self, value: list[Any]) -> Any:
        return value if all(isinstance(item, PLAIN) for item in value) else super()._list(value)

    def _instance(self, value: Any) -> Any:
        made = super()._instance(value)
        theirs, ours = dict(attributes(value)), dict(attributes(made))
        if theirs and all(ours[name] is item and item is not None for name, item in theirs.items()):
            return self._kept(value, value)  # it counts calls or waits for something, and could keep no tensor
        return made

    def _function(self, value: FunctionType) -> Any:
        if root_of(value.__module__) in _OURS or is_standard(value.__module__):
            return value
        cells = tuple(self._cell(cell) for cell in value.__closure__ or ())
        made = FunctionType(value.__code__, self._variables(value), value.__name__, None, cells or None)
        self._kept(value, made)
        made.__kwdefaults__ = value.__kwdefaults__ and {k: self.named(k, v) for k, v in value.__kwdefaults__.items()}
        made.__defaults__ = value.__defaults__ and tuple(map(self.of, value.__defaults__))
        made.__dict__.update(value.__dict__)
        made.__qualname__, made.__module__ = value.__qualname__, value.__module__
        for name, theirs, ours in zip(value.__code__.co_freevars, value.__closure__ or (), cells, strict=True):
            if is_filled(theirs) and not is_filled(ours):
                ours.cell_contents = self.named(name, theirs.cell_contents)
        own = made.__globals__
        for name in names_in(value.__code__) if own is not value.__globals__ else ():
            if name in own and own[name] is value.__globals__.get(name):
                own[name] = self.named(name, own[name])
        return made

    def _cell(self, cell: CellType) -> Any:
        self._alive.append(cell)
        return self._memo.get(id(cell)) or self._kept(cell, CellType())

    def _variables(self, value: FunctionType) -> dict[str, Any]:
        """Globals of its own for the user's code; those of installed packages stay theirs."""
        if is_installed(value.__globals__):
            return value.__globals__
        return self._globals.setdefault(id(value.__globals__), dict(value.__globals__))

    def _cached(self, value: Any) -> Any:
        wrapped = self.of(value.__wrapped__)
        return self._kept(value, functools.lru_cache(**value.cache_parameters())(wrapped))

    def _stand_in(self, leaf: Any) -> Any:
        if isinstance(leaf, np.ndarray):
            return leaf.copy() if leaf.nbytes <= MOST_COPIED_BYTES else leaf
        if leaf.layout != torch.strided or leaf.is_quantized:
            return leaf
        if leaf.device.type != self._device.type:
            return leaf.detach().clone() if leaf.nbytes <= MOST_COPIED_BYTES else leaf
        made = self._empty(leaf.detach())
        if isinstance(leaf, nn.Parameter):
            made = nn.Parameter(made, leaf.requires_grad)
        elif leaf.is_leaf and leaf.requires_grad:
            made.requires_grad_()
        self.made.append((leaf, made))
        self.bytes_by_name[self._name] += leaf.nbytes
        return made


def is_closed(value: Any) -> bool:
    """Whether an object is left as it is, and not looked into: data, modules, classes, windows to the world."""
    if isinstance(value, (type, ModuleType, Dataset, DataLoader, Sampler, BaseException)):
        return True
    module = type(value).__module__
    root = root_of(module)
    return root in _CLOSED or root == "nbtune" or (is_standard(module) and root not in _OPEN)


def is_standard(module: str | None) -> bool:
    """Whether a module is Python's own; "builtins" does not count, since dicts and lists come from there."""
    return root_of(module) in _STANDARD


def is_installed(variables: dict[str, Any]) -> bool:
    """Whether a module's globals are those of an installed package."""
    file = str(variables.get("__file__", ""))
    return "site-packages" in file or "dist-packages" in file


def root_of(module: str | None) -> str:
    """The package a module belongs to."""
    return (module or "").partition(".")[0]


def names_in(code: CodeType) -> set[str]:
    """Global names and attributes that a function's code asks for, those of the functions inside it too."""
    inner = (names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*inner)


def is_filled(cell: CellType) -> bool:
    """Whether a closure's variable is set."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def functions_of(cls: type) -> Iterator[FunctionType]:
    """The methods that a class of the user's defines, those of properties too."""
    for value in list(vars(cls).values()):
        for function in (value, *(getattr(value, name, None) for name in ("fget", "__func__", "__wrapped__"))):
            if isinstance(function, FunctionType):
                yield function
