"""Batches of any size, made of the task's own samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, TensorDataset, default_collate

from ..interrupts import let_through
from ..task import batches
from ..task.task import Task
from ..training.loader_state import LoaderState
from ..training.random_streams import RandomStreams

MOST_SAMPLES = 1000
"""At most so many are looked at for the largest one."""


class NotPredictableError(RuntimeError):
    """The memory of this task can't be predicted; the message says why."""


class Samples:
    """A few of the task's samples, from which a batch of any k is made.

    The largest sample found among the first thousand (or ``task.longest``) fills the batch, so that a size that fits
    also fits on the worst day. The loader and the random streams are left as they were; no batch is taken from a loader
    whose dataset can be asked by index.

    Attributes:
        caveats: What was done, in sentences.
        count: How many samples the data have; None where they do not tell.
        image_size: (height, width) of image data, else None.
    """

    def __init__(self, task: Task) -> None:
        self.caveats: tuple[str, ...] = ()
        self._collate = _collated(task.loader)
        self._sample: Any = None
        self._batch: Any = None
        with _left_alone(task), let_through():
            self.count = _count(task.loader)
            self._look_at(task)
            self._pair = self._collated_pair()
        self.image_size = _image_size(self.batch_of(1))

    def batch_of(self, k: int, image_size: int | None = None) -> Any:
        """A batch of ``k`` times the same sample on the host, images scaled to ``image_size`` pixels in height.

        Its tensors share one sample's memory; see ``real_batch_of`` for steps that are really run.
        """
        batch = self._repeated(k)
        return batch if image_size is None else _with_image_size(batch, image_size)

    def real_batch_of(self, k: int, image_size: int | None = None) -> Any:
        """The same with memory of its own for every sample, as a real batch has."""
        batch = self.batch_of(k, image_size)
        return tree_map(lambda x: x.contiguous() if isinstance(x, torch.Tensor) else x, batch)

    def shortage(self, k: int) -> tuple[str, ...]:
        """A sentence where the data have fewer than ``k`` samples."""
        if self.count is None or self.count >= k:
            return ()
        return (f"The data have {self.count} samples: larger batches repeat them.",)

    def _look_at(self, task: Task) -> None:
        dataset = getattr(task.loader, "dataset", None)
        if task.longest is not None:
            self._sample = task.longest
        elif isinstance(task.loader, DataLoader) and not isinstance(dataset, IterableDataset) and _has_indices(dataset):
            self._sample = self._largest(dataset)
        else:
            self._take_batch(task.loader)

    def _collated_pair(self) -> Any:
        """Leaves of a batch of two, and the dimension in which one of three is longer; None for other differences."""
        if self._sample is None:
            return None
        leaves, form = tree_flatten(_plain(self._collate([self._sample] * 2)))
        others, other_form = tree_flatten(_plain(self._collate([self._sample] * 3)))
        if form != other_form:
            return None
        grown = [_growing_dimension(a, b) for a, b in zip(leaves, others, strict=True)]
        return None if _NEITHER in grown else (leaves, grown, form)

    def _repeated(self, k: int) -> Any:
        if self._sample is None:
            return self._resized(self._batch, k)
        if self._pair is None:
            return _plain(self._collate([self._sample] * k))
        leaves, grown, form = self._pair
        return tree_unflatten([_grown(x, d, k) for x, d in zip(leaves, grown, strict=True)], form)

    def _largest(self, dataset: Any) -> Any:
        largest = dataset[0]
        if isinstance(dataset, TensorDataset):  # samples of one size
            return largest
        looked_at = min(len(dataset), MOST_SAMPLES)
        sizes = [_size(largest)]
        for index in range(1, looked_at):
            sample = dataset[index]
            if _size(sample) > max(sizes):
                largest = sample
            sizes.append(_size(sample))
        if len(set(sizes)) > 1:
            text = f"The batch is the largest of the first {looked_at} samples, repeated; others may be larger."
            self.caveats = (text,)
        return largest

    def _take_batch(self, loader: Iterable[Any]) -> None:
        if isinstance(loader, (list, tuple)):
            self._batch = _plain(max(islice(loader, MOST_SAMPLES), key=_size))
        else:
            self._batch = _plain(next(iter(loader)))
            self.caveats = ("The data are a stream: its first batch stands for all.",)
        self._length = batch_length(self._batch)

    def _resized(self, batch: Any, k: int) -> Any:
        def resize(x: Any) -> Any:
            if not isinstance(x, torch.Tensor) or x.dim() == 0 or x.shape[0] != self._length:
                return x
            return x[:1].expand(k, *x.shape[1:])

        return tree_map(resize, batch)


