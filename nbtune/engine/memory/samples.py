"""Batches of any size, made of the task's own samples."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.data import DataLoader, IterableDataset, default_collate

from .. import batches
from ..task import Task

MOST_SAMPLES = 1000
"""At most so many are looked at for the largest one."""


class NotPredictableError(RuntimeError):
    """The memory of this task can't be predicted; the message says why."""


class Samples:
    """A few of the task's samples, from which a batch of any k is made.

    The largest sample found among the first thousand (or ``task.longest``) fills the batch, so that a size that fits
    also fits on the worst day. Nothing random is drawn and no batch is taken from the loader where its dataset can be
    asked by index.

    Attributes:
        caveats: What was done, in sentences.
        image_size: (height, width) of image data, else None.
    """

    def __init__(self, task: Task) -> None:
        self.caveats: tuple[str, ...] = ()
        loader = task.loader
        dataset = getattr(loader, "dataset", None)
        self._collate = getattr(loader, "collate_fn", None) or default_collate
        self._sample: Any = None
        self._batch: Any = None
        self._lengths: dict[int, int] = {}
        if task.longest is not None:
            self._sample = task.longest
        elif isinstance(loader, DataLoader) and dataset is not None and not isinstance(dataset, IterableDataset):
            self._sample = self._largest(dataset)
        else:
            self._take_batch(loader)
        if self._sample is not None and getattr(loader, "batch_size", 0) is None:
            self._collate = default_collate  # the loader slices whole batches out of tensors
        self.image_size = _image_size(self.batch_of(1))

    def batch_of(self, k: int, image_size: int | None = None) -> Any:
        """A batch of ``k`` times the same sample, on the host; images scaled to ``image_size`` pixels in height."""
        if self._sample is not None:
            batch = self._collate([self._sample] * k)
        else:
            batch = self._resized(self._batch, k)
        return batch if image_size is None else _with_image_size(batch, image_size, k)

    def _largest(self, dataset: Any) -> Any:
        first = dataset[0]
        if _is_even(dataset):
            return first
        looked_at = min(len(dataset), MOST_SAMPLES)
        sizes = [_size(dataset[i]) for i in range(looked_at)]
        if len(set(sizes)) == 1:
            return first
        self.caveats = (f"The batch is the largest of the first {looked_at} samples, repeated; others may be larger.",)
        return dataset[max(range(looked_at), key=sizes.__getitem__)]

    def _take_batch(self, loader: Iterable[Any]) -> None:
        if isinstance(loader, (list, tuple)):
            self._batch = max(islice(loader, MOST_SAMPLES), key=_size)
        else:
            self._batch = next(iter(loader))
        if isinstance(loader, IterableDataset) or isinstance(getattr(loader, "dataset", None), IterableDataset):
            self.caveats = ("The data are a stream: its first batch stands for all.",)
        self._count = batch_length(self._batch)

    def _resized(self, batch: Any, k: int) -> Any:
        def resize(x: Any) -> Any:
            if not isinstance(x, torch.Tensor) or x.dim() == 0 or x.shape[0] != self._count:
                return x
            return x[:1].expand(k, *x.shape[1:])

        return tree_map(resize, batch)


def batch_of(task: Task, k: int, image_size: int | None = None) -> Any:
    """A batch of ``k`` samples of the task, see ``Samples``."""
    return Samples(task).batch_of(k, image_size)


def image_size_of(task: Task) -> int | None:
    """Height in pixels of the task's images; None where the data are no images."""
    found = Samples(task).image_size
    return None if found is None else found[0]


def batch_length(batch: Any) -> int:
    """Samples in a batch: the length of its first tensor.

    Raises:
        NotPredictableError: When there is no tensor in it.
    """
    tensors = [x for x in tree_leaves(batch) if isinstance(x, torch.Tensor) and x.dim()]
    if not tensors:
        raise NotPredictableError(f"a batch holds no tensors ({batches.shapes(batch)}), so k can't be told from it")
    return len(tensors[0])


def _is_even(dataset: Any) -> bool:
    """Datasets of tensors have samples of one size."""
    return isinstance(dataset, torch.utils.data.TensorDataset)


def _size(sample: Any) -> int:
    leaves = tree_leaves(sample)
    return sum(x.numel() if isinstance(x, torch.Tensor) else getattr(x, "size", 1) for x in leaves if _has_size(x))


def _has_size(x: Any) -> bool:
    return isinstance(x, torch.Tensor) or isinstance(getattr(x, "size", None), int)


def _image_size(batch: Any) -> tuple[int, int] | None:
    for x in tree_leaves(batch):
        if isinstance(x, torch.Tensor) and x.dim() == 4 and x.is_floating_point() and x.shape[1] <= 16:
            return (x.shape[2], x.shape[3]) if min(x.shape[2:]) >= 8 else None
    return None


def _with_image_size(batch: Any, side: int, k: int) -> Any:
    found = _image_size(batch)
    if found is None:
        raise ValueError("image_size was given, and the data are no images (k, channels, height, width)")
    target = (side, max(1, round(found[1] * side / found[0])))

    def scaled(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or x.dim() < 3 or tuple(x.shape[-2:]) != found:
            return x
        return x.new_zeros(()).expand(*x.shape[:-2], *target)

    return tree_map(scaled, batch)
