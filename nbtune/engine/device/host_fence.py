"""A step on the host that ends itself with an error before the system ends the whole process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from ...host_memory import resident_bytes
from .capacity import free_bytes

KEPT_PART, KEPT_BYTES = 0.05, 2**25
"""Of what is free that a fenced step may not take, and how much at least: operations have workspaces nobody sees."""


class HostFenceError(MemoryError):
    """A step took, or was about to take, more of the host's memory than it was allowed to."""


class HostFence(TorchDispatchMode):
    """Ends a step on the CPU when the process grows by more than ``budget_bytes``.

    Looked at after every operation, and before it: what an operation will make is worked out without making it (on
    meta tensors). Costs about 60 µs an operation, so it goes around the first step of a size, not around those that are
    timed.

    Args:
        budget_bytes: By how much the process may grow from now on.
    Raises:
        HostFenceError: From inside the step.
    """

    def __init__(self, budget_bytes: int) -> None:
        super().__init__()
        resident = resident_bytes()
        self._limit = None if resident is None else resident + budget_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self._limit is None:
            return func(*args, **kwargs)
        left = self._limit - (resident_bytes() or 0)
        if left < 0 or _made_bytes(func, args, kwargs) > left:
            raise HostFenceError("the step would take more of this machine's memory than it is allowed to")
        return func(*args, **kwargs)


@contextmanager
def fenced(device: torch.device) -> Iterator[None]:
    """No step inside takes the last of the host's memory; on other devices, which raise errors, nothing is done.

    Raises:
        HostFenceError: From inside the step.
    """
    free = free_bytes(device) if device.type == "cpu" else None
    if free is None:
        yield
        return
    with HostFence(int(free - max(KEPT_BYTES, KEPT_PART * free))):
        yield


def _made_bytes(func: Any, args: Any, kwargs: Any) -> int:
    """What an operation's results will hold beside its arguments; 0 where nobody says."""
    if not any(isinstance(leaf, torch.Tensor) for leaf in tree_leaves(args)) and "device" not in kwargs:
        return 0
    has_meta = torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "Meta")
    if not has_meta or func._schema.is_mutable or func.is_view:
        return 0
    try:
        made = func(*tree_map_only(torch.Tensor, _as_meta, args), **_on_meta(kwargs))
    except Exception:
        return 0
    return sum(t.numel() * t.element_size() for t in tree_leaves(made) if isinstance(t, torch.Tensor))


def _as_meta(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to("meta")


def _on_meta(kwargs: dict[str, Any]) -> dict[str, Any]:
    known = {**kwargs, "device": torch.device("meta")} if kwargs.get("device") is not None else kwargs
    return dict(tree_map_only(torch.Tensor, _as_meta, known))
