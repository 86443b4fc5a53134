"""What the slowest of PyTorch's rules for meta tensors give, without their checks: a trace takes half the time.

Normalisation, sums and products of tensors alike and the optimizers' list operations are two thirds of a trace. Their
results have the shape of an input, so nothing is lost; tests compare traces with and without.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch._prims_common import suggest_memory_format

_aten = torch.ops.aten
UNSUITED = object()
"""What a function gives for tensors that need PyTorch's own rule after all."""


def shortcut(func: Any) -> Callable[..., Any] | None:
    """A function that makes the results of ``func`` on meta tensors, or says ``UNSUITED``.

    Returns:
        None for one that needs PyTorch's own rule.
    """
    return _SHORTCUTS.get(func)


def _like(x: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
    """A tensor of the same shape and order; PyTorch's own rule is written in Python and takes ten times as long."""
    if x.is_contiguous():
        return x.new_empty(x.shape, dtype=dtype or x.dtype)
    return torch.empty_like(x, dtype=dtype or x.dtype)


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: Any, eps: Any) -> Any:
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    channels = x.shape[1] if training else 0
    return _like(x), x.new_empty(channels, dtype=dtype), x.new_empty(channels, dtype=dtype)


def _batch_norm_backward(
    grad: Any, x: Any, weight: Any, mean: Any, var: Any, kept_mean: Any, kept_scale: Any, train: bool, eps: Any,
    wanted: Any,
) -> Any:  # fmt: skip
    dtype = x.dtype if weight is None else weight.dtype
    sums = [x.new_empty(x.shape[1], dtype=dtype) if is_wanted else None for is_wanted in wanted[1:]]
    return (_like(x) if wanted[0] else None, *sums)


def _alike(x: Any, y: Any, *_: Any, **__: Any) -> Any:
    """Of two floating-point tensors alike, or of one and a number. Whole numbers are followed, so they are left out."""
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return UNSUITED
    if isinstance(y, (int, float)):
        return _like(x)
    if not isinstance(y, torch.Tensor) or y.dtype != x.dtype or y.shape != x.shape or y.device != x.device:
        return UNSUITED
    if x.stride() == y.stride():
        return _like(x)
    return x.new_empty(x.shape) if _is_in_order(x) and _is_in_order(y) else UNSUITED


def _is_in_order(x: torch.Tensor) -> bool:
    """Whether its last dimension is the closest in memory, and so on, as in slices of a contiguous tensor."""
    strides = x.stride()
    return all(one >= following for one, following in pairwise(strides)) and 0 not in strides


def _layer_norm(x: Any, normalized: Any, weight: Any, bias: Any, eps: Any) -> Any:
    if x.dtype in (torch.float16, torch.bfloat16) or not x.is_contiguous():
        return UNSUITED
    outer = (*x.shape[: x.dim() - len(normalized)], *(1 for _ in normalized))
    return _like(x), x.new_empty(outer), x.new_empty(outer)


def _layer_norm_backward(
    grad: Any, x: Any, normalized: Any, mean: Any, rstd: Any, weight: Any, bias: Any, wanted: Any
) -> Any:  # fmt: skip
    if x.dtype in (torch.float16, torch.bfloat16) or not x.is_contiguous() or weight is None or bias is None:
        return UNSUITED
    makers = zip((x, weight, bias), wanted, strict=True)
    return tuple(_like(like) if is_wanted else None for like, is_wanted in makers)


def _convolution(x: Any, weight: Any, *settings: Any) -> Any:
    """In channels last where either of the two is, as on a real device; PyTorch's rule asks which device it is."""
    y = _aten.convolution.default(x, weight, *settings)
    order = order_of_convolution(x, weight)
    return y if order == torch.contiguous_format else torch.empty_like(y, memory_format=order)


def order_of_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.memory_format:
    """The order of dimensions in which a convolution is computed: channels last where input or filter are."""
    found = [] if x.dim() not in (4, 5) else [suggest_memory_format(x), suggest_memory_format(weight)]
    return next((order for order in found if order != torch.contiguous_format), torch.contiguous_format)


def _grouped_product(x: Any, y: Any, offsets: Any = None, bias: Any = None, dtype: Any = None) -> Any:
    """Of rows by groups; PyTorch's rule for tensors without numbers is for bfloat16 alone, the kernel is not."""
    groups = () if offsets is None or x.dim() == y.dim() == 3 else offsets.shape
    leading = () if x.dim() != y.dim() else groups if x.dim() == 2 else x.shape[:1]
    return x.new_empty((*leading, x.shape[-2], y.shape[-1]), dtype=dtype or x.dtype)


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _filled_like(
    x: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, pin_memory: Any = None,
    memory_format: Any = None,
) -> Any:  # fmt: skip
    """Of floating-point numbers: whole ones are followed."""
    is_plain = layout in (None, x.layout) and device in (None, x.device) and not pin_memory
    is_floating = x.is_floating_point() and (dtype or x.dtype).is_floating_point
    if not is_plain or not is_floating or memory_format not in (None, torch.preserve_format):
        return UNSUITED
    return _like(x, dtype)


def _like_first(x: Any, *_: Any) -> Any:
    return _like(x)


def _like_each(tensors: Any) -> Any:
    return [_like(x) for x in tensors]


_SHORTCUTS: dict[Any, Callable[..., Any]] = {
    _aten.native_batch_norm.default: _batch_norm,
    _aten.native_batch_norm_backward.default: _batch_norm_backward,
    _aten.convolution.default: _convolution,
    _aten._grouped_mm.default: _grouped_product,
    _aten.native_layer_norm.default: _layer_norm,
    _aten.native_layer_norm_backward.default: _layer_norm_backward,
    **dict.fromkeys(
        (_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor, _aten.tanh_backward.default), _alike
    ),
    **dict.fromkeys(
        (_aten.zeros_like.default, _aten.empty_like.default, _aten.ones_like.default), _filled_like
    ),
    _aten.threshold_backward.default: _like_first,
    _aten._foreach_sqrt.default: _like_each,
    **dict.fromkeys(
        (
            _aten._foreach_addcmul_.Scalar, _aten._foreach_addcdiv_.ScalarList, _aten._foreach_addcdiv_.Scalar,
            _aten._foreach_lerp_.Scalar, _aten._foreach_add_.List, _aten._foreach_add_.Scalar,
            _aten._foreach_mul_.Scalar, _aten._foreach_div_.ScalarList, _aten._foreach_sqrt_.default,
        ),
        _nothing,
    ),
}  # fmt: skip
