"""The measuring part: torch, numpy and the standard library alone."""

from .find_lr import find_lr
from .lr_curve import LRCurve, LRSettings, LRStep
from .lr_sweep import LRSweep, sweep_lr
from .preserve import ModelBusyError
from .task import Task

__all__ = ["LRCurve", "LRSettings", "LRStep", "LRSweep", "ModelBusyError", "Task", "find_lr", "sweep_lr"]
