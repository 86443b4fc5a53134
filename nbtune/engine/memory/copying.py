"""Objects of any kind opened up: every tensor and array that can be reached, and a copy with others in their place."""

from __future__ import annotations

import contextlib
import copy
import enum
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic, enum.Enum)
"""Values that hold nothing else and cannot be written to."""
_SIZELESS = ("builtins", "torch", "types", "_thread")


class Copying:
    """Copies the structure of an object: dicts, lists, tuples, sets and instances; the rest is shared.

    Instances are opened by what they keep (``__dict__`` and ``__slots__``), so that dataclasses, batches of graphs and
    classes of the user's own are seen through, and none of their code is run.

    Args:
        replaced: What stands in the copy for a tensor or an array.
        memo: id → what stands for that object, as in ``copy.deepcopy``; filled as the copy is made.
    Attributes:
        leaves: The tensors and arrays found, each once, in order.
        form: What was seen beside their numbers, in order: equal for two objects that differ in their leaves alone.
        text_length: Characters and bytes of all strings.
        opaque: Names of the types that could not be opened, and may be large.
    """

    def __init__(self, replaced: Callable[[Any], Any], memo: dict[int, Any] | None = None) -> None:
        self.leaves: list[Any] = []
        self.form: list[Any] = []
        self.text_length = 0
        self.opaque: set[str] = set()
        self._replaced = replaced
        self._memo: dict[int, Any] = {} if memo is None else memo
        self._alive: list[Any] = []  # ids are only good while their objects live

    def of(self, value: Any) -> Any:
        """The copy; what was copied before is the same object again."""
        kind = type(value)
        if issubclass(kind, PLAIN):
            self._note(value)
            return value
        known = self._memo.get(id(value))
        if known is not None:
            return known
        self._alive.append(value)
        if isinstance(value, torch.Tensor) or (isinstance(value, np.ndarray) and not value.dtype.hasobject):
            self.leaves.append(value)
            return self._kept(value, self._replaced(value))
        self.form.append(kind)
        return self._opened(value)

    def _note(self, value: Any) -> None:
        self.form.append(value)
        if isinstance(value, (str, bytes)):
            self.text_length += len(value)

    def _kept(self, value: Any, made: Any) -> Any:
        self._memo[id(value)] = made
        return made

    def _opened(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._dict(value)
        if isinstance(value, list):
            return self._list(value)
        if isinstance(value, deque):
            return self._queue(value)
        if isinstance(value, tuple):
            return self._tuple(value)
        if isinstance(value, (set, frozenset)):
            return self._set(value)
        if type(value) is weakref.ref:
            target = self._memo.get(id(value()))
            return value if target is None else weakref.ref(target)
        return self._instance(value)

    def _dict(self, value: dict[Any, Any]) -> Any:
        made: Any = {} if type(value) is dict else copy.copy(value)
        self._kept(value, made)
        self.form.append(len(value))
        for key, item in list(value.items()):
            own_key = self.of(key) if isinstance(key, PLAIN) else self._memo.get(id(key), key)
            if own_key is not key:
                dict.pop(made, key, None)
            dict.__setitem__(made, own_key, self.of(item))
        self._attributes_of(value, made)
        return made

    def _list(self, value: list[Any]) -> Any:
        made: Any = [] if type(value) is list else copy.copy(value)
        self._kept(value, made)
        self.form.append(len(value))
        list.__setitem__(made, slice(None), [self.of(item) for item in value])
        self._attributes_of(value, made)
        return made

    def _queue(self, value: deque[Any]) -> Any:
        made = self._kept(value, copy.copy(value))
        self.form.append(len(value))
        items = [self.of(item) for item in value]
        made.clear()
        made.extend(items)
        return made

    def _tuple(self, value: tuple[Any, ...]) -> Any:
        items = [self.of(item) for item in value]
        self.form.append(len(items))
        if all(a is b for a, b in zip(items, value, strict=True)):
            return value
        made = self._kept(value, tuple.__new__(type(value), items))  # a class of its own may check what it is given
        self._attributes_of(value, made)
        return made

    def _set(self, value: Any) -> Any:
        items = [self.of(item) for item in value]
        is_same = all(a is b for a, b in zip(items, value, strict=True))
        return value if is_same else self._kept(value, type(value)(items))

    def _instance(self, value: Any) -> Any:
        made = _empty_instance(value)
        if made is None:
            if type(value).__module__ not in _SIZELESS and not isinstance(value, type):
                self.opaque.add(type(value).__name__)
            return value
        self._kept(value, made)
        self._attributes_of(value, made)
        return made

    def _attributes_of(self, value: Any, made: Any) -> None:
        own = getattr(made, "__dict__", {})
        for name, item in attributes(value):
            self.form.append(name)
            if name in getattr(value, "__dict__", ()):
                own[name] = self.of(item)  # past a property of the same name
            else:
                object.__setattr__(made, name, self.of(item))


def attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Names and values that an instance keeps, in its ``__dict__`` and its slots."""
    with contextlib.suppress(AttributeError):
        yield from list(object.__getattribute__(value, "__dict__").items())
    for base in type(value).__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            own = f"_{base.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            try:
                if name not in ("__dict__", "__weakref__"):
                    yield own, base.__dict__[own].__get__(value, type(value))
            except (AttributeError, KeyError):  # not set yet
                pass


def _empty_instance(value: Any) -> Any:
    """A new instance of the same class; None for what keeps its content where Python does not see it."""
    cls = type(value)
    keeps = hasattr(value, "__dict__") or any("__slots__" in base.__dict__ for base in cls.__mro__[:-1])
    if not keeps or isinstance(value, (type, np.generic, np.ndarray)) or callable(getattr(cls, "__del__", None)):
        return None
    try:
        return object.__new__(cls)
    except TypeError:  # its base is written in C
        return None
