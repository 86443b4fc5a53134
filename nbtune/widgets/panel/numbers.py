"""A field's text as a number, or an error in the field's own words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

N = TypeVar("N", int, float)


def number_in(text: str, label: str, kind: Callable[[str], N], example: str) -> N:
    """The number that stands in a field.

    Args:
        text: What was typed.
        label: The field's, as the panel shows it.
        kind: ``int`` or ``float``.
        example: What may be typed, such as "a number such as 1e-5".
    Raises:
        ValueError: For any other text.
    """
    try:
        return kind(text)
    except ValueError:
        raise ValueError(f"“{label}” must be {example}, not “{text}”") from None
