"""What one item of the data is: a sample, of which batches are still to be made, or a whole batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from numbers import Number
from typing import Any, Literal

import torch
from torch.utils.data import default_collate

Kind = Literal["sample", "batch", "unclear"]

SMALLEST_IMAGE = 8
"""Pixels: below, three dimensions are as well some sequences in a batch."""

MOST_LOOKED_AT = 100
"""Items of a list whose lengths are compared."""

BATCH_NAMES = {"batch", "ptr", "cu_seqlens", "batch_size", "num_graphs"}
"""Entries that only a whole batch has: where its graphs or its sequences begin, or how many they are."""


def kind_of(item: Any) -> Kind:
    """What the shapes in an item say.

    A scalar (a label, a text) belongs to one sample. Arrays of one common length, one of which has more dimensions,
    are a batch, unless all of them look like images. Arrays of different lengths, none of which could be the number of
    samples, are one sample.

    Args:
        item: Of any form: arrays in tuples, lists, mappings or the attributes of an object.

    Examples:
        >>> kind_of((torch.zeros(10), 1)), kind_of((torch.zeros(32, 10), torch.zeros(32)))
        ('sample', 'batch')
        >>> kind_of(torch.zeros(32, 10))  # some rows, or one sequence
        'unclear'
    """
    if _says_batch(item):
        return "batch"
    found = list(_shapes(item))
    arrays = [shape for shape in found if shape]
    if not arrays:
        return "sample" if found else "unclear"
    if all(map(_is_image, arrays)):
        return "sample"
    if len(arrays) < len(found):
        return _beside_scalars(arrays, isinstance(item, Mapping))
    if len({shape[0] for shape in arrays}) > 1:
        could_be_count = set.intersection(*map(set, arrays)) - {1}
        return "unclear" if could_be_count else "sample"
    return _of_equal_length(arrays)


def _beside_scalars(arrays: list[tuple[int, ...]], is_named: bool) -> Kind:
    # A mapping may hold a number that belongs to the batch as a whole, such as the longest length in it.
    could_be_rows = len({shape[0] for shape in arrays}) == 1 and max(map(len, arrays)) > 1
    return "unclear" if could_be_rows and (is_named or len(arrays) > 1) else "sample"


def _of_equal_length(arrays: list[tuple[int, ...]]) -> Kind:
    deep = max(map(len, arrays))
    if len(arrays) == 1:
        return "sample" if deep == 1 else "batch" if deep > 3 else "unclear"
    if arrays[0][0] == 1:  # one row, or one channel
        return "sample" if deep == 1 else "unclear" if any(map(_is_image, arrays)) else "batch"
    return "batch" if deep > 1 else "unclear"


def is_labelled_batch(item: Any) -> bool:
    """Whether an item looks so much like a batch that even one of a Dataset is hardly a sample.

    It has labels, one a row: arrays of one common length above 1, of which one has one dimension and others more.
    """
    if kind_of(item) != "batch":
        return False
    found = [shape for shape in _shapes(item) if shape]
    return _says_batch(item) or (found[0][0] > 1 and {1} < {min(2, len(shape)) for shape in found})


def kind_in_list(items: Sequence[Any]) -> Kind:
    """What the items of a list are: two are looked at, and the lengths of some more.

    A single one is a batch, since there is nothing to put together.
    """
    if len(items) < 2:
        return "batch"
    kinds = {kind_of(items[0]), kind_of(items[1])}
    if "sample" in kinds:
        return "unclear" if "batch" in kinds else "sample"
    if _says_batch(items[0]):
        return "batch"
    *rest, last = [_length_of(items[place]) for place in (*range(min(len(items) - 1, MOST_LOOKED_AT)), -1)]
    is_even = len(set(rest)) == 1
    if kinds == {"batch"}:
        return "batch" if is_even else "unclear"
    # Data that were cut into batches of one size end with a smaller one.
    return "batch" if is_even and 0 < last < rest[0] else "unclear"


def _length_of(item: Any) -> int:
    return next((shape[0] for shape in _shapes(item) if shape), 0)


def collated(samples: list[Any]) -> Any:
    """``default_collate``, which looks first whether they are samples, and says what to write where it cannot.

    Raises:
        TypeError: For whole batches, and for samples that it cannot put together.
    """
    if is_labelled_batch(samples[0]):
        raise TypeError(
            f"an item of the data looks like a whole batch ({shapes(samples[0])}), and {len(samples)} of them would "
            "be put together: write data=torch.utils.data.DataLoader(data, batch_size=None) if it is one, "
            "DataLoader(data, batch_size=32) if it is one sample"
        )
    if any(sample is None for sample in samples):
        raise TypeError(
            "a sample of the data is None: give collate_fn=, which leaves such samples out, "
            "such as lambda batch: default_collate([s for s in batch if s is not None])"
        )
    try:
        return default_collate(samples)
    except (TypeError, KeyError, ValueError, RuntimeError, OverflowError) as error:
        if "allocate" in str(error):  # out of memory, which has nothing to do with their form
            raise
        raise TypeError(
            f"torch cannot put samples like these together to a batch ({shapes(samples[0])}): give "
            "collate_fn=, which makes a batch of a list of samples, or a DataLoader of your own"
        ) from error


HOLDS_ITSELF = "the data hold a batch that holds itself, or is nested without end"


def check_batch(batch: Any, data: Any) -> None:
    """Whether the first item of an iterable of batches may be one.

    Raises:
        TypeError: When it is surely a single sample.
        ValueError: When it holds itself.
    """
    try:
        is_sample = kind_of(batch) == "sample" and not all(_shapes(batch))
    except RecursionError:
        raise ValueError(HOLDS_ITSELF) from None
    if is_sample:
        raise TypeError(
            f"an item of the data, a {type(data).__name__}, is one sample ({shapes(batch)}), not a batch: give a "
            "DataLoader, a Dataset or a list of samples instead, of which batches are made"
        )


def shapes(batch: Any) -> str:
    """A batch's or a sample's shapes in words, for error messages: ``(64, 1, 8, 8) float32, (64,) int64``."""
    if _is_array(batch):
        return f"{tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{key}: {shapes(value)}" for key, value in batch.items())
    if isinstance(batch, (list, tuple)):
        return ", ".join(shapes(value) for value in batch)
    if isinstance(batch, (str, Number)) or not hasattr(batch, "__dict__"):
        return type(batch).__name__
    inside = {name: value for name, value in _attributes(batch).items() if _is_array(value)}
    return f"{type(batch).__name__}({shapes(inside)})" if inside else type(batch).__name__


def _says_batch(item: Any) -> bool:
    if isinstance(item, torch.nn.utils.rnn.PackedSequence) or (isinstance(item, torch.Tensor) and item.is_nested):
        return True
    if isinstance(item, (list, tuple)):
        return any(map(_says_batch, item))
    if isinstance(item, Mapping):
        return any(name in BATCH_NAMES and value is not None for name, value in item.items())
    size = getattr(item, "batch_size", None)
    if isinstance(size, torch.Size):  # a TensorDict has one at any rate
        return len(size) > 0
    if isinstance(item, (torch.Tensor, str, Number)) or not hasattr(item, "__dict__"):
        return False
    named = [name for name, value in _attributes(item).items() if value is not None]
    return "batch" in type(item).__name__.lower() or bool(BATCH_NAMES & set(named))


def _attributes(item: Any) -> dict[str, Any]:
    """Those of an object; of a torch_geometric Data what it stores."""
    to_dict = getattr(item, "to_dict", None)
    if callable(to_dict) and hasattr(item, "edge_index"):
        return dict(to_dict())
    return {name: value for name, value in vars(item).items() if not name.startswith("_")}


def _shapes(item: Any) -> Iterator[tuple[int, ...]]:
    """Of its arrays, through tuples, mappings and objects; () for a scalar or a text.

    A list that holds one thing a sample (texts, or images of many sizes) counts as an array of so many.
    """
    if isinstance(item, Mapping):
        values: list[Any] = list(item.values())
    else:
        values = list(item) if isinstance(item, (list, tuple)) else [item]
    counts = {len(value) for value in values if _is_array(value) and value.ndim}
    counts |= {len(value) for value in values if _holds_mappings(value)}
    for value in values:
        yield from _shapes_inside(value, counts)


def _shapes_inside(value: Any, counts: set[int]) -> Iterator[tuple[int, ...]]:
    if _is_array(value):
        yield tuple(value.shape)
    elif isinstance(value, (str, bytes, Number)):
        yield ()
    elif isinstance(value, Mapping):
        yield from _shapes(value)
    elif isinstance(value, (list, tuple)):
        if _holds_mappings(value) or (len(value) in counts and not isinstance(value[0], (str, Number))):
            yield (len(value), 1)
        elif any(map(_is_array, value)):
            yield from _shapes(value)
        else:
            yield (len(value),)
    elif hasattr(value, "__dict__"):
        yield from (tuple(inside.shape) for inside in _attributes(value).values() if _is_array(inside))


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and hasattr(value, "ndim")


def _holds_mappings(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(isinstance(inside, Mapping) for inside in value)


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] in (1, 3, 4) and min(shape[1:]) >= SMALLEST_IMAGE
