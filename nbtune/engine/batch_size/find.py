"""Find a batch size without any front end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...formats import format_memory
from ...jobs import Progress
from ..headless import Headless, carried_out
from ..small_print import warn_of
from ..task.task import Task
from .finding import finding_of, forecast_of
from .limit import BatchLimit
from .probe import probe_batch_sizes
from .settings import BatchSettings
from .trial import MemoryTrial


def find_batch_size(
    task: Task, settings: BatchSettings | None = None, *, progress: bool = True, **changes: Any
) -> BatchLimit:
    """The largest batch size that fits, with what is free at each size, and a progress line in text.

    Model, optimizer, random state and data order are afterwards as they were, also after an error or an interrupt.

    Args:
        task: What is to be trained.
        settings: The search's; None for the defaults.
        progress: Whether to show the line (on stderr; it needs tqdm).
        **changes: Single settings by name, e.g. ``capacity="8 GB"``; see ``BatchSettings``.
    Returns:
        The limit; its ``batch_size`` is None where nothing fits or nothing is known, and ``verdict`` says which.
    Raises:
        TypeError, ValueError: For wrong settings or a task that cannot be trained.
        Exception: Whatever the user's model, loss or data raise.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(4, 1)
        >>> data = (torch.randn(256, 4), torch.randn(256, 1))
        >>> task = Task(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.functional.mse_loss, data)
        >>> limit = find_batch_size(task, capacity="8 GB", measure_seconds=0, progress=False)
        >>> limit.batch_size, limit.verdict, limit.limit
        (256, 'k = 256 fits, the largest looked at', 'There are only 256 samples.')
    """
    if not isinstance(task, Task) or not isinstance(settings, BatchSettings | None):
        raise TypeError(
            'find_batch_size takes an nbtune.Task and a BatchSettings; single settings go by name, e.g. capacity="8 GB"'
        )
    settings = replace(settings or BatchSettings(), **changes)
    probe = probe_batch_sizes(task, settings)
    warn_of([*task.caveats, *probe.modes.left_out])
    call: Headless[BatchLimit] = Headless(
        run=probe, tool="batch_size", detail=settings.strategy, name="batch size", unit="trial",
        counted=(MemoryTrial,), text=_text,
        progress=lambda trials: Progress(len({trial.batch_size for trial in trials}), unit="batch sizes"),
        fold=lambda trials, is_stopped: probe.limit(trials, "stopped" if is_stopped else "finished"),
        found=lambda limit: (finding_of(limit, task), forecast_of(limit, task)),
    )  # fmt: skip
    return carried_out(call, shows_bar=progress)


def _text(trial: MemoryTrial) -> str:
    peak = trial.predicted_bytes if trial.peak_bytes is None else trial.peak_bytes
    size = "" if peak is None else f" {format_memory(peak)},"
    return f"k = {trial.batch_size},{size} {trial.why}"
