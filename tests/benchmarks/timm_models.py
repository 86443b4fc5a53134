"""timm's models by name, also where torchvision cannot be installed beside the torch that is there.

pip install --no-deps timm
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import nn

TORCHVISION = (
    "torchvision", "torchvision.ops", "torchvision.ops.misc", "torchvision.transforms",
    "torchvision.transforms.functional", "torchvision.datasets", "torchvision.datasets.folder", "torchvision.models",
    "torchvision.models.feature_extraction", "torchvision.io",
)  # fmt: skip
"""What timm imports of it; none of it is used by the models."""


class _Nothing(ModuleType):
    __path__ = ()  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        names = ("NEAREST", "LANCZOS", "BILINEAR", "BICUBIC", "BOX", "HAMMING")
        return type(name, (nn.Module,), {name: place for place, name in enumerate(names)})


def absent(name: str, *, fused_attention: bool) -> nn.Module:
    """A model on the meta device.

    Args:
        name: As timm calls it.
        fused_attention: Whether it asks PyTorch for attention in one kernel, as since torch 2.0.
    """
    if "torchvision" not in sys.modules and find_spec("torchvision") is None:
        for module in TORCHVISION:
            sys.modules[module] = _Nothing(module)
            around, _, last = module.rpartition(".")
            if around:
                setattr(sys.modules[around], last, sys.modules[module])
    import timm

    timm.layers.set_fused_attn(fused_attention)
    with torch.device("meta"):
        return timm.create_model(name)
