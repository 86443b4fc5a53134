"""Whether there is room for a copy or a backup, counted before it is made.

On a host there is no error to wait for: where a container is full, the system ends the whole process. What a step's
activations take is not known before it is taken, but training itself is taken to fit, since that is what the user is
about to do. So what counts is what a run holds *beside* what plain training would: copies, backups. That may be no more
than a part of what is free when it begins (``PARTS``).
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ...formats import format_memory
from ..device.capacity import free_bytes
from ..device.out_of_memory import trim_heap
from .kept import InMemory, Keeper, NotEnoughMemoryError, OnDisk, folder_with

HOST = torch.device("cpu")

PARTS = {"cpu": 0.2}
"""Of what is free. With 1.3 times what plain training needs at its peak, a quarter of what is free before it is more
than those 0.3. On a card, where too much is an error and not the end, half."""


LAST_BYTES, LOOK_SECONDS = 2**24, 0.25
"""A run that finds less than this left ends itself; and how often it looks."""


class Ledger:
    """What the runs on a model hold beside what training it would, on each kind of device.

    Attributes:
        state_bytes: What a copy of the model's state holds; None before somebody has looked.
        looked_at: When a step of theirs last looked at what is left of the host's memory, in seconds of a clock.
    """

    def __init__(self) -> None:
        self.state_bytes: int | None = None
        self.looked_at = -math.inf
        self._beside: defaultdict[str, int] = defaultdict(int)

    def has_room(self, device: torch.device, more_bytes: int) -> bool:
        """Whether so much may be held on top of what is."""
        spare = self.spare_bytes(device)
        return spare is None or more_bytes <= spare

    def spare_bytes(self, device: torch.device) -> int | None:
        """How much more may be held on top of what is; None where nobody says."""
        if device.type == "cpu":
            trim_heap()
        free = free_bytes(device)
        return None if free is None else max(0, int(self._most(device, free)) - self._beside[device.type])

    @contextmanager
    def holding(self, device: torch.device, more_bytes: int) -> Iterator[None]:
        """So much is held inside."""
        self._beside[device.type] += more_bytes
        try:
            yield
        finally:
            self._beside[device.type] -= more_bytes

    def held_bytes(self, device: torch.device) -> int:
        """What is held now."""
        return self._beside[device.type]

    def _most(self, device: torch.device, free: int) -> float:
        # What is held already was free when the first of it was made.
        return PARTS.get(device.type, 0.5) * (free + self._beside[device.type])


def keeper_for(needed_bytes: int, ledger: Ledger, what: str, beside_bytes: int = 0) -> Keeper:
    """Where to keep so much: in memory, else on disk.

    Args:
        needed_bytes: What is to be kept.
        ledger: What is held already.
        what: What it is, for the message.
        beside_bytes: What keeping it in memory takes there beside the copies.
    Raises:
        NotEnoughMemoryError: Where neither has room.
    """
    if ledger.has_room(HOST, needed_bytes + beside_bytes):
        return InMemory()
    folder = folder_with(needed_bytes)
    if folder is None:
        raise NotEnoughMemoryError(
            f"{what} takes {format_memory(needed_bytes)}: there is no room for it beside training in the {free_text()} "
            "of memory that are free, nor on a disk; free some memory, or set TMPDIR to a folder on a disk with room"
        )
    return OnDisk(folder)


def check_training_fits(device: torch.device, needed_bytes: int) -> None:
    """Whether gradients and moments alone fit on the host; a card would raise an error of its own.

    Raises:
        NotEnoughMemoryError: Where they do not.
    """
    if device.type != "cpu":
        return
    trim_heap()
    free = free_bytes(device)
    if free is not None and needed_bytes > free:
        raise NotEnoughMemoryError(
            f"a training step of this model takes {format_memory(needed_bytes)} for gradients and optimizer state "
            f"alone, and {free_text()} of memory are free: free some (delete what the notebook no longer needs, or "
            "restart its kernel), or take a smaller model"
        )


class Headroom:
    """Looks at what is left of the host's memory while a run goes on, a few times a second.

    Args:
        device: Where steps are taken.
        ledger: Of the run: its trainers look together, as a race has many, each of which may begin anew.
    """

    def __init__(self, device: torch.device, ledger: Ledger) -> None:
        self._is_host, self._ledger = device.type == "cpu", ledger

    def check(self) -> None:
        """Whether another step may begin.

        Raises:
            NotEnoughMemoryError: Where next to nothing is left.
        """
        now = time.monotonic()
        if not self._is_host or now < self._ledger.looked_at + LOOK_SECONDS:
            return
        self._ledger.looked_at = now
        free = free_bytes(HOST)
        if free is not None and free < LAST_BYTES:
            trim_heap()
            free = free_bytes(HOST)
        if free is not None and free < LAST_BYTES:
            raise NotEnoughMemoryError(
                f"only {format_memory(free)} of memory were left, and the system ends a kernel that takes the last"
            )


def free_text(device: torch.device = HOST) -> str:
    """How much is free, in words such as "0.6 GiB"."""
    free = free_bytes(device)
    return "unknown amount" if free is None else format_memory(free)
