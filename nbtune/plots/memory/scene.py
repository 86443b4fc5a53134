"""The memory of each batch size, ready to be drawn: one bar each, in a range that suits the card. Knows no Bokeh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..base.typed_again import PARTS

if TYPE_CHECKING:
    from ...engine.batch_size.limit import BatchLimit
    from ...engine.batch_size.settings import BatchSettings
    from ...engine.batch_size.trial import MemoryTrial
    from ...engine.memory import MemoryEstimate

GIB = 2**30

HEIGHT = 276
FRAME_HEIGHT = 224.0
CUT = 1.45
"""The axis ends at this many capacities; taller bars are cut."""

BAR = 0.74
"""Width of a bar, in batch sizes."""

EMPTY_TOP = 8.0
MOST_SIZES = 512


@dataclass(frozen=True, slots=True)
class Bar:
    """One batch size.

    Attributes:
        batch_size: k.
        fits: Within the capacity.
        is_measured: Whether steps were really run.
        is_slower: Whether it gets through only where the allocator gives back its cache and tries again.
        peak_bytes: Measured, else predicted; None where neither is known.
        predicted_bytes: None where nothing could be predicted.
        parts: (name, bytes) from below; they add up to ``peak_bytes``, or are empty.
        why: How it is known, in words.
    """

    batch_size: int
    fits: bool
    is_measured: bool
    peak_bytes: int | None
    predicted_bytes: int | None
    parts: tuple[tuple[str, int], ...]
    why: str = "predicted"
    is_slower: bool = False


@dataclass(frozen=True, slots=True)
class MemoryScene:
    """All bars of a plot, on an axis of GiB by place of the batch size.

    Attributes:
        sizes: The batch sizes that have a place, ascending.
        bars: Of those known so far, ascending.
        best: The k to use; None where there is none yet.
    """

    sizes: tuple[int, ...]
    bars: tuple[Bar, ...]
    capacity_bytes: int | None
    capacity_name: str
    best: int | None
    running: bool

    @property
    def capacity_gib(self) -> float | None:
        return None if self.capacity_bytes is None else self.capacity_bytes / GIB

    @property
    def top(self) -> float:
        """Upper end of the axis, GiB."""
        if self.capacity_gib is not None:
            return CUT * self.capacity_gib
        return max((1.12 * bar.peak_bytes / GIB for bar in self.bars if bar.peak_bytes), default=EMPTY_TOP)

    @property
    def gib_of_px(self) -> float:
        return self.top / FRAME_HEIGHT

    def x(self, bar: Bar) -> float:
        return float(self.sizes.index(bar.batch_size))

    def height(self, bar: Bar) -> float:
        """GiB; beyond the frame for a bar that is cut or of unknown height."""
        return 1.1 * self.top if self.is_cut(bar) or bar.peak_bytes is None else bar.peak_bytes / GIB

    def is_cut(self, bar: Bar) -> bool:
        return bar.peak_bytes is None or bar.peak_bytes / GIB > self.top

    def headroom_bytes(self, bar: Bar) -> int | None:
        """What the card has left; None for a bar that does not fit, or without a capacity."""
        if self.capacity_bytes is None or bar.peak_bytes is None or not bar.fits:
            return None
        return max(0, self.capacity_bytes - bar.peak_bytes)


def sizes_of(settings: BatchSettings) -> tuple[int, ...]:
    """The batch sizes that have a place in the plot: powers of two up to the largest, and the largest.

    Args:
        settings: Of the search.
    """
    return sizes_up_to(settings.max_batch_size)


def sizes_up_to(largest: int) -> tuple[int, ...]:
    """Powers of two up to ``largest``, and ``largest``.

    Examples:
        >>> sizes_up_to(8), sizes_up_to(20)
        ((1, 2, 4, 8), (1, 2, 4, 8, 16, 20))
    """
    powers = [2**i for i in range(largest.bit_length())]
    return tuple(sorted({*powers, largest}))


def scene_of(limit: BatchLimit, running: bool) -> MemoryScene:
    """The last trial of each batch size. Ones between the places, tried to confirm the answer, have no bar."""
    sizes = sizes_of(limit.settings)
    latest = {trial.batch_size: trial for trial in limit.latest}
    bars = tuple(_bar(latest[k]) for k in sizes if k in latest)
    best = None if running else limit.batch_size
    return MemoryScene(sizes, bars, limit.capacity_bytes, limit.capacity_name, best, running)


def _bar(trial: MemoryTrial) -> Bar:
    peak = trial.predicted_bytes if trial.peak_bytes is None else trial.peak_bytes
    parts = in_order(trial.parts)
    return Bar(
        trial.batch_size, trial.fits, trial.is_measured, peak, trial.predicted_bytes, parts, trial.why,
        trial.is_slower,
    )  # fmt: skip


def scene_of_estimate(estimate: MemoryEstimate) -> MemoryScene:
    """Every power of two up to ``MOST_SIZES``, predicted."""
    sizes = sizes_up_to(MOST_SIZES)
    bars = []
    for k in sizes:
        peak = estimate.peak_bytes(k)
        fits = estimate.fits(k)
        is_slower = not fits and estimate.fits_with_retries(k)
        bars.append(Bar(k, fits, False, peak, peak, in_order(estimate.parts(k)), is_slower=is_slower))
    best = None if estimate.capacity_bytes is None else estimate.largest_batch_size() or None
    return MemoryScene(sizes, tuple(bars), estimate.capacity_bytes, estimate.capacity_name, best, False)


def in_order(parts: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """All of ``PARTS`` from below; empty for none."""
    sizes = dict(parts)
    return tuple((name, sizes.get(name, 0)) for name in PARTS) if sizes else ()


MANTISSAS = (1, 2, 4, 5, 8)
"""Intervals in which cards are sold."""
