"""What the host's convolutions allocate for themselves: oneDNN's copies in blocked layouts.

The rules were read off the allocations of a CPU with AVX-512 (PyTorch 2.13); others block differently.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import torch

from .kernels import Workspace, is_depthwise

BLOCK = 16
_READ_AS_THEY_ARE = 4
_DEPTHWISE_SUMS = 255


def host_workspaces(operator: str, args: Any, result: Any) -> list[Workspace]:
    """Buffers an operator takes on the host beside its results."""
    if operator == "aten.convolution":
        return _convolution(args[0], args[1], result, args[8])
    if operator == "aten.convolution_backward":
        return _convolution_backward(args[0], args[1], args[2], args[9], args[10])
    return []


def _convolution(x: Any, weight: Any, result: Any, groups: int) -> list[Workspace]:
    if _is_channels_last(x):
        return _floats(_blocked_filter(weight))
    if is_depthwise(weight, groups):
        return _floats(x.numel() + weight.numel())
    return _floats(_blocked(x) + _blocked_filter(weight) + _blocked(result) - result.numel())


def _convolution_backward(grad: Any, x: Any, weight: Any, groups: int, wanted: Any) -> list[Workspace]:
    is_last = _is_channels_last(x) or _is_channels_last(grad)
    if is_depthwise(weight, groups):
        if is_last:
            return _floats(_DEPTHWISE_SUMS * weight.numel()) if wanted[1] else []
        return _floats(grad.numel() + weight.numel()) if wanted[0] else []
    if is_last:
        return _floats(3 * _blocked_filter(weight))
    filters = _blocked_filter(weight)
    for_input = _floats(_blocked(grad) + filters + _blocked(x) - x.numel()) if wanted[0] else []
    for_filter = _floats(_blocked(grad) + _blocked(x) + filters - weight.numel()) if wanted[1] else []
    return [*for_input, *for_filter]


def _blocked(x: Any) -> int:
    channels = x.shape[1]
    return 0 if channels <= _READ_AS_THEY_ARE else x.numel() // channels * _up(channels)


def _blocked_filter(weight: Any) -> int:
    outward, inward = weight.shape[:2]
    inward_blocked = _up(inward) if inward > _READ_AS_THEY_ARE else inward
    return int(weight.numel() // (outward * inward) * _up(outward) * inward_blocked)


def _up(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _is_channels_last(x: Any) -> bool:
    if x.dim() != 4 or x.is_contiguous():
        return False
    return bool(x.is_contiguous(memory_format=torch.channels_last))


def _floats(count: int) -> list[Workspace]:
    return [((count,), partial(_bytes, 4))]


def _bytes(item_bytes: int, shape: Any) -> int:
    return item_bytes * int(math.prod(shape))
