"""The measuring part: torch, numpy and the standard library alone."""

from .batch_limit import BatchLimit, BatchSettings, MemoryTrial
from .batch_probe import BatchProbe, probe_batch_sizes
from .classic_rules import ClassicRule, classic_rules
from .curvature import Curvature, estimate_curvature
from .find_batch_size import find_batch_size
from .find_lr import find_lr
from .lr_by_batch_size import LRByBatchSize
from .lr_curve import LRCurve, LRStep, RaceStep
from .lr_race import LRRace, race_lr
from .lr_search import LRSearch, search_lr
from .lr_settings import LRSettings
from .lr_sweep import LRSweep, sweep_lr
from .preserve import ModelBusyError
from .task import Task

__all__ = [
    "BatchLimit", "BatchProbe", "BatchSettings", "ClassicRule", "Curvature", "LRByBatchSize", "LRCurve", "LRRace",
    "LRSearch", "LRSettings", "LRStep", "LRSweep", "MemoryTrial", "ModelBusyError", "RaceStep", "Task",
    "classic_rules", "estimate_curvature", "find_batch_size", "find_lr", "probe_batch_sizes", "race_lr", "search_lr",
    "sweep_lr",
]  # fmt: skip
