"""What a trial may not exceed: the named capacity on a GPU, half of the free memory on the host.

A child process would survive even the kernel's killer, but the user's model would have to be pickled into it (classes
of a notebook cannot be, without cloudpickle), for 3.5 to 6 s each. So here nothing is run whose predicted peak is above
half of the free memory, and ``device.host_fence`` ends what exceeds that against the prediction.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
