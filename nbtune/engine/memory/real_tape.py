"""The last rung of the ladder: a tape of small real steps, where nothing without numbers gets through."""

from __future__ import annotations

import torch

from ..device.capacity import free_bytes
from ..errors import first_line
from ..task.task import Task
from .rehearsal.place import is_without_cuda
from .rehearsal.rehearse import Plan
from .replay.tape import NotAlikeError, Tape
from .samples import NotPredictableError, Samples

CHANGING_STEPS = ("amp", "checkpointing", "optimizer", "weights", "adapters")
"""What of a plan the task's own real steps would not have."""


def tape_of_real_steps(task: Task, samples: Samples, plan: Plan, ks: tuple[int, int], reason: str) -> Tape:
    """What two real steps at each of two batch sizes allocate.

    Args:
        reason: Why nothing better works, told where this does not either.
    Raises:
        NotPredictableError: For a plan that real steps can't follow, a lack of room, or steps that are not alike.
        Exception: Whatever a step raises.
    """
    from .measured import record_steps

    changed = [name for name in CHANGING_STEPS if _differs(task, plan, name)]
    if changed or not plan.is_training or not _is_room(task):
        raise NotPredictableError.because(reason)
    try:
        batches = [samples.real_batch_of(k, plan.image_size, plan.sequence_length) for k in ks]
        first, second = (record_steps(task, batch) for batch in batches)
    except Exception as error:
        if is_without_cuda(error):
            raise cuda_is_needed(error) from error
        raise
    try:
        tape = Tape.from_recordings(first, ks[0], second, ks[1])
    except NotAlikeError as error:
        raise NotPredictableError.because(str(error)) from error
    return tape.with_matrix_bytes(plan.architecture.workspace_bytes)


def cuda_is_needed(error: Exception) -> NotPredictableError:
    """A step that asks for CUDA where there is none."""
    what = first_line(error).rstrip(".")
    return NotPredictableError(f"Not predictable: the step needs CUDA, which this machine does not have ({what}).")


def _differs(task: Task, plan: Plan, name: str) -> bool:
    planned = getattr(plan, name)
    return planned != task.amp if name == "amp" else planned is not None


def _is_room(task: Task) -> bool:
    if task.device.type == "meta":
        return False
    free = free_bytes(torch.device("cpu"))
    return free is None or 8 * sum(p.nbytes for p in task.parameters) <= free
