"""Batches on their way from a loader to a step: drawn, moved to a device, looked into."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset

from ..errors import stops_told
from .items import HOLDS_ITSELF, check_batch
from .items import shapes as shapes

NO_BATCH = "the data yield no batch (an iterator that is used up, an empty stream, or one shorter than a batch?)"


def batch_size_of(loader: Iterable[Any]) -> int | None:
    """Samples in one batch, at most as many as there are; None where the loader does not tell."""
    size = getattr(loader, "batch_size", None)
    if size is None:
        for name in ("batch_sampler", "sampler"):
            size = size or getattr(getattr(loader, name, None), "batch_size", None)
    try:
        return min(size, len(loader.dataset)) if size else None  # type: ignore[attr-defined]
    except (TypeError, AttributeError):
        return size if isinstance(size, int) else None


class DataEndedError(ValueError):
    """Data that come once are used up."""


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Batches without end: when the data are used up they begin again.

    Raises:
        ValueError: When a pass yields nothing, as a used-up iterator does; DataEndedError after the first.
    """
    count = 0
    while True:
        before = count
        for batch in one_pass(loader):
            count += 1
            yield batch
        if count == before:
            raise DataEndedError(_ended(loader, count)) if count else ValueError(NO_BATCH)


def _ended(loader: Any, count: int) -> str:
    batches = "1 batch" if count == 1 else f"{count} batches"
    return (
        f"the data ended after {batches} and cannot begin again, since a {type(loader).__name__} is used up by one "
        "pass: give a list of them, a DataLoader, or an object whose __iter__ begins anew"
    )


def one_pass(loader: Iterable[Any]) -> Iterator[Any]:
    """The loader's batches once."""
    # Resetting a loader with persistent workers would pull them from under a loop of the user's own.
    source = copy.copy(loader) if getattr(loader, "persistent_workers", False) else loader
    if source is not loader:
        source._iterator = None  # type: ignore[attr-defined]
    is_known = isinstance(loader, (DataLoader, list, tuple))
    with stops_told():
        drawn = iter(source)
    for batch in drawn:
        if not is_known:  # nobody has seen an item of these data before
            check_batch(batch, loader)
            is_known = True
        yield batch


def first_batch(loader: Iterable[Any]) -> Any:
    """Its first batch.

    Raises:
        ValueError: When there is none.
    """
    for batch in one_pass(loader):
        return batch
    raise ValueError(NO_BATCH)


def with_tensors(batch: Any, model: torch.nn.Module | None = None) -> Any:
    """The batch with its NumPy arrays as tensors, which share their memory where that is possible.

    Args:
        batch: Of any form; mappings, lists and tuples are looked into as far as there are arrays in them.
        model: On whose device the tensors are to be; None for the host.
    """
    if isinstance(batch, np.ndarray):
        device = next((p.device for p in model.parameters()), None) if model is not None else None
        return as_tensor(batch).to(device or "cpu")
    if isinstance(batch, Mapping) and any(isinstance(value, np.ndarray) for value in batch.values()):
        return {key: with_tensors(value, model) for key, value in batch.items()}
    if type(batch) in (list, tuple) and any(isinstance(value, np.ndarray) for value in batch):
        return type(batch)(with_tensors(value, model) for value in batch)
    return batch


def as_tensor(array: Any) -> torch.Tensor:
    """Numbers as they are, and without a copy where torch can share the memory.

    Raises:
        TypeError: For an array that holds no numbers.
    """
    if isinstance(array, torch.Tensor):
        return array
    array = np.asarray(array)
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"an array of the data holds {array.dtype.type.__name__}, not numbers: make numbers of it first"
        )
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    # torch warns of arrays that may not be written to, and nobody does: batches are copies of their rows.
    return torch.as_tensor(array if array.flags.writeable or not array.size else np.asarray(_Writable(array)))


class _Writable:
    """The same memory, as NumPy's protocol offers that of a writable array."""

    def __init__(self, array: Any) -> None:
        self._array = array  # whose memory it is
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor on ``device``: through dicts, lists, tuples, and whatever has ``.to``.

    Raises:
        ValueError: For a batch that holds itself.
    """
    try:
        return _moved(batch, device)
    except RecursionError:
        raise ValueError(HOLDS_ITSELF) from None


def _moved(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, torch.Tensor):
        if batch.requires_grad:
            # A graph of the batch's own would lead one step's gradients into the user's data, and serve one step alone.
            batch = batch.detach().requires_grad_()
        # A pinned tensor can travel while the host goes on; for others the flag does nothing.
        return batch if batch.device == device else batch.to(device, non_blocking=True)
    if hasattr(batch, "to") and not isinstance(batch, type):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: _moved(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(_moved(value, device) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(_moved(value, device) for value in batch)
    return batch


def with_own_containers(batch: Any, *, clones: bool = False) -> Any:
    """The batch in dicts, lists and tuples of its own, so that what is taken out of it stays in the other.

    Args:
        batch: Of any form.
        clones: Whether its tensors are copied too.
    """
    if isinstance(batch, torch.Tensor):
        return batch.clone() if clones else batch
    if isinstance(batch, Mapping):
        own: Any = copy.copy(batch)
        for key, value in batch.items():
            own[key] = with_own_containers(value, clones=clones)
        return own
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(with_own_containers(value, clones=clones) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(with_own_containers(value, clones=clones) for value in batch)
    # A kind of batch of somebody else's: its .to may write into itself.
    return copy.deepcopy(batch) if clones else copy.copy(batch)


def tensors_of(batch: Any) -> Iterator[torch.Tensor]:
    """Its tensors, through dicts, lists and tuples."""
    if isinstance(batch, torch.Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        for value in batch.values():
            yield from tensors_of(value)
    elif isinstance(batch, (list, tuple)):
        for value in batch:
            yield from tensors_of(value)


def what_cannot_be_rewound(loader: Iterable[Any]) -> tuple[str, ...]:
    """Sentences about what a run uses up of the data for good."""
    if isinstance(loader, Iterator):
        return ("The data are an iterator: the batches a run draws are gone afterwards.",)
    if isinstance(getattr(loader, "dataset", None), IterableDataset):
        return ("The data are an IterableDataset: nbtune starts it anew, but cannot rewind what lies behind it.",)
    return ()
