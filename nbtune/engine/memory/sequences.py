"""Sequences of tokens in a batch: how long they are, and the same batch with shorter or longer ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .batch_law import Measure, has_lengths, with_leaves

SHORTEST_SEQUENCE = 8


def sequence_length_of_batch(batch: Any) -> int | None:
    """Tokens in each sample of the first leaf that holds them, whole numbers by (k, tokens); None where there is none.

    A batch of images has none: labels beside them that are a vector are no text.
    """
    leaves = [x for x in Measure.of(batch).leaves if has_lengths(x)]
    if any(x.ndim >= 4 for x in leaves):
        return None
    lengths = (int(x.shape[1]) for x in leaves if x.ndim == 2 and _holds_tokens(x))
    return next((length for length in lengths if length >= SHORTEST_SEQUENCE), None)


def _holds_tokens(x: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return x.dtype in (torch.int64, torch.int32)
    return x.dtype in (np.dtype(np.int64), np.dtype(np.int32))


def with_sequence_length(batch: Any, length: int) -> Any:
    """The same batch with sequences of ``length`` tokens: the first ones, or all and then the first again.

    Every leaf follows whose second length is that of the tokens, as masks and labels have it, and a third one with it.

    Raises:
        ValueError: When it holds no tokens.
    """
    found = sequence_length_of_batch(batch)
    if found is None:
        raise ValueError("sequence_length was given, and the data hold no tokens, whole numbers by (k, tokens)")
    places = np.arange(length) % found

    def resized(x: Any) -> Any:
        if not has_lengths(x) or x.ndim < 2:
            return x
        for dimension in (1, 2):
            if x.ndim > dimension and x.shape[dimension] == found:
                x = _taken(x, dimension, places)
            elif dimension == 1:
                break
        return x

    return with_leaves(batch, resized)


def _taken(x: Any, dimension: int, places: Any) -> Any:
    if isinstance(x, torch.Tensor):
        if len(places) <= x.shape[dimension]:  # a view, which takes no memory
            return x.narrow(dimension, 0, len(places))
        return x.index_select(dimension, torch.from_numpy(places))
    return x.take(places, axis=dimension)
