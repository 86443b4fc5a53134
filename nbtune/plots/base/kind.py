"""Which kind of result something is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def kind_of(result: Any, kinds: Iterable[str]) -> str | None:
    """The nearest of ``result``'s types that is among ``kinds``, by name: asking for a type itself would import torch.

    Examples:
        >>> kind_of(True, ("int", "str")), kind_of(None, ("int",))
        ('int', None)
    """
    known = set(kinds)
    return next((kind.__name__ for kind in type(result).__mro__ if kind.__name__ in known), None)
