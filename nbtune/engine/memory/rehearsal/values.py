"""The numbers behind tensors that hold none: whole numbers and truth values, as far as the batch tells them."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

MOST_ELEMENTS = 2**22
MOST_FLOATS = 2**18
_SCALAR = torch.ops.aten._local_scalar_dense.default
_RANGES = (torch.ops.aten.arange.default, torch.ops.aten.arange.start, torch.ops.aten.arange.start_step)
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
    """

    def __init__(self) -> None:
        self.guessed = False
        self._known: dict[int, tuple[Any, torch.Tensor]] = {}

    def know(self, tensor: torch.Tensor, real: torch.Tensor, *, always: bool = False) -> None:
        """From now on ``tensor`` has the numbers of ``real`` (a copy of its own), if it is one that is followed.

        Args:
            always: Follow floating-point numbers too, and what is computed from them alone.
        """
        if always or is_followed(real):
            key = id(tensor)
            self._known[key] = (weakref.ref(tensor, lambda _: self._known.pop(key, None)), real)

    def knows(self, args: Any) -> bool:
        """Whether the numbers behind every tensor among an operator's own arguments are known, and there is one."""
        tensors = [x for x in args if isinstance(x, torch.Tensor)]
        return bool(tensors) and all(id(x) in self._known for x in tensors)

    def run(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What ``func`` gives for the known numbers; ``UNKNOWN`` where one of them is not known."""
        leaves = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        if any(id(x) not in self._known for x in leaves):
            return UNKNOWN
        if not leaves and kwargs.get("dtype") not in (torch.int64, torch.int32, torch.bool) and func not in _RANGES:
            return UNKNOWN
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

    def forget(self, result: Any) -> None:
        """What was written to with numbers that are not known."""
        for tensor in result if isinstance(result, (list, tuple)) else (result,):
            self._known.pop(id(tensor), None)

    def shaped_like(self, real: Any) -> Any:
        """Tensors without numbers for results whose shape depends on numbers, such as ``nonzero``."""
        return tree_map(lambda x: x.to("meta") if isinstance(x, torch.Tensor) else x, real)

    def _real(self, x: Any) -> Any:
        if isinstance(x, torch.Tensor):
            return self._known[id(x)][1]
        return torch.device("cpu") if isinstance(x, torch.device) else x
