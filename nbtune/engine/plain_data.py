"""Results as data that any JSON reader takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


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
