"""What PyTorch would do on a real device, done on meta tensors: fused attention and dropout, cuDNN's LSTM, autocast."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..architecture import UNNAMED, Architecture
from .autocast import Autocast
from .card_recurrent import card_gru, card_lstm
from .host_recurrent import NAMES, host_recurrent
from .place import Place

_GUARDS = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


class Roads(TorchFunctionMode):
    """While active, functions of PyTorch take the road they would take on a real device.

    Args:
        amp: dtype of autocast; None for none but the user's own.
        place: Stands for the devices that the step names.
    Attributes:
        autocast: Casts as autocast does, while it is switched on.
    """

    def __init__(self, amp: torch.dtype | None, place: Place | None = None) -> None:
        super().__init__()
        self.autocast = Autocast(amp)
        self._place = place
        self._unguarded: dict[Any, Any] = {}
        self._attention: Callable[..., Any] = F.scaled_dot_product_attention

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.backward:
            with self:  # a mode is off inside its own call, and checkpoints compute again inside backward
                return _backward(*args, **kwargs)
        name = getattr(func, "__name__", "")
        if name == "__bool__" and sys._getframe(1).f_code is torch._assert.__code__:
            return _asserted(func, *args)
        if self._place is not None and func is torch.Tensor.cuda:
            moved = self._place.cuda(args[0])
            return func(*args, **kwargs) if moved is None else moved
        if self._place is not None:
            args, kwargs = self._place.taken(func, name, args, kwargs)
        if func is F.scaled_dot_product_attention:
            args, kwargs = self.autocast.cast(name, args, kwargs)
            return self._attention(*args, **kwargs)
        special = self._special(func, name, args, kwargs)
        if special is not NotImplemented:
            return special
        if isinstance(func, FunctionType) and _can_lose_its_guard(func):
            with self:
                return self._without_guard(func)(*args, **kwargs)
        args, kwargs = self.autocast.cast(name, args, kwargs)
        return func(*args, **kwargs)

    def _special(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        """The result of a function this device does in its own way; NotImplemented for the others."""
        return NotImplemented

    def _without_guard(self, func: FunctionType) -> Any:
        """The same Python function, whose first lines do not hand it back to this mode again."""
        if func not in self._unguarded:
            scope = {**func.__globals__, **dict.fromkeys(_GUARDS, lambda *_: False)}
            copied = FunctionType(func.__code__, scope, func.__name__, func.__defaults__, func.__closure__)
            copied.__kwdefaults__ = func.__kwdefaults__
            self._unguarded[func] = copied
        return self._unguarded[func]


def _can_lose_its_guard(func: FunctionType) -> bool:
    # A method that calls super() comes back here under the same name, for ever; so does a function whose guard is no
    # variable of its own but an attribute (overrides.has_torch_function), which can't be replaced.
    has_guard = any(guard in func.__code__.co_names and guard in func.__globals__ for guard in _GUARDS)
    return has_guard and "__class__" not in func.__code__.co_freevars


class CudaRoads(Roads):
    """Fused attention and dropout and cuDNN's recurrent layers, as on a CUDA device.

    Args:
        amp, place: As for ``Roads``.
        architecture: Decides which attention kernel is taken.
    Attributes:
        attended: dtypes of the attention it was asked for.
    """

    def __init__(
        self, amp: torch.dtype | None, place: Place | None = None, architecture: Architecture = UNNAMED
    ) -> None:
        super().__init__(amp, place)
        self.attended: set[str] = set()
        self._architecture = architecture
        self._attention = partial(_attention, self._kernel)

    def _kernel(self, query: torch.Tensor, dropout_p: float) -> str:
        dtype = str(query.dtype).removeprefix("torch.")
        self.attended.add(dtype)
        kernel = self._architecture.attention(dtype)
        if kernel == "flash" and not self._architecture.trains_flash(query.shape[-1], dropout_p):
            return "efficient"
        return kernel

    def _special(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if func is torch.dropout:
            return _dropout(*args, **kwargs)
        if name in ("lstm", "gru") and len(args) == 9:
            args, kwargs = self.autocast.cast(name, args, kwargs)
            return card_lstm(*args) if name == "lstm" else card_gru(*args)
        return NotImplemented


class HostRoads(Roads):
    """The host's fused attention and recurrent layers."""

    def __init__(self, amp: torch.dtype | None, place: Place | None = None) -> None:
        super().__init__(amp, place)
        self._attention = _host_attention

    def _special(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        if name in NAMES and len(args) == 9:
            args, kwargs = self.autocast.cast(name, args, kwargs)
            return host_recurrent(name, *args)
        return NotImplemented


def _asserted(is_true: Callable[[torch.Tensor], bool], tensor: torch.Tensor) -> bool:
    """Of a tensor whose numbers are not known nothing can be asserted."""
    try:
        return is_true(tensor)
    except (RuntimeError, NotImplementedError):
        return True


def _backward(
    tensor: torch.Tensor, gradient: Any = None, retain_graph: Any = None, create_graph: bool = False, inputs: Any = None
) -> None:
    torch.autograd.backward(tensor, gradient, retain_graph, create_graph, inputs=inputs)


def _dropout(x: torch.Tensor, p: float, train: bool) -> torch.Tensor:
    if not train or p in (0, 1) or not x.requires_grad:
        return torch.dropout(x, p, train)
    return torch.native_dropout(x, p, True)[0]


def _attention(
    kernel_for: Callable[[torch.Tensor, float], str],
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """Flash attention for halves without a mask where the card has it, the memory-efficient kernel for what else.

    Args:
        kernel_for: The best kernel of a card, for a query and a dropout; the others are as for PyTorch's own.
    """
    if enable_gqa:
        repeats = query.shape[-3] // key.shape[-3]
        key, value = key.repeat_interleave(repeats, -3), value.repeat_interleave(repeats, -3)
    if query.dim() != 4:
        return F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale)
    kernel = kernel_for(query, dropout_p)
    if kernel == "math" or _only_math():
        return _math_attention(query, key, value, attn_mask, dropout_p, is_causal, scale)
    may_flash = kernel == "flash" and torch.backends.cuda.flash_sdp_enabled()
    if may_flash and attn_mask is None and query.shape[-1] <= 256 and query.shape[-1] == value.shape[-1]:
        return _flash(query, key, value, dropout_p, is_causal, scale)
    # No fused kernel gives the gradient of a learned bias that is shared by the batch.
    if attn_mask is not None and attn_mask.requires_grad and attn_mask.shape[0] != query.shape[0]:
        return _plain_attention(query, key, value, attn_mask, dropout_p, scale)
    bias = _bias(attn_mask, query, key)
    saves_graph = torch.is_grad_enabled() and any(t.requires_grad for t in (query, key, value))
    out = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, bias, saves_graph, dropout_p, is_causal, scale=scale
    )
    return out[0]


