"""Strategies that look for the largest batch size that fits, and what they try it on."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Protocol

WORST_ERROR = 1.25
"""After an out-of-memory error the next size must fit even if it needs this times its prediction."""
BEST_ERROR = 0.85
"""k = 1 is tried although it is predicted not to fit, if it would with this times its prediction."""
STEP_UP_MARGIN = 1.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of trying one batch size.

    Attributes:
        fits: It ran within the capacity, and the allocator never had to give back its cache and try again.
        peak_bytes: Measured peak; None where it ran out of memory or was not measured.
        is_error: An out-of-memory error was raised.
        why: In words, as in ``MemoryTrial``.
        seconds: Of one training step; None where none was timed.
        parts: What the peak consists of, where that was measured too.
    """

    fits: bool
    peak_bytes: int | None = None
    is_error: bool = False
    why: str = "ran"
    seconds: float | None = None
    parts: tuple[tuple[str, int], ...] = ()


Search = Generator[int, Attempt, int]
"""Yields a k to try, is sent the ``Attempt``, returns the largest power of two that fits (0: none)."""


class Prediction(Protocol):
    """What the strategy "estimate" needs to know; a ``MemoryEstimate`` is one."""

    @property
    def capacity_bytes(self) -> int | None:
        """Of the card."""

    def peak_bytes(self, k: int, /) -> int:
        """Predicted peak."""

    def fits(self, k: int, /) -> bool:
        """Whether it fits with a margin."""


class Device(Protocol):
    """What batch sizes are tried on: a real GPU, or one that is played."""

    def attempt(self, batch_size: int, /) -> Attempt:
        """Try one batch size."""


class PlayedCard:
    """A card that is not there.

    Args:
        fits: What fits on it.
        peak_bytes: What would be measured for a size that fits; None for nothing.
    """

    def __init__(self, fits: Callable[[int], bool], peak_bytes: Callable[[int], int] | None = None) -> None:
        self._fits, self._peak_bytes = fits, peak_bytes

    def attempt(self, batch_size: int, /) -> Attempt:
        """What such a card would do."""
        if not self._fits(batch_size):
            return Attempt(fits=False, is_error=True, why="played: out of memory")
        peak = None if self._peak_bytes is None else self._peak_bytes(batch_size)
        return Attempt(fits=True, peak_bytes=peak, why="played: ran")


def powers_of_two(largest: int) -> list[int]:
    """1, 2, 4 … up to ``largest``.

    Examples:
        >>> powers_of_two(9)
        [1, 2, 4, 8]
    """
    return [1 << exponent for exponent in range(largest.bit_length())]


def halving(max_batch_size: int) -> Search:
    """From the largest down, half of it at each out-of-memory error."""
    for k in reversed(powers_of_two(max_batch_size)):
        if (yield k).fits:
            return k
    return 0


def doubling(max_batch_size: int) -> Search:
    """From 1 up to the first out-of-memory error."""
    best = 0
    for k in powers_of_two(max_batch_size):
        if not (yield k).fits:
            break
        best = k
    return best


def estimating(prediction: Prediction, max_batch_size: int) -> Search:
    """Predict, confirm the prediction, correct it by what was measured; at most one out-of-memory error.

    Begins at the largest power of two predicted to fit. If that runs, the prediction is corrected by the measured
    ratio, and the next one is tried if it now fits. If it runs out of memory, the next try is one that fits even if
    the prediction is ``WORST_ERROR`` off, and then no larger one is risked.
    """
    capacity = prediction.capacity_bytes
    sizes = powers_of_two(max_batch_size)
    k = max((size for size in sizes if prediction.fits(size)), default=0)
    if k == 0:
        if capacity is None or prediction.peak_bytes(1) * BEST_ERROR > capacity:
            return 0
        k = 1
    attempt = yield k
    has_erred, failed = attempt.is_error, set[int]()
    while not attempt.fits:
        failed.add(k)
        k = _next_below(prediction, k, has_erred=has_erred)
        if k == 0:
            return 0
        attempt = yield k
        has_erred = has_erred or attempt.is_error
    if has_erred or 2 * k in failed:
        return k
    while 2 * k <= sizes[-1] and _fits_corrected(prediction, k, attempt):
        following = yield 2 * k
        if not following.fits:
            break
        k, attempt = 2 * k, following
    return k


def _next_below(prediction: Prediction, k: int, *, has_erred: bool) -> int:
    """The next size to try after one that did not fit; 0 for none that can be tried without a second error."""
    capacity = prediction.capacity_bytes
    below = powers_of_two(k // 2)
    safe = [size for size in below if capacity is None or prediction.peak_bytes(size) * WORST_ERROR <= capacity]
    return max(safe, default=0 if has_erred else k // 2)


def _fits_corrected(prediction: Prediction, k: int, attempt: Attempt) -> bool:
    """Whether 2k fits by the prediction times the ratio that was measured at k."""
    if prediction.capacity_bytes is None or attempt.peak_bytes is None:
        return False
    ratio = attempt.peak_bytes / prediction.peak_bytes(k)
    return ratio * prediction.peak_bytes(2 * k) * STEP_UP_MARGIN <= prediction.capacity_bytes


def tried(search: Search, device: Device) -> Generator[tuple[int, Attempt], None, int]:
    """A search on a device: yields (k, what came of it), returns the answer."""
    attempt: Attempt | None = None
    while True:
        try:
            k = next(search) if attempt is None else search.send(attempt)
        except StopIteration as end:
            return int(end.value)
        attempt = device.attempt(k)
        yield k, attempt
