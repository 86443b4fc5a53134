"""Any form of data as a loader, and the same loader for another batch size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset

from .arrays import arrays_in, is_array, sliced
from .batches import batch_size_of
from .items import collated, kind_in_list, kind_of, shapes

DEFAULT_BATCH_SIZE = 32


def as_loader(data: Any, collate_fn: Any = None, batch_size: int | None = None) -> Iterable[Any]:
    """The data as something to iterate over, batch by batch.

    A DataLoader is taken as it is. A Dataset, a list of samples or whatever else has a length and is asked by index is
    shuffled, by a generator of its own so that no global random number is drawn. A tuple (or a mapping) of tensors or
    arrays, one row a sample, is shuffled too and sliced whole batches at a time, which costs a tenth of collating
    samples. An IterableDataset yields samples, of which batches are made in its own order. Lists of batches and any
    other iterable are taken for iterables of batches.

    Whether a list holds samples or batches is seen by the shapes of its items (see ``items``).

    Args:
        data: In any of these forms.
        collate_fn: How a list of samples becomes a batch; with it the items are samples, whatever they look like.
        batch_size: Of the batches that are made here; 32 when None.
    Raises:
        TypeError: For data of another kind, and where samples cannot be told from batches; it says what to write.
        ValueError: For empty data, arrays of unequal length, or a ``collate_fn`` that nothing would call.
    """
    if isinstance(data, type):
        raise TypeError(f"data must be a DataLoader, a Dataset or the like itself, not the class {data.__name__}")
    try:
        return _loader_of(data, collate_fn, batch_size)
    except RecursionError:
        raise TypeError("data must not hold themselves, nor be nested without end") from None


def _loader_of(data: Any, collate_fn: Any, batch_size: int | None) -> Iterable[Any]:
    size = batch_size or DEFAULT_BATCH_SIZE
    if collate_fn is not None and not takes_collate_fn(data):
        raise ValueError(f"collate_fn makes batches of samples, and a {type(data).__name__} has its batches already")
    if isinstance(data, DataLoader):
        loader: Iterable[Any] = data if batch_size is None else rebuilt(data, batch_size)
    elif isinstance(data, IterableDataset):
        # Its samples are looked at when the first batch is made: not even one may be drawn here.
        loader = DataLoader(
            data, batch_size=size, collate_fn=collate_fn or collated, generator=torch.Generator().manual_seed(0)
        )
    elif (arrays := arrays_in(data)) is not None:
        loader = sliced(arrays, size)
    elif isinstance(data, Dataset) or _are_samples(data, collate_fn):
        loader = _shuffled(data, collate_fn or collated, size)
    else:
        loader = _as_batches(data, batch_size)
    _check_not_empty(loader)
    return loader


def takes_collate_fn(data: Any) -> bool:
    """Whether batches are made of the data's items, one by one."""
    if isinstance(data, DataLoader):
        return False
    return isinstance(data, Dataset) or (_has_index(data) and not isinstance(data, Mapping) and arrays_in(data) is None)


def rebuilt(loader: DataLoader[Any], batch_size: int) -> DataLoader[Any]:
    """The same loader with another batch size: same dataset, sampler, collate_fn, workers.

    Raises:
        ValueError: Where the batches are not made by the loader's own sampler and collate_fn.
    """
    loader = plain(loader)
    if type(loader).__iter__ is not DataLoader.__iter__:
        raise ValueError(f"{type(loader).__name__} makes its batches in its own way; build it with the new batch size")
    if type(loader.batch_sampler) is not BatchSampler:
        return _rebuilt_slices(loader, batch_size)
    own = loader.batch_sampler if type(loader.batch_sampler) is BatchSampler else loader
    streams = isinstance(loader.dataset, IterableDataset)
    return DataLoader(
        loader.dataset,
        batch_size=batch_size,
        sampler=None if streams else own.sampler,
        drop_last=own.drop_last,
        **_unchanged(loader),
    )


def plain(loader: Any) -> Any:
    """What makes the batches of a loader that Accelerate prepared, as long as there is one process; else itself."""
    inner = getattr(loader, "base_dataloader", None)
    is_one_of_many = torch.distributed.is_available() and torch.distributed.is_initialized()
    return inner if isinstance(inner, DataLoader) and not is_one_of_many else loader


