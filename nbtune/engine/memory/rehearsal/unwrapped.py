"""What stands in a rehearsal for wrappers that talk to other processes: what they wrap, alone."""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from ...task.task import Task


class Unwrapped(nn.Module):
    """A model in the place of the wrapper around it, under the same name."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.training = module, module.training  # not train(), which would also set what is inside

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model itself gives."""
        return self.module(*args, **kwargs)

    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Nothing is exchanged anyway."""
        yield


def is_zero_redundancy(optimizer: Any) -> bool:
    """Whether it is PyTorch's ``ZeroRedundancyOptimizer``, which nobody imports who does not use it."""
    made_by = sys.modules.get("torch.distributed.optim")
    kind = getattr(made_by, "ZeroRedundancyOptimizer", None)
    return kind is not None and isinstance(optimizer, kind)


def unwrap(task: Task, memo: dict[int, Any]) -> None:
    """Have deep copies take what is wrapped, in the place of wrappers, which can't be copied without a group.

    Args:
        memo: Of ``copy.deepcopy``, in which the parameters are already.
    """
    for model in task.models.values():
        for module in model.modules():
            if isinstance(module, (DataParallel, DistributedDataParallel)) and id(module) not in memo:
                memo[id(module)] = Unwrapped(copy.deepcopy(module.module, memo))
    for optimizer in task.optimizers.values():
        if is_zero_redundancy(optimizer):
            memo[id(optimizer)] = _undivided(optimizer, memo)


def _undivided(optimizer: Any, memo: dict[int, Any]) -> Any:
    """The optimizer that each device has for its own part, for all parameters."""
    kind = type(optimizer.optim)
    known = inspect.signature(kind).parameters
    groups = [{**group, "params": [memo[id(p)] for p in group["params"]]} for group in optimizer.param_groups]
    return kind(groups, **{name: value for name, value in optimizer.optim.defaults.items() if name in known})
