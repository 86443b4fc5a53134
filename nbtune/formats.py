"""Numbers as a reader would type them; the one place where they become text. Standard library only."""

from __future__ import annotations

import math


def format_lr(lr: float, digits: int = 2) -> str:
    """A learning rate as one would type it: plain from 0.001 up, ``5e-4`` below.

    Args:
        lr: A positive, finite learning rate.
        digits: Significant digits.

    Examples:
        >>> [format_lr(lr) for lr in (0.0393, 0.001, 0.0005, 3.21e-5, 10.0, 1)]
        ['0.039', '0.001', '5e-4', '3.2e-5', '10', '1']
    """
    if lr == 0 or not math.isfinite(lr):
        return format_loss(lr)
    mantissa, exponent = f"{lr:.{digits - 1}e}".split("e")
    power = int(exponent)
    if power < -3 or power >= 5:
        return f"{_strip(mantissa)}e{power}"
    return _strip(f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}")


def format_loss(loss: float, digits: int = 2) -> str:
    """A loss with ``digits`` significant digits; numbers that are not finite by name.

    Examples:
        >>> [format_loss(x) for x in (2.3026, 0.00123, -41.7, 0.0, 123456.0, float("inf"))]
        ['2.3', '0.0012', '-42', '0', '1.2e5', 'inf']
    """
    if loss == 0:
        return "0"
    if not math.isfinite(loss):
        return str(loss)
    mantissa, exponent = f"{loss:.{digits - 1}e}".split("e")
    power = int(exponent)
    if power < -4 or power >= 5:
        return f"{_strip(mantissa)}e{power}"
    return f"{float(f'{mantissa}e{power}'):.{max(0, digits - 1 - power)}f}"


def format_target(loss: float) -> str:
    """A loss that was chosen, not measured: as short as it can be said.

    Examples:
        >>> [format_target(x) for x in (0.1, 3.0, 0.08, 0.46, 1.25e-6)]
        ['0.1', '3', '0.08', '0.46', '1.3e-6']
    """
    text = format_loss(loss)
    return text if "e" in text else _strip(text)


def format_seconds(seconds: float) -> str:
    """A measured duration: ``0.46 s``, ``4.6 s``, ``46 s``, ``2 min``.

    Examples:
        >>> [format_seconds(s) for s in (0.4567, 4.56, 45.6, 130)]
        ['0.46 s', '4.6 s', '46 s', '2 min']
    """
    if seconds < 100:
        return f"{format_loss(seconds)} s"
    return f"{round(seconds / 60)} min"


def format_remaining(seconds: float) -> str:
    """The time left, rounded up and never counting milliseconds.

    Examples:
        >>> [format_remaining(s) for s in (0.2, 3.4, 61, 150)]
        ['less than 1 s left', 'about 4 s left', 'about 2 min left', 'about 3 min left']
    """
    if seconds < 1:
        return "less than 1 s left"
    if seconds <= 60:
        return f"about {math.ceil(seconds)} s left"
    return f"about {math.ceil(seconds / 60)} min left"


def format_memory(size_bytes: float, unit: str = "auto") -> str:
    """A size with its unit: GiB with one decimal, none from 100 up, and whole MiB below 1 GiB.

    Args:
        size_bytes: In bytes, ≥ 0.
        unit: "GiB" or "MiB" for that unit whatever the size; "auto" for the one that suits it.

    Examples:
        >>> [format_memory(b * 2**20) for b in (27, 1740, 8192, 181862, 0.01)]
        ['27 MiB', '1.7 GiB', '8.0 GiB', '178 GiB', '< 0.1 MiB']
        >>> format_memory(5172 * 2**20, "MiB"), format_memory(27 * 2**20, "GiB")
        ('5\u202f172 MiB', '< 0.1 GiB')
    """
    if unit == "auto":
        # What would read "1 024 MiB" is 1.0 GiB.
        unit = "MiB" if size_bytes < 1023.5 * 2**20 else "GiB"
    return f"{format_gib(size_bytes) if unit == 'GiB' else format_mib(size_bytes)} {unit}"


def format_gib(size_bytes: float) -> str:
    """The number alone, for a column or an axis that names the unit.

    Examples:
        >>> [format_gib(b * 2**30) for b in (0, 0.04, 0.66, 6.275, 99.96, 355.2, 2100)]
        ['0', '< 0.1', '0.7', '6.3', '100', '355', '2\u202f100']
    """
    gib = size_bytes / 2**30
    return _at_least_a_tenth(gib, 1 if gib < 99.95 else 0)


def format_mib(size_bytes: float) -> str:
    """The number alone, whole; one decimal below 1.

    Examples:
        >>> [format_mib(b * 2**20) for b in (0, 0.01, 0.4, 27.4, 5172)]
        ['0', '< 0.1', '0.4', '27', '5\u202f172']
    """
    mib = size_bytes / 2**20
    return _at_least_a_tenth(mib, 1 if mib < 0.95 else 0)


def format_count(count: float) -> str:
    """A whole number with a thin no-break space between thousands.

    Examples:
        >>> [format_count(n) for n in (8, 8192, 28000000)]
        ['8', '8\u202f192', '28\u202f000\u202f000']
    """
    return f"{count:,.0f}".replace(",", "\u202f")


def format_percent(fraction: float, sign: bool = True) -> str:
    """A share in per cent: no decimals above 10, and never 0 for something that exists.

    Args:
        fraction: 1.0 for all.
        sign: Whether the sign follows; a column's head may carry it.

    Examples:
        >>> [format_percent(f) for f in (0, 2e-4, 0.0123, 0.0998, 0.48, 1)]
        ['0 %', '< 0.1 %', '1.2 %', '10 %', '48 %', '100 %']
    """
    percent = 100 * fraction
    return _at_least_a_tenth(percent, 1 if percent < 9.95 else 0) + (" %" if sign else "")


def _at_least_a_tenth(number: float, decimals: int) -> str:
    if 0 < number < 0.05:
        return "< 0.1"
    return "0" if number == 0 else f"{number:,.{decimals}f}".replace(",", "\u202f")


def _strip(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