def sampler_of(loader: Any) -> Any:
    """What gives the order of the samples; None where a loader does not tell."""
    loader = plain(loader)
    for name in ("batch_sampler", "sampler"):
        sampler = getattr(loader, name, None)
        if isinstance(sampler, BatchSampler):
            return sampler.sampler
    return getattr(loader, "sampler", None)


def _rebuilt_slices(loader: DataLoader[Any], batch_size: int) -> DataLoader[Any]:
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


def _are_samples(data: Any, collate_fn: Any) -> bool:
    """Whether batches are to be made of a list's items, or of those of whatever else is asked by index.

    Raises:
        TypeError: Where nobody can tell.
    """
    if isinstance(data, (str, bytes, torch.Tensor, np.ndarray, Mapping)) or not _has_index(data) or not len(data):
        return False
    if collate_fn is not None:
        return True
    if not isinstance(data, (list, tuple)):
        # By convention these are samples; only what looks like nothing else is a batch.
        return kind_of(data[0]) != "batch"
    kind = kind_in_list(data)
    if kind == "unclear":
        raise TypeError(
            f"the items of the data ({shapes(data[0])}) may be samples or whole batches: write "
            "data=torch.utils.data.DataLoader(data, batch_size=None) if each is a batch, "
            "DataLoader(data, batch_size=32, shuffle=True) if each is one sample"
        )
    if kind == "sample":
        collated([data[0], data[1]])
    return kind == "sample"


def _has_index(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__") and not hasattr(data, "__array__")


def _shuffled(dataset: Any, collate_fn: Any, batch_size: int) -> DataLoader[Any]:
    size = len(dataset)
    if size == 0:
        raise ValueError(f"the data are empty: the {type(dataset).__name__} has 0 samples")
    return DataLoader(
        dataset, batch_size=batch_size, shuffle=True, collate_fn=collate_fn, drop_last=size >= batch_size,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip


def _as_batches(data: Any, batch_size: int | None) -> Iterable[Any]:
    is_text = isinstance(data, (str, bytes))
    if is_text or isinstance(data, Mapping) or is_array(data) or not (isinstance(data, Iterable) or _has_index(data)):
        raise TypeError(
            f"data must be a DataLoader, a Dataset, (inputs, targets) or a list, not {type(data).__name__}{_hint(data)}"
        )
    if batch_size is not None:
        raise ValueError(
            f"the batches of a {type(data).__name__} are made elsewhere, so batch_size can't be changed here; "
            "give a DataLoader, a Dataset or (inputs, targets) instead"
        )
    return data if isinstance(data, Iterable) else DataLoader(data, batch_size=None)


def _hint(data: Any) -> str:
    if isinstance(data, Mapping):
        first = next(iter(data), "train")
        return f": give one of its parts, such as data[{first!r}]"
    if is_array(data):
        return ": give (inputs, targets), or a tuple of this one with training_step"
    return ": give data.train_dataloader()" if hasattr(data, "train_dataloader") else ""


def _check_not_empty(loader: Iterable[Any]) -> None:
    try:
        count = len(loader)  # type: ignore[arg-type]
    except TypeError:
        return
    if count:
        return
    dataset, drop_last = getattr(loader, "dataset", ()), getattr(loader, "drop_last", False)
    if drop_last and len(dataset):
        raise ValueError(
            f"the loader yields no batch: {len(dataset)} samples, batch_size {batch_size_of(loader)} or more and "
            "drop_last=True; take a smaller batch_size or drop_last=False"
        )
    raise ValueError("the data are empty: the loader yields no batch")


def past_data(batch_size: int, loader: Iterable[Any], *, name: str = "k") -> str:
    """That a batch would hold more samples than there are, in words; "" where it would not, or nobody can tell.

    Every tool that takes batch sizes asks here, so that all count alike.

    Args:
        batch_size: Samples in a batch.
        loader: Of the data.
        name: What the caller calls it.
    """
    count = samples_in(loader)
    if count is None or batch_size <= count:
        return ""
    return f"{name} = {batch_size} is more than the data have: {count} samples"


def check_within_data(batch_sizes: Iterable[int], loader: Iterable[Any]) -> None:
    """Raise ValueError where the largest batch would hold more samples than there are."""
    words = past_data(max(batch_sizes, default=0), loader)
    if words:
        raise ValueError(words)


def samples_in(loader: Iterable[Any]) -> int | None:
    """Samples of one epoch; None where the loader does not tell."""
    if isinstance(getattr(loader, "dataset", None), IterableDataset):
        return None
    try:
        return len(sampler_of(loader))
    except TypeError:
        return None
