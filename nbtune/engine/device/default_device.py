"""torch's default device as it was where a run was made: a thread has one of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


class CallersDevice:
    """Remembers the default device of the thread that makes it, for the user's code in a thread that iterates.

    ``with device.in_force():`` goes around steps alone: no yield may leave it set.
    """

    def __init__(self) -> None:
        self._device = torch.get_default_device()
        self._nothing = nullcontext()

    def in_force(self) -> AbstractContextManager[object]:
        return self._nothing if torch.get_default_device() == self._device else self._device
