"""What a number given by the user must be, in one place for every setting: the same words, the same limits.

True and False are no numbers here, though Python takes them for 1 and 0; NumPy's numbers are, tensors are not.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

MOST = 10**9
"""No setting is a larger whole number: a run of so many steps, or a batch of so many samples, would not end."""


def whole_number(name: str, value: Any, *, least: int = 1, most: int = MOST, kind: str = "a whole number") -> int:
    """``value`` as an int.

    Args:
        name: What the error calls it.
        value: Given by the user.
        least, most: Its limits, both allowed.
        kind: What the error says it must be.
    Raises:
        ValueError: For anything else than a whole number within these limits.

    Examples:
        >>> whole_number("steps", 100)
        100
        >>> whole_number("steps", True)
        Traceback (most recent call last):
        ValueError: steps must be a whole number from 1 up, not True
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < least:
        raise ValueError(f"{name} must be {kind} from {least} up, not {value!r}")
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most:,}, not {value!r}".replace(",", "\u202f"))
    return int(value)


def number(name: str, value: Any, *, above: float | None = None, least: float | None = None) -> float:
    """``value`` as a float, which is finite.

    Args:
        name: What the error calls it.
        value: Given by the user.
        above: A limit that is not allowed itself; None for none.
        least: A limit that is; None for none.
    Raises:
        ValueError: For anything else than a finite number within these limits.

    Examples:
        >>> number("lr_min", 1e-5, above=0)
        1e-05
        >>> number("lr_min", float("inf"), above=0)
        Traceback (most recent call last):
        ValueError: lr_min must be a number above 0, not inf
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if is_number and (above is None or value > above) and (least is None or value >= least):
        return float(value)
    limit = f"number above {above:g}" if above is not None else f"number from {least:g} up" if least is not None else ""
    raise ValueError(f"{name} must be a {limit or 'finite number'}, not {value!r}")


def seconds(name: str, value: Any) -> float | None:
    """A limit of time in seconds, above 0; None for none.

    Raises:
        ValueError: For anything else.
    """
    if value is None:
        return None
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not value > 0:  # infinity is a limit too, though it never comes
        raise ValueError(f"{name} must be above 0 or None, not {value!r}")
    return float(value)


def whole_numbers(name: str, values: Any, *, example: str) -> tuple[int, ...]:
    """Several whole numbers from 1 up, in the order given.

    Args:
        name: What the error calls them.
        values: Given by the user: an iterable that is no text.
        example: For the error.
    Raises:
        ValueError: For anything else.
    """
    if isinstance(values, str | bytes | bytearray) or not isinstance(values, Iterable):
        raise ValueError(f"{name} must be whole numbers from 1 up, such as {example}, not {values!r}")
    # "must be whole numbers", also where one of them is wrong
    return tuple(whole_number(name, value, kind="whole numbers") for value in values)
