"""Find a learning rate without any front end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, overload

from ...formats import format_loss, format_lr
from ...jobs import Progress
from ..checks import flag, made_of
from ..headless import Headless, carried_out
from ..small_print import warn_of
from ..task.task import Task, checked_task
from .by_batch_size import BySizeFold, LRByBatchSize
from .by_optimizer import ByOptimizerFold, LRByOptimizer
from .curve import LRCurve, LRFold
from .events import LRStep, RaceStep, is_training_step
from .finding import LRResult, finding_of, kind_of
from .search import LRSearch, search_lr
from .settings import LRSettings


@overload
def find_lr(
    task: Task,
    settings: LRSettings | None = None,
    *,
    batch_sizes: Iterable[int],
    max_seconds: float | None = None,
    progress: bool = True,
    **changes: Any,
) -> LRByBatchSize: ...


@overload
def find_lr(
    task: Task,
    settings: LRSettings | None = None,
    *,
    optimizers: Iterable[Any],
    max_seconds: float | None = None,
    progress: bool = True,
    **changes: Any,
) -> LRByOptimizer: ...


@overload
def find_lr(
    task: Task,
    settings: LRSettings | None = None,
    *,
    max_seconds: float | None = None,
    progress: bool = True,
    **changes: Any,
) -> LRCurve: ...


def find_lr(
    task: Task,
    settings: LRSettings | None = None,
    *,
    max_seconds: float | None = None,
    progress: bool = True,
    **changes: Any,
) -> Any:
    """A learning rate for ``task``, from a race of constant rates or one sweep over η, with a progress bar in text.

    Model, optimizer, random state and data order are afterwards as they were, also after an error or an interrupt.

    Args:
        task: What is to be tuned.
        settings: What is asked; None for the defaults (a race of 13 rates from 1e-5 to 10).
        max_seconds: End after this time with what is known by then.
        progress: Whether to show the bar (on stderr; it needs tqdm).
        **changes: Single settings by name, e.g. ``lr_max=1.0``; see ``LRSettings``.
    Returns:
        The ``LRCurve``; its ``suggestion`` is None when there is no clear answer, and ``reason`` says why. With
        ``batch_sizes=`` an ``LRByBatchSize``, which has one per k; with ``optimizers=`` an ``LRByOptimizer``.
    Raises:
        TypeError, ValueError: For wrong settings or a task that cannot be trained.
        KeyboardInterrupt: When interrupted, with everything put back; its ``result`` holds what was known by then.
        Exception: Whatever the user's model, loss or data raise; not what only rates that blow up make them raise (a
            distribution that refuses NaN, an overflow, a guard): those rates leave, and ``limit`` says why. How the two
            are told apart: ``nbtune.engine.training.provoked``.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(4, 1)
        >>> inputs = torch.randn(256, 4)
        >>> data = (inputs, inputs.sum(1, keepdim=True))
        >>> task = Task(model, torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.functional.mse_loss, data)
        >>> curve = find_lr(task, progress=False)
        >>> 0.001 < curve.suggestion < 1, curve.outcome
        (True, 'finished')
    """
    checked_task(task, "find_lr")
    if max_seconds is not None:
        changes["max_seconds"] = max_seconds
    progress, settings = flag("progress", progress), made_of(LRSettings, settings, changes, taker="find_lr")
    run = search_lr(task, settings)
    warn_of([*task.caveats, *run.modes.left_out])
    call: Headless[LRResult] = Headless(
        run=run, task=task, tool="learning_rate", detail=kind_of(settings), max_seconds=settings.max_seconds,
        name="learning rate", unit="step", is_counted=is_training_step,
        text=lambda step: _text(step, task.sign_of(settings.optimizer)),
        progress=lambda steps: _progress(len(steps), run.total),
        fold=lambda events, is_stopped: with_small_print(lr_result(events, task, settings), run),
        found=lambda result: (finding_of(result, task), None),
    )  # fmt: skip
    return carried_out(call, shows_bar=progress)


def _progress(taken: int, total: int) -> Progress:
    return Progress(taken, total, "steps", taken / total)


def _text(step: LRStep | RaceStep, sign: int) -> str:
    return f"η {format_lr(step.lr)}, loss {format_loss(sign * step.loss, 3)}"


def lr_result(steps: Iterable[Any], task: Task, settings: LRSettings) -> LRResult:
    """What the events of a search for ``task`` say so far."""
    fold = lr_fold(task, settings)
    for step in steps:
        fold.add(step)
    return fold.result()


def with_small_print(result: Any, run: LRSearch) -> Any:
    """A search's result with what the run has to say besides.

    Args:
        result: What it found.
        run: Whose result it is, at any point of it.
    """
    return replace(result, caveats=run.caveats, data_form=run.task.data_form)


def lr_fold(task: Task, settings: LRSettings) -> LRFold | BySizeFold | ByOptimizerFold:
    """Takes the events of a search for ``task`` one by one, and gives what they say so far."""
    sign = task.sign_of(settings.optimizer)
    if settings.batch_sizes:
        return BySizeFold(settings, sign=sign)
    if settings.optimizers:
        return ByOptimizerFold(settings, task.samples_per_update, sign=sign)
    return LRFold(settings, task.samples_per_update, sign=sign)
