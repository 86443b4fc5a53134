"""How much memory training takes at each batch size, without training."""

from .cards import CARDS, parse_capacity
from .estimate import MemoryEstimate, estimate_memory
from .layers import LayerShare, ModuleShare
from .samples import NotPredictableError

__all__ = [
    "CARDS",
    "LayerShare",
    "MemoryEstimate",
    "ModuleShare",
    "NotPredictableError",
    "estimate_memory",
    "parse_capacity",
]
