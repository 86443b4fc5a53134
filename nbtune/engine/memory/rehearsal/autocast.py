"""CUDA's autocast rules, applied by hand to tensors that autocast does not know (meta tensors)."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_map

_LOWER = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "conv_tbc", "linear",
    "matmul", "__matmul__", "__rmatmul__", "mm", "mv", "bmm", "addmm", "addmv", "addr", "addbmm", "baddbmm",
    "chain_matmul", "multi_dot", "prelu", "einsum", "lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell",
    "scaled_dot_product_attention",
})  # fmt: skip
_FLOAT32 = frozenset({
    "acos", "asin", "cosh", "erfinv", "exp", "expm1", "log", "log10", "log2", "log1p", "reciprocal", "rsqrt", "sinh",
    "tan", "pow", "__pow__", "softplus", "layer_norm", "native_layer_norm", "group_norm", "rms_norm",
    "cosine_similarity", "poisson_nll_loss", "cosine_embedding_loss", "nll_loss", "nll_loss_nd",
    "hinge_embedding_loss", "kl_div", "l1_loss", "smooth_l1_loss", "huber_loss", "mse_loss", "margin_ranking_loss",
    "multilabel_margin_loss", "soft_margin_loss", "triplet_margin_loss", "multi_margin_loss",
    "binary_cross_entropy_with_logits", "dist", "pdist", "cdist", "renorm", "logsumexp", "softmax", "log_softmax",
    "cumprod", "cumsum", "prod", "norm", "sum", "cross_entropy", "cross_entropy_loss",
})  # fmt: skip
# These take the dtype of their result as an argument, so nothing is cast beforehand.
_SETS_DTYPE = frozenset({"prod", "softmax", "log_softmax", "cumprod", "cumsum", "sum"})

# Source: ATen/autocast_mode.h of PyTorch 2.13; https://docs.pytorch.org/docs/stable/amp.html#cuda-op-specific-behavior


_thread = threading.local()
_switch_lock = threading.Lock()
_switches_on = 0
_asks_for_cuda = torch.cuda.amp.common.amp_definitely_not_available
_asks_for_bfloat16 = torch.cuda.is_bf16_supported


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """Inside, and in this thread alone, ``torch.autocast("cuda")`` may be switched on where there is no CUDA.

    PyTorch (2.13) switches it off with a warning as it is made, and asks nobody: these two functions are what it
    looks at. For all others that ask them, such as a GradScaler, they say what they always do.
    """
    _thread.depth = getattr(_thread, "depth", 0) + 1
    _switch(1)
    try:
        yield
    finally:
        _switch(-1)
        _thread.depth -= 1


def _switch(by: int) -> None:
    global _switches_on
    with _switch_lock:
        _switches_on += by
        torch.cuda.amp.common.amp_definitely_not_available = _is_unavailable if _switches_on else _asks_for_cuda
        torch.cuda.is_bf16_supported = _is_bfloat16_supported if _switches_on else _asks_for_bfloat16


def _is_unavailable() -> bool:
    return False if _is_for_autocast() else _asks_for_cuda()


def _is_bfloat16_supported(*args: Any, **kwargs: Any) -> bool:
    return True if _is_for_autocast() else _asks_for_bfloat16(*args, **kwargs)


def _is_for_autocast() -> bool:
    caller = sys._getframe(2).f_locals.get("self")
    if getattr(_thread, "depth", 0) == 0 or not isinstance(caller, torch.autocast):
        return False
    _thread.has_asked = True
    return True


def has_asked_for_cuda_autocast() -> bool:
    """Whether a step has, in this thread, since this was asked last."""
    asked = getattr(_thread, "has_asked", False)
    _thread.has_asked = False
    return asked


class Autocast:
    """Casts arguments by the name of the function they go to; weights are cast once and kept, as CUDA's cache does.

    Args:
        dtype: torch.bfloat16 or torch.float16; None casts only where the user's own autocast is on.
    """

    def __init__(self, dtype: torch.dtype | None) -> None:
        self._dtype, self._is_on, self._keeps_weights = dtype, False, False
        self._weights: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    @contextmanager
    def on(self, *, keep_weights: bool) -> Iterator[None]:
        """Cast inside.

        Args:
            keep_weights: As in a forward pass; what a checkpoint computes again in backward keeps none.
        """
        self._is_on, self._keeps_weights = self._dtype is not None, keep_weights
        try:
            yield
        finally:
            self._is_on = False
            self._weights.clear()

    def cast(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """The arguments of the function called ``name`` as autocast would pass them on."""
        dtype = self._active_dtype()
        if dtype is None or not (name in _LOWER or name in _FLOAT32):
            return args, kwargs
        if name in _SETS_DTYPE:
            return args, _with_float32(args, kwargs, name)
        target = dtype if name in _LOWER else torch.float32
        return tree_map(lambda x: self._as(x, target), args), tree_map(lambda x: self._as(x, target), kwargs)

    def _active_dtype(self) -> torch.dtype | None:
        if self._is_on:
            return self._dtype
        for device_type in ("cuda", "cpu"):
            if torch.is_autocast_enabled(device_type):  # the user's own, around the model
                return torch.get_autocast_dtype(device_type)
        self._weights.clear()  # as CUDA's cache is when the outermost autocast ends
        return None

    def _as(self, value: Any, dtype: torch.dtype) -> Any:
        if not isinstance(value, torch.Tensor) or not value.is_floating_point() or value.dtype in (dtype, torch.double):
            return value
        is_weight = value.is_leaf and value.requires_grad and dtype != torch.float32
        if not (is_weight and self._keeps_weights):
            return value.to(dtype)
        if id(value) not in self._weights:
            self._weights[id(value)] = (value, value.to(dtype))
        return self._weights[id(value)][1]


def _with_float32(args: Any, kwargs: Any, name: str) -> Any:
    x = args[0] if args else None
    is_half = isinstance(x, torch.Tensor) and x.dtype in (torch.float16, torch.bfloat16)
    if not is_half or kwargs.get("dtype") is not None or any(isinstance(a, torch.dtype) for a in args):
        return kwargs
    return {**kwargs, "dtype": torch.float32}
