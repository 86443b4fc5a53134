"""Where batches come from: any form of data as a loader, rebuilt for another batch size, moved to a device."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

DEFAULT_BATCH_SIZE = 32


def as_loader(data: Any, collate_fn: Any = None, batch_size: int | None = None) -> Iterable[Any]:
    """The data as something to iterate over, batch by batch.

    A DataLoader is taken as it is. A Dataset is shuffled, by a generator of its own so that no global random number
    is drawn. A pair of tensors or arrays is shuffled too and sliced whole batches at a time, which costs a tenth of
    collating samples. Any other iterable is taken for an iterable of batches.

    Args:
        data: DataLoader, Dataset, (inputs, targets) or an iterable of batches.
        collate_fn: For a Dataset: how a list of samples becomes a batch.
        batch_size: For a Dataset or a pair; 32 when None.
    Raises:
        TypeError: For data of another kind.
        ValueError: For empty data, a pair of unequal length, or a ``collate_fn`` that nothing would call.
    """
    if collate_fn is not None and not isinstance(data, Dataset):
        raise ValueError(f"collate_fn goes with a Dataset, not with {type(data).__name__}")
    if isinstance(data, DataLoader):
        loader: Iterable[Any] = data if batch_size is None else rebuilt(data, batch_size)
    elif isinstance(data, Dataset):
        loader = _dataset_loader(data, collate_fn, batch_size or DEFAULT_BATCH_SIZE)
    elif _is_pair(data):
        loader = _pair_loader(data[0], data[1], batch_size or DEFAULT_BATCH_SIZE)
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, torch.Tensor, np.ndarray, Mapping)):
        if batch_size is not None:
            raise ValueError(
                f"the batches of a {type(data).__name__} are made elsewhere, so batch_size can't be changed here; "
                "give a DataLoader, a Dataset or (inputs, targets) instead"
            )
        loader = data
    else:
        raise TypeError(f"data must be a DataLoader, a Dataset or (inputs, targets), not {type(data).__name__}")
    _check_not_empty(loader)
    return loader


def rebuilt(loader: DataLoader[Any], batch_size: int) -> DataLoader[Any]:
    """The same loader with another batch size: same dataset, sampler, collate_fn, workers.

    Raises:
        ValueError: Where the batches are not made by the loader's own sampler and collate_fn.
    """
    if type(loader).__iter__ is not DataLoader.__iter__:
        raise ValueError(f"{type(loader).__name__} makes its batches in its own way; build it with the new batch size")
    if loader.batch_size is None or (
        loader.batch_sampler is not None and type(loader.batch_sampler) is not BatchSampler
    ):
        return _rebuilt_pair(loader, batch_size)
    streams = isinstance(loader.dataset, IterableDataset)
    return DataLoader(
        loader.dataset,
        batch_size=batch_size,
        sampler=None if streams else loader.sampler,
        drop_last=loader.drop_last,
        **_unchanged(loader),
    )


def _rebuilt_pair(loader: DataLoader[Any], batch_size: int) -> DataLoader[Any]:
    sampler = loader.sampler
    if loader.batch_size is None and type(sampler) is BatchSampler:
        fills_one = len(loader.dataset) >= batch_size  # type: ignore[arg-type]
        batches = BatchSampler(sampler.sampler, batch_size, sampler.drop_last and fills_one)
        return DataLoader(loader.dataset, batch_size=None, sampler=batches, **_unchanged(loader))
    raise ValueError(
        "the loader has a batch_sampler of its own (or a dataset that yields whole batches), so only you can build it "
        "for another batch size; pass the new loader as data"
    )


def _unchanged(loader: DataLoader[Any]) -> dict[str, Any]:
    with_workers = {"prefetch_factor": loader.prefetch_factor, "persistent_workers": loader.persistent_workers}
    return {
        "collate_fn": loader.collate_fn,
        "num_workers": loader.num_workers,
        "pin_memory": loader.pin_memory,
        "timeout": loader.timeout,
        "worker_init_fn": loader.worker_init_fn,
        "multiprocessing_context": loader.multiprocessing_context if loader.num_workers else None,
        "generator": loader.generator,
        **(with_workers if loader.num_workers else {}),
    }


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


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    """Batches without end: when the data are used up they begin again.

    Raises:
        ValueError: When a pass yields nothing, as a used-up iterator does.
    """
    while True:
        is_empty = True
        for batch in one_pass(loader):
            is_empty = False
            yield batch
        if is_empty:
            raise ValueError("the data yield no batch (an iterator that is used up, or an empty stream)")


def one_pass(loader: Iterable[Any]) -> Iterator[Any]:
    """The loader's batches once."""
    # Resetting a loader with persistent workers would pull them from under a loop of the user's own.
    source = copy.copy(loader) if getattr(loader, "persistent_workers", False) else loader
    if source is not loader:
        source._iterator = None  # type: ignore[attr-defined]
    yield from source


