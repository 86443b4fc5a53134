"""What an argument given by the user must be, in one place for every tool and setting: the same words and limits.

True and False are no numbers here, though Python takes them for 1 and 0; NumPy's numbers are, tensors are not. Whatever
is given may be compared, measured or printed with an error of its own (a tensor has no single truth, a list may hold
itself): here it is only asked for its type, and told by ``shown``.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from numbers import Integral, Real
from typing import Any, TypeVar

MOST = 10**9
"""No setting is a larger whole number: a run of so many steps, or a batch of so many samples, would not end."""

MOST_VALUES = 10_000
"""No setting takes more values than these, which an iterator without an end would give."""

LEAST_RATE, MOST_RATE = 1e-30, 1e30
"""Of a range; beyond, float32 has no such numbers, and the ratio of two is soon beyond any float."""

SHOWN = 80
"""Characters of a value in an error."""

T = TypeVar("T")


def shown(value: Any) -> str:
    """A value as an error tells it: in a few words, whatever it is.

    Examples:
        >>> shown("8 MB"), shown(list(range(1000))), shown(10**30)
        ("'8 MB'", '[0, 1, 2, 3, 4, 5, ...]', '1000000000000000000000000000000')
    """
    try:
        text = _SHORT.repr(value)
    except Exception:  # too long a number, too deep a list, or the user's own __repr__
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 4]} ..."


class _Short(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxlong = self.maxother = SHOWN - 4


_SHORT = _Short()


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
        raise ValueError(f"{name} must be {kind} from {least} up, not {shown(value)}")
    if int(value) > most:
        raise ValueError(f"{name} must be at most {most:,}".replace(",", "\u202f") + f", not {shown(value)}")
    return int(value)


def number(
    name: str, value: Any, *, above: float | None = None, least: float | None = None, may_be_endless: bool = False
) -> float:
    """``value`` as a float, which is finite.

    Args:
        name: What the error calls it.
        value: Given by the user.
        above: A limit that is not allowed itself; None for none.
        least: A limit that is; None for none.
        may_be_endless: Whether it may be infinite or no number (NaN) as well, where there are no limits.
    Raises:
        ValueError: For anything else than a finite number within these limits.

    Examples:
        >>> number("lr_min", 1e-5, above=0)
        1e-05
        >>> number("lr_min", float("inf"), above=0)
        Traceback (most recent call last):
        ValueError: lr_min must be a number above 0, not inf
    """
    found = _as_float(value)
    is_wanted = found is not None and (may_be_endless or math.isfinite(found))
    if found is not None and is_wanted and (above is None or found > above) and (least is None or found >= least):
        return found
    limit = f"number above {above:g}" if above is not None else f"number from {least:g} up" if least is not None else ""
    raise ValueError(f"{name} must be a {limit or 'finite number'}, not {shown(value)}")


def _as_float(value: Any) -> float | None:
    """None for what is no number, and for one beyond all floats."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def rate(name: str, value: Any) -> float:
    """A learning rate to be looked at: a number that a range of rates can begin or end with in any arithmetic.

    Raises:
        ValueError: For anything else.
    """
    found = number(name, value, above=0)
    if not LEAST_RATE <= found <= MOST_RATE:
        raise ValueError(f"{name} must be from {LEAST_RATE:g} to {MOST_RATE:g}, not {shown(value)}")
    return found


def seconds(name: str, value: Any) -> float | None:
    """A limit of time in seconds, above 0; None for none.

    Raises:
        ValueError: For anything else.
    """
    if value is None:
        return None
    found = _as_float(value)
    if found is None or not found > 0:  # infinity is a limit too, though it never comes
        raise ValueError(f"{name} must be above 0 or None, not {shown(value)}")
    return found


def whole_numbers(name: str, values: Any, *, example: str) -> tuple[int, ...]:
    """Several whole numbers from 1 up, in the order given.

    Args:
        name: What the error calls them.
        values: Given by the user: an iterable that is no text.
        example: For the error.
    Raises:
        ValueError: For anything else.
    """
    if not is_several(values):
        raise ValueError(f"{name} must be whole numbers from 1 up, such as {example}, not {shown(values)}")
    # "must be whole numbers", also where one of them is wrong
    return tuple(whole_number(name, value, kind="whole numbers") for value in each(name, values))


