"""What the slowest of PyTorch's rules for meta tensors give, without their checks: a trace takes half the time.

Batch normalisation, threshold and the optimizers' list operations are two thirds of a trace of a DenseNet. Their
results have the shape of an input, so nothing is lost; tests compare traces with and without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_aten = torch.ops.aten


def shortcut(func: Any) -> Callable[..., Any] | None:
    """A function that makes the results of ``func`` on meta tensors; None for one that needs PyTorch's own rule."""
    return _SHORTCUTS.get(func)


def _batch_norm(x: Any, weight: Any, bias: Any, mean: Any, var: Any, training: bool, momentum: Any, eps: Any) -> Any:
    dtype = torch.float32 if x.dtype in (torch.float16, torch.bfloat16) else x.dtype
    channels = x.shape[1] if training else 0
    return torch.empty_like(x), x.new_empty(channels, dtype=dtype), x.new_empty(channels, dtype=dtype)


def _batch_norm_backward(
    grad: Any, x: Any, weight: Any, mean: Any, var: Any, kept_mean: Any, kept_scale: Any, train: bool, eps: Any,
    wanted: Any,
) -> Any:  # fmt: skip
    dtype = x.dtype if weight is None else weight.dtype
    sums = [x.new_empty(x.shape[1], dtype=dtype) if is_wanted else None for is_wanted in wanted[1:]]
    return (torch.empty_like(x) if wanted[0] else None, *sums)


def _nothing(*_: Any, **__: Any) -> None:
    return None


def _like_first(x: Any, *_: Any) -> Any:
    return torch.empty_like(x)


def _like_each(tensors: Any) -> Any:
    return [torch.empty_like(x) for x in tensors]


_SHORTCUTS: dict[Any, Callable[..., Any]] = {
    _aten.native_batch_norm.default: _batch_norm,
    _aten.native_batch_norm_backward.default: _batch_norm_backward,
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
