"""What ``estimate_memory`` is asked, checked before anything is traced."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.parameter import UninitializedParameter

from ..checks import choice, whole_number
from ..task.task import Task, checked_task
from .parts import check_plan
from .sharding.wrapped import check_unwrapped


def check_asked(task: Task, device: Any, **plan: Any) -> None:
    """Whether a task can be asked about, on this device and under this plan.

    Args:
        device: "cpu", "cuda", a ``torch.device`` or None.
        **plan: As for ``check_plan``.
    Raises:
        TypeError: For what is no task.
        ValueError: For anything else that can't be.
        NotPredictableError: For a task that is sharded already.
    """
    checked_task(task, "estimate_memory")
    if any(isinstance(p, UninitializedParameter) for p in task.parameters):
        raise ValueError("the model has lazy layers without a shape yet: call it once with a batch first")
    check_plan(**plan)
    name = str(device) if isinstance(device, torch.device) else device
    choice("device", name, ("cpu", "cuda", None), told='"cpu" (the host), "cuda" or None')
    if plan.get("optimizer") is not None and task.update is not None:
        raise ValueError("update= steps its own optimizers, so another one can't be planned with")
    check_unwrapped(task)


def checked_k(k: Any) -> int:
    """A batch size as an int.

    Raises:
        ValueError: For anything else than a whole number from 1 up.
    """
    return whole_number("the batch size", k)
