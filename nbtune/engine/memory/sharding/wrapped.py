"""Whether a task is divided among several devices already, told by the classes that PyTorch divides with."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ...task.task import Task
from ..rehearsal.unwrapped import is_zero_redundancy
from ..samples import NotPredictableError

DATA_PARALLEL = (
    "DataParallel is counted as one device that has the whole batch; it divides the batch among all, and its first "
    "device holds the outputs of all."
)


def check_unwrapped(task: Task) -> None:
    """Whether the whole parameters can be seen.

    Raises:
        NotPredictableError: For a task whose model is sharded already.
    """
    for name in ("FSDPModule", "FullyShardedDataParallel"):
        kind = getattr(sys.modules.get("torch.distributed.fsdp"), name, ())
        if any(isinstance(module, kind) for module in _modules(task)):
            how = "fully_shard" if name == "FSDPModule" else name
            raise NotPredictableError(
                f"Not predictable: the model is sharded already ({how}), and holds only this device's part: make the "
                'Task before it is, and ask for devices= and sharding="full".'
            )


def devices_of(task: Task) -> tuple[int | None, str | None]:
    """How many devices a task trains on together, and what they divide, as its own wrappers say; None for no word."""
    zero: Any = next((o for o in task.optimizers.values() if is_zero_redundancy(o)), None)
    groups = [m.process_group for m in _modules(task) if isinstance(m, DistributedDataParallel)]
    groups += [] if zero is None else [zero.process_group]
    return (groups[0].size() if groups else None), (None if zero is None else "zero1")


def wrapper_caveats(task: Task) -> tuple[str, ...]:
    """What is not modelled of wrappers, in sentences."""
    return (DATA_PARALLEL,) if any(isinstance(m, DataParallel) for m in _modules(task)) else ()


def _modules(task: Task) -> list[nn.Module | Any]:
    return [module for model in task.models.values() for module in model.modules()]
