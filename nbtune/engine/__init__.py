"""The measuring part: torch, numpy and the standard library alone."""

from .batch_size.find import find_batch_size
from .batch_size.limit import BatchLimit
from .batch_size.probe import BatchProbe, probe_batch_sizes
from .batch_size.settings import BatchSettings
from .batch_size.trial import MemoryTrial
from .curvature.estimate import Curvature, estimate_curvature
from .learning_rate.by_batch_size import LRByBatchSize
from .learning_rate.by_optimizer import LRByOptimizer
from .learning_rate.curve import LRCurve
from .learning_rate.events import LRStep, RaceStep
from .learning_rate.find import find_lr
from .learning_rate.race.run import LRRace, race_lr
from .learning_rate.schedule import Schedule
from .learning_rate.search import LRSearch, search_lr
from .learning_rate.settings import LRSettings
from .learning_rate.sweep.classic_rules import ClassicRule, classic_rules
from .learning_rate.sweep.run import LRSweep, sweep_lr
from .task.task import Task
from .training.workpiece import ModelBusyError

__all__ = [
    "BatchLimit", "BatchProbe", "BatchSettings", "ClassicRule", "Curvature", "LRByBatchSize", "LRByOptimizer",
    "LRCurve", "LRRace", "LRSearch", "LRSettings", "LRStep", "LRSweep", "MemoryTrial", "ModelBusyError", "RaceStep",
    "Schedule", "Task", "classic_rules", "estimate_curvature", "find_batch_size", "find_lr", "probe_batch_sizes",
    "race_lr", "search_lr", "sweep_lr",
]  # fmt: skip
