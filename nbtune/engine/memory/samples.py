"""Batches of any size, made of the task's own samples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, TensorDataset, default_collate

from ..interrupts import let_through
from ..task import batches
from ..task.loaders import samples_in
from ..task.task import Task
from ..training.loader_state import LoaderState
from ..training.random_streams import RandomStreams
from .batch_law import MEASURED_AT, Measure, dimensions_that_grow, in_memory_of_its_own, stretched, with_leaves
from .images import image_size_of_batch, with_image_size
from .ready_made import batch_length, resized
from .sequences import sequence_length_of_batch, with_sequence_length
from .whole_graph import told_of_graph
from .worst_sample import WorstSample

MOST_SAMPLES = 1000
"""At most so many are looked at for the largest one."""


class NotPredictableError(RuntimeError):
    """The memory of this task can't be predicted; the message says why."""

    @classmethod
    def because(cls, reason: str) -> NotPredictableError:
        """With the words around the reason that results begin and end with."""
        return cls(f"Not predictable: {reason.rstrip('.')}. Measure it instead.")


class Samples:
    """A few of the task's samples, from which a batch of any k is made.

    How a batch grows is measured: batches of two, three and five are put together by the loader's own ``collate_fn``,
    and every tensor and array that can be reached from them is looked at. Which sample is the largest is told by what
    a batch of it alone holds. That one (or ``task.longest``) fills the batch, so that a size that fits also fits on
    the worst day; where samples are largest in different dimensions, as padded sentences and their translations, all
    of them do. The loader and the random streams are left as they were; no batch is taken from a loader whose dataset
    can be asked by index.

    Attributes:
        caveats: What was done, in sentences.
        count: How many samples the data have; None where they do not tell.
        image_size: (height, width) of image data, else None.
        sequence_length: Tokens of the sample, where the data are tokens, else None.
    Raises:
        NotPredictableError: When it cannot be told from a batch how it grows.
        ValueError: When the data yield nothing, as a used-up iterator does.
        Exception: Whatever the user's dataset and ``collate_fn`` raise.
    """

    def __init__(self, task: Task) -> None:
        self.caveats: tuple[str, ...] = ()
        self._collate = _collated(task.loader)
        self._samples: list[Any] = []
        self._ready: Any = None
        self._length = 0
        self._law: tuple[Any, list[int]] | None = None
        with _left_alone(task), let_through():
            self.count = samples_in(task.loader)
            self._look_at(task)
            if self._samples:
                self._measure_growth()
        one = self.batch_of(1)
        self.image_size, self.sequence_length = image_size_of_batch(one), sequence_length_of_batch(one)

    def batch_of(self, k: int, image_size: int | None = None, sequence_length: int | None = None) -> Any:
        """A batch of ``k`` samples on the host, with images of that height in pixels, sequences of that many tokens.

        Its tensors may share one sample's memory; see ``real_batch_of`` for steps that are really run.
        """
        batch = self._repeated(k)
        batch = batch if image_size is None else with_image_size(batch, image_size)
        return batch if sequence_length is None else with_sequence_length(batch, sequence_length)

    def real_batch_of(self, k: int, image_size: int | None = None, sequence_length: int | None = None) -> Any:
        """The same with memory of its own for every sample, as a real batch has."""
        return with_leaves(self.batch_of(k, image_size, sequence_length), in_memory_of_its_own)

    def _look_at(self, task: Task) -> None:
        loader = task.loader
        dataset = getattr(loader, "dataset", None)
        if task.longest is not None:
            self._samples = [task.longest]
        elif not isinstance(loader, DataLoader) or not _collates(loader):
            self._take_batch(task)
        elif isinstance(dataset, IterableDataset):
            self._take_stream(loader)
        elif _has_indices(dataset):
            self._take_largest(dataset)
        else:
            self._take_batch(task)

    def _take_largest(self, dataset: Any) -> None:
        if isinstance(dataset, TensorDataset) and self._collate is default_collate:  # samples of one size
            self._samples = [dataset[0]]
            return
        looked_at = min(len(dataset), MOST_SAMPLES)
        if self._choose(dataset[index] for index in range(looked_at)):
            text = f"The batch is the largest of the first {looked_at} samples, repeated; others may be larger."
            self.caveats = (*self.caveats, text)

    def _take_stream(self, loader: DataLoader[Any]) -> None:
        first = list(islice(iter(loader.dataset), max(loader.batch_size or 1, *MEASURED_AT)))
        if not first:
            raise ValueError(batches.NO_BATCH)
        self._choose(first)
        self.caveats = (*self.caveats, f"The data are a stream: the largest of its first {len(first)} stands for all.")

    def _choose(self, samples: Iterable[Any]) -> bool:
        """Take the samples that fill the batch; whether others are smaller."""
        worst = WorstSample(self._alone)
        for sample in samples:
            worst.look_at(sample)
        self._samples = [worst.largest]
        if worst.is_told_by_text:
            self.caveats = ("The sample with the longest text stands for all: what the step makes of it is not seen.",)
        if len(worst.first) == max(MEASURED_AT):
            alike, mixed = self._size_of([worst.largest]), self._size_of(worst.widest)
            if mixed > alike:
                self._samples = worst.widest
            if self._size_of(worst.first) > max(alike, mixed):
                raise NotPredictableError.because(
                    "five different samples make a larger batch than five times the largest, so that its size does not "
                    "follow from k"
                )
        return worst.has_smaller

    def _size_of(self, samples: list[Any]) -> int:
        try:
            return Measure.of(self._collate(_cycled(samples, max(MEASURED_AT)))).nbytes
        except Exception:  # pairs and triplets that need samples of several kinds
            return -1

    def _alone(self, sample: Any) -> Measure:
        try:
            return Measure.of(self._collate([sample]))
        except Exception:
            return Measure.of(sample)

    def _measure_growth(self) -> None:
        made = [self._put_together(k) for k in MEASURED_AT]
        measures = [Measure.of(batch) for batch in made]
        if not measures[0].leaves:
            raise _no_tensors(made[0])
        grown = dimensions_that_grow(measures)
        if grown is not None and all(dimension < 0 for dimension in grown):
            raise NotPredictableError.because(
                f"nothing that is seen of a batch ({type(made[0]).__name__}) grows with the number of its samples, so "
                "that k has no meaning, as where the data are one whole graph"
            )
        if grown is not None:
            self._law = made[0], grown
        self._name_the_unseen(measures[0])

    def _name_the_unseen(self, measure: Measure) -> None:
        if measure.opaque:
            names = ", ".join(sorted(measure.opaque))
            self.caveats = (*self.caveats, f"The batches hold {names}, whose size is not seen.")

    def _put_together(self, k: int) -> Any:
        return self._collate(_cycled(self._samples, k))

    def _repeated(self, k: int) -> Any:
        if not self._samples:
            return resized(self._ready, self._length, k)
        if self._law is None or k < len(self._samples):
            return self._put_together(k)
        batch, grown = self._law
        dimensions = iter(grown)
        return with_leaves(batch, lambda leaf: stretched(leaf, next(dimensions), k))

    def _take_batch(self, task: Task) -> None:
        loader, known = task.loader, None
        if isinstance(loader, (list, tuple)):
            self._ready = max(islice(loader, MOST_SAMPLES), key=lambda batch: Measure.of(batch).size)
        else:
            self._ready = batches.first_batch(loader)
            self.caveats = ("The data are a stream: its first batch stands for all.",)
            known = batches.batch_size_of(loader)
        length = batch_length(self._ready, known)
        if length is None:
            raise _no_tensors(self._ready)
        self._length = length
        measure = Measure.of(self._ready)
        self.caveats = (*self.caveats, *told_of_graph(loader, measure))
        self._name_the_unseen(measure)