def _only_math() -> bool:
    """Whether the user has switched the fused kernels off, by sdpa_kernel(SDPBackend.MATH) or the flags behind it."""
    cuda = torch.backends.cuda
    return not (cuda.flash_sdp_enabled() or cuda.mem_efficient_sdp_enabled() or cuda.cudnn_sdp_enabled())


def _math_attention(
    query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: Any
) -> Any:  # fmt: skip
    math = torch.ops.aten._scaled_dot_product_attention_math
    return math(query, key, value, mask, dropout_p, is_causal, scale=scale)[0]


def _host_attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False,
    scale: Any = None, enable_gqa: bool = False,
) -> Any:  # fmt: skip
    learns_bias = attn_mask is not None and attn_mask.requires_grad
    if query.dim() != 4 or dropout_p or learns_bias or query.shape[-1] != value.shape[-1]:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
        )
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.where(attn_mask, 0.0, query.new_empty(()))
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return flash(query, key, value, 0.0, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _plain_attention(query: Any, key: Any, value: Any, bias: Any, dropout_p: float, scale: Any) -> Any:
    root = (query.shape[-1] ** -0.5 if scale is None else scale) ** 0.5
    scores = (query * root) @ (key.transpose(-2, -1) * root) + bias
    weights = torch._safe_softmax(scores, -1)
    return (_dropout(weights, dropout_p, True) if dropout_p else weights) @ value


def _flash(query: Any, key: Any, value: Any, dropout_p: float, is_causal: bool, scale: Any) -> Any:
    width = query.shape[-1]
    scale = width**-0.5 if scale is None else scale
    if width % 8:
        query, key, value = (F.pad(t, (0, 8 - width % 8)) for t in (query, key, value))
    out = torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout_p, is_causal, scale=scale)[0]
    return out[..., :width]


def _bias(mask: Any, query: Any, key: Any) -> Any:
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=query.dtype).masked_fill(mask.logical_not(), float("-inf"))
    return mask.expand(query.shape[0], query.shape[1], query.shape[2], key.shape[2])
