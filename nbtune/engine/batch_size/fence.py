"""What a trial may not exceed: the named capacity on a GPU, half of the free memory on the host.

A child process would survive even the kernel's killer, but the user's model would have to be pickled into it (classes
of a notebook cannot be, without cloudpickle), for 3.5 to 6 s each. So here nothing is run whose predicted peak is above
half of the free memory, and ``HostFence`` ends what exceeds that against the prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ...host_memory import resident_bytes


class HostFenceError(MemoryError):
    """A step took more of the host's memory than it was allowed to."""


class HostFence(TorchDispatchMode):
    """Ends a step on the CPU when the process has grown by more than ``budget_bytes``; looked at after every operation.

    One operation may overshoot by the size of its result. Costs about 20 µs an operation, so it goes around the first
    step of a size, not around those that are timed.

    Raises:
        HostFenceError: From inside the step.
    """

    def __init__(self, budget_bytes: int) -> None:
        super().__init__()
        resident = resident_bytes()
        self._limit = None if resident is None else resident + budget_bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if self._limit is not None and (resident_bytes() or 0) > self._limit:
            raise HostFenceError("the step took more of this machine's memory than it was allowed to")
        return result


@contextmanager
def reserved_at_most(limit_bytes: int, device: torch.device) -> Iterator[None]:
    """torch may reserve no more than this on a GPU; afterwards as much as before."""
    # Early versions do not tell the fraction in force; it is 1.0 unless somebody set it.
    fraction_now = getattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 1.0)(device)
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, max(0.0, limit_bytes / total)), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(fraction_now, device)
