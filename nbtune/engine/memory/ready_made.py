"""Batches that somebody else puts together: which of their lengths is k, and the same batch with another k."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import torch

from .batch_law import Measure, lengths_of, stretched
from .copying import Copying, attributes


def batch_length(batch: Any, known: int | None = None) -> int | None:
    """How many samples a batch holds: the length its parts share; None where there is no tensor and no array in it.

    Args:
        batch: Of any form.
        known: What its loader says, where it says it.
    """
    shapes = [shape for shape in map(lengths_of, Measure.of(batch).leaves) if shape]
    if not shapes:
        return None
    lengths = [length for length in map(_length, _components(batch)) if length is not None]
    if lengths and len(set(lengths)) == 1:
        return lengths[0]
    if known is not None and any(known in shape for shape in shapes):
        return known
    found = Counter(length for shape in shapes for length in set(shape))
    in_all = [length for length, count in found.items() if count == len(shapes)]
    # Of the lengths that every part has, the one that stands furthest in front (x[time, k, width] beside y[k]).
    front = min(in_all, key=lambda n: sum(shape.index(n) for shape in shapes), default=shapes[0][0])
    return int(front)


def resized(batch: Any, length: int, k: int) -> Any:
    """A batch of ``length`` samples as one of ``k``, made of its first."""
    return _Resizing(length, k).of(batch)


class _Resizing(Copying):
    """Also lists with an entry for each sample take the new length."""

    def __init__(self, length: int, k: int) -> None:
        super().__init__(lambda leaf: stretched(leaf, _dimension(leaf, length), k))
        self._length, self._k = length, k

    def _list(self, value: list[Any]) -> Any:
        is_one_each = len(value) == self._length and not any(_has_length(item, self._length) for item in value)
        if not is_one_each:
            return super()._list(value)
        one = max(value, key=lambda item: Measure.of(item).size)
        return self._kept(value, [one] * self._k)


def _components(batch: Any) -> list[Any]:
    if isinstance(batch, dict):
        return list(batch.values())
    if isinstance(batch, (list, tuple)):
        return list(batch)
    return [batch] if _is_leaf(batch) else [value for _, value in attributes(batch)]


def _length(component: Any) -> int | None:
    if _is_leaf(component):
        return next(iter(lengths_of(component)), None)
    return len(component) if isinstance(component, list) else None


def _is_leaf(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, np.ndarray))


def _has_length(item: Any, length: int) -> bool:
    return any(lengths_of(leaf)[:1] == (length,) for leaf in Measure.of(item).leaves)


def _dimension(leaf: Any, length: int) -> int:
    shape = lengths_of(leaf)
    return shape.index(length) if length in shape else -1