@contextmanager
def _left_alone(task: Task) -> Iterator[None]:
    """Whatever is drawn inside, the loader's generators and the caller's random streams are put back."""
    state, streams = LoaderState(task.loader), RandomStreams(torch.device("cpu"))
    try:
        with streams:
            yield
    finally:
        state.mark()
        streams.put_back()
        state.put_back()


def _has_indices(dataset: Any) -> bool:
    """Whether samples are asked for by 0, 1, 2 …; a sampler of its own may give other keys."""
    try:
        dataset[0], dataset[len(dataset) - 1]
    except (KeyError, IndexError, TypeError):
        return False
    return True


def _count(loader: Any) -> int | None:
    dataset = getattr(loader, "dataset", None)
    try:
        return None if dataset is None or isinstance(dataset, IterableDataset) else len(dataset)
    except TypeError:
        return None


def _plain(batch: Any) -> Any:
    """Mappings that are no dicts (BatchEncoding) as dicts, since the pytree functions know only these."""
    if isinstance(batch, Mapping):
        return {key: _plain(value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(_plain, batch))
    return type(batch)(map(_plain, batch)) if type(batch) in (list, tuple) else batch


_NEITHER = -2


def _growing_dimension(two: Any, three: Any) -> int:
    """The dimension in which a batch of three is longer than one of two; −1 for none."""
    if not isinstance(two, torch.Tensor):
        return -1
    if two.dim() != three.dim():
        return _NEITHER
    grown = [d for d, (a, b) in enumerate(zip(two.shape, three.shape, strict=True)) if a != b]
    if not grown:
        return -1
    is_one_each = len(grown) == 1 and two.shape[grown[0]] == 2 and three.shape[grown[0]] == 3
    return grown[0] if is_one_each else _NEITHER


def _grown(x: Any, dimension: int, k: int) -> Any:
    if dimension < 0:
        return x
    return x.narrow(dimension, 0, 1).expand(*x.shape[:dimension], k, *x.shape[dimension + 1 :])


def batch_of(task: Task, k: int, image_size: int | None = None) -> Any:
    """A batch of ``k`` samples of the task, see ``Samples``."""
    return Samples(task).batch_of(k, image_size)


def image_size_of(task: Task) -> int | None:
    """Height in pixels of the task's images, by one sample; None where the data are no images, or can't be rewound."""
    dataset = getattr(task.loader, "dataset", None)
    with _left_alone(task), let_through():
        if isinstance(task.loader, (list, tuple)):
            first = task.loader[0]
        elif dataset is None or isinstance(dataset, IterableDataset):
            return None
        else:
            first = _collated(task.loader)([dataset[0]])
    found = _image_size(_plain(first))
    return None if found is None else found[0]


def _collated(loader: Any) -> Any:
    slices = getattr(loader, "batch_size", 0) is None and type(getattr(loader, "sampler", None)) is BatchSampler
    # Such a loader slices whole batches out of tensors, and its collate_fn puts nothing together.
    return default_collate if slices else getattr(loader, "collate_fn", None) or default_collate


def batch_length(batch: Any) -> int:
    """Samples in a batch: the length of its first tensor.

    Raises:
        NotPredictableError: When there is no tensor in it.
    """
    tensors = [x for x in tree_leaves(_plain(batch)) if isinstance(x, torch.Tensor) and x.dim()]
    if not tensors:
        raise NotPredictableError(f"a batch holds no tensors ({batches.shapes(batch)}), so k can't be told from it")
    return len(tensors[0])


def _size(sample: Any) -> int:
    leaves = tree_leaves(_plain(sample))
    return sum(x.numel() if isinstance(x, torch.Tensor) else getattr(x, "size", 1) for x in leaves if _has_size(x))


def _has_size(x: Any) -> bool:
    return isinstance(x, torch.Tensor) or isinstance(getattr(x, "size", None), int)


def _image_size(batch: Any) -> tuple[int, int] | None:
    for x in tree_leaves(batch):
        is_batch = isinstance(x, torch.Tensor) and x.dim() == 4 and x.shape[1] <= 16
        if is_batch and (x.is_floating_point() or x.dtype == torch.uint8):
            return (x.shape[2], x.shape[3]) if min(x.shape[2:]) >= 8 else None
    return None


def _with_image_size(batch: Any, side: int) -> Any:
    found = _image_size(batch)
    if found is None:
        raise ValueError("image_size was given, and the data are no images (k, channels, height, width)")
    target = (side, max(1, round(found[1] * side / found[0])))

    def scaled(x: Any) -> Any:
        if not isinstance(x, torch.Tensor) or x.dim() < 3 or tuple(x.shape[-2:]) != found:
            return x
        return x.new_zeros(()).expand(*x.shape[:-2], *target)

    return tree_map(scaled, batch)
