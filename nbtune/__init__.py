"""nbtune: which learning rate, which batch size? Answers in a notebook, with the evidence on screen.

The names are loaded when they are first used, so that ``import nbtune`` needs neither torch nor bokeh.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import LRCurve, LRSettings, LRStep, ModelBusyError, Task, find_lr
    from .plots import plot
    from .widgets import LRFinder

__version__ = "0.1.0"

_HOME = {
    "LRCurve": "engine",
    "LRFinder": "widgets",
    "LRSettings": "engine",
    "LRStep": "engine",
    "ModelBusyError": "engine",
    "Task": "engine",
    "find_lr": "engine",
    "plot": "plots",
}

__all__ = ["LRCurve", "LRFinder", "LRSettings", "LRStep", "ModelBusyError", "Task", "find_lr", "plot"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nbtune' has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
