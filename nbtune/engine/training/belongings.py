"""What modules keep beside parameters and buffers: counters, lists, caches, generators, tensors a forward replaces."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterable
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin

from ..interrupts import to_the_end
from . import generators

DEPTH = 3
"""How deep containers and objects inside each other are followed."""

MOST_ITEMS, MOST_ARRAY_BYTES = 10_000, 2**24
"""Longer containers and larger arrays are data rather than state, and are left alone."""

_NOT_USERS = frozenset({*sys.stdlib_module_names, "torch", "numpy"})
_MAPPINGS = (dict, OrderedDict, defaultdict, Counter)
_SEQUENCES = (list, deque)
_NOT_FOLLOWED = (nn.Module, torch.optim.Optimizer, type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class Belongings:
    """The attributes of modules as they are now, put back into the same objects.

    Which object each attribute refers to; what lists, dicts, sets, deques and objects of the user's own classes hold,
    some levels deep; where random generators stand; the numbers in small arrays. Of tensors only which there are.

    Attributes:
        tensors: Those found, whose values are somebody else's to keep.
    """

    def __init__(self, modules: Iterable[nn.Module]) -> None:
        self.tensors: list[torch.Tensor] = []
        self._mappings: list[tuple[Any, dict[Any, Any]]] = []
        self._others: list[tuple[Any, list[Any]]] = []
        self._arrays: list[tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
        self._generators: list[tuple[Any, Any]] = []
        self._seen: set[int] = set()
        for module in modules:
            # A lazy module becomes another one in its first step, and its hooks with it: that stays.
            if not isinstance(module, LazyModuleMixin):
                self._keep_mapping(vars(module), DEPTH)

    def put_back(self) -> None:
        """Everything as it was; what has not changed is not touched."""
        to_the_end(self._put_back)

    def _put_back(self) -> None:
        for mapping, saved in self._mappings:
            _put_back_mapping(mapping, saved)
        for container, items in self._others:
            _put_back_items(container, items)
        for array, numbers in self._arrays:
            if not np.array_equal(array, numbers, equal_nan=array.dtype.kind == "f"):
                array[...] = numbers
        for generator, state in self._generators:
            generators.set_state(generator, state)

    def _keep(self, value: Any, depth: int) -> None:
        if id(value) in self._seen or depth < 0 or isinstance(value, _NOT_FOLLOWED):
            return
        if isinstance(value, torch.Tensor):
            self._seen.add(id(value))
            self.tensors.append(value)
        elif isinstance(value, generators.KINDS):
            self._seen.add(id(value))
            self._generators.append((value, generators.state_of(value)))
        elif isinstance(value, np.ndarray):
            self._keep_array(value)
        elif type(value) in _MAPPINGS:
            self._keep_mapping(value, depth)
        elif type(value) in (*_SEQUENCES, set, tuple):
            self._keep_items(value, depth)
        elif hasattr(value, "__dict__") and _is_users_own(type(value)):
            self._keep_mapping(vars(value), depth - 1)

    def _keep_mapping(self, mapping: Any, depth: int) -> None:
        if id(mapping) not in self._seen and len(mapping) <= MOST_ITEMS:
            self._seen.add(id(mapping))
            self._mappings.append((mapping, dict(mapping)))
            for value in list(mapping.values()):
                self._keep(value, depth - 1)

    def _keep_items(self, container: Any, depth: int) -> None:
        if len(container) > MOST_ITEMS:
            return
        self._seen.add(id(container))
        items = list(container)
        if type(container) is not tuple:
            self._others.append((container, items))
        for value in items:
            self._keep(value, depth - 1)

    def _keep_array(self, array: np.ndarray[Any, Any]) -> None:
        if array.nbytes <= MOST_ARRAY_BYTES and array.flags.writeable and not array.dtype.hasobject:
            self._seen.add(id(array))
            self._arrays.append((array, array.copy()))


def _put_back_mapping(mapping: Any, saved: dict[Any, Any]) -> None:
    for key in [key for key in mapping if key not in saved]:
        del mapping[key]
    for key, value in saved.items():
        if key not in mapping or mapping[key] is not value:
            mapping[key] = value
    if list(mapping) != list(saved):  # one was taken out and has come back as the last
        mapping.clear()
        mapping.update(saved)


def _put_back_items(container: Any, items: list[Any]) -> None:
    now = list(container)
    if len(now) == len(items) and all(a is b for a, b in zip(now, items, strict=True)):
        return
    container.clear()
    container.update(items) if isinstance(container, set) else container.extend(items)


def _is_users_own(kind: type) -> bool:
    """Whether a class is neither python's (a logger, a thread, a path) nor torch's or numpy's."""
    package = kind.__module__.partition(".")[0]
    return package == "__main__" or package not in _NOT_USERS
