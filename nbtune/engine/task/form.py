"""How the data of a task were taken, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import Any

from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from ...formats import format_count
from .batches import batch_size_of, tensors_of, with_tensors
from .loaders import plain, sampler_of, samples_in


def form_of(loader: Any) -> str:
    """What batches come of these data, and in which order, as a part of a sentence.

    Args:
        loader: As ``as_loader`` gives it; nothing is drawn from it.

    Examples:
        >>> import torch
        >>> from torch.utils.data import TensorDataset
        >>> data = TensorDataset(torch.zeros(100, 4))
        >>> form_of(DataLoader(data, 32, shuffle=True))
        '100 samples, batches of 32, shuffled'
        >>> form_of(iter([]))
        'an iterator of batches, which cannot be rewound'
    """
    if isinstance(loader, Iterator):
        return "an iterator of batches, which cannot be rewound"
    if not isinstance(loader, DataLoader):
        return _of_batches(loader)
    loader, size = plain(loader), batch_size_of(loader)
    if isinstance(loader.dataset, IterableDataset):
        return _of_stream(loader, size)
    count, order = samples_in(loader), _order_of(loader)
    if size is None:
        own = "" if loader.batch_sampler is None else " of a batch_sampler of its own"
        return f"{_counted(loader, 'batch', 'batches')}{own or f', {order}'}"
    samples = "" if count is None else f"{format_count(count)} sample{'s' if count != 1 else ''}, "
    return f"{samples}batches of {format_count(size)}, {order}"


def _order_of(loader: Any) -> str:
    order = sampler_of(loader)
    if isinstance(order, SequentialSampler):
        return "in order"
    return "shuffled" if isinstance(order, RandomSampler) else f"in the order of {_a(order)}"


def _of_stream(loader: Any, size: int | None) -> str:
    """What it says of its own length is as good as its word."""
    try:
        count = format_count(len(loader.dataset))
    except TypeError:
        count = ""
    if size is None:
        return f"a stream of {f'{count} ' if count else ''}batches, in its own order"
    samples = f"{count} sample{'s' if count != '1' else ''}, in " if count else ""
    return f"a stream of {samples}batches of {format_count(size)}, in its own order"


def _of_batches(data: Iterable[Any]) -> str:
    size = None
    if isinstance(data, (list, tuple)):
        tensors = [t for t in tensors_of(with_tensors(data[0])) if t.ndim]
        size = len(tensors[0]) if tensors else None
    of = "" if size is None else f" of {format_count(size)}"
    order = "in order" if isinstance(data, Sized) else "in its own order"
    return f"{_counted(data, f'batch{of}', f'batches{of}')}, {order}"


def _counted(data: Any, one: str, many: str) -> str:
    try:
        count = len(data)
    except TypeError:
        return f"{many} of {_a(data)}"
    return f"1 {one}" if count == 1 else f"{format_count(count)} {many}"


def _a(thing: Any) -> str:
    name = type(thing).__name__
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"
