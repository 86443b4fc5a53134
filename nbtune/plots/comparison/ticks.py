"""Round numbers on logarithmic axes: where a range ends, and what is labelled. Knows no Bokeh."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...formats import format_count, format_loss
from ..base.scale import round_ticks, tick_number

MOST_LOSSES = 4
FINER = ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5))


def round_down(value: float, mantissas: Sequence[int]) -> float:
    """The largest number with one of the mantissas that is no larger.

    Examples:
        >>> round_down(0.00077, (1, 3)), round_down(5.0, (1, 2, 5)), round_down(0.9, (1,))
        (0.0003, 5.0, 0.1)
    """
    power = math.floor(math.log10(value) + 1e-9)
    candidates = [float(f"{m}e{p}") for p in (power - 1, power) for m in mantissas]
    return max(number for number in candidates if number <= value * (1 + 1e-9))


def round_up(value: float, mantissas: Sequence[int]) -> float:
    """The smallest number with one of the mantissas that is no smaller.

    Examples:
        >>> round_up(0.46, (1, 2, 5)), round_up(56_000, (1, 2, 5)), round_up(10, (1,))
        (0.5, 100000.0, 10.0)
    """
    power = math.floor(math.log10(value) + 1e-9)
    candidates = [float(f"{m}e{p}") for p in (power, power + 1) for m in mantissas]
    return min(number for number in candidates if number >= value * (1 - 1e-9))


def log_ticks(bottom: float, top: float, most: int) -> list[float]:
    """At most ``most`` round numbers: decades where there are enough of them, else more per decade, else every nth.

    Args:
        bottom: log10 of the range's lower end.
        top: Of its upper end.
        most: How many there is room for.

    Examples:
        >>> log_ticks(-3.5, 0.54, 4), log_ticks(-0.5, 0.54, 4), log_ticks(0.5, 1.2, 4), log_ticks(-7.5, 0.5, 4)
        ([0.001, 0.01, 0.1, 1.0], [0.5, 1.0, 2.0], [5.0, 10.0], [1e-06, 0.0001, 0.01, 1.0])
    """
    by_kind = [_within(bottom, top, mantissas) for mantissas in FINER]
    decades = by_kind[0]
    if len(decades) >= min(3, most):
        return decades[(len(decades) - 1) % -(-len(decades) // most) :: -(-len(decades) // most)]
    fitting = [ticks for ticks in by_kind if len(ticks) <= most]
    return next((ticks for ticks in fitting if len(ticks) >= min(3, most)), max(fitting, key=len))


def _within(bottom: float, top: float, mantissas: Sequence[int]) -> list[float]:
    powers = range(math.floor(bottom), math.floor(top) + 1)
    ticks = [float(f"{m}e{p}") for p in powers for m in mantissas]
    return [tick for tick in ticks if bottom - 1e-9 <= math.log10(tick) <= top + 1e-9]


def ticks_of(bottom: float, top: float, most: int, is_log: bool = True) -> tuple[list[float], list[str]]:
    """Places on the axis (log10, if it is logarithmic), and the numbers written there."""
    if not is_log:
        at = round_ticks(bottom, top)
        return at, [tick_number(tick) for tick in at]
    ticks = log_ticks(bottom, top, most)
    return [math.log10(tick) for tick in ticks], [tick_text(tick) for tick in ticks]


def tick_text(tick: float) -> str:
    """A round number in full, thousands parted; from a million up as a power, which has room.

    Examples:
        >>> [tick_text(tick) for tick in (0.001, 0.5, 1.0, 10_000.0, 2e6)]
        ['0.001', '0.5', '1', '10\u202f000', '2e6']
    """
    return format_count(tick) if 1 <= tick < 1e6 else format_loss(tick, 1)
