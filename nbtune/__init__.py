"""nbtune: which learning rate, which batch size? Answers in a notebook, with the evidence on screen.

The names are loaded when they are first used, so that ``import nbtune`` needs neither torch nor bokeh.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import LRCurve, LRSettings, LRStep, ModelBusyError, Task, find_lr
    from .engine.batch_limit import BatchLimit, BatchSettings, MemoryTrial
    from .engine.find_batch_size import find_batch_size
    from .engine.memory.estimate import MemoryEstimate, NotPredictableError, estimate_memory
    from .plots import plot
    from .widgets import BatchProber, LRFinder

__version__ = "0.1.0"

_HOME = {
    "BatchLimit": "engine.batch_limit",
    "BatchProber": "widgets",
    "BatchSettings": "engine.batch_limit",
    "LRCurve": "engine",
    "LRFinder": "widgets",
    "LRSettings": "engine",
    "LRStep": "engine",
    "MemoryEstimate": "engine.memory.estimate",
    "MemoryTrial": "engine.batch_limit",
    "ModelBusyError": "engine",
    "NotPredictableError": "engine.memory.estimate",
    "Task": "engine",
    "estimate_memory": "engine.memory.estimate",
    "find_batch_size": "engine.find_batch_size",
    "find_lr": "engine",
    "plot": "plots",
}

__all__ = [
    "BatchLimit", "BatchProber", "BatchSettings", "LRCurve", "LRFinder", "LRSettings", "LRStep", "MemoryEstimate",
    "MemoryTrial", "ModelBusyError", "NotPredictableError", "Task", "estimate_memory", "find_batch_size", "find_lr",
    "plot",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nbtune' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
