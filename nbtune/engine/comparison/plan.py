"""What a comparison settles before it begins: which k, each at which η, and on which held-out data they are judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.nn.parameter import UninitializedParameter

from ..task import batches
from ..task.loaders import check_within_data, samples_in
from ..task.order import cut_of, is_shuffled, reordered
from ..task.task import Task
from .settings import ComparisonSettings

DEFAULT_SIZES = (1, 8, 64)
FULL_AT_MOST = 2048
HELD_OUT_SAMPLES, HELD_OUT_BATCH = 1024, 256

ADAPTIVE = ("Adam", "RMSprop", "Adagrad", "Adadelta", "Lion", "LAMB", "Adafactor", "NAdam")
"""Parts of the names of optimizers that divide by the gradient's size."""


def sizes(task: Task, settings: ComparisonSettings) -> tuple[int, ...]:
    """The k that are compared, rising.

    Raises:
        ValueError: For more samples than there are, and for one k twice.
    """
    if settings.batch_sizes is None:
        return _default_sizes(task)
    found = [_size(size, task) for size in settings.batch_sizes]
    if len(set(found)) < len(found):
        twice = max(found)
        raise ValueError(f"batch_sizes has {twice} twice: 'full' is {twice} samples here")
    return tuple(sorted(found))


def _default_sizes(task: Task) -> tuple[int, ...]:
    """``DEFAULT_SIZES`` and all samples; of a task that accumulates, as many of them as make whole micro-batches."""
    full = min(samples_in(task.loader) or FULL_AT_MOST, FULL_AT_MOST)
    own = task.batch_size or 1
    if task.accumulate > 1 and full > own:
        full -= full % own
    return tuple(sorted({k for k in (*DEFAULT_SIZES, full) if k <= full and _can_be_cut(task, k)}))


def _can_be_cut(task: Task, k: int) -> bool:
    try:
        cut_of(task, k)
    except ValueError:
        return False
    return True


def _size(size: int | str, task: Task) -> int:
    if isinstance(size, str):
        dataset_size = samples_in(task.loader)
        if dataset_size is None:
            raise ValueError(f"the data do not tell how many samples they have, so name a number in place of {size!r}")
        return dataset_size
    check_within_data([size], task.loader)
    return size


def rates(task: Task, settings: ComparisonSettings, batch_sizes: tuple[int, ...]) -> dict[int, float]:
    """k → η it begins with.

    Raises:
        ValueError: For a k without one, and for an optimizer whose own says nothing.
    """
    lr = settings.lr
    if isinstance(lr, Mapping):
        by_size = {_size(size, task): rate for size, rate in lr.items()}
        missing = [k for k in batch_sizes if k not in by_size]
        if missing:
            raise ValueError(f"lr has no η for k = {missing[0]}")
        return {k: by_size[k] for k in batch_sizes}
    if lr is not None and not isinstance(lr, str):
        return dict.fromkeys(batch_sizes, lr)
    if not task.lr > 0:
        raise ValueError("the optimizer's own η is 0 (a warm-up has just begun?): give lr")
    if lr == "scaled":
        own = task.samples_per_update
        if own is None:
            raise ValueError("the data do not tell the batch size that the optimizer's η belongs to: give lr by k")
        power = 0.5 if is_adaptive(task) else 1.0
        return {k: float(f"{task.lr * (k / own) ** power:.2g}") for k in batch_sizes}
    return dict.fromkeys(batch_sizes, task.lr)


def is_adaptive(task: Task) -> bool:
    """Whether the optimizer divides by the gradient's size, so that its η goes with the square root of k."""
    names = [base.__name__ for optimizer in task.optimizers.values() for base in type(optimizer).__mro__]
    return any(part.casefold() in name.casefold() for name in names for part in ADAPTIVE)


def held_out_loader(task: Task, validation: Any) -> tuple[Iterable[Any], int] | None:
    """Held-out data as a loader, and how many of its batches hold at most ``HELD_OUT_SAMPLES``."""
    if validation is None:
        return None
    loader = task.loader_of(validation)
    size, samples = batches.batch_size_of(loader), samples_in(loader)
    if isinstance(validation, torch.utils.data.DataLoader) or samples is None:
        return loader, max(1, HELD_OUT_SAMPLES // (size or HELD_OUT_SAMPLES))
    # Whole batches of one size, so that their mean is the samples' mean.
    kept = min(samples, HELD_OUT_SAMPLES)
    count = -(-kept // HELD_OUT_BATCH)
    return reordered(loader, kept // count, 0), count


def caveats_of(task: Task, settings: ComparisonSettings) -> list[str]:
    """What is to be said of any comparison of this task, in sentences."""
    found = list(task.caveats)
    if settings.seeds > 1 and not is_shuffled(task.loader):
        found.append("The loader does not shuffle, so the seeds differ in the model's own random numbers alone.")
    if getattr(task.loader, "num_workers", 0):
        found.append("The data are loaded in this process, not by the loader's workers: the seconds include it.")
    if any(isinstance(p, UninitializedParameter) for p in task.parameters):
        found.append("The model's lazy parameters are drawn in each run, so seeds do not start from the same weights.")
    return found
