"""What CUDA's caching allocator would reserve: a model of it, event by event, without a card."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator

KIB, MIB = 1024, 1024**2
_SMALL = MIB  # requests up to here are served from small segments
_SMALL_SEGMENT = 2 * MIB
_LARGE_SEGMENT = 20 * MIB  # for requests of less than 10 MiB; larger ones get a segment of their own size
_MIN_OWN_SEGMENT = 10 * MIB
_ROUND_SEGMENT = 2 * MIB


class CapacityError(MemoryError):
    """The modelled card is full, even after giving back what is cached."""


class _Block:
    __slots__ = ("address", "following", "is_free", "is_small", "preceding", "size")

    def __init__(self, address: int, size: int, is_small: bool) -> None:
        self.address, self.size, self.is_small = address, size, is_small
        self.is_free = True
        self.preceding: _Block | None = None
        self.following: _Block | None = None


class CachingAllocator:
    """PyTorch's native CUDA caching allocator on one stream: rounding, pools, best fit, splitting, coalescing.

    Sizes are rounded up to 512 bytes. Up to 1 MiB is served from segments of 2 MiB, less than 10 MiB from segments of
    20 MiB, more from a segment rounded up to 2 MiB. The smallest free block that is large enough is taken (the lowest
    address among equals) and split, if what is left is at least 512 bytes (small) or more than 1 MiB (large). When a
    new segment does not fit, all segments that are entirely free are given back first; that is a retry.

    Not modelled: expandable segments, garbage collection, rounding to powers of two, more than one stream.

    Args:
        capacity_bytes: What all segments together may take; None for no limit.
        addresses: Where new segments lie, for a replay of what a driver did; None: each above the last.
    Attributes:
        reserved_bytes, allocated_bytes: Now; a block counts as allocated whole.
        peak_reserved_bytes, peak_allocated_bytes: The highest so far.
        retries: How often cached segments had to be given back.

    Source: c10/cuda/CUDACachingAllocator.cpp of PyTorch 2.6 to 2.13.

    Examples:
        >>> allocator = CachingAllocator()
        >>> block = allocator.malloc(3 * MIB)
        >>> allocator.reserved_bytes // MIB, allocator.allocated_bytes // MIB
        (20, 3)
    """

    def __init__(self, capacity_bytes: int | None = None, addresses: Iterator[int] | None = None) -> None:
        self.capacity_bytes = capacity_bytes
        self._addresses = addresses or iter(())
        self.reserved_bytes = self.allocated_bytes = 0
        self.peak_reserved_bytes = self.peak_allocated_bytes = 0
        self.retries = 0
        self._pools: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])  # large, small: (size, address)
        self._free: dict[int, _Block] = {}  # by address
        self._next_address = 0

    def malloc(self, size: int) -> _Block | None:
        """A block for ``size`` bytes; None for 0 bytes, which take nothing.

        Raises:
            CapacityError: When there is no room, also after giving back what is cached.
        """
        if size <= 0:
            return None
        size = (size + 511) // 512 * 512
        is_small = size <= _SMALL
        block = self._best_fit(size, is_small) or self._new_segment(size, is_small)
        left = block.size - size
        if left >= 512 if is_small else left > _SMALL:
            self._split(block, size)
        self.allocated_bytes += block.size
        self.peak_allocated_bytes = max(self.peak_allocated_bytes, self.allocated_bytes)
        return block

    def free(self, block: _Block | None) -> None:
        """Give a block back to its pool, joined with its free neighbours."""
        if block is None:
            return
        self.allocated_bytes -= block.size
        before, after = block.preceding, block.following
        if before is not None and before.is_free:
            self._take(before)
            block = _joined(before, block)
        if after is not None and after.is_free:
            self._take(after)
            block = _joined(block, after)
        self._give(block)

    def release_cached(self) -> None:
        """Give every segment that is entirely free back to the card, as ``torch.cuda.empty_cache`` does."""
        for block in list(self._free.values()):
            if block.preceding is None and block.following is None:
                self._take(block)
                self.reserved_bytes -= block.size

    def _best_fit(self, size: int, is_small: bool) -> _Block | None:
        pool = self._pools[is_small]
        index = bisect_left(pool, (size, -1))
        if index == len(pool):
            return None
        block = self._free[pool[index][1]]
        self._take(block)
        return block

    def _new_segment(self, size: int, is_small: bool) -> _Block:
        if is_small:
            segment = _SMALL_SEGMENT
        elif size < _MIN_OWN_SEGMENT:
            segment = _LARGE_SEGMENT
        else:
            segment = -(-size // _ROUND_SEGMENT) * _ROUND_SEGMENT
        if self.capacity_bytes is not None and self.reserved_bytes + segment > self.capacity_bytes:
            self.release_cached()
            self.retries += 1
            if self.reserved_bytes + segment > self.capacity_bytes:
                raise CapacityError(f"{segment} bytes do not fit beside {self.reserved_bytes} reserved ones")
        self.reserved_bytes += segment
        self.peak_reserved_bytes = max(self.peak_reserved_bytes, self.reserved_bytes)
        address = next(self._addresses, self._next_address)
        block = _Block(address, segment, is_small)
        block.is_free = False
        self._next_address = max(self._next_address, address + segment)
        return block

    def _split(self, block: _Block, size: int) -> None:
        rest = _Block(block.address + size, block.size - size, block.is_small)
        rest.preceding, rest.following = block, block.following
        if block.following is not None:
            block.following.preceding = rest
        block.following, block.size = rest, size
        self._give(rest)

    def _give(self, block: _Block) -> None:
        block.is_free = True
        self._free[block.address] = block
        insort(self._pools[block.is_small], (block.size, block.address))

    def _take(self, block: _Block) -> None:
        block.is_free = False
        del self._free[block.address]
        pool = self._pools[block.is_small]
        del pool[bisect_left(pool, (block.size, block.address))]


def _joined(first: _Block, second: _Block) -> _Block:
    first.size += second.size
    first.following = second.following
    if second.following is not None:
        second.following.preceding = first
    return first
