"""The largest batch size that fits, by doubling and halving."""

from __future__ import annotations

from collections.abc import Callable

LARGEST_SEARCHED, LARGEST_TRACED = 2**24, 2**12


def largest_that_fits(fits: Callable[[int], bool], *, has_law: bool, power_of_two: bool) -> int:
    """The largest k that fits, of the powers of two or of all; 0 if not even 1 does.

    Args:
        fits: Whether a batch size does; the larger, the less.
        has_law: Whether every k is known at once; else each is traced, so that only powers of two are looked at.
    """
    k, limit = 1, LARGEST_SEARCHED if has_law else LARGEST_TRACED
    if not fits(k):
        return 0
    while 2 * k <= limit and fits(2 * k):
        k *= 2
    if power_of_two or 2 * k > limit or not has_law:
        return k
    low, high = k, 2 * k
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
