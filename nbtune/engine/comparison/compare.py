"""Compare batch sizes without any front end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from ...formats import format_loss
from ...jobs import Progress
from ..headless import Headless, carried_out
from ..learning_rate.events import LRStep
from ..small_print import warn_of
from ..task.task import Task
from .events import LossStep
from .finding import finding_of
from .result import Comparison
from .run import train_batch_sizes
from .settings import ComparisonSettings


def compare_batch_sizes(
    task: Task,
    batch_sizes: Iterable[int | str] | None = None,
    settings: ComparisonSettings | None = None,
    *,
    progress: bool = True,
    **changes: Any,
) -> Comparison:
    """Copies of the model trained side by side at several k, from the same start, with a progress bar in text.

    Model, optimizer, random state and data order are afterwards as they were, also after an error or an interrupt.

    Args:
        task: What is to be trained.
        batch_sizes: The k to compare, such as ``[1, 32, 512]``; "full" for all samples at once. None for 1, 8, 64 and
            "full" (at most 2,048 samples).
        settings: The comparison's; None for the defaults.
        progress: Whether to show the bar (on stderr; it needs tqdm).
        **changes: Single settings by name, e.g. ``seeds=3, budget="10 s", lr="scaled"``; see ``ComparisonSettings``.
    Returns:
        The curves, the table and the k that was first at the target loss.
    Raises:
        TypeError, ValueError: For wrong settings or a task that cannot be trained.
        Exception: Whatever the user's model, loss or data raise; what only a run's η makes them raise ends that run,
            and its row says why (see ``nbtune.engine.training.provoked``).

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(4, 1)
        >>> inputs = torch.randn(256, 4)
        >>> data = (inputs, inputs.sum(1, keepdim=True))
        >>> task = Task(model, torch.optim.SGD(model.parameters(), lr=0.02), torch.nn.functional.mse_loss, data)
        >>> duel = compare_batch_sizes(task, [1, 32], budget="2 epochs", progress=False)
        >>> [(row["batch_size"], row["updates_per_epoch"], row["outcome"]) for row in duel.table()]
        [(1, 256, 'finished'), (32, 8, 'finished')]
    """
    if not isinstance(task, Task) or not isinstance(settings, ComparisonSettings | None):
        raise TypeError(
            "compare_batch_sizes takes an nbtune.Task, batch sizes such as [1, 32, 512] and a ComparisonSettings; "
            "single settings go by name, e.g. seeds=3"
        )
    if batch_sizes is not None:
        changes["batch_sizes"] = batch_sizes
    run = train_batch_sizes(task, replace(settings or ComparisonSettings(), **changes))
    warn_of([*task.caveats, *run.modes.left_out])
    call: Headless[Comparison] = Headless(
        run=run, tool="comparison", detail=run.budget.text, name="batch sizes", counted=(LRStep, LossStep),
        text=lambda step: _text(step, task.sign_of()),
        progress=lambda steps: Progress(share=run.share_done),
        fold=lambda events, is_stopped: run.comparison(event for event in events if isinstance(event, LossStep)),
        found=lambda result: (finding_of(result, task), None),
    )  # fmt: skip
    return carried_out(call, shows_bar=progress)


def _text(step: LRStep | LossStep, sign: int) -> str:
    return f"k = {step.run.batch_size}: loss {format_loss(sign * step.loss, 3)}" if isinstance(step, LossStep) else ""
