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


def _strip(number: str) -> str:
    return number.rstrip("0").rstrip(".") if "." in number else number