def is_several(values: Any) -> bool:
    """Whether it is an iterable of values, and no text, array of bytes, mapping or single number."""
    is_one = isinstance(values, str | bytes | bytearray | memoryview | Mapping)
    return not is_one and isinstance(values, Iterable) and getattr(values, "ndim", 1) == 1


def each(name: str, values: Iterable[T]) -> Iterator[T]:
    """The values one by one, as far as a setting can have so many.

    Raises:
        ValueError: For more than ``MOST_VALUES``.
    """
    for index, value in enumerate(values):
        if index == MOST_VALUES:
            raise ValueError(f"{name} must be at most {MOST_VALUES:,} values".replace(",", "\u202f"))
        yield value


def choice(name: str, value: Any, options: Iterable[Any], *, told: str = "") -> Any:
    """One of the options: equal to a text among them, or one of the others itself.

    Args:
        name: What the error calls it.
        value: Given by the user.
        options: Texts, None, True, False, dtypes and the like.
        told: How the error names them, where their texts do not do.
    Raises:
        ValueError: For anything else.

    Examples:
        >>> choice("checkpointing", None, (True, False, None))
        >>> choice("checkpointing", 1, (True, False, None))
        Traceback (most recent call last):
        ValueError: checkpointing must be True, False or None, not 1
        >>> choice("mode", "slow", ("race", "quick"))
        Traceback (most recent call last):
        ValueError: mode must be "race" or "quick", not 'slow'
    """
    options = tuple(options)
    for option in options:
        if value is option or (isinstance(option, str) and isinstance(value, str) and value == option):
            return option
    raise ValueError(f"{name} must be {told or _one_of(options)}, not {shown(value)}")


def _one_of(options: tuple[Any, ...]) -> str:
    texts = [option for option in options if isinstance(option, str)]
    if len(texts) > 2:
        return f"one of {', '.join(texts)}{' or None' if None in options else ''}"
    *names, last = (f'"{option}"' if isinstance(option, str) else str(option) for option in options)
    return f"{', '.join(names)} or {last}" if names else last


def flag(name: str, value: Any) -> bool:
    """True or False.

    Raises:
        ValueError: For anything else, such as 1 or "no".
    """
    return bool(choice(name, value, (True, False)))


def text(name: str, value: Any) -> str:
    """A text.

    Raises:
        TypeError: For anything else.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text, not {shown(value)}")
    return value


def sentences(name: str, values: Any) -> tuple[str, ...]:
    """Some texts.

    Raises:
        TypeError, ValueError: For anything else.
    """
    if not is_several(values):
        raise TypeError(f"{name} must be some sentences, not {shown(values)}")
    return tuple(text(name, value) for value in each(name, values))


def made_of(kind: type[T], settings: Any, changes: Mapping[str, Any], *, taker: str) -> T:
    """Settings with some of them changed by name.

    Args:
        kind: Their class, a dataclass.
        settings: Given by the user; None for the defaults.
        changes: Given by name.
        taker: What takes them.
    Raises:
        TypeError: For settings of another kind, and for a name that is none of theirs.
        ValueError: As ``kind`` does.
    """
    settings = instance("settings", settings, kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]
    unknown = [change for change in changes if change not in names]
    if unknown:
        raise TypeError(
            f"{taker} got an unexpected keyword argument {unknown[0]!r}: the settings are {', '.join(names)}"
        )
    if settings is None:
        return kind(**changes)  # not the defaults, changed: one may follow from another
    return replace(settings, **changes)  # type: ignore[type-var, no-any-return]


def instance(name: str, value: Any, kind: type[T]) -> T | None:
    """One of nbtune's own objects, or None.

    Raises:
        TypeError: For anything else.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be an nbtune.{kind.__name__} or None, not {shown(value)}")
    return value


def events(name: str, values: Any, kinds: tuple[type, ...]) -> Iterator[Any]:
    """The events of a run, one by one.

    Args:
        name: What the error calls them.
        values: Given by the user, an iterable.
        kinds: What they may be.
    Raises:
        TypeError: For anything else.
    """
    told = " or ".join(kind.__name__ for kind in kinds)
    if not is_several(values):
        raise TypeError(f"{name} must be an iterable of {told}, not {shown(values)}")
    for value in values:
        if not isinstance(value, kinds):
            raise TypeError(f"{name} must be an iterable of {told}; in it is {shown(value)}")
        yield value