def to_device(batch: Any, device: torch.device) -> Any:
    """The batch with every tensor on ``device``: through dicts, lists, tuples, and whatever has ``.to``."""
    if isinstance(batch, torch.Tensor):
        # A pinned tensor can travel while the host goes on; for others the flag does nothing.
        return batch if batch.device == device else batch.to(device, non_blocking=True)
    if hasattr(batch, "to"):
        return batch.to(device)
    if isinstance(batch, Mapping):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(value, device) for value in batch))
    if isinstance(batch, (list, tuple)):
        return type(batch)(to_device(value, device) for value in batch)
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


def shapes(batch: Any) -> str:
    """The batch's shapes in words, for error messages: ``(64, 1, 8, 8) float32, (64,) int64``."""
    if isinstance(batch, torch.Tensor):
        return f"{tuple(batch.shape)} {str(batch.dtype).removeprefix('torch.')}"
    if isinstance(batch, Mapping):
        return ", ".join(f"{key}: {shapes(value)}" for key, value in batch.items())
    if isinstance(batch, (list, tuple)):
        return ", ".join(shapes(value) for value in batch)
    return type(batch).__name__


def what_cannot_be_rewound(loader: Iterable[Any]) -> tuple[str, ...]:
    """Sentences about what a run uses up of the data for good."""
    if isinstance(loader, Iterator):
        return ("The data are an iterator: the batches a run draws are gone afterwards.",)
    if isinstance(getattr(loader, "dataset", None), IterableDataset):
        return ("The data are an IterableDataset: nbtune starts it anew, but cannot rewind what lies behind it.",)
    return ()


def _is_pair(data: Any) -> bool:
    return (
        isinstance(data, (tuple, list))
        and len(data) == 2
        and all(isinstance(d, (torch.Tensor, np.ndarray)) for d in data)
    )


def _pair_loader(inputs: Any, targets: Any, batch_size: int) -> DataLoader[Any]:
    inputs, targets = torch.as_tensor(inputs), torch.as_tensor(targets)
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets):
        raise ValueError(
            "inputs and targets must have as many samples: "
            f"their shapes are {tuple(inputs.shape)} and {tuple(targets.shape)}"
        )
    if not len(inputs):
        raise ValueError("the data are empty: inputs and targets have 0 samples")
    dataset = TensorDataset(inputs, targets)
    order = RandomSampler(dataset, generator=torch.Generator().manual_seed(0))
    return DataLoader(
        dataset, batch_size=None, sampler=BatchSampler(order, batch_size, drop_last=len(inputs) >= batch_size),
        generator=order.generator,
    )  # fmt: skip


def _dataset_loader(dataset: Dataset[Any], collate_fn: Any, batch_size: int) -> DataLoader[Any]:
    if isinstance(dataset, IterableDataset):
        return DataLoader(
            dataset, batch_size=batch_size, collate_fn=collate_fn, generator=torch.Generator().manual_seed(0)
        )
    size = len(dataset)  # type: ignore[arg-type]
    if size == 0:
        raise ValueError(f"the data are empty: the {type(dataset).__name__} has 0 samples")
    return DataLoader(
        dataset, batch_size=batch_size, shuffle=True, collate_fn=collate_fn, drop_last=size >= batch_size,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def _check_not_empty(loader: Iterable[Any]) -> None:
    try:
        batches = len(loader)  # type: ignore[arg-type]
    except TypeError:
        return
    if batches:
        return
    dataset, drop_last = getattr(loader, "dataset", ()), getattr(loader, "drop_last", False)
    if drop_last and len(dataset):
        raise ValueError(
            f"the loader yields no batch: {len(dataset)} samples, batch_size {batch_size_of(loader)} or more and "
            "drop_last=True; take a smaller batch_size or drop_last=False"
        )
    raise ValueError("the data are empty: the loader yields no batch")
