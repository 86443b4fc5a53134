"""Events and results as plain data, which any JSON reader takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields
from functools import cache
from typing import Any, cast

from .checks import flag, number, text, whole_number

_LARGEST = 2**63

NEVER_BELOW_ZERO = ("lr", "seconds", "samples_per_second")
"""Numbers of an event that are finite as well; any other may be infinite or none, as a loss is that diverged."""


def json_ready(value: Any) -> Any:
    """The same with lists for tuples and None for numbers that are not finite, which JSON has no word for.

    Examples:
        >>> json_ready({"losses": (1.0, float("inf"))})
        {'losses': [1.0, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    return value


def check_event(event: Any) -> None:
    """Whether an event's fields hold what they are annotated with: whole numbers from 0 up, numbers, truths and texts.

    For its ``__post_init__``: numbers of other kinds, such as NumPy's, become Python's own.

    Raises:
        TypeError, ValueError: For anything else.
    """
    for name, kind, least, may_be_none in _plain_fields(cast(Hashable, type(event))):
        value = getattr(event, name)
        # Thousands are made in a run: what is plain already is not looked at long.
        if type(value) is kind and (kind is bool or kind is str or least <= value < _LARGEST):
            continue
        if value is not None or not may_be_none:
            object.__setattr__(event, name, _PLAIN[kind](name, value, least))


@cache
def _plain_fields(kind: Any) -> tuple[tuple[str, type[Any], int, bool], ...]:
    known, split = {kind.__name__: kind for kind in _PLAIN}, [(f.name, str(f.type).split(" | ")) for f in fields(kind)]
    return tuple(
        (name, known[kinds[0]], int(name == "batch_size"), "None" in kinds)
        for name, kinds in split
        if kinds[0] in known
    )


def _number(name: str, value: Any, least: int) -> float:
    return number(name, value, least=least) if name in NEVER_BELOW_ZERO else number(name, value, may_be_endless=True)


_PLAIN: dict[type, Callable[[str, Any, int], Any]] = {
    int: lambda name, value, least: whole_number(name, value, least=least, most=_LARGEST), float: _number,
    bool: lambda name, value, least: flag(name, value), str: lambda name, value, least: text(name, value),
}  # fmt: skip
