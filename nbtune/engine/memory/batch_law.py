"""How a batch grows with the number of its samples: measured on batches of two, three and five."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from .copying import Copying

MEASURED_AT = (2, 3, 5)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a batch holds, whatever its form.

    Attributes:
        leaves: Its tensors and arrays.
        form: Everything else, so that two batches can be compared.
        nbytes: Of the leaves.
        text_length: Characters of its strings.
        opaque: Types whose content is not seen.
    """

    leaves: tuple[Any, ...]
    form: tuple[Any, ...]
    nbytes: int
    text_length: int
    opaque: frozenset[str]

    @classmethod
    def of(cls, batch: Any) -> Measure:
        """Everything that can be reached from ``batch``."""
        seen = Copying(lambda leaf: leaf)
        seen.of(batch)
        leaves = tuple(seen.leaves)
        return cls(leaves, tuple(seen.form), sum(map(_nbytes, leaves)), seen.text_length, frozenset(seen.opaque))

    @property
    def size(self) -> tuple[int, int]:
        """For comparing: bytes first; where these are equal, the text."""
        return self.nbytes, self.text_length


def has_lengths(leaf: Any) -> bool:
    """Whether a leaf is a plain tensor or array; sparse and nested ones have no lengths that say what they hold."""
    return not isinstance(leaf, torch.Tensor) or (leaf.layout == torch.strided and not leaf.is_nested)


def lengths_of(leaf: Any) -> tuple[int, ...]:
    """The shape of a plain leaf; () for others."""
    return tuple(leaf.shape) if has_lengths(leaf) else ()


def with_leaves(batch: Any, replaced: Callable[[Any], Any]) -> Any:
    """The same batch, in containers and instances of its own, with other tensors and arrays."""
    return Copying(replaced).of(batch)


def dimensions_that_grow(measures: list[Measure]) -> list[int] | None:
    """For every leaf of batches of 2, 3 and 5 samples the dimension that is k long; −1 for one that stays.

    Returns:
        None where anything else differs, so that each batch has to be put together by itself.
    """
    first = measures[0]
    if any(m.form != first.form or len(m.leaves) != len(first.leaves) for m in measures[1:]):
        return None
    found = [_dimension([m.leaves[i] for m in measures]) for i in range(len(first.leaves))]
    return None if None in found else [d for d in found if d is not None]


def _nbytes(leaf: Any) -> int:
    return leaf.numel() * leaf.element_size() if isinstance(leaf, torch.Tensor) else int(leaf.nbytes)


def _dimension(leaves: list[Any]) -> int | None:
    if not all(map(has_lengths, leaves)):
        return None
    shapes = [lengths_of(leaf) for leaf in leaves]
    if len({len(shape) for shape in shapes}) > 1:
        return None
    grown = [d for d, lengths in enumerate(zip(*shapes, strict=True)) if len(set(lengths)) > 1]
    if not grown:
        return -1
    is_one_each = len(grown) == 1 and tuple(shape[grown[0]] for shape in shapes) == MEASURED_AT
    return grown[0] if is_one_each else None


def stretched(leaf: Any, dimension: int, k: int) -> Any:
    """A tensor or an array whose first entry in one dimension stands there ``k`` times, in one entry's memory."""
    if dimension < 0:
        return leaf
    shape = (*leaf.shape[:dimension], k, *leaf.shape[dimension + 1 :])
    if isinstance(leaf, torch.Tensor):
        return leaf.narrow(dimension, 0, 1).expand(shape)
    first = np.take(leaf, [0], axis=dimension)
    strides = (*first.strides[:dimension], 0, *first.strides[dimension + 1 :])
    # Not broadcast_to: a step may write into its batch, and torch warns of arrays that may not be written to.
    return np.lib.stride_tricks.as_strided(first, shape, strides)


def in_memory_of_its_own(leaf: Any) -> Any:
    """The same with every entry in a place of its own, as in a real batch."""
    if isinstance(leaf, torch.Tensor):
        return leaf.contiguous() if has_lengths(leaf) else leaf
    return np.ascontiguousarray(leaf) if leaf.ndim else leaf