def _cycled(samples: list[Any], k: int) -> list[Any]:
    return [samples[index % len(samples)] for index in range(k)]


def _no_tensors(batch: Any) -> NotPredictableError:
    return NotPredictableError.because(
        f"a batch holds no tensors and no arrays ({batches.shapes(batch)}), so k can't be told from it"
    )


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


def batch_of(task: Task, k: int, image_size: int | None = None) -> Any:
    """A batch of ``k`` samples of the task, see ``Samples``."""
    return Samples(task).batch_of(k, image_size)


def image_size_of(task: Task) -> int | None:
    """Height in pixels of the task's images, by one sample; None where the data are no images, or can't be rewound."""
    found = image_size_of_batch(_first_batch(task))
    return None if found is None else found[0]


def sequence_length_of(task: Task) -> int | None:
    """Tokens of the task's first sample; None where the data are no tokens, or can't be rewound."""
    return sequence_length_of_batch(_first_batch(task))


def _first_batch(task: Task) -> Any:
    """None where the data can't be rewound."""
    dataset = getattr(task.loader, "dataset", None)
    with _left_alone(task), let_through():
        if isinstance(task.loader, (list, tuple)):
            return task.loader[0]
        if dataset is None or isinstance(dataset, IterableDataset):
            return None
        return _collated(task.loader)([dataset[0]])


def _collates(loader: DataLoader[Any]) -> bool:
    """Whether a loader puts samples together, or slices them out of tensors; else its dataset yields whole batches."""
    return loader.batch_sampler is not None or _slices(loader)


def _slices(loader: Any) -> bool:
    return getattr(loader, "batch_size", 0) is None and type(getattr(loader, "sampler", None)) is BatchSampler


def _collated(loader: Any) -> Any:
    # A loader that slices whole batches out of tensors puts nothing together with its collate_fn.
    return default_collate if _slices(loader) else getattr(loader, "collate_fn", None) or default_collate
