"""How much of a tensor one of several devices holds."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ..rehearsal.recording import Allocation


def padded_bytes(allocation: Allocation, devices: int) -> int:
    """What all devices' parts of a parameter take together: its first dimension is filled up to a multiple."""
    return devices * share_bytes(allocation, devices)


def share_bytes(allocation: Allocation, devices: int) -> int:
    """The largest part of a parameter: rows of its first dimension, as ``fully_shard`` divides. A number stays whole.

    Examples:
        >>> share_bytes(Allocation((10, 3), 4, "parameters", "forward", -1, ""), 4)
        36
    """
    shape = allocation.shape
    if not shape:
        return allocation.size_bytes()
    return allocation.size_bytes((-(-shape[0] // devices), *shape[1:]))


def held_by_fullest(numels: dict[int, int], devices: int) -> set[int]:
    """Numbers of the parameters whose state the fullest device keeps.

    ``ZeroRedundancyOptimizer`` gives whole parameters away, the largest first, to the device that has least so far.

    Args:
        numels: Elements of each parameter, by its number, in the order in which the optimizer holds them.
    """
    given: list[list[int]] = [[] for _ in range(devices)]
    taken = [0] * devices
    for number in sorted(numels, key=numels.__getitem__, reverse=True):
        least = min(range(devices), key=taken.__getitem__)
        given[least].append(number)
        taken[least] += numels[number]
    return set(given[max(range(devices), key=taken.__getitem__)])


def bucket_sizes(gradients: Iterable[Allocation], first_bytes: int, most_bytes: int) -> list[int]:
    """Bytes of the buckets that ``DistributedDataParallel`` puts gradients into, as they come; each dtype has its own.

    A bucket is closed by the gradient that reaches the limit, which may take it far beyond.
    """
    made: list[int] = []
    filling: dict[object, int] = {}
    has_first: set[object] = set()
    for gradient in gradients:
        kind = gradient.item_bytes
        filling[kind] = filling.get(kind, 0) + gradient.size_bytes()
        if filling[kind] >= (most_bytes if kind in has_first else first_bytes):
            made.append(filling.pop(kind))
            has_first.add(kind)
    return [*made, *filling.values()]


def numel(allocation: Allocation) -> int:
    """Elements."""
    return math.prod(allocation.shape)
