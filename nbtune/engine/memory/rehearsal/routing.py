"""Choices among numbers that are not known, as a mixture of experts makes them: taken to be even."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

MOST_CHOICES = 1024
_aten = torch.ops.aten
_INDICES_OF = {
    _aten.topk.default: (1, 2), _aten.argmax.default: (None, 1), _aten.argmin.default: (None, 1),
    _aten.max.dim: (1, 1), _aten.min.dim: (1, 1), _aten.sort.default: (1, 1),
}  # fmt: skip
"""Operator → which of its results are indices (None: the only one), and the place of ``dim`` among its arguments."""


def evenly_routed(func: Any, args: Any, kwargs: Any, result: Any) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """(indices, numbers for them) of an operator that chooses along a dimension: one after the other, in turn.

    So every expert gets its even share of the tokens, and none is chosen twice for the same one.
    """
    if func not in _INDICES_OF:
        return
    which, place = _INDICES_OF[func]
    x, dim = args[0], kwargs.get("dim", args[place] if len(args) > place else -1)
    indices = result if which is None else result[which]
    if dim is None or not x.dim() or not 2 <= x.shape[dim] <= MOST_CHOICES or not indices.is_meta:
        return
    is_kept = indices.dim() == x.dim()
    shape = list(indices.shape)
    if is_kept:
        shape.append(shape.pop(dim))
    numbers = (torch.arange(indices.numel()) % x.shape[dim]).reshape(shape)
    yield indices, numbers.movedim(-1, dim) if is_kept else numbers
