"""flex_attention without numbers: its compiled kernel keeps the output and one sum for each query, and no scores."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

FLEX = "flex_attention: counted as its compiled kernel takes it; what score_mod and its gradients make is not."
_MODULE = "torch.nn.attention.flex_attention"
_PLAYED = ("_validate_device", "flex_attention_hop", "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG")
_thread = threading.local()
_lock = threading.Lock()
_own: dict[str, Any] = {}
_users = 0


@contextmanager
def flex_played(notes: set[str]) -> Iterator[None]:
    """Inside, and in this thread alone, ``flex_attention`` takes tensors without numbers.

    It asks nobody before it compiles itself, so three names of its module are replaced; other threads, and tensors with
    numbers, get what they always got.

    Args:
        notes: Gets a sentence where it is called.
    """
    module = sys.modules.get(_MODULE)
    if module is None or not all(hasattr(module, name) for name in _PLAYED):
        yield
        return
    before = getattr(_thread, "notes", None)
    _thread.notes = notes
    _switch(module, 1)
    try:
        yield
    finally:
        _switch(module, -1)
        _thread.notes = before


def _switch(module: Any, by: int) -> None:
    global _users
    with _lock:
        if not _users:
            _own.update({name: getattr(module, name) for name in _PLAYED})
        _users += by
        played = (_validated, _attended, _Uncompiled()) if _users else tuple(_own[name] for name in _PLAYED)
        for name, value in zip(_PLAYED, played, strict=True):
            setattr(module, name, value)


class _Uncompiled:
    """True in a thread that rehearses."""

    def __bool__(self) -> bool:
        return getattr(_thread, "notes", None) is not None or bool(_own[_PLAYED[2]])


def _validated(query: Any, *others: Any) -> None:
    if not query.is_meta:
        _own["_validate_device"](query, *others)


def _attended(query: Any, key: Any, value: Any, *settings: Any, **named: Any) -> Any:
    if not query.is_meta:
        return _own["flex_attention_hop"](query, key, value, *settings, **named)
    _thread.notes.add(FLEX)
    out, sums = _Flex.apply(query, key, value)
    return out, sums, sums


class _Flex(torch.autograd.Function):
    """Kept for backward: what went in, the output, and a float32 sum for each query; backward makes one more."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any) -> Any:
        out = query.new_empty((*query.shape[:-1], value.shape[-1]))
        sums = query.new_empty(query.shape[:-1], dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, sums)
        return out, sums

    @staticmethod
    def backward(ctx: Any, grad: Any, _: Any) -> Any:
        query, key, value, _, sums = ctx.saved_tensors
        delta = torch.empty_like(sums)
        grads = tuple(torch.empty_like(t) for t in (query, key, value))
        del delta
        return grads
