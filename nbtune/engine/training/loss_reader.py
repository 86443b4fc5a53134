"""Losses read without making the device wait for the host."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch

MAX_LATE_STEPS = 16


class LossReader:
    """Turns losses on a device into floats, in order, up to 16 steps late, so that no step waits for the host.

    On the CPU a loss is read at once. Elsewhere it is copied to pinned memory behind the step that made it, and read
    when an event says that it has arrived.
    """

    def __init__(self, device: torch.device) -> None:
        self._is_late = device.type == "cuda"
        self._pending: deque[tuple[Any, torch.Tensor, Any]] = deque()

    def put(self, tag: Any, loss: torch.Tensor) -> None:
        """Add a loss of shape () or (n,), with whatever belongs to it."""
        if not self._is_late:
            self._pending.append((tag, loss, None))
            return
        # A tensor per step, not one buffer that turns: nothing may be overwritten before it was read.
        host = torch.empty(loss.shape, dtype=torch.float64, pin_memory=True)
        host.copy_(loss, non_blocking=True)
        arrived = torch.cuda.Event()
        arrived.record()
        self._pending.append((tag, host, arrived))

    def ready(self, *, everything: bool = False) -> Iterator[tuple[Any, list[float]]]:
        """What has arrived: (tag, values); waits only for what is more than 16 steps old, or for ``everything``."""
        while self._pending:
            tag, loss, arrived = self._pending[0]
            if arrived is not None and not arrived.query():
                if not everything and len(self._pending) <= MAX_LATE_STEPS:
                    return
                arrived.synchronize()
            self._pending.popleft()
            yield tag, [float(v) for v in loss.reshape(-1).tolist()]
