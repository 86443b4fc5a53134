"""The measuring part: torch, numpy and the standard library alone."""

from .batch_limit import BatchLimit, BatchSettings, MemoryTrial
from .batch_probe import BatchProbe, probe_batch_sizes
from .find_batch_size import find_batch_size
from .find_lr import find_lr
from .lr_curve import LRCurve, LRSettings, LRStep
from .lr_sweep import LRSweep, sweep_lr
from .preserve import ModelBusyError
from .task import Task

__all__ = [
    "BatchLimit", "BatchProbe", "BatchSettings", "LRCurve", "LRSettings", "LRStep", "LRSweep", "MemoryTrial",
    "ModelBusyError", "Task", "find_batch_size", "find_lr", "probe_batch_sizes", "sweep_lr",
]  # fmt: skip
