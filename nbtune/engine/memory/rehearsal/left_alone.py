"""Nothing of the user's keeps a tensor without numbers: what a rehearsal leaves behind is taken out again."""

from __future__ import annotations

import functools
import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CellType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from ...task.task import Task
from ..copying import PLAIN, attributes
from .outside import (
    CACHED,
    MOST_OBJECTS,
    functions_of,
    is_closed,
    is_filled,
    is_installed,
    is_standard,
    names_in,
    root_of,
)

MOST_LOOKED_AT = 1000
_NOTHING = object()
SAVES_ON_HOST = "Not modelled: save_on_cpu, which keeps activations on the host: they are counted as on the card."
AUTOCAST_IS_OFF = (
    "An autocast for CUDA that was made before the step is off on this machine, which has none: give amp= to plan as "
    "if it were on."
)


@contextmanager
def left_alone(task: Task) -> Iterator[set[str]]:
    """Around a rehearsal: variables, attributes, dicts, lists and caches of the user's that came to hold a tensor
    without numbers hold afterwards what they held before.

    Most of what a step writes to is a copy (see ``Outside``); this is for what cannot be copied: globals and class
    attributes that methods name, caches of decorated functions, attributes of modules.

    Yields:
        What was seen on the way that a rehearsal does not model, in sentences.
    """
    world = _World()
    for function in (task.loss_fn, task.training_step, task.update, *task.preserve):
        world.reach(function)
    for cls in {type(m) for model in task.models.values() for m in model.modules()}:
        world.reach_class(cls)
    try:
        yield world.notes
    finally:
        world.put_back()


