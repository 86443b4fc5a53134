"""The user's data anew for one training run: whole batches of its size, in an order of its own."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from .loaders import as_loader, plain, rebuilt, sampler_of

SEEDS = ("seed", "initial_seed")
"""Attributes of samplers that shuffle by a number, not by a generator: torch's distributed one, and Accelerate's."""


def reordered(loader: Iterable[Any], batch_size: int, seed: int) -> DataLoader[Any]:
    """The same data in whole batches of another size, shuffled as the loader shuffles, but by ``seed``.

    Only the dataset is shared: samplers and generators are the new loader's own, so that several can be drawn from in
    turn and none moves the user's. For one seed the order of the samples is the same at every batch size. The last
    batch of an epoch is left out where it is not whole. Batches are made in this process: workers of a dozen runs
    would load ahead at one another's cost.

    Raises:
        ValueError: Where the loader cannot be rebuilt, saying why.
    """
    loader = plain(loader)
    if not isinstance(loader, DataLoader):
        as_loader(loader, None, batch_size)  # says why these can't be cut anew
        raise ValueError(f"the batches of a {type(loader).__name__} are made elsewhere")
    made = rebuilt(loader, batch_size)
    generator = _seeded_generator(seed)
    changes: dict[str, Any] = {
        "num_workers": 0, "prefetch_factor": None, "persistent_workers": False, "multiprocessing_context": None,
        "timeout": 0, "worker_init_fn": None, "collate_fn": made.collate_fn, "pin_memory": made.pin_memory,
        "generator": generator,
    }  # fmt: skip
    if made.batch_size is None:
        order = BatchSampler(_own_sampler(made.sampler.sampler, seed), batch_size, drop_last=True)  # type: ignore[attr-defined]
        return DataLoader(made.dataset, batch_size=None, sampler=order, **changes)
    sampler = None if isinstance(made.dataset, IterableDataset) else _own_sampler(made.sampler, seed)
    return DataLoader(made.dataset, batch_size=batch_size, sampler=sampler, drop_last=True, **changes)


@dataclass(frozen=True, slots=True)
class Cut:
    """How an update on k samples is made: ``accumulate`` micro-batches of ``samples`` each."""

    samples: int
    accumulate: int


class HasBatches(Protocol):
    """What a cut needs of a task."""

    @property
    def batch_size(self) -> int | None: ...

    accumulate: int


def exceeds_own(task: HasBatches, batch_size: int | None) -> bool:
    """Whether k is more than the user trains with: that much is known to fit in memory, more is not.

    Args:
        task: Whose.
        batch_size: k; None for the task's own.
    """
    return (batch_size or 0) > (task.batch_size or 0) * task.accumulate


def cut_of(task: HasBatches, batch_size: int) -> Cut:
    """One batch of k; where the task accumulates, micro-batches no larger than its own, which may be all that fits.

    Raises:
        ValueError: Where k is not a whole number of those.
    """
    own = task.batch_size
    if task.accumulate == 1 or own is None or batch_size <= own:
        return Cut(batch_size, 1)
    if batch_size % own:
        raise ValueError(
            f"k = {batch_size} is not a whole number of micro-batches of {own}, of which the task accumulates some"
        )
    return Cut(own, batch_size // own)


def is_shuffled(loader: Iterable[Any]) -> bool:
    """Whether another seed can give another order."""
    is_stream = isinstance(getattr(loader, "dataset", None), IterableDataset)
    return not is_stream and not isinstance(sampler_of(loader), SequentialSampler)


def _own_sampler(sampler: Any, seed: int) -> Any:
    """A copy with sources of random numbers of its own; the data stay shared."""
    if not hasattr(sampler, "__dict__"):
        return sampler
    own = copy.copy(sampler)
    for name, value in vars(sampler).items():
        if name == "sampler":
            setattr(own, name, _own_sampler(value, seed))
        elif name in SEEDS and isinstance(value, int):
            setattr(own, name, seed)
        elif name == "generator" and value is None:
            # It would draw from the run's stream, and so shuffle differently after another number of dropouts.
            setattr(own, name, _seeded_generator(seed))
        else:
            setattr(own, name, _reseeded(value, seed))
    return own


def _reseeded(value: Any, seed: int) -> Any:
    if isinstance(value, torch.Generator):
        return torch.Generator(value.device).manual_seed(seed)
    if isinstance(value, np.random.Generator):
        return np.random.default_rng(seed)
    if isinstance(value, np.random.RandomState):
        return np.random.RandomState(seed)
    return random.Random(seed) if isinstance(value, random.Random) else value


def _seeded_generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
