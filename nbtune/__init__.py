"""nbtune: which learning rate, which batch size? Answers in a notebook, with the evidence on screen.

The names are loaded when they are first used, so that ``import nbtune`` needs neither torch nor bokeh.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import (
        LRByBatchSize,
        LRByOptimizer,
        LRCurve,
        LRSettings,
        LRStep,
        ModelBusyError,
        RaceStep,
        Schedule,
        Task,
        find_lr,
    )
    from .engine.batch_size.find import find_batch_size
    from .engine.batch_size.image_size import largest_image_size
    from .engine.batch_size.limit import BatchLimit
    from .engine.batch_size.settings import BatchSettings
    from .engine.batch_size.trial import MemoryTrial
    from .engine.batch_size.what_fits.find import what_fits
    from .engine.batch_size.what_fits.result import MemoryChange, WhatFits
    from .engine.comparison.compare import compare_batch_sizes
    from .engine.comparison.events import LossStep
    from .engine.comparison.result import Comparison
    from .engine.comparison.settings import ComparisonSettings
    from .engine.curvature.estimate import Curvature, estimate_curvature
    from .engine.descent.events import DescentStep
    from .engine.descent.path import DescentPath
    from .engine.descent.settings import DescentSettings
    from .engine.memory.estimate import MemoryEstimate, NotPredictableError, estimate_memory
    from .plots import plot
    from .widgets import BatchComparison, BatchProber, DescentExplorer, LRFinder

__version__ = "0.1.0"

_HOME = {
    "BatchComparison": "widgets",
    "BatchLimit": "engine.batch_size.limit",
    "BatchProber": "widgets",
    "BatchSettings": "engine.batch_size.settings",
    "Comparison": "engine.comparison.result",
    "ComparisonSettings": "engine.comparison.settings",
    "Curvature": "engine.curvature.estimate",
    "DescentExplorer": "widgets",
    "DescentPath": "engine.descent.path",
    "DescentSettings": "engine.descent.settings",
    "DescentStep": "engine.descent.events",
    "LRByBatchSize": "engine",
    "LRByOptimizer": "engine",
    "LRCurve": "engine",
    "LRFinder": "widgets",
    "LRSettings": "engine",
    "LRStep": "engine",
    "LossStep": "engine.comparison.events",
    "MemoryChange": "engine.batch_size.what_fits.result",
    "MemoryEstimate": "engine.memory.estimate",
    "MemoryTrial": "engine.batch_size.trial",
    "ModelBusyError": "engine",
    "NotPredictableError": "engine.memory.estimate",
    "RaceStep": "engine",
    "Schedule": "engine",
    "Task": "engine",
    "WhatFits": "engine.batch_size.what_fits.result",
    "compare_batch_sizes": "engine.comparison.compare",
    "estimate_curvature": "engine.curvature.estimate",
    "estimate_memory": "engine.memory.estimate",
    "find_batch_size": "engine.batch_size.find",
    "find_lr": "engine",
    "largest_image_size": "engine.batch_size.image_size",
    "plot": "plots",
    "what_fits": "engine.batch_size.what_fits.find",
}

__all__ = [
    "BatchComparison", "BatchLimit", "BatchProber", "BatchSettings", "Comparison", "ComparisonSettings",
    "Curvature", "DescentExplorer", "DescentPath", "DescentSettings", "DescentStep", "LRByBatchSize",
    "LRByOptimizer", "LRCurve", "LRFinder", "LRSettings", "LRStep", "LossStep", "MemoryChange", "MemoryEstimate",
    "MemoryTrial", "ModelBusyError", "NotPredictableError", "RaceStep", "Schedule", "Task", "WhatFits",
    "compare_batch_sizes", "estimate_curvature", "estimate_memory", "find_batch_size", "find_lr",
    "largest_image_size", "plot", "what_fits",
]  # fmt: skip


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "nbtune"}]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nbtune' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])


if "ipykernel" in sys.modules:
    # The extension finds a kernel by this; it starts nothing.
    import_module(".monitor", __name__).announce()
