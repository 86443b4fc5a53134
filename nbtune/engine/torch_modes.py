"""The modes that torch keeps for a thread, as a run needs them: a training loop's, whatever its caller is in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
import torch.utils._python_dispatch

AUTOCAST_LEFT_OUT = (
    "A surrounding torch.autocast is left out: give the task amp=, or put it into the training_step or update."
)

_DEVICE_TYPES = ("cpu", "cuda", "mps", "xpu")


class CallersModes:
    """What of the caller's modes is kept, as of the moment this is made, and what is left out.

    Kept are the default device and the default dtype, which the user's code may rely on. Gradients are on, inference
    mode and autocast off: a step sets those for itself. An outer autocast would keep its copies of the weights, in
    half precision, from step to step.

    Attributes:
        left_out: What the answer would otherwise depend on, in sentences.
    """

    def __init__(self) -> None:
        self._device, self._dtype = torch.get_default_device(), torch.get_default_dtype()
        self.left_out = (AUTOCAST_LEFT_OUT,) if _has_autocast() else ()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """These modes in this thread; afterwards its own again. No yield of a run inside."""
        with ExitStack() as undo:
            undo.callback(_leave_overrides, *_overrides())
            if torch.is_inference_mode_enabled():
                undo.enter_context(torch.inference_mode(False))
            if not torch.is_grad_enabled():
                undo.enter_context(torch.enable_grad())
            if _autocast_depth():
                undo.enter_context(_without_autocast())
            if torch.get_default_device() != self._device:
                undo.enter_context(self._device)
            if torch.get_default_dtype() != self._dtype:
                undo.callback(torch.set_default_dtype, torch.get_default_dtype())
                torch.set_default_dtype(self._dtype)
            yield


def _overrides() -> tuple[int, int]:
    """How many modes that override torch's functions and operators this thread is in."""
    return torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()


def _leave_overrides(functions: int, operators: int) -> None:
    """Those of a step that an interrupt broke off between entering one and being able to leave it."""
    while torch._C._len_torch_function_stack() > functions:
        torch._C._pop_torch_function_stack()
    while torch._C._len_torch_dispatch_stack() > operators:
        torch.utils._python_dispatch._pop_mode()


def _has_autocast() -> bool:
    return bool(_autocast_depth()) and any(_is_casting(kind) for kind in _DEVICE_TYPES)


def _is_casting(device_type: str) -> bool:
    try:
        return torch.is_autocast_enabled(device_type)
    except RuntimeError:  # an early version does not know this kind
        return False


def _autocast_depth() -> int:
    torch.autocast_increment_nesting()
    return torch.autocast_decrement_nesting()


@contextmanager
def _without_autocast() -> Iterator[None]:
    """Not ``torch.autocast(enabled=False)``: a step's own, inside that, would not empty the cache of weights either."""
    casting = [kind for kind in _DEVICE_TYPES if _is_casting(kind)]
    depth = _autocast_depth()
    for kind in casting:
        torch.set_autocast_enabled(kind, False)
    for _ in range(depth):
        torch.autocast_decrement_nesting()
    torch.clear_autocast_cache()
    try:
        yield
    finally:
        torch.clear_autocast_cache()
        for _ in range(depth - _autocast_depth()):
            torch.autocast_increment_nesting()
        for kind in casting:
            torch.set_autocast_enabled(kind, True)
