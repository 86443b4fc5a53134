"""What the host's kernels allocate for themselves, above all its convolutions.

Those take oneDNN's copies in blocked layouts, and PyTorch's copies around them. The rules were read off the
allocations of a CPU with AVX-512 (PyTorch 2.13); others block differently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from .kernels import Workspace, is_depthwise, matrix_exponential
from .shortcuts import order_of_convolution

BLOCK, HALF_BLOCK = 16, 8
_READ_AS_THEY_ARE = 4
_WIDEST_DEPTHWISE = 3
_SUMS_OF_PRODUCTS = 4


def host_workspaces(operator: str, args: Any, result: Any) -> list[Workspace]:
    """Buffers an operator takes on the host beside its results."""
    if operator in ("aten.convolution", "aten._convolution"):
        return _forward(_Convolution(args[0], args[1], result, args[8], args[3:6]))
    if operator == "aten.convolution_backward":
        return _backward(_Convolution(args[1], args[2], args[0], args[9], args[4:7]), args[10])
    if operator == "aten.linalg_matrix_exp":
        return matrix_exponential(args, result)
    if operator == "aten.embedding_dense_backward" and not args[0].is_contiguous():
        return [((args[0].numel(),), partial(_bytes, args[0].element_size(), 0))]
    return []


@dataclass(frozen=True, slots=True)
class _Convolution:
    """One layer: input, filter, output or its gradient, and how they are laid out.

    A layer in channels last asks for no blocks of its activations. Whichever it is, PyTorch first brings all three
    into one order, and keeps those copies until it is done.

    Attributes:
        walk: Stride, padding and dilation.
    """

    x: Any
    weight: Any
    y: Any
    groups: int
    walk: Any

    @property
    def is_last(self) -> bool:
        return self.order != torch.contiguous_format

    @property
    def order(self) -> torch.memory_format:
        return order_of_convolution(self.x, self.weight)

    @property
    def is_depthwise(self) -> bool:
        return is_depthwise(self.weight, self.groups) and self.weight.shape[1] == 1

    def copied(self, *tensors: Any) -> int:
        """Elements of those tensors that are not in the layer's order."""
        order = self.order
        return sum(t.numel() for t in tensors if not t.is_contiguous(memory_format=order))

    def blocked(self, activation: Any) -> int:
        channels = activation.shape[1]
        if self.groups > 1 and not self.is_depthwise:
            return int(activation.numel())
        if channels <= _READ_AS_THEY_ARE and not self.is_depthwise:
            return 0
        return int(activation.numel() // channels * _up(channels))

    @property
    def blocked_filter(self) -> int:
        outward, inward = self.weight.shape[:2]
        if self.is_depthwise:
            return int(self.weight.numel() // outward * _up(outward))
        if self.groups > 1:
            return int(self.weight.numel())
        inward_blocked = _up(inward) if inward > _READ_AS_THEY_ARE else inward
        return int(self.weight.numel() // (outward * inward) * _up(outward) * inward_blocked)

    @property
    def has_kernel_for_filter(self) -> bool:
        """Whether a kernel sums the filter's gradient over blocks; else it is a product of unfolded images."""
        if self.groups == 1:
            return True
        if self.is_depthwise:
            is_small = self.weight.shape[-1] <= _WIDEST_DEPTHWISE and self.x.dim() < 5
            return is_small and max(self.walk[2]) == 1 and self._is_somewhere_inside()
        per_group = (self.weight.shape[0] // self.groups, self.weight.shape[1])
        return all(channels % HALF_BLOCK == 0 for channels in per_group)

    @property
    def is_strided(self) -> bool:
        return max(self.walk[0]) > 1 and not self.is_depthwise

    def _is_somewhere_inside(self) -> bool:
        """Whether the filter has a place at which it covers no padding, in every dimension."""
        sides = zip(self.x.shape[2:], self.weight.shape[2:], *self.walk[:2], strict=False)
        return all((length - width + padding) // step >= -(-padding // step) for length, width, step, padding in sides)


def _forward(layer: _Convolution) -> list[Workspace]:
    if layer.is_last:
        return _floats(layer.copied(layer.x, layer.weight) + layer.blocked_filter, layer)
    held, y = layer.copied(layer.x), layer.blocked(layer.y)
    blocks = layer.blocked(layer.x) + layer.blocked_filter + y - layer.y.numel()
    return [*_floats(held + blocks, layer), *_floats(held + y, layer)]


def _backward(layer: _Convolution, wanted: Any) -> list[Workspace]:
    held = layer.copied(layer.y, layer.x, layer.weight)
    later = layer.weight.numel() if wanted[1] else 0
    made = [*(_input_gradient(layer, held, later) if wanted[0] else [])]
    made += _filter_gradient(layer, held) if wanted[1] else []
    return made or _floats(held, layer)


def _input_gradient(layer: _Convolution, held: int, later: int) -> list[Workspace]:
    """The filter's gradient is ``later``: it is among the results, but not there yet."""
    if layer.is_last:
        return _floats(held + layer.blocked_filter, layer, later)
    x = 2 * layer.x.numel() if layer.is_strided else layer.blocked(layer.x)
    blocks = layer.blocked(layer.y) + layer.blocked_filter + layer.blocked(layer.x) - layer.x.numel()
    return [*_floats(held + blocks, layer, later), *_floats(held + x, layer, later)]


def _filter_gradient(layer: _Convolution, held: int) -> list[Workspace]:
    filters = layer.weight.numel()
    if layer.is_last:
        is_square = layer.is_depthwise and not layer.has_kernel_for_filter  # each channel in a block of 16 × 16
        return _floats(held + filters + (BLOCK**2 * filters if is_square else layer.blocked_filter), layer)
    copied = _floats(held + layer.blocked_filter, layer)  # out of its blocks, once all else is let go
    if not layer.has_kernel_for_filter:
        unfolded = layer.weight[0].numel() * math.prod(layer.y.shape[2:])
        sums = torch.get_num_threads() * (unfolded + _SUMS_OF_PRODUCTS * filters)
        return [*_floats(held + sums, layer), *copied]
    blocks = layer.blocked(layer.y) + layer.blocked(layer.x) + layer.blocked_filter - filters
    return [*_floats(held + blocks, layer), *copied]


def _up(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


def _floats(count: int, layer: _Convolution, less: int = 0) -> list[Workspace]:
    return [((count,), partial(_bytes, layer.x.element_size(), less))]


def _bytes(item_bytes: int, less: int, shape: Any) -> int:
    return item_bytes * max(0, int(math.prod(shape)) - less)