class _World:
    """What can be reached from the user's functions, and what it held."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}
        self._undo: list[Callable[[], None]] = []
        self._ahead: list[Any] = []
        self.notes: set[str] = set()

    def reach(self, value: Any) -> None:
        """Look at everything from here on."""
        self._ahead.append(value)
        while self._ahead and len(self._seen) < MOST_OBJECTS:
            self._look_at(self._ahead.pop())

    def reach_class(self, cls: type) -> None:
        """Look at what the methods of a class and of those above it name."""
        for base in cls.__mro__:
            if root_of(base.__module__) not in ("torch", "builtins") and not is_standard(base.__module__):
                self.reach(base)

    def put_back(self) -> None:
        for undo in self._undo:
            undo()

    def _look_at(self, value: Any) -> None:
        if isinstance(value, PLAIN) or id(value) in self._seen:
            return
        self._seen[id(value)] = value
        if isinstance(value, torch.Tensor):
            self._undo.append(functools.partial(_put_back_gradient, value, value.grad if value.is_leaf else None))
        elif isinstance(value, FunctionType):
            self._function(value)
        elif isinstance(value, MethodType):
            self._ahead += [value.__func__, value.__self__]
        elif isinstance(value, functools.partial):
            self._ahead += [value.func, *value.args, *value.keywords.values()]
        elif type(value) is CACHED:
            self._undo.append(functools.partial(_clear_cache, value, value.cache_info().misses))
            self._ahead.append(value.__wrapped__)
        elif isinstance(value, type):
            self._class(value)
        elif isinstance(value, (dict, list, set, deque)):
            self._container(value)
        elif isinstance(value, tuple):
            self._ahead += value
        elif not is_closed(value):
            self._instance(value)

    def _function(self, value: FunctionType) -> None:
        if root_of(value.__module__) in ("torch", "numpy", "nbtune") or is_standard(value.__module__):
            return
        self._ahead += value.__defaults__ or ()
        self._ahead += (value.__kwdefaults__ or {}).values()
        for cell in value.__closure__ or ():
            if is_filled(cell):
                self._undo.append(functools.partial(_put_back_cell, cell, cell.cell_contents))
                self._ahead.append(cell.cell_contents)
        names = names_in(value.__code__)
        if "save_on_cpu" in names and not is_installed(value.__globals__):
            self.notes.add(SAVES_ON_HOST)
        self._named(value.__globals__, names)
        if is_installed(value.__globals__):
            return
        for name in names & value.__globals__.keys():
            found = value.__globals__[name]
            if isinstance(found, ModuleType) and root_of(found.__name__) not in ("torch", "numpy"):
                self._named(vars(found), names)

    def _named(self, variables: dict[str, Any], names: set[str]) -> None:
        before = {name: variables.get(name, _NOTHING) for name in names}
        self._undo.append(functools.partial(_put_back_names, variables, before))
        kinds = (CACHED, dict, list, set) if is_installed(variables) else (object,)
        self._ahead += [value for value in before.values() if value is not _NOTHING and isinstance(value, kinds)]

    def _class(self, value: type) -> None:
        if root_of(value.__module__) in ("torch", "numpy", "builtins", "nbtune") or is_standard(value.__module__):
            return
        kept = {name: item for name, item in vars(value).items() if not name.startswith("__")}
        self._undo.append(functools.partial(_put_back_attributes, value, kept, vars(value)))
        self._ahead += [item for item in kept.values() if not isinstance(item, (property, staticmethod, classmethod))]
        self._ahead += functions_of(value)

    def _container(self, value: Any) -> None:
        if isinstance(value, dict):  # past a __getitem__ of its own, which may make things
            self._undo.append(
                functools.partial(_put_back_items, value, dict(dict.items(value)))
            )  # past a __getitem__ of its own
        else:
            self._undo.append(functools.partial(_put_back_all, value, list(value)))
        self._ahead += dict.values(value) if isinstance(value, dict) else value

    def _instance(self, value: Any) -> None:
        if isinstance(value, torch.autocast) and _was_switched_off(value):
            self.notes.add(AUTOCAST_IS_OFF)
        kept = dict(attributes(value))
        if hasattr(value, "__dict__"):
            self._undo.append(functools.partial(_put_back_attributes, value, kept, value.__dict__))
        self._ahead += kept.values()
        self.reach_class(type(value)) if not isinstance(value, nn.Module) else None


def _was_switched_off(autocast: torch.autocast) -> bool:
    return autocast.device == "cuda" and not autocast._enabled and not torch.cuda.is_available()


def _holds_no_numbers(value: Any) -> bool:
    """Whether a tensor without numbers is found in a value, as far as one would keep it there."""
    ahead, seen = [value], set[int]()
    while ahead and len(seen) < MOST_LOOKED_AT:
        item = ahead.pop()
        if isinstance(item, PLAIN) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            if item.is_meta or isinstance(item, FakeTensor):
                return True
        elif isinstance(item, dict):
            ahead += item.values()
        elif isinstance(item, (list, tuple, set, frozenset, deque)):
            ahead += item
        elif not is_closed(item) and not isinstance(item, (FunctionType, MethodType)):
            ahead += [kept for _, kept in attributes(item)]
    return False


def _put_back_gradient(tensor: torch.Tensor, before: torch.Tensor | None) -> None:
    if tensor.is_leaf and tensor.grad is not before and tensor.grad is not None and _holds_no_numbers(tensor.grad):
        tensor.grad = before


def _put_back_cell(cell: CellType, before: Any) -> None:
    if is_filled(cell) and cell.cell_contents is not before and _holds_no_numbers(cell.cell_contents):
        cell.cell_contents = before


def _put_back_items(now: dict[Any, Any], before: dict[Any, Any]) -> None:
    _put_back_names(now, {key: before.get(key, _NOTHING) for key in list(now)})


def _put_back_names(now: dict[Any, Any], before: dict[Any, Any]) -> None:
    for key, old in before.items():
        kept = dict.get(now, key, old)
        if kept is old or not _holds_no_numbers(kept):
            continue
        if old is _NOTHING:
            del now[key]
        else:
            now[key] = old


def _put_back_all(now: Any, before: Any) -> None:
    if len(now) == len(before) and all(a is b for a, b in zip(now, before, strict=True)):
        return
    if any(_holds_no_numbers(item) for item in now):
        now.clear()
        (now.update if isinstance(now, set) else now.extend)(before)


def _put_back_attributes(owner: Any, before: dict[str, Any], now: Any) -> None:
    kind: Any = type if isinstance(owner, type) else object
    for name in list(now):
        old = before.get(name, _NOTHING)
        if not name.startswith("__") and now[name] is not old and _holds_no_numbers(now[name]):
            kind.__delattr__(owner, name) if old is _NOTHING else kind.__setattr__(owner, name, old)


def _clear_cache(function: Any, misses_before: int) -> None:
    """What a cached function has kept since: seen by the collector alone."""
    if function.cache_info().misses == misses_before:
        return
    kept = [x for x in gc.get_referents(function) if isinstance(x, dict)]
    inside = [y for x in kept for item in x.values() for y in (item, *gc.get_referents(item))]
    if any(_holds_no_numbers(x) for x in inside if isinstance(x, (torch.Tensor, tuple, list, dict))):
        function.cache_clear()
