"""What makes a batch size fit, without any front end."""

from __future__ import annotations

from ....formats import format_memory
from ....jobs import Progress
from ...checks import flag, whole_number
from ...headless import Headless, carried_out
from ...memory.estimate import estimate_memory
from ...small_print import warn_of
from ...task.task import Task, checked_task
from .result import MemoryChange, WhatFits
from .search import WhatFitsSearch


def what_fits(
    task: Task, capacity: str | int | None = None, *, batch_size: int | None = None, progress: bool = True
) -> WhatFits:
    """What to change so that a batch size fits on a card, each change estimated by itself, the smallest first.

    Mixed precision, checkpointing, smaller images or shorter sequences, accumulation, an optimizer with less state, and
    one that updates a tensor at a time; then pairs of them. Nothing is run and nothing is changed, and no GPU is
    needed. Each estimate takes about a second.

    Args:
        task: What is to be trained.
        capacity: As in ``estimate_memory``: "8 GB", a card's name, bytes, or None for the task's GPU or the host.
        batch_size: Samples in an update, k; None for the task's own.
        progress: Whether to show a line of progress (on stderr; it needs tqdm).
    Returns:
        The table; its ``smallest`` is the smallest change with which it fits.
    Raises:
        TypeError, ValueError: For wrong arguments, or where nobody says how much memory there is.
        NotPredictableError: When nothing can be predicted, saying why.

    Examples:
        >>> import torch
        >>> model = torch.nn.Sequential(torch.nn.Linear(100, 4000), torch.nn.ReLU(), torch.nn.Linear(4000, 100))
        >>> data = (torch.randn(64, 100), torch.randn(64, 100))
        >>> task = Task(model, torch.optim.Adam(model.parameters()), torch.nn.functional.mse_loss, data)
        >>> found = what_fits(task, "1.5 GB", batch_size=2**15, progress=False)
        >>> found.smallest.name, found.smallest.fits
        ('accumulation 4 × 8192', True)
    """
    checked_task(task, "what_fits")
    progress = flag("progress", progress)
    k = task.batch_size if batch_size is None else whole_number("batch_size", batch_size)
    if k is None:
        raise ValueError("the data do not tell their batch size: give batch_size=")
    search = WhatFitsSearch(estimate_memory(task, capacity), k)
    warn_of(task.caveats)
    call: Headless[WhatFits] = Headless(
        run=search, task=task, tool="batch_size", detail="what fits", name="what fits", unit="change",
        is_counted=lambda event: isinstance(event, MemoryChange),
        text=lambda row: f"{row.name or 'as it is'}: {format_memory(row.peak_bytes)}",
        progress=lambda rows: Progress(len(rows), unit="changes"),
        fold=lambda rows, is_stopped: search.result(rows, "stopped" if is_stopped else "finished"),
        found=lambda result: (None, None),
    )  # fmt: skip
    return carried_out(call, shows_bar=progress)
