"""The numbers behind tensors that hold none: whole numbers and truth values, as far as the batch tells them."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from .routing import evenly_routed

MOST_ELEMENTS = 2**22
MOST_FLOATS = 2**18
_SCALAR = torch.ops.aten._local_scalar_dense.default
_RANGES = (torch.ops.aten.arange.default, torch.ops.aten.arange.start, torch.ops.aten.arange.start_step)
_INDEXED = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put.default, torch.ops.aten.index_put_.default)
UNKNOWN = object()


def is_followed(real: torch.Tensor) -> bool:
    """Whether a tensor holds whole numbers or truth values, and few enough of them."""
    return not real.is_floating_point() and not real.is_complex() and real.numel() <= MOST_ELEMENTS


class Values:
    """Follows integer and boolean tensors (token ids, masks, positions) on the host, beside a rehearsal.

    Models ask them which way to go: whether a mask is full, where a sequence ends. The batch is a real one, so they
    can be answered. Floating-point values are followed from small tensors beside the model alone.

    Attributes:
        guessed: Whether a floating-point number was asked for, and answered by 1.
        routed: Whether the step's course hangs on choices among unknown numbers, which were taken to be even.
    """

    def __init__(self) -> None:
        self.guessed = self.routed = False
        self._invented: set[int] = set()
        self._is_invented = False
        self._known: dict[int, tuple[Any, torch.Tensor]] = {}

    def know(self, tensor: torch.Tensor, real: torch.Tensor, *, always: bool = False) -> None:
        """From now on ``tensor`` has the numbers of ``real`` (a copy of its own), if it is one that is followed.

        Args:
            always: Follow floating-point numbers too, and what is computed from them alone.
        """
        if always or is_followed(real):
            key = id(tensor)
            self._known[key] = (weakref.ref(tensor, lambda _: self._lose(key)), real)

    def _lose(self, key: int) -> None:
        self._known.pop(key, None)
        self._invented.discard(key)

    def knows(self, args: Any) -> bool:
        """Whether the numbers behind every tensor among an operator's own arguments are known, and there is one."""
        tensors = [x for x in args if isinstance(x, torch.Tensor)]
        return bool(tensors) and all(id(x) in self._known for x in tensors)

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What ``func`` gives for the known numbers; ``UNKNOWN`` where one of them is not known."""
        if any(isinstance(x, torch.Tensor) and id(x) not in self._known for x in args):  # most of them, at little cost
            return UNKNOWN
        leaves = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if any(id(x) not in self._known for x in leaves):
            return UNKNOWN
        if not leaves and kwargs.get("dtype") not in (torch.int64, torch.int32, torch.bool) and func not in _RANGES:
            return UNKNOWN
        self._is_invented = any(id(x) in self._invented for x in leaves)
        try:
            return func(*tree_map(self._real, args), **tree_map(self._real, kwargs))
        except RuntimeError:
            return UNKNOWN

    def scalar(self, func: Any, args: Any) -> Any:
        """The number asked for by ``.item()``; UNKNOWN for another operator or a truth value that is not known."""
        if func is not _SCALAR:
            return UNKNOWN
        known = self._known.get(id(args[0]))
        if known is not None:
            if id(args[0]) in self._invented:  # a branch hangs on a truth value; other numbers are for the record
                self.routed, self.guessed = (True, self.guessed) if args[0].dtype == torch.bool else (self.routed, True)
            return known[1].item()
        if args[0].device.type == "meta" and args[0].is_floating_point():
            self.guessed = True
            return 1.0
        return UNKNOWN

    def note(self, result: Any, real: Any) -> None:
        """Connect the results of an operator with the numbers found for them."""
        for tensor, number in zip(tree_leaves(result), tree_leaves(real), strict=False):
            if isinstance(tensor, torch.Tensor) and isinstance(number, torch.Tensor) and tensor is not number:
                self.know(tensor, number, always=number.numel() <= MOST_FLOATS)
                if self._is_invented:
                    self._invented.add(id(tensor))

    def forget(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        """What was written to with numbers that are not known; choices among such numbers are taken to be even."""
        for tensor in result if isinstance(result, (list, tuple)) else (result,):
            self._lose(id(tensor))
        for tensor, numbers in evenly_routed(func, args, kwargs, result):
            if numbers.numel() <= MOST_ELEMENTS:
                self.know(tensor, numbers)
                self._invented.add(id(tensor))

    def with_places(self, func: Any, args: Any) -> tuple[Any, list[torch.Tensor]]:
        """Arguments that index by places where they did by truth values that are known, and those places."""
        indices = args[1] if func in _INDEXED and len(args) > 1 else ()
        masks = {id(x) for x in indices if isinstance(x, torch.Tensor) and x.dtype in (torch.bool, torch.uint8)}
        if not masks or not masks <= self._known.keys():
            return args, []
        self.routed |= bool(masks & self._invented)
        found = [
            [place.to("meta") for place in self._real(x).nonzero(as_tuple=True)] if id(x) in masks else [x]
            for x in indices
        ]  # fmt: skip
        places = [place for x, made in zip(indices, found, strict=True) if id(x) in masks for place in made]
        return (args[0], [place for made in found for place in made], *args[2:]), places

    def shaped_like(self, real: Any) -> Any:
        """Tensors without numbers for results whose shape depends on numbers, such as ``nonzero``."""
        self.routed |= self._is_invented
        return tree_map(lambda x: x.to("meta") if isinstance(x, torch.Tensor) else x, real)

    def _real(self, x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return self._known[id(x)][1]
        return torch.device("cpu") if isinstance(x, torch.device) else x
