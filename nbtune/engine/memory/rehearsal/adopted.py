"""Tensors of the host that meet tensors without numbers: what stands for them on the device that is played."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_map

_COPIES = frozenset({"aten::_to_copy", "aten::copy_", "aten::to"})


class Adopted:
    """Stand-ins for tensors that a step makes of arrays and lists, or finds in a global.

    The user's model is on the host, and so is what the step makes there; on a card both would be on the card. So
    where an operator takes both, the one from the host is replaced, by the same stand-in each time while it lives.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[Any, torch.Tensor]] = {}
        self._new: list[tuple[torch.Tensor, torch.Tensor]] = []

    def in_place_of_strangers(self, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of an operator with stand-ins for tensors of the host, if others hold no numbers."""
        if not _are_mixed(args, kwargs) or func._schema.name in _COPIES:
            return args, kwargs
        return tree_map(self._stand_in, args), tree_map(self._stand_in, kwargs)

    def newcomers(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(tensor, stand-in) of those met for the first time."""
        while self._new:
            yield self._new.pop()

    def _stand_in(self, x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or x.device.type != "cpu" or not x.dim() or x.layout != torch.strided:
            return x
        storage = x.untyped_storage()
        key = storage._cdata
        if key not in self._made:
            whole = torch.empty(storage.nbytes(), dtype=torch.uint8, device="meta")
            self._made[key] = (weakref.ref(storage, lambda _: self._made.pop(key, None)), whole)
            self._new.append((x, self._view(x, whole)))
            return self._new[-1][1]
        return self._view(x, self._made[key][1])

    def _view(self, x: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
        made = torch.empty(0, dtype=x.dtype, device="meta")
        return made.set_(whole.untyped_storage(), x.storage_offset(), x.shape, x.stride())


def _are_mixed(args: Any, kwargs: Any) -> bool:
    has_meta = has_host = False
    for x in _tensors((*args, *kwargs.values()) if kwargs else args):  # at every operator: it should cost little
        if x.is_meta:
            has_meta = True
        elif x.dim() and x.is_cpu:
            has_host = True
    return has_meta and has_host


def _tensors(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
