"""Tensors and arrays of which each row is a sample, as a loader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, TensorDataset

from .batches import as_tensor


class Named(Dataset[Any]):
    """Tensors by name, one row a sample.

    Args:
        tensors: Each of shape (samples, ...).
    """

    def __init__(self, tensors: dict[str, torch.Tensor]) -> None:
        self.tensors = tensors

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, index: Any) -> dict[str, torch.Tensor]:
        return {name: tensor[index] for name, tensor in self.tensors.items()}


def arrays_in(data: Any) -> dict[Any, Any] | None:
    """Tensors and arrays of which each row is a sample, by place or by name; None for data of another form."""
    if isinstance(data, Mapping):
        return dict(data) if data and all(map(is_array, data.values())) else None
    if not isinstance(data, (tuple, list)) or not data or not is_array(data[0]):
        return None
    if isinstance(data, list) and len(data) != 2:
        return None
    if not all(is_array(part) or _is_column(part, data[0]) for part in data):
        return None
    is_cut = len(data) > 2 and len({len(part) for part in data}) > 1 and len({part.shape[1:] for part in data}) == 1
    return None if is_cut else dict(enumerate(data))


def is_array(data: Any) -> bool:
    """Whether it is a tensor, or an array of NumPy's or of another library."""
    return isinstance(data, (torch.Tensor, np.ndarray)) or (hasattr(data, "__array__") and hasattr(data, "shape"))


def _is_column(part: Any, inputs: Any) -> bool:
    """Targets as a list of numbers."""
    is_long = isinstance(part, list) and inputs.ndim > 0 and len(part) == len(inputs)
    return is_long and bool(part) and isinstance(part[0], (int, float))


def sliced(arrays: dict[Any, Any], batch_size: int) -> DataLoader[Any]:
    """Their rows shuffled, by a generator of its own, and sliced whole batches at a time.

    Args:
        arrays: As ``arrays_in`` gives them, each of shape (samples, ...).
        batch_size: Samples in a batch; all, where there are fewer.
    Raises:
        ValueError: For arrays of unequal length, without a row, or without numbers.
    """
    tensors = {name: as_tensor(array) for name, array in arrays.items()}
    if any(tensor.is_meta for tensor in tensors.values()):
        raise ValueError("the data are on the meta device, so they hold no numbers: load them first")
    if any(tensor.ndim == 0 for tensor in tensors.values()) or len({len(t) for t in tensors.values()}) > 1:
        names = "inputs and targets" if len(tensors) == 2 else "the arrays of the data"
        raise ValueError(
            f"{names} must have as many samples: "
            f"their shapes are {' and '.join(str(tuple(tensor.shape)) for tensor in tensors.values())}"
        )
    count = len(next(iter(tensors.values())))
    if not count:
        raise ValueError("the data are empty: inputs and targets have 0 samples")
    is_named = not isinstance(next(iter(tensors)), int)
    dataset: Dataset[Any] = Named(tensors) if is_named else TensorDataset(*tensors.values())
    order = RandomSampler(dataset, generator=torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    return DataLoader(
        dataset, batch_size=None, sampler=BatchSampler(order, batch_size, drop_last=count >= batch_size),
        generator=order.generator,
    )  # fmt: skip
